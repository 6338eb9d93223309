//! Text files that servers write or read: the index of logs, and option files.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use binlogsec_checks::config::option_file::OptionFile;
use binlogsec_checks::config::server::LogLocations;
use binlogsec_core::batch::listed;
use binlogsec_core::log::index;

use super::in_memory;

pub(crate) fn index_file(data: &[u8]) {
    let entries: Vec<_> = index::entries(data).collect();
    for entry in &entries {
        assert!(!entry.contains(&b'\n') && !entry.trim_ascii().is_empty());
    }
    let file = in_memory(data);
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    // What no path can be makes the whole no index.
    let is_path = |entry: &&[u8]| entry.len() <= 4096 && !entry.contains(&0);
    match listed::read_index(&path) {
        Ok(paths) => assert_eq!(paths.len(), entries.len()),
        Err(_) => assert!(data.contains(&0) || !entries.iter().all(is_path)),
    }
}

pub(crate) fn option_file(data: &[u8]) {
    let path = Path::new("my.cnf");
    let parsed = OptionFile::parse(data, path);
    // Line ends of either kind mean the same.
    let lines: Vec<_> = data.split(|&byte| byte == b'\n').collect();
    let other = OptionFile::parse(&lines.join(&b"\r\n"[..]), path);
    let Ok(options) = parsed else {
        assert!(other.is_err());
        return;
    };
    assert_eq!(other.as_ref().ok(), Some(&options));
    for setting in &options.settings {
        assert!((1..=lines.len()).contains(&setting.line));
        assert!(!setting.name.contains('-'));
    }
    assert!(options.of_server().count() <= options.settings.len());
    for data_directory in [None, Some(Path::new("/data"))] {
        let locations = LogLocations::new(&options, data_directory);
        assert!(locations.directories().contains(&locations.data_directory));
    }
}
