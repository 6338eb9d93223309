//! Passwords that no file has.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use binlogsec_core::file::TransferError;
use binlogsec_core::log::error::Error;
use binlogsec_core::text::unseen::printable;
use zeroize::Zeroizing;

/// From a variable of the environment, or from the terminal. `None` where there is neither.
pub(crate) fn ask(variable: &str, of: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    if let Some(value) = std::env::var_os(variable) {
        return Ok(Some(Zeroizing::new(OsString::into_vec(value))));
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let prompt = format!("Password of {}: ", printable(&of.display().to_string()));
    let typed = rpassword::prompt_password(prompt).map_err(|source| {
        Error::from(TransferError::File {
            path: PathBuf::from("<terminal>"),
            operation: "read a password from",
            source,
        })
    })?;
    Ok(Some(Zeroizing::new(typed.into_bytes())))
}
