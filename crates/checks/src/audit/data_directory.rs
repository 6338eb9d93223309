//! Reads what a data directory has besides its logs: the manifest and configuration of keyring
//! components, keyrings, keys of authorities, master.info. The logs go through `check`.
//!
//! Source: MySQL's reference manual, "Keyring Component Installation"; MariaDB's, "File Key
//! Management Encryption Plugin".

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::certificates;
use super::facts::data_directory::{ComponentConfiguration, DataDirectoryFacts, KeyringFile};
use super::facts::replica_files::ReplicaFileFacts;
use super::facts::settings::{Product, Settings};
use super::files;
use crate::check;
use binlogsec_core::text::path_text;

/// More is no configuration.
const LARGEST_FILE: u64 = 1 << 20;
/// Where the server is below its `basedir`, with its manifest beside it; packages have `/usr`.
const PROGRAM_DIRECTORIES: [&str; 3] = ["sbin", "bin", "libexec"];
/// Where the server leaves the version that last used the directory.
const VERSION_FILES: [&str; 3] =
    ["mysql_upgrade_history", "mysql_upgrade_info", "mariadb_upgrade_info"];

/// The server that last used a data directory, where it says.
pub(super) fn product(directory: &Path) -> Option<Product> {
    VERSION_FILES.iter().find_map(|name| {
        let bytes = files::read(&directory.join(name), LARGEST_FILE).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        let version = match serde_json::from_str::<UpgradeHistory>(text) {
            Ok(history) => history.upgrade_history.last()?.version.clone(),
            Err(_) => text.lines().next()?.trim().to_owned(),
        };
        let product =
            format!("{}{version}", if *name == VERSION_FILES[2] { "mariadb-" } else { "" });
        product.parse().ok()
    })
}

#[derive(Deserialize)]
struct UpgradeHistory {
    upgrade_history: Vec<Upgrade>,
}

#[derive(Deserialize)]
struct Upgrade {
    version: String,
}

/// Looks at everything in a data directory but its logs, which were checked. Only where
/// `is_of_this_machine`, the server that packages install here is taken for its server.
pub(super) fn read(
    directory: &Path,
    settings: Option<&Settings>,
    is_of_this_machine: bool,
    logs: check::Facts,
) -> DataDirectoryFacts {
    let manifests = manifests(directory, settings, is_of_this_machine);
    let (component_configurations, mut keyrings) = component_files(directory);
    keyrings.extend(option_keyrings(directory, settings));
    keyrings.dedup_by(|one, other| one.path == other.path);
    let (global, local_manifest_counts) = beside_server(&manifests);
    let local = manifests.first().and_then(|path| components(path));
    DataDirectoryFacts {
        path: directory.to_owned(),
        components: match local_manifest_counts {
            Some(false) => global,
            Some(true) => local,
            None => local.or(global),
        },
        local_manifest_counts,
        manifests,
        component_configurations,
        keyrings,
        authority_keys: authority_keys(directory),
        replica_files: replica_files(directory),
        logs,
    }
}

/// Where the manifest may be: in the data directory, or beside the server.
fn manifests(
    directory: &Path,
    settings: Option<&Settings>,
    is_of_this_machine: bool,
) -> Vec<PathBuf> {
    let base = settings.and_then(|settings| settings.given("basedir"));
    let of_base = base
        .into_iter()
        .flat_map(|base| PROGRAM_DIRECTORIES.map(|name| Path::new(base).join(name)));
    let of_packages = PROGRAM_DIRECTORIES.map(|name| Path::new("/usr").join(name));
    let of_packages = of_packages.into_iter().filter(|_| is_of_this_machine);
    std::iter::once(directory.to_owned())
        .chain(of_base)
        .chain(of_packages)
        .map(|directory| directory.join("mysqld.my"))
        .collect()
}

/// What the manifests beside the server name, and whether they leave it to the one in the data
/// directory, which is the first.
fn beside_server(manifests: &[PathBuf]) -> (Option<Vec<String>>, Option<bool>) {
    let of_server = || manifests.iter().skip(1);
    let leaves_it = of_server().find_map(|path| json(path)).map(|manifest| {
        manifest.get("read_local_manifest").and_then(Value::as_bool).unwrap_or(false)
    });
    let is_server =
        |path: &PathBuf| ["mysqld", "mariadbd"].iter().any(|it| path.with_file_name(it).is_file());
    let is_here = of_server().any(is_server);
    (of_server().find_map(|path| components(path)), leaves_it.or(is_here.then_some(false)))
}

