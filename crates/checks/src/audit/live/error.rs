//! What can go wrong between an audit and a server.

use std::io;
use std::path::PathBuf;

use super::address::AddressError;

/// Why a server could not be asked. No message holds a password.
#[derive(Debug, thiserror::Error)]
#[error("server {server}")]
pub struct LiveError {
    /// Which server, as reports name it.
    pub server: String,
    /// Why.
    #[source]
    pub problem: Problem,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody answers there.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke while {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// How.
        source: io::Error,
    },
    /// No answer in time.
    #[error("no answer in time while {doing} (?timeout=SECONDS allows more)")]
    Silence {
        /// What was being done.
        doing: &'static str,
    },
    /// A file that the address or the options name.
    #[error("{} ({what})", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What it was to be.
        what: &'static str,
        /// Why it cannot be used.
        source: io::Error,
    },
    /// A file has not what it should have.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Verification needs authorities to trust.
    #[error(
        "no authority is known that the server's certificate could be verified against: name the \
         CA's certificate (?ssl-ca=FILE or --server-ca FILE); ?ssl-mode=REQUIRED encrypts without \
         knowing who answers"
    )]
    NoAuthority,
    /// The server's side of TLS is switched off.
    #[error(
        "the server offers no TLS: configure ssl_ca, ssl_cert and ssl_key there, or ask it through \
         its socket (mysql://user@/?socket=FILE)"
    )]
    NoTls,
    /// The certificate, or the negotiation.
    #[error("TLS fails: {advice}")]
    Tls {
        /// What that means.
        advice: String,
        /// In the words of the TLS library.
        source: Option<rustls::Error>,
    },
    /// The password would be sent so that the network can read it.
    #[error(
        "the server wants the password in a form that the network could read ({plugin}): use TLS \
         or the server's socket"
    )]
    PasswordInTheClear {
        /// Which method of authentication.
        plugin: String,
    },
    /// The password itself is wanted, which a server gets on request only, and a known one alone.
    #[error(
        "the server wants the password itself (mysql_clear_password), as accounts of PAM and LDAP \
         need it: if that is so, allow it by ?enable-cleartext-plugin=ON, with ssl-mode=VERIFY_CA or \
         VERIFY_IDENTITY or through a socket"
    )]
    CleartextPlugin,
    /// It wants a method of authentication that is unknown here.
    #[error("the account uses the authentication plugin {plugin}, which is not supported here")]
    UnknownPlugin {
        /// Which method of authentication.
        plugin: String,
    },
    /// The server says no.
    #[error("{doing}: the server says: {message} (error {code})")]
    Server {
        /// What was being done.
        doing: String,
        /// Its error number.
        code: u16,
        /// In its words.
        message: String,
    },
    /// What came is not the protocol of a MySQL server.
    #[error("what answers there does not speak the protocol of MySQL: {problem}")]
    Protocol {
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Error numbers that say: your privileges do not reach so far.
const DENIED: [u16; 6] = [
    1142, // a table
    1143, // a column
    1227, // a global privilege
    1044, // a database
    1370, // a routine
    1698, // access, without a password
];

/// So much of somebody else's text is shown, in bytes.
const SHOWN: usize = 1 << 10;

/// Somebody else's text, of which the beginning is enough.
pub(super) fn shown(text: &str) -> String {
    binlogsec_core::bytes::beginning(text, SHOWN).into_owned()
}

impl Problem {
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silence { doing },
            _ => Self::Io { doing, source },
        }
    }

    pub(super) fn file(
        path: &std::path::Path,
        what: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, what, source }
    }

    /// Whether a privilege is missing.
    pub(super) fn is_denial(&self) -> bool {
        matches!(self, Self::Server { code, .. } if DENIED.contains(code))
    }
}
