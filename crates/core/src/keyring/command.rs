//! A key from the output of a command, for key stores this toolkit does not speak to itself.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::abbreviated;
use super::child::{Outcome, Running};
use super::raw::{self, RawKeyError};
use crate::mysql::key_id::{KeyId, KeyIdParts};
use crate::secret::{PASSWORD_VARIABLES, Secret32};

/// The most that is read from a command. A key takes under 100 bytes.
pub const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// How long a command may take if nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a command gave no key. Nothing of its output is shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A quote is not closed, or the text ends with a backslash.
    #[error("the command cannot be split into words: a quote is open or a backslash ends it")]
    Quoting,
    /// No word.
    #[error("the command is empty; give `PROGRAM ARGS {{key_id}}`")]
    Empty,
    /// The key id has not the server's form and is not handed to a program.
    #[error(
        "the key id `{}` has not the form MySQLReplicationKey_UUID_NUMBER and is not handed to a \
         program; give the key in a key file",
        abbreviated(.id.as_bytes())
    )]
    ForeignId {
        /// The key id.
        id: KeyId,
    },
    /// The program cannot be started.
    #[error("{program}: cannot be started; no shell is involved: give a program and its arguments")]
    Start {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its output cannot be read, or its end cannot be awaited.
    #[error("{program}: its output cannot be read")]
    Read {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It ended with another code than 0, or by a signal.
    #[error("{program}: ended with {status} for key {id}; its own messages say why")]
    Failed {
        /// The program.
        program: String,
        /// The key id it was asked for.
        id: KeyId,
        /// How it ended.
        status: ExitStatus,
    },
    /// It did not end in time.
    #[error(
        "{program}: was ended after {} s without a key for {id}; --key-command-timeout allows more. \
         It cannot ask a terminal",
        .limit.as_secs()
    )]
    Late {
        /// The program.
        program: String,
        /// The key id it was asked for.
        id: KeyId,
        /// How long it may take.
        limit: Duration,
    },
    /// It ended well and printed nothing.
    #[error("{program}: printed nothing for key {id}; it should print the key, as hex or base64")]
    NoOutput {
        /// The program.
        program: String,
        /// The key id it was asked for.
        id: KeyId,
    },
    /// It printed more than a key.
    #[error("{program}: printed more than {limit} bytes; it should print the key alone")]
    TooMuchOutput {
        /// The program.
        program: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// It printed something that is no key.
    #[error("{program}: printed no key for {id}; it should print the key alone, as hex or base64")]
    NotAKey {
        /// The program.
        program: String,
        /// The key id it was asked for.
        id: KeyId,
        /// What is wrong with the output.
        source: RawKeyError,
    },
}

/// A command that prints the key for an id.
///
/// It is run without a shell, without input, without the variables that hold other passwords, for a
/// limited time, and once for each id; what it writes to its standard error is seen by the user. It
/// has a process group of its own, of which nothing is left when it has ended, or this process has
/// by a signal ([`end_commands`](super::end_commands)). One that was too late is not asked again.
pub struct KeyCommand {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<KeyId, Secret32>,
    was_late: bool,
}

