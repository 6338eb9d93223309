//! Live servers, asked with `SELECT` and `SHOW` alone.

mod accounts;
pub mod address;
mod collect;
pub mod credentials;
mod error;
mod question;
mod replication;
mod session;
mod tls;

pub use address::ServerAddress;
pub use credentials::Credentials;
pub use error::{LiveError, Problem};

use super::facts::server::ServerFacts;
use session::{Login, Session};

/// Asks one server all that an audit wants to know. Nothing is changed there.
///
/// # Errors
/// [`LiveError`]: it cannot be reached, does not prove who it is, or lets nobody in. A privilege
/// that is missing is no error: see [`ServerFacts::missing_privileges`].
pub fn collect(
    address: &ServerAddress,
    credentials: &Credentials,
) -> Result<ServerFacts, LiveError> {
    let login = Login {
        user: &credentials.user,
        password: credentials
            .password
            .as_ref()
            .map_or(&[], |password| password.expose()),
    };
    address
        .check()
        .map_err(Problem::from)
        .and_then(|()| Session::open(address, &login))
        .and_then(|session| collect::facts(session, address.to_string()))
        .map_err(|problem| LiveError {
            server: address.to_string(),
            problem,
        })
}
