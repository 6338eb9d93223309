//! The configuration file: what the command's options are where none is given.
//!
//! `BINLOGSEC_CONFIG` names it; else it is `binlogsec.toml` in the working directory, or
//! `/etc/binlogsec/binlogsec.toml`. One file counts, never two. The command line wins over all, and
//! the environment over the file.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use binlogsec_checks::finding::PolicyError;
use binlogsec_checks::finding::policy::{bad_value, from_toml, read_text};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::inputs;
use clap::{Command, ValueEnum};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use serde::Deserialize;

use crate::args::Color;
use crate::keys::KEYRING_VARIABLE;
use crate::time;

/// Names the file.
pub(crate) const VARIABLE: &str = "BINLOGSEC_CONFIG";
const NAME: &str = "binlogsec.toml";
const OF_MACHINE: &str = "/etc/binlogsec/binlogsec.toml";
/// No configuration has so many bytes.
const LARGEST: u64 = 1 << 20;
/// Who beside its owner may write a file.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What a file can say. All of it may be left out; nothing else is known.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    keyring: Option<OneOrMore>,
    policy: Option<PathBuf>,
    baseline: Option<PathBuf>,
    time_zone: Option<String>,
    color: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

/// A setting that there is.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// The option of the command line that outweighs it.
    pub(crate) option: &'static str,
    /// The name of the option's field.
    id: &'static str,
    /// What the option has where nothing says anything.
    pub(crate) built_in: Option<&'static str>,
}

/// All settings.
pub(crate) const KNOWN: [Known; 5] = [
    Known { name: "keyring", option: "--keyring", id: "keyrings", built_in: None },
    Known { name: "policy", option: "--policy", id: "policy", built_in: None },
    Known { name: "baseline", option: "--baseline", id: "baseline", built_in: None },
    Known { name: "time_zone", option: "--time-zone", id: "time_zone", built_in: Some("UTC") },
    Known { name: "color", option: "--color", id: "color", built_in: Some("auto") },
];

/// A configuration file that was read.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says for each of [`KNOWN`], in their order; several values of a list.
    values: [Vec<OsString>; KNOWN.len()],
}

/// Where a configuration was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The file that counts.
    pub(crate) path: Option<PathBuf>,
    /// That file, where it was opened to be judged: another one may have its name by now.
    file: Option<File>,
    /// The file in the working directory that does not count, and why.
    pub(crate) distrusted: Option<(PathBuf, String)>,
}

static OF_THIS_RUN: OnceLock<Option<Settings>> = OnceLock::new();

/// What the configuration file of this run says, if there is one.
pub(crate) fn of_this_run() -> Option<&'static Settings> {
    OF_THIS_RUN.get().and_then(Option::as_ref)
}

/// The file that counts.
pub(crate) fn find() -> Found {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Found { path: Some(path.into()), ..Found::default() };
    }
    let mut found = Found::default();
    match own(Path::new(NAME)) {
        Own::None => {}
        Own::File(file) => {
            return Found { path: Some(NAME.into()), file: Some(file), distrusted: None };
        }
        Own::Distrusted(reason) => found.distrusted = Some((NAME.into(), reason)),
    }
    found.path = Path::new(OF_MACHINE).exists().then(|| OF_MACHINE.into());
    found
}

/// The file in the working directory.
enum Own {
    None,
    File(File),
    Distrusted(String),
}

/// Opens it without waiting for a pipe, and without a link: what is judged is what is read.
fn own(path: &Path) -> Own {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Own::None,
        Err(Errno::LOOP) => return Own::Distrusted("it is a symbolic link".to_owned()),
        Err(error) => return Own::Distrusted(format!("it cannot be opened ({error})")),
    };
    let judged = file.metadata().map_or_else(|error| Some(error.to_string()), |it| distrust(&it));
    judged.map_or(Own::File(file), Own::Distrusted)
}

/// Why a file in the working directory is not believed: it could be a stranger's, in a directory such as
/// `/tmp`, and switch rules off.
fn distrust(metadata: &std::fs::Metadata) -> Option<String> {
    if !metadata.is_file() {
        return Some("it is no file".to_owned());
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        return Some(format!("it belongs to another user (id {})", metadata.uid()));
    }
    let mode = metadata.mode() & 0o777;
    (mode & WRITABLE_BY_OTHERS != 0)
        .then(|| format!("others than its owner may write it (mode {mode:03o})"))
}