impl KeyCommand {
    /// Splits `PROGRAM ARGS {key_id}` into words, by the quoting rules of a POSIX shell and
    /// without any other of a shell's features.
    ///
    /// In the arguments `{key_id}`, `{server_uuid}` and `{sequence_number}` are replaced by the
    /// key id and its parts, `{key_id_base64_percona}` by the name of the key in a Vault of Percona
    /// Server's: the base64 of `<length>_<key id>0_`.
    ///
    /// # Errors
    /// [`CommandError::Quoting`] and [`CommandError::Empty`].
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let mut words = shlex::split(text).ok_or(CommandError::Quoting)?.into_iter();
        let program = words.next().filter(|word| !word.is_empty()).ok_or(CommandError::Empty)?;
        Ok(Self {
            program,
            arguments: words.collect(),
            timeout: DEFAULT_TIMEOUT,
            known: Mutex::default(),
        })
    }

    /// Allows the program so long for each key.
    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The program's name, as it was given.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The key for this id: runs the program, unless it has given this key before.
    ///
    /// # Errors
    /// [`CommandError`]; one that ends with another code than 0 has failed, whatever it printed.
    pub fn key(&self, id: &KeyId) -> Result<Secret32, CommandError> {
        let parts = id.parts().ok_or_else(|| CommandError::ForeignId { id: id.clone() })?;
        // Held while the program runs: two threads that need the same key ask for it once.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.keys.get(id) {
            return Ok(super::copy(key));
        }
        if known.was_late {
            return Err(self.late(id));
        }
        let key = self.run(id, parts);
        known.was_late = matches!(key, Err(CommandError::Late { .. }));
        let key = key?;
        known.keys.insert(id.clone(), super::copy(&key));
        Ok(key)
    }

    /// Runs the program again, and says whether it gives the same key as before.
    ///
    /// # Errors
    /// As [`KeyCommand::key`].
    pub(super) fn gives_the_same(&self, id: &KeyId) -> Result<bool, CommandError> {
        let before = self.key(id)?;
        let parts = id.parts().ok_or_else(|| CommandError::ForeignId { id: id.clone() })?;
        Ok(self.run(id, parts)? == before)
    }

    fn late(&self, id: &KeyId) -> CommandError {
        CommandError::Late { program: self.program.clone(), id: id.clone(), limit: self.timeout }
    }

    fn run(&self, id: &KeyId, parts: KeyIdParts<'_>) -> Result<Secret32, CommandError> {
        let program = || self.program.clone();
        let mut command = Command::new(&self.program);
        let arguments = self.arguments.iter();
        command
            .args(arguments.map(|argument| substitute(argument, id, parts)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        for variable in PASSWORD_VARIABLES {
            command.env_remove(variable);
        }
        let running = Running::start(&mut command)
            .map_err(|source| CommandError::Start { program: program(), source })?;
        let mut output = Zeroizing::new(vec![0; MAX_OUTPUT_BYTES.saturating_add(1)]);
        let outcome = running.output(&mut output, self.timeout);
        let outcome =
            outcome.map_err(|source| CommandError::Read { program: program(), source })?;
        let (length, status) = match outcome {
            Outcome::Ended { length, status } => (length, status),
            Outcome::Late => return Err(self.late(id)),
            Outcome::TooMuch => {
                return Err(CommandError::TooMuchOutput {
                    program: program(),
                    limit: MAX_OUTPUT_BYTES,
                });
            }
        };
        if !status.success() {
            return Err(CommandError::Failed { program: program(), id: id.clone(), status });
        }
        raw::parse_output(output.get(..length).unwrap_or_default()).map_err(|source| match source {
            RawKeyError::Empty => CommandError::NoOutput { program: program(), id: id.clone() },
            source => CommandError::NotAKey { program: program(), id: id.clone(), source },
        })
    }
}

/// All of an id's parts are of the server's form: letters, digits, `-` and `_`.
fn substitute(argument: &str, id: &KeyId, parts: KeyIdParts<'_>) -> String {
    argument
        .replace("{key_id_base64_percona}", &percona_name(id))
        .replace("{key_id}", &id.to_string())
        .replace("{server_uuid}", parts.server_uuid)
        .replace("{sequence_number}", &parts.sequence_number.to_string())
}

fn percona_name(id: &KeyId) -> String {
    BASE64_STANDARD.encode(format!("{}_{id}0_", id.as_bytes().len()))
}

/// Arguments are left out: they may hold what gives access to a key store.
impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCommand")
            .field("program", &self.program)
            .field("arguments", &format_args!("{} (not shown)", self.arguments.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn id() -> KeyId {
        KeyId::for_server("2bc92730-e533-11f1-b7bc-02fc00000001", 7)
    }

    fn run(command: &str) -> Result<Secret32, CommandError> {
        KeyCommand::parse(command).unwrap().key(&id())
    }

    #[test]
    fn placeholders_are_replaced_in_arguments_alone() {
        let key = run(&format!(
            "sh -c 'test \"$0\" = a{{x}}; test \"$1:$2:$3\" = \
             MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_7:\
             2bc92730-e533-11f1-b7bc-02fc00000001:n7 && echo {KEY}' \
             'a{{x}}' {{key_id}} {{server_uuid}} n{{sequence_number}}"
        ));
        assert_eq!(key.unwrap().expose()[31], 0x1f);
        let error = run("{key_id} x").unwrap_err();
        assert!(matches!(&error, CommandError::Start { program, .. } if program == "{key_id}"));
    }

    /// As Percona Server names it: `echo -n 58_MySQL…_10_ | base64` of the key with number 7.
    #[test]
    fn the_name_of_a_secret_of_percona_can_be_asked_for() {
        let name =
            "NThfTXlTUUxSZXBsaWNhdGlvbktleV8yYmM5MjczMC1lNTMzLTExZjEtYjdiYy0wMmZjMDAwMDAwMDFfNzBf";
        let key = run(&format!(
            "sh -c 'test \"$0\" = secret/{name} && echo {KEY}' secret/{{key_id_base64_percona}}"
        ));
        assert_eq!(key.unwrap().expose()[31], 0x1f);
    }

    #[test]
    fn no_shell_is_involved_and_there_is_no_input() {
        let error = run("echo $HOME ; false").unwrap_err();
        assert!(matches!(error, CommandError::NotAKey { .. }), "{error}");
        assert!(matches!(run("cat").unwrap_err(), CommandError::NoOutput { .. }));
    }

    #[test]
    fn every_failure_is_distinct_and_shows_no_output() {
        assert!(matches!(KeyCommand::parse("a 'b"), Err(CommandError::Quoting)));
        assert!(matches!(KeyCommand::parse("  "), Err(CommandError::Empty)));
        assert!(matches!(KeyCommand::parse("''"), Err(CommandError::Empty)));
        assert!(matches!(run("/no/such/program"), Err(CommandError::Start { .. })));
        let error = run(&format!("sh -c 'echo {KEY}; exit 3'")).unwrap_err();
        assert!(matches!(&error, CommandError::Failed { status, .. } if status.code() == Some(3)));
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert!(matches!(run("true"), Err(CommandError::NoOutput { .. })));
        let error = run("echo C0FFEE").unwrap_err();
        assert!(matches!(error, CommandError::NotAKey { .. }));
        assert!(!format!("{error:?} {error}").contains("C0FFEE"));
    }

    #[test]
    fn output_without_end_is_stopped() {
        for (command, is_too_much) in [
            ("yes".to_owned(), true),
            (format!("head -c {} /dev/zero", MAX_OUTPUT_BYTES + 1), true),
            (format!("head -c {MAX_OUTPUT_BYTES} /dev/zero"), false),
        ] {
            let error = run(&command).unwrap_err();
            let told = matches!(error, CommandError::TooMuchOutput { .. });
            assert_eq!(told, is_too_much, "{command}: {error}");
        }
    }

    #[test]
    fn an_id_of_another_form_is_never_handed_over() {
        let command = KeyCommand::parse("false {key_id}").unwrap();
        for id in ["--output=/etc/passwd", "MySQLReplicationKey_x_1", ""] {
            let error = command.key(&KeyId::new(id.as_bytes())).unwrap_err();
            assert!(matches!(error, CommandError::ForeignId { .. }), "{error}");
        }
    }

    #[test]
    fn a_key_is_asked_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let calls = folder.path().join("calls");
        let script = format!("echo x >> {}; echo {KEY}", calls.display());
        let command = KeyCommand::parse(&format!("sh -c '{script}'")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| command.key(&id()).unwrap());
            }
        });
        assert_eq!(std::fs::read(calls).unwrap(), b"x\n");
    }

    #[test]
    fn debug_shows_no_argument() {
        let command = KeyCommand::parse("vault --token=C0FFEE {key_id}").unwrap();
        let text = format!("{command:?}");
        assert!(text.contains("vault") && !text.contains("C0FFEE"), "{text}");
    }
}
