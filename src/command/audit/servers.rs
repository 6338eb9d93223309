//! The options for live servers, and where their passwords come from.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use binlogsec_checks::audit::LiveTarget;
use binlogsec_checks::audit::live::address::SslMode;
use binlogsec_checks::audit::live::credentials::password_file;
use binlogsec_checks::audit::live::{Credentials, LiveError, ServerAddress};
use binlogsec_core::secret::{SERVER_PASSWORD, SecretBytes};
use clap::Args;

use crate::keys::warn_if_open;
use crate::terminal::Terminal;

/// Live servers. None of these takes a password: arguments are seen by every user.
#[derive(Debug, Args)]
#[command(next_help_heading = "Live servers")]
pub(crate) struct ServerArgs {
    /// Live server as mysql://USER@HOST:PORT/?PARAMETER=VALUE&…; repeatable. Parameters: ssl-mode
    /// (VERIFY_IDENTITY unless said otherwise), ssl-ca, ssl-cert, ssl-key, socket, password-file,
    /// login-path, defaults-file, enable-cleartext-plugin, timeout
    // As text: what clap refuses, it repeats, and somebody may have put a password into it.
    #[arg(long = "server", value_name = "URL")]
    pub(crate) servers: Vec<String>,
    /// File whose first line is the password; else a login path or an option file of the URL has
    /// it, or the environment variable BINLOGSEC_SERVER_PASSWORD, or a terminal is asked
    #[arg(long, value_name = "FILE", requires = "asked")]
    pub(crate) password_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority that signed the servers' certificates
    #[arg(long, value_name = "FILE", requires = "asked")]
    pub(crate) server_ca: Option<PathBuf>,
    /// Certificate (PEM) to show to servers, for accounts that need one
    #[arg(long, value_name = "FILE", requires_all = ["client_key", "asked"])]
    pub(crate) client_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate
    #[arg(long, value_name = "FILE", requires_all = ["client_cert", "asked"])]
    pub(crate) client_key: Option<PathBuf>,
}

/// The servers that were named, each with an account to ask it as.
pub(crate) fn targets(args: &ServerArgs, terminal: &Terminal) -> anyhow::Result<Vec<LiveTarget>> {
    let addresses: Vec<ServerAddress> = args
        .servers
        .iter()
        .map(|text| text.parse().context("--server"))
        .collect::<anyhow::Result<_>>()?;
    let mut addresses_with_tls =
        addresses.iter().filter(|address| address.ssl_mode != SslMode::Disabled);
    if args.server_ca.is_some() && !addresses.is_empty() && addresses_with_tls.next().is_none() {
        bail!("--server-ca has no effect: ssl-mode=DISABLED turns TLS off for every --server");
    }
    let target = |address| target(address, args, terminal).context("--server");
    addresses.into_iter().map(target).collect()
}

pub(super) fn target(
    mut address: ServerAddress,
    args: &ServerArgs,
    terminal: &Terminal,
) -> anyhow::Result<LiveTarget> {
    let or = |own: &mut Option<PathBuf>, common: &Option<PathBuf>| {
        if own.is_none() {
            own.clone_from(common);
        }
    };
    // What is named for all servers may be meant for the others.
    if address.ssl_mode != SslMode::Disabled {
        or(&mut address.ssl_ca, &args.server_ca);
        or(&mut address.ssl_cert, &args.client_cert);
        or(&mut address.ssl_key, &args.client_key);
    }
    address.check()?;
    let failed = |problem| LiveError { server: address.to_string(), problem };
    let mut credentials = Credentials::of(&address).map_err(failed)?;
    if let (None, Some(path)) = (&credentials.password, &args.password_file) {
        credentials.password = Some(password_file(path).map_err(failed)?);
        credentials.password_file = Some(path.clone());
    }
    if credentials.password.is_none() {
        credentials.password = from_environment_or_terminal(&address, &credentials.user)?;
    }
    if let Some(path) = &credentials.password_file {
        warn_if_open(path, "a password", terminal);
    }
    Ok(LiveTarget { address, credentials: Arc::new(credentials) })
}

/// Nobody is asked for the password to a socket: the server knows who is at its other end.
fn from_environment_or_terminal(
    address: &ServerAddress,
    user: &str,
) -> anyhow::Result<Option<SecretBytes>> {
    if let Some(value) = std::env::var_os(SERVER_PASSWORD) {
        use std::os::unix::ffi::OsStringExt;
        return Ok(Some(SecretBytes::new(value.into_vec())));
    }
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if address.socket.is_some() || !asks {
        return Ok(None);
    }
    let typed = rpassword::prompt_password(format!("Password of {user} at {address}: "));
    let typed = typed.context("no password can be read from the terminal")?;
    Ok(Some(SecretBytes::new(typed.into_bytes())))
}
