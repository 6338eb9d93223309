//! The report of `binlogsec config show`.

use std::ffi::OsString;
use std::path::Path;

use binlogsec_core::text::path_text;
use serde::Serialize;

use crate::keys::{self, KEYRING_VARIABLE};
use crate::settings::{Found, KNOWN, Known, Settings};

/// `binlogsec config show --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ConfigReport {
    /// `binlogsec.config/1`.
    pub schema: &'static str,
    /// The configuration file that was read.
    pub file: Option<String>,
    /// The one in the working directory that was not, and why.
    pub not_read: Option<NotRead>,
    /// Every setting there is.
    pub settings: Vec<SettingEntry>,
}

/// A configuration file that is not believed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NotRead {
    /// Where it is.
    pub path: String,
    /// Why it was not read.
    pub reason: String,
}

/// One setting.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SettingEntry {
    /// Its name in the file.
    pub name: &'static str,
    /// The option of the command line that outweighs it.
    pub option: &'static str,
    /// What is in force; none where nothing is.
    pub values: Vec<String>,
    /// Where that comes from: `file`, `environment`, `default`.
    pub source: Source,
    /// The file's path or the variable's name.
    pub place: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// The configuration file.
    File,
    /// A variable of the environment.
    Environment,
    /// Nothing says anything.
    Default,
}

impl ConfigReport {
    pub(crate) fn new(settings: Option<&Settings>, found: &Found) -> Self {
        let entry = |known| SettingEntry::new(known, settings);
        let not_read = found
            .distrusted
            .as_ref()
            .map(|(path, reason)| NotRead { path: path_text::text(path), reason: reason.clone() });
        Self {
            schema: "binlogsec.config/1",
            file: settings.map(|settings| path_text::text(&settings.path)),
            not_read,
            settings: KNOWN.iter().map(entry).collect(),
        }
    }
}

impl SettingEntry {
    fn new(known: &Known, settings: Option<&Settings>) -> Self {
        let Known { name, option, built_in, .. } = *known;
        let text = |value: &OsString| path_text::text(Path::new(value));
        let of_environment = keys::paths_of_environment();
        let of_file = settings.map(|settings| settings.values(name)).unwrap_or_default();
        let (values, source, place) = if name == "keyring" && !of_environment.is_empty() {
            let values = of_environment.iter().map(|path| path_text::text(path)).collect();
            (values, Source::Environment, Some(KEYRING_VARIABLE.to_owned()))
        } else if of_file.is_empty() {
            (Vec::from_iter(built_in.map(str::to_owned)), Source::Default, None)
        } else {
            let place = settings.map(|settings| path_text::text(&settings.path));
            (of_file.iter().map(text).collect(), Source::File, place)
        };
        Self { name, option, values, source, place }
    }
}
