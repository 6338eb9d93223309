//! Which server, and how to reach it: `mysql://user@host:3306/?ssl-ca=ca.pem`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::audit::facts::server::Verification;

const DEFAULT_PORT: u16 = 3306;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const PARAMETERS: &str = "ssl-mode, ssl-ca, ssl-cert, ssl-key, socket, password-file, login-path, \
                          defaults-file, enable-cleartext-plugin, timeout";

/// A server to be audited. It holds no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// As whom, if it is said here.
    pub user: Option<String>,
    /// Host name or IP address; an IPv6 address without brackets. Unused with a socket.
    pub host: String,
    /// Its port, if it is said here.
    pub port: Option<u16>,
    /// A Unix socket instead of host and port.
    pub socket: Option<PathBuf>,
    /// How the connection is protected. Unused with a socket.
    pub ssl_mode: SslMode,
    /// Certificates of the authorities to trust (PEM).
    pub ssl_ca: Option<PathBuf>,
    /// The client's own certificate (PEM), for accounts that must show one.
    pub ssl_cert: Option<PathBuf>,
    /// The private key of `ssl_cert` (PEM).
    pub ssl_key: Option<PathBuf>,
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Group of the login path file that has user and password.
    pub login_path: Option<String>,
    /// Option file whose group `[client]` has user and password.
    pub defaults_file: Option<PathBuf>,
    /// Whether a server may have the password itself (`mysql_clear_password`), as accounts of PAM and
    /// LDAP need it. Only one that has proved who it is gets it.
    pub enable_cleartext_plugin: bool,
    /// How long to wait for the server: to be logged in, and for each answer as a whole. All of it
    /// together may take three times as long.
    pub timeout: Duration,
}

/// How a connection is protected, as the servers' own clients call it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Not at all.
    Disabled,
    /// Encrypted; whoever is at the other end.
    Required,
    /// Encrypted, with a certificate of a known authority.
    VerifyCa,
    /// Encrypted, with a certificate of a known authority for this host.
    #[default]
    VerifyIdentity,
}

impl SslMode {
    /// What of a certificate is verified.
    #[must_use]
    pub const fn verification(self) -> Verification {
        match self {
            Self::Disabled | Self::Required => Verification::None,
            Self::VerifyCa => Verification::Authority,
            Self::VerifyIdentity => Verification::Identity,
        }
    }
}

/// Why an address cannot be used. The message never repeats what may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Arguments are seen by every user of the machine, and kept in a shell's history.
    #[error(
        "a password has no place in a server's address: everybody on this machine can read it \
         there; put it into a file (--password-file), the environment variable \
         BINLOGSEC_SERVER_PASSWORD or a login path, or leave it out to be asked for it"
    )]
    Password,
    /// Neither scheme is there.
    #[error("an address like mysql://user@host:3306/?ssl-ca=ca.pem is expected")]
    Scheme,
    /// Neither host nor socket.
    #[error("a server's address names neither a host nor a socket")]
    NoHost,
    /// No number from 1 to 65535.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// Something between a host in brackets and its port.
    #[error("behind the bracket of a host's address, `:` and the port are expected")]
    AfterBracket,
    /// What would not be used, though whoever named it may rely on it.
    #[error("{what} has no effect {why}")]
    Unused {
        /// Which parameter.
        what: &'static str,
        /// For want of what, or because of what.
        why: &'static str,
    },
    /// No address names a database here.
    #[error("an audit asks for no database: write mysql://host/ and parameters after a `?`")]
    Path,
    /// Bytes that are not UTF-8.
    #[error("the server's address is not UTF-8 after its % escapes")]
    Encoding,
    /// There is no such parameter.
    #[error("an address has no parameter {name:?}; there are {PARAMETERS}")]
    Parameter {
        /// Its name.
        name: String,
    },
    /// A parameter has a value that it cannot have.
    #[error("{name}={value} is not possible: {expected}")]
    Value {
        /// Which parameter.
        name: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text
            .strip_prefix("mysql://")
            .or_else(|| text.strip_prefix("mariadb://"))
            .ok_or(AddressError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) || path.contains('@') || query.contains('@')
        {
            return Err(AddressError::Password);
        }
        if !path.is_empty() {
            return Err(AddressError::Path);
        }
        let (host, port) = host_and_port(place)?;
        let mut address = Self {
            user: user.map(decoded).transpose()?.filter(|user| !user.is_empty()),
            host: decoded(host)?,
            port,
            ..Self::default()
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.set(name, decoded(value)?)?;
        }
        if address.host.is_empty() && address.socket.is_none() {
            return Err(AddressError::NoHost);
        }
        Ok(address)
    }
}

