//! Paths as text. A file name may hold any byte but two; reports must show every name, each in its
//! own way, and none may act on a terminal. The text gives the path back, byte for byte.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::unseen::is_unseen;
use crate::file::location::ObjectUrl;

/// A path as text: what is UTF-8 stays, other bytes become `\xNN`, and so does a backslash that
/// could be taken for the first sign of such a one.
#[must_use]
pub fn text(path: &Path) -> String {
    bytes_text(path.as_os_str().as_bytes())
}

fn bytes_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push_valid(&mut text, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn push_valid(text: &mut String, valid: &str) {
    let mut pieces = valid.split('\\');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let is_escape = escaped(piece.as_bytes()).is_some();
        text.push_str(if is_escape { "\\x5c" } else { "\\" });
        text.push_str(piece);
    }
}

/// The byte of `xNN`, what stands behind a backslash.
fn escaped(after: &[u8]) -> Option<u8> {
    let [b'x', high @ (b'0'..=b'9' | b'a'..=b'f'), low @ (b'0'..=b'9' | b'a'..=b'f'), ..] = after
    else {
        return None;
    };
    let digits = [*high, *low];
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
}

/// The path of which this is the [`text`].
#[must_use]
pub fn parse(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = if first == b'\\' { escaped(after) } else { None };
        bytes.push(byte.unwrap_or(first));
        rest = match byte {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// A path for a shell: quoted, and never taken for an option.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let guarded = if bytes.starts_with(b"-") {
        Path::new(".").join(OsStr::from_bytes(bytes))
    } else {
        path.to_owned()
    };
    let bytes = guarded.as_os_str().as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(is_unseen) => {
            shlex::try_quote(text).map_or_else(|_| ansi_c(bytes), std::borrow::Cow::into_owned)
        }
        _ => ansi_c(bytes),
    }
}

/// `$'…'`, which bash, zsh and ksh read, with everything unusual as an octal escape.
fn ansi_c(bytes: &[u8]) -> String {
    let mut text = String::from("$'");
    for &byte in bytes {
        match byte {
            b'\'' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            other => {
                let _ = write!(text, "\\{other:03o}");
            }
        }
    }
    text.push('\'');
    text
}

/// A path as a URI reference: every byte that is not plain is escaped (RFC 3986). Of an object's
/// URL the scheme stays, and bucket and key are escaped.
#[must_use]
pub fn uri(path: &Path) -> String {
    let mut uri = String::new();
    let mut bytes = path.as_os_str().as_bytes();
    if let Some(object) = ObjectUrl::of(path) {
        let scheme = object.scheme.prefix();
        uri.push_str(scheme);
        bytes = bytes.get(scheme.len()..).unwrap_or_default();
    } else if path.is_absolute() {
        uri.push_str("file://");
    }
    for (position, &byte) in bytes.iter().enumerate() {
        match byte {
            // Two slashes at the start would name a host.
            b'/' if position == 1 && uri.ends_with("///") => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_have_a_text() {
        let path = Path::new(OsStr::from_bytes(b"/a/\xff\xfe\xc3\xa9 b"));
        assert_eq!(text(path), "/a/\\xff\\xfeé b");
    }

    #[test]
    fn no_two_paths_have_one_text_and_each_text_gives_its_path() {
        let mut texts = std::collections::HashSet::new();
        for name in [
            &b"plain"[..],
            b"\xff",
            b"\\xff",
            b"\\x5cxff",
            b"\\\\xff",
            b"\\\xff",
            b"\\xf",
            b"\\",
            b"a\\b\xc3\xa9",
            b"\\xFF",
        ] {
            let path = Path::new(OsStr::from_bytes(name));
            assert_eq!(parse(&text(path)), path);
            assert!(texts.insert(text(path)), "{}", text(path));
        }
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for name in [
            &b"plain"[..],
            b"a b",
            b"it's",
            b"\xff\x01\n'\\",
            b"-n",
            b"$(id)`id`",
            b"!x",
            "\u{202e}x\u{e0041}".as_bytes(),
        ] {
            assert!(!quoted(Path::new(OsStr::from_bytes(name))).chars().any(is_unseen));
            let path = Path::new("/tmp").join(OsStr::from_bytes(name));
            let output = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {}", quoted(&path))])
                .output()
                .unwrap();
            assert_eq!(output.stdout, path.as_os_str().as_bytes());
        }
    }

    #[test]
    fn any_path_is_a_uri() {
        for (path, expected) in [
            (&b"/var/lib/b.000001"[..], "file:///var/lib/b.000001"),
            (b"//host/b", "file:///host/b"),
            (b"a b/\xff\n", "a%20b/%FF%0A"),
            (b"http://x?y#z", "http%3A//x%3Fy%23z"),
            (b"s3://bucket/a b//c:1%", "s3://bucket/a%20b//c%3A1%25"),
            (b"az://box/\xc3\xa9", "az://box/%C3%A9"),
            (b"s3:/x", "s3%3A/x"),
        ] {
            assert_eq!(uri(Path::new(OsStr::from_bytes(path))), expected);
        }
    }
}