/// Reads the file that counts, once for this run.
///
/// # Errors
/// [`PolicyError`]: it cannot be read, or says what is not known.
pub(crate) fn load(found: &Found) -> Result<Option<&'static Settings>, PolicyError> {
    let settings = match (&found.path, &found.file) {
        (None, _) => None,
        (Some(path), None) => Some(Settings::open(path)?),
        (Some(path), Some(file)) => Some(Settings::read(file, path)?),
    };
    Ok(OF_THIS_RUN.get_or_init(|| settings).as_ref())
}

impl Settings {
    fn open(path: &Path) -> Result<Self, PolicyError> {
        inputs::note_path(path);
        Self::parse(&read_text(path)?, path)
    }

    /// Reads a file that is open.
    fn read(file: &File, path: &Path) -> Result<Self, PolicyError> {
        inputs::note_path(path);
        let mut text = String::new();
        let read = file.take(LARGEST).read_to_string(&mut text);
        read.map_err(TransferError::at(path, "read"))?;
        if text.len() as u64 == LARGEST {
            return Err(bad_value(path, "", &"too large for a configuration"));
        }
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        let file: SettingsFile = from_toml(text, path)?;
        if let Some(zone) = &file.time_zone {
            time::zone(zone).map_err(|error| bad_value(path, "time_zone", &error))?;
        }
        if let Some(color) = &file.color {
            Color::from_str(color, false)
                .map_err(|_| bad_value(path, "color", &"auto, always or never is expected"))?;
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let from_there = |path: &PathBuf| directory.join(path).into_os_string();
        let keyrings = match &file.keyring {
            None => &[][..],
            Some(OneOrMore::One(path)) => std::slice::from_ref(path),
            Some(OneOrMore::More(paths)) => paths,
        };
        let paths = |paths: &[PathBuf]| paths.iter().map(from_there).collect::<Vec<_>>();
        let text = |text: &Option<String>| text.iter().map(OsString::from).collect::<Vec<_>>();
        let values = [
            paths(keyrings),
            paths(file.policy.as_slice()),
            paths(file.baseline.as_slice()),
            text(&file.time_zone),
            text(&file.color),
        ];
        Ok(Self { path: path.to_owned(), values })
    }

    /// What it says for a setting; nothing where it says nothing.
    pub(crate) fn values(&self, name: &str) -> &[OsString] {
        let mut all = KNOWN.iter().zip(&self.values);
        all.find(|(known, _)| known.name == name).map(|(_, own)| own.as_slice()).unwrap_or_default()
    }

    /// Whether an option has its value from here.
    pub(crate) fn has(&self, name: &str, value: &Path) -> bool {
        self.values(name).iter().any(|own| own == value.as_os_str())
    }

    /// The commands, with what this file says as their options' defaults.
    pub(crate) fn apply(&'static self, command: Command) -> Command {
        let has_variable =
            std::env::var_os(KEYRING_VARIABLE).is_some_and(|value| !value.is_empty());
        let of = |id: &str| {
            let known = KNOWN.iter().find(|known| known.id == id)?;
            let is_outweighed = known.name == "keyring" && has_variable;
            Some(self.values(known.name)).filter(|values| !values.is_empty() && !is_outweighed)
        };
        with_defaults(command, &of)
    }
}

fn with_defaults(command: Command, of: &dyn Fn(&str) -> Option<&'static [OsString]>) -> Command {
    command
        .mut_args(|arg| match of(arg.get_id().as_str()) {
            Some(values) => arg.default_values(values.iter().map(OsString::as_os_str)),
            None => arg,
        })
        .mut_subcommands(|below| with_defaults(below, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("/etc/x/binlogsec.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn paths_start_from_the_directory_of_the_file() {
        let settings = parse(
            "keyring = [\"a\", \"/b\"]\npolicy = \"p.toml\"\ntime_zone = \"Europe/Berlin\"\n",
        )
        .unwrap();
        assert_eq!(settings.values("keyring"), ["/etc/x/a", "/b"]);
        assert_eq!(settings.values("policy"), ["/etc/x/p.toml"]);
        assert!(settings.has("policy", Path::new("/etc/x/p.toml")));
        assert!(settings.values("color").is_empty());
        assert_eq!(parse("keyring = \"a\"").unwrap().values("keyring"), ["/etc/x/a"]);
    }

    #[test]
    fn what_is_not_known_is_an_error_that_names_file_and_line() {
        for (text, words) in [
            ("keyrings = \"a\"", "line 1"),
            ("\ntime_zone = 3", "line 2"),
            ("time_zone = \"Mars/Base\"", "time_zone"),
            ("color = \"red\"", "auto, always or never"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words) && error.contains("binlogsec.toml"), "{error}");
        }
    }
}
