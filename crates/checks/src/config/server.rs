//! Where a server has its logs, by its options.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::option_file::{OptionFile, Setting};

/// The default of packages.
pub const DATA_DIRECTORY: &str = "/var/lib/mysql";

/// Where a server keeps its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLocations {
    /// The data directory.
    pub data_directory: PathBuf,
    /// Directory and base name of binary logs, where an option gives one.
    pub binlog_base: Option<PathBuf>,
    /// Directory and base name of relay logs, where an option gives one.
    pub relay_log_base: Option<PathBuf>,
    /// Index files that options name.
    pub indexes: Vec<PathBuf>,
    /// Directories of logs that an option names and a later one switches off: old logs may be there.
    pub former_directories: Vec<PathBuf>,
}

impl LogLocations {
    /// A data directory with everything at its default.
    #[must_use]
    pub const fn in_directory(data_directory: PathBuf) -> Self {
        Self {
            data_directory,
            binlog_base: None,
            relay_log_base: None,
            indexes: Vec::new(),
            former_directories: Vec::new(),
        }
    }

    /// From option files; `data_directory` outweighs theirs, as on a server's command line. Where
    /// nobody names one, it is that of packages on this machine: see [`LogLocations::are_named`].
    #[must_use]
    pub fn new(options: &OptionFile, data_directory: Option<&Path>) -> Self {
        let data_directory = data_directory
            .map(Path::to_owned)
            .or_else(|| value(options, &["datadir"]).map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DATA_DIRECTORY));
        let mut locations = Self::in_directory(data_directory);
        locations.binlog_base = locations
            .base(value(options, &["log_bin_basename"]))
            .or_else(|| locations.base(value(options, &["log_bin"])));
        locations.relay_log_base = locations
            .base(value(options, &["relay_log_basename"]))
            .or_else(|| locations.base(value(options, &["relay_log"])));
        for (name, base) in
            [("log_bin", &locations.binlog_base), ("relay_log", &locations.relay_log_base)]
        {
            let former = locations.base(last_value(options, name));
            if let (None, Some(directory)) = (base, former.as_deref().and_then(Path::parent)) {
                locations.former_directories.push(directory.to_owned());
            }
        }
        for (name, base) in [
            ("log_bin_index", &locations.binlog_base),
            ("relay_log_index", &locations.relay_log_base),
        ] {
            let named = value(options, &[name]).map(|index| with_index_extension(index.into()));
            let index = named.or_else(|| base.clone().map(with_index_extension));
            locations.indexes.extend(index.map(|index| locations.data_directory.join(index)));
        }
        locations
    }

    /// Whether an option says where the data directory is.
    #[must_use]
    pub fn are_named(options: &OptionFile) -> bool {
        value(options, &["datadir"]).is_some()
    }

    /// A base name as the server takes it: below the data directory, without an extension.
    fn base(&self, value: Option<OsString>) -> Option<PathBuf> {
        let mut base = self.data_directory.join(value.filter(|value| !value.is_empty())?);
        base.set_extension("");
        Some(base)
    }

    /// The directories with logs: the data directory and those of the base names.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let bases = [&self.binlog_base, &self.relay_log_base];
        let mut directories = vec![self.data_directory.clone()];
        for directory in bases.into_iter().flatten().filter_map(|base| base.parent()) {
            if !directories.iter().any(|known| directory.starts_with(known)) {
                directories.push(directory.to_owned());
            }
        }
        directories
    }
}

fn with_index_extension(mut path: PathBuf) -> PathBuf {
    path.set_extension("index");
    path
}

/// The last value that an option is given, whatever switches it off.
fn last_value(options: &OptionFile, name: &str) -> Option<OsString> {
    let given = options.of_server().filter(|setting| setting.name == name);
    let value = given.filter_map(|setting| setting.value.as_deref()).last()?;
    Some(OsStr::from_bytes(value).to_owned())
}

/// The last value of an option; `None` where the last word on it is `skip` or `disable`, or names
/// no value.
pub(super) fn value(options: &OptionFile, names: &[&str]) -> Option<OsString> {
    let is_meant = |setting: &&Setting| {
        let plain = ["skip_", "disable_", "enable_"]
            .iter()
            .find_map(|prefix| setting.name.strip_prefix(prefix))
            .unwrap_or(&setting.name);
        names.contains(&plain)
    };
    let last = options.of_server().filter(is_meant).last()?;
    if !names.contains(&last.name.as_str()) {
        return None;
    }
    let value = last.value.as_deref()?;
    Some(OsStr::from_bytes(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(options: &str, directory: Option<&str>) -> LogLocations {
        let text = format!("[mysqld]\n{options}\n");
        let file = OptionFile::parse(text.as_bytes(), Path::new("my.cnf")).unwrap();
        LogLocations::new(&file, directory.map(Path::new))
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn logs_are_where_the_options_say() {
        for (options, directories, indexes) in [
            ("", &["/var/lib/mysql"][..], &[][..]),
            ("datadir=/d\nlog-bin", &["/d"], &[]),
            ("datadir=/d\nlog-bin=b", &["/d"], &["/d/b.index"]),
            ("datadir=/d\nlog_bin=/l/b.log", &["/d", "/l"], &["/l/b.index"]),
            ("datadir=/d\nlog_bin=/l/b\nskip-log-bin", &["/d"], &[]),
            ("datadir=/d\nlog_bin=/d/l/b\nlog-bin-index=/i/x", &["/d"], &["/i/x.index"]),
            ("datadir=/d\nrelay-log=/r/r\nrelay_log_index=r.index", &["/d", "/r"], &["/d/r.index"]),
            ("datadir=/1\ndatadir=/2\nlog_bin_basename=/l/c", &["/2", "/l"], &["/l/c.index"]),
        ] {
            let found = locations(options, None);
            let file = format!("[mysqld]\n{options}\n");
            let file = OptionFile::parse(file.as_bytes(), Path::new("my.cnf")).unwrap();
            let is_named = options.contains("datadir");
            assert_eq!(LogLocations::are_named(&file), is_named, "{options}");
            assert_eq!(found.directories(), paths(directories), "{options}");
            assert_eq!(found.indexes, paths(indexes), "{options}");
        }
    }

    #[test]
    fn groups_of_mariadb_alone_say_where_logs_are() {
        let text = "[client-server]\nlog_bin=/l/b\n[galera]\ndatadir=/g\n";
        let file = OptionFile::parse(text.as_bytes(), Path::new("my.cnf")).unwrap();
        let found = LogLocations::new(&file, None);
        assert_eq!(found.directories(), paths(&["/g", "/l"]));
    }

    #[test]
    fn the_directory_of_logs_that_are_not_written_any_more_is_kept() {
        for (options, expected) in [
            ("datadir=/d\nlog_bin=/l/b\nskip-log-bin", &["/l"][..]),
            ("datadir=/d\ndisable_log_bin\nlog_bin=/l/b", &[]),
            ("datadir=/d\nlog_bin=/l/b", &[]),
            ("datadir=/d\nlog_bin=b\nskip_log_bin\nskip_relay_log\n", &["/d"]),
        ] {
            let found = locations(options, None);
            assert_eq!(found.former_directories, paths(expected), "{options}");
        }
    }

    #[test]
    fn a_named_data_directory_outweighs_the_file() {
        let found = locations("datadir=/d\nlog-bin=b", Some("/e"));
        assert_eq!(found.directories(), paths(&["/e"]));
        assert_eq!(found.indexes, paths(&["/e/b.index"]));
    }
}
