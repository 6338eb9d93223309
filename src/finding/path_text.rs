//! Paths as text. A file name may hold any byte but two; reports must show every name, each in its
//! own way, and none may act on a terminal.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as text: what is UTF-8 stays, other bytes become `\xNN`.
#[must_use]
pub fn text(path: &Path) -> String {
    bytes_text(path.as_os_str().as_bytes())
}

fn bytes_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
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
    let is_plain = |byte: &u8| *byte >= b' ' && *byte != 0x7f;
    let bytes = guarded.as_os_str().as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(is_plain) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_have_a_text() {
        let path = Path::new(OsStr::from_bytes(b"/a/\xff\xfe\xc3\xa9 b"));
        assert_eq!(text(path), "/a/\\xff\\xfeé b");
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
        ] {
            let path = Path::new("/tmp").join(OsStr::from_bytes(name));
            let output = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {}", quoted(&path))])
                .output()
                .unwrap();
            assert_eq!(output.stdout, path.as_os_str().as_bytes());
        }
    }
}
