//! Live servers, asked with `SELECT` and `SHOW` alone.

mod accounts;
pub mod address;
mod collect;
pub mod credentials;
mod error;
mod login;
mod question;
mod replication;
mod secrets;
mod session;
mod tls;
mod wire;

pub use address::ServerAddress;
pub use credentials::Credentials;
pub use error::{LiveError, Problem};

use std::io::{Read, Write};

use super::facts::server::ServerFacts;
use login::Login;
use session::Session;

/// Asks one server all that an audit wants to know. Nothing is changed there.
///
/// # Errors
/// [`LiveError`]: it cannot be reached, does not prove who it is, or lets nobody in. A privilege
/// that is missing is no error: see [`ServerFacts::missing_privileges`].
pub fn collect(
    address: &ServerAddress,
    credentials: &Credentials,
) -> Result<ServerFacts, LiveError> {
    asked(address, || Session::open(address, &login(credentials)))
}

/// The same over a connection that is there already, such as a tunnel, without TLS of its own.
/// Time and memory are bounded as over one that [`collect`] makes, but for reads that do not return.
///
/// # Errors
/// [`LiveError`], as of [`collect`].
pub fn collect_over(
    connection: impl Read + Write + 'static,
    address: &ServerAddress,
    credentials: &Credentials,
) -> Result<ServerFacts, LiveError> {
    asked(address, || Session::over(Box::new(connection), address, &login(credentials)))
}

fn login(credentials: &Credentials) -> Login<'_> {
    let password = credentials.password.as_ref();
    Login { user: &credentials.user, password: password.map_or(&[], |password| password.expose()) }
}

fn asked(
    address: &ServerAddress,
    session: impl FnOnce() -> Result<Session, Problem>,
) -> Result<ServerFacts, LiveError> {
    address
        .check()
        .map_err(Problem::from)
        .and_then(|()| session())
        .and_then(|session| collect::facts(session, address.to_string()))
        .map_err(|problem| LiveError { server: address.to_string(), problem })
}
