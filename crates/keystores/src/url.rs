//! Addresses of stores: scheme, host, port and path, and nothing else.

use std::fmt;

/// An address without user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) is_https: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Without a slash at either end.
    pub(crate) path: String,
}

impl Url {
    /// Reads an address; `None` for what is none, or has parts that no store's address has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#' | '\\');
        if !rest.chars().all(is_plain) {
            return None;
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let default = if is_https { 443 } else { 80 };
        let port = match port? {
            "" => default,
            port => port.parse().ok()?,
        };
        let path = path.trim_matches('/').to_owned();
        (!host.is_empty()).then(|| Self { is_https, host: host.to_owned(), port, path })
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, is_https, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        match (is_https, port) {
            (true, 443) | (false, 80) => host,
            _ => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        let slash = if self.path.is_empty() { "" } else { "/" };
        write!(f, "{scheme}://{}{slash}{}", self.authority(), self.path)
    }
}

/// A path as it stands in a request: what is neither visible nor ASCII, and what would end the
/// path, is escaped; base64 is not.
pub(crate) fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#' | b'\\' | b'"') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_scheme_host_port_and_path_alone() {
        let url = |text| Url::parse(text).map(|url| (url.host.clone(), url.port, url.path));
        let whole = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(url("https://vault"), whole("vault", 443, ""));
        assert_eq!(url(" HTTP://127.0.0.1:8200/v1/kv/ "), whole("127.0.0.1", 8200, "v1/kv"));
        assert_eq!(url("https://[::1]:8200/v1"), whole("::1", 8200, "v1"));
        assert_eq!(url("https://[::1]"), whole("::1", 443, ""));
        for text in [
            "vault:8200",
            "ftp://vault",
            "https://",
            "https://user:pw@vault",
            "https://vault/?a=b",
            "https://vault:99999",
            "https://vault/a b",
            "https://vault/\r\nX: y",
            "https://[::1]x",
        ] {
            assert_eq!(url(text), None, "{text}");
        }
        let shown = Url::parse("https://[::1]:8200/v1/").map(|url| url.to_string());
        assert_eq!(shown.as_deref(), Some("https://[::1]:8200/v1"));
    }

    #[test]
    fn nothing_in_a_path_ends_the_request() {
        assert_eq!(escaped("a/b+c=="), "a/b+c==");
        assert_eq!(escaped("a b\r\n?#%é"), "a%20b%0D%0A%3F%23%25%C3%A9");
    }
}
