//! A server, asked and fed through its own client programs.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail};
use binlogsec_checks::audit::live::ServerAddress;
use binlogsec_checks::audit::live::address::SslMode;
use binlogsec_core::log::error::Error;
use binlogsec_core::read::recover::catalogue::Catalogue;
use binlogsec_core::read::recover::reach::Reach;
use binlogsec_core::read::recover::state::State;

use crate::process;

const GOES_ON: &str =
    "; what was applied stays, and the same command goes on from there once the cause is mended";
const ENDS: &str = "; what was applied stays, and the server cannot say what that is: restore the backup before the next run";

/// What a server has by its GTIDs.
#[derive(Debug, Default)]
struct There {
    /// `None` where it cannot say.
    gtids: Option<Reach>,
    /// A transaction under its own id, which no log has: what a restore wrote.
    own: Option<String>,
    /// Transactions under its own id, where logs have that id, too.
    own_in_logs: Option<Reach>,
}

/// What a server has besides a backup.
#[derive(Debug)]
pub(super) struct Besides {
    pub(super) gtids: Reach,
    /// Whether it can say so, so that a run that was cut off can be gone on with.
    pub(super) can_tell: bool,
}

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

    /// Where a recovery begins that this server is the backup of.
    pub(super) fn state(&self, catalogue: &Catalogue) -> anyhow::Result<State> {
        let there = self.there(catalogue)?;
        let gtids = match there.gtids {
            Some(gtids) if !gtids.is_empty() || there.own.is_none() => gtids,
            Some(_) => bail!(
                "{} has transactions of its own alone ({}), and none of the servers of these logs: they may be \
                 what a restore wrote; name the backup by --from",
                self.url,
                there.own.unwrap_or_default()
            ),
            None => bail!(
                "{} cannot say what it has ({}): name the backup, or its place LOG:POSITION, by --from",
                self.url,
                self.why_not()
            ),
        };
        Ok(State { origin: self.url.clone(), gtids: Some(gtids), ..State::default() })
    }

    /// What the server has besides a backup, which it was restored from. A transaction of MariaDB counts
    /// with the server that gave it its number: what the restore wrote has this server's id.
    pub(super) fn besides(&self, catalogue: &Catalogue, backup: &State) -> anyhow::Result<Besides> {
        let there = self.there(catalogue)?;
        let Some(gtids) = there.gtids else {
            return Ok(Besides { gtids: Reach::default(), can_tell: false });
        };
        let known = backup.gtids.clone().unwrap_or_default();
        if let Some(own) = there.own_in_logs
            && !known.contains_all(&own)
        {
            bail!(
                "{} has {own} with its own id, which the logs have, too, and the backup does not have it. If \
                 the restore wrote that, throw it away (RESET MASTER), or restore with SET sql_log_bin=0. If an \
                 earlier run of this command was cut off, go on with --from {}",
                self.url,
                self.url
            );
        }
        Ok(Besides { gtids, can_tell: true })
    }

    /// Why the server cannot say what it has.
    const fn why_not(&self) -> &'static str {
        if self.is_mariadb { "log_bin is OFF" } else { "gtid_mode is not ON" }
    }

    /// What is said before transactions are applied to a server that cannot say what it has.
    pub(super) fn cannot_go_on(&self) -> String {
        format!(
            "{} cannot say what it has ({}): if this is cut off, restore the backup before the next run, \
             or transactions are applied twice",
            self.url,
            self.why_not()
        )
    }

    /// What the server has, by its GTIDs.
    fn there(&self, catalogue: &Catalogue) -> anyhow::Result<There> {
        let answer = self.ask(if self.is_mariadb {
            "SELECT @@GLOBAL.log_bin, @@GLOBAL.server_id; SELECT @@GLOBAL.gtid_slave_pos; \
             SELECT @@GLOBAL.gtid_binlog_state"
        } else {
            "SELECT @@GLOBAL.gtid_mode; SELECT @@GLOBAL.gtid_executed"
        })?;
        let (first, rest) = answer.split_once('\n').unwrap_or((&answer, ""));
        if !self.is_mariadb {
            let is_on = first.trim() == "ON";
            let gtids = if rest.trim().is_empty() { Reach::default() } else { Reach::parse(rest)? };
            return Ok(There { gtids: is_on.then_some(gtids), ..There::default() });
        }
        let (log_bin, id) = first.split_once('\t').unwrap_or((first, ""));
        let id: u32 = id.trim().parse().context("the server's id cannot be read")?;
        let (slave, state) = rest.split_once('\n').unwrap_or((rest, ""));
        let mut there = There::default();
        let mut gtids = Reach::default();
        for text in slave.split(',').chain(state.split(',')).map(str::trim) {
            if text.is_empty() {
                continue;
            }
            let one = Reach::parse(text)?;
            if text.split('-').nth(1) != Some(&id.to_string()) {
                gtids.extend(&one);
            } else if catalogue.has_server(id) {
                there.own_in_logs = Some(one.union(&there.own_in_logs.unwrap_or_default()));
                gtids.extend(&one);
            } else {
                there.own = Some(text.to_owned());
            }
        }
        there.gtids = (log_bin.trim() == "1").then_some(gtids);
        Ok(there)
    }

    fn ask(&self, question: &str) -> anyhow::Result<String> {
        let (_, client) = self.programs();
        let output = Command::new(client)
            .args(self.arguments())
            .args(["--batch", "--raw", "--skip-column-names", "--execute", question])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {client}, the server's own client program"))?;
        check(client, output.status, "")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Has the reader read what `write` writes, and the client run what it prints. One that fails is
    /// told, whichever it is, and whether the same command goes on then. `falls` says that the numbers of a
    /// domain do not rise.
    pub(super) fn apply(
        &self,
        goes_on: bool,
        falls: bool,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>,
    ) -> anyhow::Result<()> {
        let (reader, client) = self.programs();
        process::clean_up_on_signals()?;
        // The reader writes the files of LOAD DATA, leaves them, and the client sends them.
        let files = process::PrivateDirectory::new()?;
        let mut read = Command::new(reader)
            .arg(option("--local-load=", files.path().as_os_str()))
            .args(falls.then_some("--skip-gtid-strict-mode"))
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
        let then = if goes_on { GOES_ON } else { ENDS };
        check(client, ran, then).and_then(|()| check(reader, read, then))?;
        Ok(written?)
    }
}

/// An option with its value.
fn option(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

fn check(program: &str, status: ExitStatus, then: &str) -> anyhow::Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("{program} failed ({status}): what it said stands above{then}")
}
