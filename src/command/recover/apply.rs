//! A server, asked and fed through its own client programs.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail};
use binlogsec_checks::audit::live::ServerAddress;
use binlogsec_checks::audit::live::address::SslMode;
use binlogsec_core::log::error::Error;
use binlogsec_core::read::recover::reach::Reach;
use binlogsec_core::read::recover::state::State;

use crate::process;

/// A server and the programs that speak to it.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
    address: ServerAddress,
    is_mariadb: bool,
}

impl Server {
    /// Whether a text is the address of one.
    pub(super) fn is_url(text: &str) -> bool {
        text.starts_with("mysql://") || text.starts_with("mariadb://")
    }

    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let address: ServerAddress = url.parse()?;
        if address.password_file.is_some() {
            bail!(
                "the client programs read a password from an option file: write `[client]` and `password=…` \
                 into one of mode 0600, and add ?defaults-file=FILE to the address"
            );
        }
        let is_mariadb = url.starts_with("mariadb://");
        Ok(Self { url: url.to_owned(), address, is_mariadb })
    }

    /// The reader of logs, and the client.
    const fn programs(&self) -> (&'static str, &'static str) {
        if self.is_mariadb { ("mariadb-binlog", "mariadb") } else { ("mysqlbinlog", "mysql") }
    }

    /// How the client reaches the server. Nothing here is a secret.
    fn arguments(&self) -> Vec<OsString> {
        let address = &self.address;
        // This one must be the first.
        let file = address.defaults_file.iter();
        let mut arguments: Vec<_> =
            file.map(|file| option("--defaults-extra-file=", file.as_os_str())).collect();
        let login = address.login_path.iter();
        arguments.extend(login.map(|name| option("--login-path=", name.as_ref())));
        if let Some(user) = &address.user {
            arguments.push(option("--user=", user.as_ref()));
        }
        if let Some(socket) = &address.socket {
            arguments.push(option("--socket=", socket.as_os_str()));
            return arguments;
        }
        arguments.push(option("--host=", address.host.as_ref()));
        arguments.push(format!("--port={}", address.port_or_default()).into());
        arguments.push("--protocol=TCP".into());
        let mode = match (self.is_mariadb, address.ssl_mode) {
            (true, SslMode::Disabled) => "--skip-ssl",
            (true, SslMode::Required) => "--ssl",
            (true, _) => "--ssl-verify-server-cert",
            (false, SslMode::Disabled) => "--ssl-mode=DISABLED",
            (false, SslMode::Required) => "--ssl-mode=REQUIRED",
            (false, SslMode::VerifyCa) => "--ssl-mode=VERIFY_CA",
            (false, SslMode::VerifyIdentity) => "--ssl-mode=VERIFY_IDENTITY",
        };
        arguments.push(mode.into());
        let files = [
            ("--ssl-ca=", &address.ssl_ca),
            ("--ssl-cert=", &address.ssl_cert),
            ("--ssl-key=", &address.ssl_key),
        ];
        for (name, file) in files {
            arguments.extend(file.iter().map(|file| option(name, file.as_os_str())));
        }
        arguments
    }

    /// Lets the client send files of one directory, and of no other, whatever the server asks for.
    /// MariaDB's sends what a statement names, and needs no leave.
    fn may_send(&self, files: &process::PrivateDirectory) -> Option<OsString> {
        let leave = || option("--loose-load-data-local-dir=", files.path().as_os_str());
        (!self.is_mariadb).then(leave)
    }

    /// What the server has, by its GTIDs.
    pub(super) fn state(&self) -> anyhow::Result<State> {
        let (_, client) = self.programs();
        let question = if self.is_mariadb {
            "SELECT @@GLOBAL.gtid_slave_pos; SELECT @@GLOBAL.gtid_binlog_pos"
        } else {
            "SELECT @@GLOBAL.gtid_executed"
        };
        let output = Command::new(client)
            .args(self.arguments())
            .args(["--batch", "--raw", "--skip-column-names", "--execute", question])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {client}, the server's own client program"))?;
        check(client, output.status)?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let mut gtids = Reach::default();
        let parts: Vec<_> =
            if self.is_mariadb { answer.lines().collect() } else { vec![answer.as_ref()] };
        for part in parts.into_iter().filter(|part| !part.trim().is_empty()) {
            gtids.extend(&Reach::parse(part)?);
        }
        Ok(State { origin: self.url.clone(), position: None, gtids: Some(gtids) })
    }

    /// Has the reader read what `write` writes, and the client run what it prints. One that fails is
    /// told, whichever it is.
    pub(super) fn apply(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>,
    ) -> anyhow::Result<()> {
        let (reader, client) = self.programs();
        process::clean_up_on_signals()?;
        // The reader writes the files of LOAD DATA, leaves them, and the client sends them.
        let files = process::PrivateDirectory::new()?;
        let mut read = Command::new(reader)
            .arg(option("--local-load=", files.path().as_os_str()))
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {reader}, the server's own reader of logs"))?;
        let (Some(mut input), Some(text)) = (read.stdin.take(), read.stdout.take()) else {
            bail!("{reader} has no standard streams");
        };
        let ran = Command::new(client)
            .args(self.arguments())
            .args(["--binary-mode", "--batch"])
            .args(self.may_send(&files))
            .stdin(text)
            .stdout(Stdio::null())
            .spawn();
        let mut run = match ran {
            Ok(run) => run,
            Err(error) => {
                drop(input);
                let _ = read.wait();
                return Err(error).with_context(|| format!("cannot start {client}"));
            }
        };
        let written = write(&mut input);
        // A reader must not take half a stream for all of it.
        let is_cut = matches!(&written, Err(Error::Transfer(error)) if !error.is_broken_pipe());
        if is_cut {
            let _ = run.kill();
        }
        drop(input);
        let (read, ran) = (read.wait()?, run.wait()?);
        // A closed pipe says only that one of them ended: which, they say themselves.
        check(client, ran).and_then(|()| check(reader, read))?;
        Ok(written?)
    }
}

/// An option with its value.
fn option(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

fn check(program: &str, status: ExitStatus) -> anyhow::Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!(
        "{program} failed ({status}): what it said stands above; what was applied stays, and the same \
         command goes on from there once the cause is mended"
    )
}
