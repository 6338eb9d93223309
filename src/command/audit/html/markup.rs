//! Text within markup.

use binlogsec_core::text::unseen::{printable, printable_lines};

/// On one line, for text and attributes alike. Characters that a page would obey or cannot hold are
/// shown as escapes; so are those that nobody sees.
pub(super) fn escaped(text: &str) -> String {
    escaped_lines(&printable(text))
}

/// The same of a text whose lines are our own.
pub(super) fn escaped_lines(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable_lines(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// At most so many characters, with the middle left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let half = most.saturating_sub(1) / 2;
    let start = characters.iter().take(half);
    let end = characters.iter().skip(characters.len().saturating_sub(half));
    start.chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_text() {
        assert_eq!(
            escaped("<script>'\"&\u{0}\u{202e}é"),
            "&lt;script&gt;&#39;&quot;&amp;\\u{0}\\u{202e}é"
        );
    }

    #[test]
    fn the_ends_of_a_long_name_stay() {
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("abc", 5), "abc");
    }
}