/// The components that a manifest names.
fn components(manifest: &Path) -> Option<Vec<String>> {
    let manifest = json(manifest)?;
    let list = manifest.get("components")?.as_str()?;
    let names = list.split([',', ';']).filter_map(|name| {
        let name = name.trim();
        let name = name.strip_prefix("file://").unwrap_or(name);
        (!name.is_empty()).then(|| name.to_owned())
    });
    Some(names.collect())
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&files::read(path, LARGEST_FILE).ok()?).ok()
}

/// `component_keyring_….cnf`, and the keyrings that they name.
fn component_files(directory: &Path) -> (Vec<ComponentConfiguration>, Vec<KeyringFile>) {
    let (mut configurations, mut keyrings) = (Vec::new(), Vec::new());
    for path in
        entries(directory, |name| name.starts_with("component_keyring_") && name.ends_with(".cnf"))
    {
        let Some(configuration) = json(&path) else {
            continue;
        };
        let text = |name: &str| configuration.get(name).and_then(Value::as_str);
        let has_password = text("password").is_some_and(|password| !password.is_empty());
        if let Some(keyring) = text("path").filter(|keyring| !keyring.is_empty()) {
            let keyring = directory.join(keyring);
            keyrings.push(KeyringFile {
                mode: files::mode(&keyring).map(|(mode, _)| mode),
                path: keyring,
                clear: !has_password,
                named_by: path_text::text(&path),
            });
        }
        configurations.push(ComponentConfiguration {
            mode: files::mode(&path).map_or(0, |(mode, _)| mode),
            path,
            has_password,
        });
    }
    (configurations, keyrings)
}

/// Keyrings that options name.
fn option_keyrings(directory: &Path, settings: Option<&Settings>) -> Vec<KeyringFile> {
    const OPTIONS: [(&str, bool); 3] = [
        ("keyring_file_data", true),
        ("keyring_encrypted_file_data", false),
        ("file_key_management_filename", true),
    ];
    let Some(settings) = settings else {
        return Vec::new();
    };
    let encrypted = settings.given("file_key_management_filekey").is_some();
    OPTIONS
        .iter()
        .filter_map(|(name, clear)| {
            let path = directory.join(settings.given(name)?);
            Some(KeyringFile {
                mode: files::mode(&path).map(|(mode, _)| mode),
                clear: *clear && !(encrypted && *name == "file_key_management_filename"),
                path,
                named_by: (*name).to_owned(),
            })
        })
        .collect()
}

/// Private keys in the data directory that belong to an authority's certificate there.
fn authority_keys(directory: &Path) -> Vec<PathBuf> {
    let is_pem = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.ends_with(".pem") || name.ends_with(".key") || name.ends_with(".crt")
    };
    let files: Vec<_> = entries(directory, is_pem).collect();
    let is_authority = |key: &&PathBuf| {
        files
            .iter()
            .any(|certificate| certificates::belongs_to_authority(key, certificate) == Some(true))
    };
    let named_key = |path: &&PathBuf| path.to_string_lossy().contains("key");
    files.iter().filter(named_key).filter(is_authority).cloned().collect()
}

fn replica_files(directory: &Path) -> Vec<ReplicaFileFacts> {
    let is_one = |name: &str| {
        name == "master.info" || (name.starts_with("master-") && name.ends_with(".info"))
    };
    entries(directory, is_one)
        .filter_map(|path| {
            let bytes = files::read(&path, LARGEST_FILE).ok()?;
            let text = std::str::from_utf8(&bytes).ok()?;
            let mode = files::mode(&path).map_or(0, |(mode, _)| mode);
            let mut facts = ReplicaFileFacts::parse(path, mode, text)?;
            if facts.channel.name.is_empty() {
                facts.channel.name = channel_of(&facts.path).unwrap_or_default();
            }
            Some(facts)
        })
        .collect()
}

/// `master-east.info` is of the channel `east`.
fn channel_of(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    stem.strip_prefix("master-").map(str::to_owned)
}

/// The files of a directory whose names fit, by name.
fn entries(directory: &Path, fits: impl Fn(&str) -> bool) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(&fits))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.into_iter()
}
