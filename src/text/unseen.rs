//! Characters that are not seen, or that make others seem what they are not. A file name may have
//! any; no report shows one as it is.

/// Whether a character is obeyed and not shown, turns the text around it, or takes no place:
/// controls (C0, C1), line and paragraph separators, marks of direction, joiners and spaces without
/// width, tags.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text with every such character as an escape: `\n`, `\u{202e}`.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unseen(character) {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unseen_is_left() {
        for (text, expected) in [
            ("binlog.000001 é 日志 🐬", "binlog.000001 é 日志 🐬"),
            ("\x1b[31m\n\u{9b}", "\\u{1b}[31m\\n\\u{9b}"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("\u{200b}\u{2028}\u{feff}", "\\u{200b}\\u{2028}\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(printable(text), expected);
            assert!(!printable(text).chars().any(is_unseen));
        }
    }
}
