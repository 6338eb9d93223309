//! Names and texts as statements have them.

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
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
    }
}
