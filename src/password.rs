//! Passwords that no file has.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::bail;
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
    typed(&format!("Password of {}: ", printable(&of.display().to_string()))).map(Some)
}

/// The same for what is made: a terminal is asked twice, as nobody sees what is typed.
pub(crate) fn ask_twice(variable: &str, of: &Path) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(password) = ask(variable, of)? else { return Ok(None) };
    if std::env::var_os(variable).is_none() && *typed("The same once more: ")? != *password {
        bail!("the second password is another one: nothing was written");
    }
    Ok(Some(password))
}

fn typed(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let typed = rpassword::prompt_password(prompt).map_err(|source| {
        Error::from(TransferError::File {
            path: PathBuf::from("<terminal>"),
            operation: "read a password from",
            source,
        })
    })?;
    Ok(Zeroizing::new(typed.into_bytes()))
}
