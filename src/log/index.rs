//! Index files: the server's list of its logs, one path a line.

/// The paths in an index, in order. Line ends may be LF or CRLF; blank lines are skipped. A
/// relative path is relative to the server's data directory, where the index lies as a rule.
pub fn entries(index: &[u8]) -> impl Iterator<Item = &[u8]> {
    index
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_blanks() {
        let paths: Vec<_> = entries(b"./binlog.000001\r\n\n  \n/var/log/b.000002\nlast").collect();
        assert_eq!(
            paths,
            [&b"./binlog.000001"[..], b"/var/log/b.000002", b"last"]
        );
        assert_eq!(entries(b"").count(), 0);
    }
}