impl Default for ServerAddress {
    fn default() -> Self {
        Self {
            user: None,
            host: String::new(),
            port: None,
            socket: None,
            ssl_mode: SslMode::default(),
            ssl_ca: None,
            ssl_cert: None,
            ssl_key: None,
            password_file: None,
            login_path: None,
            defaults_file: None,
            enable_cleartext_plugin: false,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl ServerAddress {
    /// Takes a parameter by the name that addresses have for it.
    ///
    /// # Errors
    /// [`AddressError`]: there is none of that name, or it cannot have that value.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), AddressError> {
        match name {
            "password" | "passwd" | "pwd" => return Err(AddressError::Password),
            "ssl-mode" => self.ssl_mode = ssl_mode(value)?,
            "ssl-ca" => self.ssl_ca = Some(value.into()),
            "ssl-cert" => self.ssl_cert = Some(value.into()),
            "ssl-key" => self.ssl_key = Some(value.into()),
            "socket" => self.socket = Some(value.into()),
            "password-file" => self.password_file = Some(value.into()),
            "login-path" => self.login_path = Some(value),
            "defaults-file" => self.defaults_file = Some(value.into()),
            "enable-cleartext-plugin" => self.enable_cleartext_plugin = switch(value)?,
            "timeout" => self.timeout = timeout(value)?,
            _ => {
                return Err(AddressError::Parameter { name: name.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether all that is named here is of use, lest a connection be less protected than whoever
    /// named it believes.
    ///
    /// # Errors
    /// [`AddressError::Unused`]: a key without its certificate or the other way round, or files for
    /// TLS where that is off.
    pub fn check(&self) -> Result<(), AddressError> {
        let unused = |what, why| Err(AddressError::Unused { what, why });
        match (&self.ssl_cert, &self.ssl_key) {
            (Some(_), None) => return unused("ssl-cert", "without ssl-key"),
            (None, Some(_)) => return unused("ssl-key", "without ssl-cert"),
            _ => {}
        }
        let is_verified = self.ssl_mode.verification() != Verification::None;
        if self.enable_cleartext_plugin && !is_verified && self.socket.is_none() {
            return unused(
                "enable-cleartext-plugin",
                "where the server does not prove who it is (ssl-mode=REQUIRED and DISABLED)",
            );
        }
        let files = [("ssl-ca", &self.ssl_ca), ("ssl-cert", &self.ssl_cert)];
        match files.iter().find(|(_, file)| file.is_some()) {
            Some((what, _)) if self.ssl_mode == SslMode::Disabled => {
                unused(what, "with ssl-mode=DISABLED")
            }
            _ => Ok(()),
        }
    }

    /// The port in use.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }
}

/// As reports name it: where it is, not as whom.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "{}", socket.display()),
            None if self.host.contains(':') => {
                write!(f, "[{}]:{}", self.host, self.port_or_default())
            }
            None => write!(f, "{}:{}", self.host, self.port_or_default()),
        }
    }
}

fn host_and_port(place: &str) -> Result<(&str, Option<u16>), AddressError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(AddressError::NoHost)?;
            match port.strip_prefix(':') {
                None if !port.is_empty() => return Err(AddressError::AfterBracket),
                port => (host, port),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.filter(|port| !port.is_empty()).map(str::parse).transpose();
    match port {
        Ok(Some(0)) | Err(_) => Err(AddressError::Port),
        Ok(port) => Ok((host, port)),
    }
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let text = percent_decode_str(text).decode_utf8();
    Ok(text.map_err(|_| AddressError::Encoding)?.into_owned())
}

fn ssl_mode(value: String) -> Result<SslMode, AddressError> {
    match &*value.to_ascii_uppercase().replace('-', "_") {
        "DISABLED" => Ok(SslMode::Disabled),
        "REQUIRED" => Ok(SslMode::Required),
        "VERIFY_CA" => Ok(SslMode::VerifyCa),
        "VERIFY_IDENTITY" => Ok(SslMode::VerifyIdentity),
        _ => Err(AddressError::Value {
            name: "ssl-mode",
            value,
            expected: "VERIFY_IDENTITY (the default), VERIFY_CA, REQUIRED or DISABLED; an audit \
                       does not fall back to plaintext by itself (PREFERRED)",
        }),
    }
}

/// On or off, as the servers' own clients read it; the name alone means on.
fn switch(value: String) -> Result<bool, AddressError> {
    match &*value.to_ascii_uppercase() {
        "" | "1" | "ON" | "TRUE" => Ok(true),
        "0" | "OFF" | "FALSE" => Ok(false),
        _ => Err(AddressError::Value {
            name: "enable-cleartext-plugin",
            value,
            expected: "ON or OFF",
        }),
    }
}

fn timeout(value: String) -> Result<Duration, AddressError> {
    match value.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => {
            Err(AddressError::Value { name: "timeout", value, expected: "seconds, from 1 to 3600" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_where_and_how() {
        let address: ServerAddress =
            "mysql://au%40dit@db1.example:3307/?ssl-mode=verify-ca&ssl-ca=/a%20b/ca.pem&timeout=3"
                .parse()
                .unwrap();
        assert_eq!(address.user.as_deref(), Some("au@dit"));
        assert_eq!(address.to_string(), "db1.example:3307");
        assert_eq!(address.ssl_mode, SslMode::VerifyCa);
        assert_eq!(address.ssl_ca, Some("/a b/ca.pem".into()));
        assert_eq!(address.timeout, Duration::from_secs(3));

        let address: ServerAddress = "mariadb://[::1]".parse().unwrap();
        assert_eq!((&*address.host, address.port), ("::1", None));
        assert_eq!(address.to_string(), "[::1]:3306");
        assert_eq!(address.ssl_mode, SslMode::VerifyIdentity);

        let address: ServerAddress = "mysql://root@/?socket=/run/m.sock".parse().unwrap();
        assert_eq!(address.to_string(), "/run/m.sock");
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in [
            "mysql://root:s3cret@host/",
            "mysql://root:@host/",
            "mysql://root:s3/cret@host/",
            "mysql://root:s3?cret@host/",
            "mysql://root@host/?password=s3cret",
        ] {
            let error = text.parse::<ServerAddress>().unwrap_err();
            assert_eq!(error, AddressError::Password, "{text}");
            assert!(!error.to_string().contains("s3"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, part) in [
            ("host:3306", "mysql://"),
            ("mysql:///", "neither a host"),
            ("mysql://host:0/", "port"),
            ("mysql://host:99999/", "port"),
            ("mysql://[::1]x3306/", "`:` and the port"),
            ("mysql://[::1]3306/", "`:` and the port"),
            ("mysql://[::1]:x/", "port"),
            ("mysql://host/shop", "no database"),
            ("mysql://host/?ssl_ca=x", "no parameter"),
            ("mysql://host/?ssl-mode=PREFERRED", "does not fall back"),
            ("mysql://host/?timeout=0", "seconds"),
            ("mysql://host/?enable-cleartext-plugin=maybe", "ON or OFF"),
            ("mysql://h%ff/", "UTF-8"),
        ] {
            let error = text.parse::<ServerAddress>().unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_would_not_be_used_is_refused() {
        for (parameters, part) in [
            ("ssl-ca=c&ssl-cert=c&ssl-key=k", ""),
            ("ssl-mode=DISABLED", ""),
            ("ssl-key=k", "ssl-key has no effect without ssl-cert"),
            ("ssl-cert=c", "ssl-cert has no effect without ssl-key"),
            ("ssl-mode=DISABLED&ssl-ca=c", "ssl-ca has no effect with"),
            ("enable-cleartext-plugin&socket=s&ssl-mode=REQUIRED", ""),
            ("enable-cleartext-plugin=1&ssl-mode=VERIFY_CA", ""),
            ("enable-cleartext-plugin=off&ssl-mode=REQUIRED", ""),
            (
                "enable-cleartext-plugin&ssl-mode=REQUIRED",
                "enable-cleartext-plugin has no effect where the server",
            ),
            ("ssl-mode=DISABLED&ssl-cert=c&ssl-key=k", "ssl-cert has no effect with"),
        ] {
            let address: ServerAddress = format!("mysql://host/?{parameters}").parse().unwrap();
            let message = address.check().map_or_else(|it| it.to_string(), |()| String::new());
            assert!(message.starts_with(part), "{parameters}: {message}");
            assert_eq!(message.is_empty(), part.is_empty(), "{parameters}: {message}");
        }
    }
}
