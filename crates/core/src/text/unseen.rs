//! Characters that are not seen, or that make others seem what they are not, and texts that a runner
//! of continuous integration takes for commands. A file name may have any; no report shows one as it
//! is.

/// Whether a character is obeyed and not shown, turns the text around it, or takes no place:
/// controls (C0, C1), line and paragraph separators, marks of direction, joiners and spaces without
/// width, tags.
#[must_use]
#[inline]
pub fn is_unseen(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
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

/// Whether a runner of continuous integration, which reads what a command prints, would take a text
/// for a command of its own wherever it stands in a line: GitHub's older form (`##[…]`), those of Azure
/// Pipelines (`##vso[…]`) and TeamCity.
#[must_use]
pub fn starts_command(text: &str) -> bool {
    let after = text.strip_prefix("##");
    after.is_some_and(|after| ["[", "vso[", "teamcity["].iter().any(|word| after.starts_with(word)))
}

/// Whether a line would be a command for GitHub's runner, which passes over blanks at its start:
/// `::error::…`.
fn is_command_line(line: &str) -> bool {
    let after = line.trim_start().strip_prefix("::");
    after.is_some_and(|after| after.starts_with(|first: char| first.is_ascii_alphabetic()))
}

/// Whether a text can be shown as it is. Quick, and never wrong where it says yes.
#[must_use]
pub fn is_harmless(text: &str) -> bool {
    // Nearly every text is ASCII without either sign twice. All bytes are looked at, so that many are at
    // once.
    let bytes = text.as_bytes();
    let is_shown = bytes.iter().fold(true, |all, byte| all & matches!(byte, 0x20..=0x7e));
    let behind = bytes.get(1..).unwrap_or_default();
    let is_doubled = |one: u8, next: u8| (one == next) & ((one == b'#') | (one == b':'));
    let pairs = bytes.iter().zip(behind);
    let has_doubled = pairs.fold(false, |any, (one, next)| any | is_doubled(*one, *next));
    !has_doubled && (is_shown || !text.contains(is_unseen))
}

/// The text on one line, with every such character as an escape (`\n`, `\u{202e}`), and so the first
/// one of what a runner would take for a command, wherever in a line this text stands.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    // Within a command's line the blanks are kept; its first colon is not.
    let mut guards = is_command_line(text);
    for (at, character) in text.char_indices() {
        let is_first_colon = guards && character == ':';
        guards &= !is_first_colon;
        if is_unseen(character) {
            printable.extend(character.escape_default());
        } else if is_first_colon
            || character == '#' && starts_command(text.get(at..).unwrap_or_default())
        {
            printable.extend(character.escape_unicode());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// The same of a text whose lines are our own: each stays a line.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
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
            ("::error::x", "\\u{3a}:error::x"),
            (" \u{3000}::a", " \u{3000}\\u{3a}:a"),
            ("a::b ::1 # ##", "a::b ::1 # ##"),
            ("::1 ", "::1 "),
            ("x ##[error]y", "x \\u{23}#[error]y"),
            ("###vso[z##teamcity[", "#\\u{23}#vso[z\\u{23}#teamcity["),
        ] {
            assert_eq!(printable(text), expected);
            assert!(!is_harmless(text) || text == expected);
            assert!(!printable(text).chars().any(is_unseen));
        }
    }
}
