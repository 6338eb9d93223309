//! Index files: the server's list of its logs, one path a line.

/// The paths in an index, in order. Line ends may be LF or CRLF; blank lines are skipped. A
/// relative path is relative to the server's data directory, where the index lies as a rule.
pub fn entries(index: &[u8]) -> impl Iterator<Item = &[u8]> {
    index
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
}

/// A path as a server on Windows writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsPath {
    /// With slashes, and without a drive or `.\` at the beginning.
    pub path: Vec<u8>,
    /// Whether it began with a drive or a share.
    pub is_absolute: bool,
}

/// The path that an entry is if a server on Windows wrote it, as `.\relay.000001` or
/// `C:\data\binlog.000001`; `None` for others.
#[must_use]
pub fn windows_path(entry: &[u8]) -> Option<WindowsPath> {
    let (drive, path) = match entry {
        [letter, b':', path @ ..] if letter.is_ascii_alphabetic() => (true, path),
        path => (false, path),
    };
    if !path.contains(&b'\\') || (!drive && path.contains(&b'/')) {
        return None;
    }
    let mut path: Vec<u8> =
        path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
    let is_absolute = drive || path.starts_with(b"/");
    while path.starts_with(b"./") || path.starts_with(b"/") {
        path.remove(0);
    }
    Some(WindowsPath { path, is_absolute })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_blanks() {
        let paths: Vec<_> = entries(b"./binlog.000001\r\n\n  \n/var/log/b.000002\nlast").collect();
        assert_eq!(paths, [&b"./binlog.000001"[..], b"/var/log/b.000002", b"last"]);
        assert_eq!(entries(b"").count(), 0);
    }

    #[test]
    fn paths_of_windows_are_told_from_others() {
        for (entry, path, is_absolute) in [
            (&br".\relay.000001"[..], &b"relay.000001"[..], false),
            (br"logs\b.000001", b"logs/b.000001", false),
            (br"C:\data\b.000001", b"data/b.000001", true),
            (br"C:/data\b.000001", b"data/b.000001", true),
            (br"\\host\share\b.000001", b"host/share/b.000001", true),
        ] {
            let found = windows_path(entry).unwrap();
            assert_eq!((&*found.path, found.is_absolute), (path, is_absolute));
        }
        for entry in [&b"./b.000001"[..], b"/data/b.000001", br"/odd\dir/b.000001"] {
            assert_eq!(windows_path(entry), None);
        }
    }
}
