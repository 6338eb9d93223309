//! Names and texts as statements have them.

use binlogsec_core::text::unseen::is_unseen;

/// Stands in a statement, or in a line of an option file, for a character that nobody could see or
/// type there: what has one is no remedy.
pub(super) const UNWRITABLE: char = '\0';

/// A name as it may stand in a remedy.
pub(super) fn written(name: &str) -> String {
    name.replace(is_unseen, "\0")
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let text = written(text);
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// An account's name: `'repl'@'10.0.0.%'`.
pub(super) fn account(user: &str, host: &str) -> String {
    format!("{}@{}", quoted(user), quoted(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_end_no_text() {
        assert_eq!(account("o'hara", "%"), "'o''hara'@'%'");
        assert_eq!(quoted("a\\'b"), "'a\\\\''b'");
        assert_eq!(quoted("a\n\u{202e}"), "'a\0\0'");
    }
}
