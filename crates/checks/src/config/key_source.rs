//! Where a server has its keys: its manifest, the configurations of its components, and its option
//! files, followed as the server follows them.
//!
//! | what names the store | where |
//! |---|---|
//! | manifest `mysqld.my` | data directory, else beside the server |
//! | `component_….cnf` | data directory, else the folder of plugins |
//! | `early-plugin-load`, `plugin-load`, `plugin-load-add`, and the plugins' own options | option files |
//!
//! A server looks beside its program first, and is sent to the data directory from there. Here the
//! data directory comes first: it may have come from another machine.
//!
//! Source: server source, `sql/server_component/component_infrastructure.cc` and
//! `components/keyrings/*/config`; the manuals of MySQL, Percona Server and MariaDB.

use std::path::{Path, PathBuf};

use binlogsec_core::file::TransferError;
use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::secret::SecretBytes;
use serde::Deserialize;
use zeroize::Zeroize;

use super::option_file::{OptionFile, OptionFileError};
use super::server::{DATA_DIRECTORY, value};

const MANIFEST: &str = "mysqld.my";
/// More is no manifest.
const LARGEST_MANIFEST: u64 = 64 << 10;
/// Where packages have the server's program, and so the manifest of all servers of a machine.
const PROGRAM_DIRECTORIES: [&str; 4] =
    ["/usr/sbin", "/usr/libexec", "/usr/bin", "/usr/local/mysql/bin"];
/// Where packages have plugins, and so the configurations of components.
const PLUGIN_DIRECTORIES: [&str; 4] = [
    "/usr/lib/mysql/plugin",
    "/usr/lib64/mysql/plugin",
    "/usr/lib/x86_64-linux-gnu/mysql/plugin",
    "/usr/local/mysql/lib/plugin",
];
/// The option files that servers of packages read.
const OPTION_FILES: [&str; 2] = ["/etc/my.cnf", "/etc/mysql/my.cnf"];
/// Where the `keyring_file` plugin has its keys if no option says (server source, `INSTALL_MYSQLKEYRINGDIR`).
const DEFAULT_KEYRING: &str = "/var/lib/mysql-keyring/keyring";

/// One place where a server has keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeySource {
    /// A component, and the configuration that it reads.
    Component {
        /// `component_keyring_file` …
        name: String,
        /// Its configuration.
        configuration: PathBuf,
    },
    /// The file of the `keyring_file` plugin.
    Keyring {
        /// The keyring.
        path: PathBuf,
    },
    /// The configuration of the `keyring_vault` plugin.
    Plugin {
        /// Its configuration.
        configuration: PathBuf,
    },
    /// The key file of MariaDB's `file_key_management`.
    MariadbFile(MariadbFile),
    /// The store of MariaDB's `hashicorp_key_management`.
    MariadbVault(MariadbVaultOptions),
    /// The files of MariaDB's `aws_key_management`.
    MariadbAws(MariadbAwsOptions),
    /// Another plugin or component.
    Other {
        /// As the configuration has it.
        name: String,
    },
}

/// The options of `file_key_management`.
#[derive(Debug)]
pub struct MariadbFile {
    /// The key file.
    pub path: PathBuf,
    /// Its password, if it is encrypted.
    pub password: Option<MariadbPassword>,
    /// `file_key_management_digest`.
    pub digest: Option<String>,
    /// `file_key_management_use_pbkdf2`: iterations, 0 for none.
    pub iterations: u32,
}

/// `file_key_management_filekey`.
#[derive(Debug)]
pub enum MariadbPassword {
    /// In the option file itself.
    Given(SecretBytes),
    /// `FILE:` and a path.
    File(PathBuf),
}

/// The options of `hashicorp_key_management`.
#[derive(Debug)]
pub struct MariadbVaultOptions {
    /// The option file that names the store.
    pub path: PathBuf,
    /// `hashicorp_key_management_vault_url`.
    pub url: String,
    /// `hashicorp_key_management_token`.
    pub token: Option<SecretBytes>,
    /// `hashicorp_key_management_vault_ca`.
    pub authority: Option<PathBuf>,
    /// `hashicorp_key_management_timeout`, in seconds.
    pub timeout: Option<String>,
}

/// The options of `aws_key_management`.
#[derive(Debug, Default)]
pub struct MariadbAwsOptions {
    /// `datadir`, which has the files of keys.
    pub data_directory: Option<PathBuf>,
    /// `aws_key_management_region`.
    pub region: Option<String>,
    /// `aws_key_management_endpoint_url`.
    pub endpoint: Option<String>,
    /// `aws_key_management_request_timeout`, in milliseconds.
    pub timeout: Option<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct ServerKeys {
    /// The data directory, from which the server takes relative paths.
    pub data_directory: PathBuf,
    /// The places, in the order in which they were found.
    pub sources: Vec<KeySource>,
    /// The files that were followed, in order.
    pub followed: Vec<PathBuf>,
    /// What its user should know.
    pub notes: Vec<String>,
}

/// Why no place was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySourceError {
    /// A file cannot be read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// An option file cannot be read.
    #[error(transparent)]
    Options(#[from] OptionFileError),
    /// The manifest is damaged.
    #[error("{}: no manifest: line {line}, column {column}: a JSON object with `components` is expected", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// A component without its configuration.
    #[error(
        "{}: it names {component}, whose configuration was looked for in {}; name it by --keyring FILE", .manifest.display(), list(.looked_at)
    )]
    NoConfiguration {
        /// The manifest.
        manifest: PathBuf,
        /// The component.
        component: String,
        /// Where it was looked for.
        looked_at: Vec<PathBuf>,
    },
    /// Nothing names a store of keys.
    #[error(
        "{}: nothing says where this server has its keys: no manifest mysqld.my with a keyring component, and no keyring plugin in {}; name the server's option file by --defaults-file FILE, or its keyring by --keyring FILE", .directory.display(), list(.looked_at)
    )]
    Nothing {
        /// The data directory.
        directory: PathBuf,
        /// The option files that count for it.
        looked_at: Vec<PathBuf>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "any option file of it".to_owned() } else { paths.join(", ") }
}

/// Finds where the server of a data directory has its keys. Without a directory, the option file
/// names it.
///
/// # Errors
/// [`KeySourceError`].
pub fn find(
    data_directory: Option<&Path>,
    defaults_file: Option<&Path>,
) -> Result<ServerKeys, KeySourceError> {
    let mut options = defaults_file.map(OptionFile::open).transpose()?;
    let named = options.as_ref().and_then(|options| value(options, &["datadir"]));
    let directory = data_directory
        .map(Path::to_owned)
        .or_else(|| named.map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DATA_DIRECTORY));
    // The type and the right to look into it: what is not there has no keys.
    std::fs::read_dir(&directory).map_err(TransferError::at(&directory, "list"))?;
    let mut found = ServerKeys { data_directory: directory, ..ServerKeys::default() };
    let mut looked_at: Vec<PathBuf> = defaults_file.map(Path::to_owned).into_iter().collect();
    if options.is_none() {
        let (merged, paths) = found.usual_options();
        options = Some(merged);
        looked_at = paths;
    }
    let mut options = options.unwrap_or_default();
    found.manifest(&options)?;
    let before = found.sources.len();
    found.sources.extend(of_options(&options, &found.data_directory));
    if found.sources.len() > before {
        found.followed.append(&mut looked_at.clone());
    }
    options.settings.iter_mut().for_each(|setting| setting.value.zeroize());
    // A copy of a data directory comes without the server's options; its files speak for themselves.
    if found.sources.is_empty() && has_files_of_kms(&found.data_directory) {
        found.sources.push(KeySource::MariadbAws(MariadbAwsOptions::default()));
    }
    if found.sources.is_empty() {
        return Err(KeySourceError::Nothing { directory: found.data_directory, looked_at });
    }
    Ok(found)
}

impl ServerKeys {
    /// The option files of this machine that count for the data directory, as one.
    fn usual_options(&mut self) -> (OptionFile, Vec<PathBuf>) {
        let own = self.data_directory.join("my.cnf");
        let (mut merged, mut paths) = (OptionFile::default(), Vec::new());
        for path in OPTION_FILES.iter().map(PathBuf::from).chain([own.clone()]) {
            if !path.is_file() {
                continue;
            }
            let options = match OptionFile::open(&path) {
                Ok(options) => options,
                Err(error) => {
                    self.notes.push(error.to_string());
                    continue;
                }
            };
            if path == own || self.is_of(&options) {
                merged.settings.extend(options.settings);
                paths.push(path);
            }
        }
        (merged, paths)
    }

    /// Whether an option file is of the server of this data directory.
    fn is_of(&self, options: &OptionFile) -> bool {
        let named = value(options, &["datadir"]).map(PathBuf::from);
        let named = named.unwrap_or_else(|| PathBuf::from(DATA_DIRECTORY));
        match (named.canonicalize(), self.data_directory.canonicalize()) {
            (Ok(named), Ok(own)) => named == own,
            _ => false,
        }
    }

    fn manifest(&mut self, options: &OptionFile) -> Result<(), KeySourceError> {
        let base = value(options, &["basedir"]).map(PathBuf::from);
        let of_base = ["bin", "sbin"].iter().filter_map(|it| Some(base.as_ref()?.join(it)));
        let of_packages = PROGRAM_DIRECTORIES.iter().map(PathBuf::from);
        let mut places = vec![self.data_directory.clone()];
        places.extend(of_base.chain(of_packages));
        let manifests = places.iter().map(|place| place.join(MANIFEST));
        for path in manifests.filter(|path| path.is_file()) {
            let components = read_manifest(&path)?;
            if components.is_empty() {
                continue;
            }
            self.followed.push(path.clone());
            for component in components {
                self.component(component, &path, options)?;
            }
            return Ok(());
        }
        Ok(())
    }

    fn component(
        &mut self,
        name: String,
        manifest: &Path,
        options: &OptionFile,
    ) -> Result<(), KeySourceError> {
        if !name.contains("keyring") {
            return Ok(());
        }
        let plugins = value(options, &["plugin_dir"]).map(PathBuf::from);
        let base = value(options, &["basedir"]).map(PathBuf::from);
        let of_base = base.map(|base| base.join("lib/plugin"));
        let of_packages = PLUGIN_DIRECTORIES.iter().map(PathBuf::from);
        let mut places = vec![self.data_directory.clone()];
        places.extend(plugins.into_iter().chain(of_base).chain(of_packages));
        let configuration = places
            .iter()
            .map(|place| place.join(format!("{name}.cnf")))
            .find(|path| path.is_file());
        let source = match configuration {
            Some(configuration) => {
                self.followed.push(configuration.clone());
                KeySource::Component { name, configuration }
            }
            None if is_read(&name) => {
                let manifest = manifest.to_owned();
                return Err(KeySourceError::NoConfiguration {
                    manifest,
                    component: name,
                    looked_at: places,
                });
            }
            None => KeySource::Other { name },
        };
        self.sources.push(source);
        Ok(())
    }
}

fn has_files_of_kms(directory: &Path) -> bool {
    let mut names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    names.any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"aws-kms-key."))
}

fn is_read(component: &str) -> bool {
    matches!(
        component,
        "component_keyring_file"
            | "component_keyring_vault"
            | "component_keyring_kmip"
            | "component_percona_keyring_encrypted_file"
    )
}

/// The components that a manifest names; none where it sends the server to another one.
fn read_manifest(path: &Path) -> Result<Vec<String>, KeySourceError> {
    #[derive(Deserialize)]
    struct Manifest {
        components: Option<String>,
    }
    let bytes = small::read(path, LARGEST_MANIFEST, Pipes::Refused)?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|error| KeySourceError::Manifest {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
    let components = manifest.components.unwrap_or_default();
    let components = components.split(',').map(str::trim).filter(|it| !it.is_empty());
    Ok(components.map(|it| it.trim_start_matches("file://").to_owned()).collect())
}

/// The stores that options name: those of plugins that are loaded, and those whose own options are
/// there, as a plugin may be loaded elsewhere. Relative paths are taken from `base`.
#[must_use]
pub fn of_options(options: &OptionFile, base: &Path) -> Vec<KeySource> {
    let loaded = loaded_plugins(options);
    let has = |name: &str| loaded.iter().any(|plugin| plugin == name);
    let path = |name: &str| value(options, &[name]).map(|path| base.join(path));
    let mut sources = Vec::new();
    let keyring = path("keyring_file_data");
    let default = || has("keyring_file").then(|| PathBuf::from(DEFAULT_KEYRING));
    sources.extend(keyring.or_else(default).map(|path| KeySource::Keyring { path }));
    let vault = path("keyring_vault_config");
    sources.extend(vault.map(|configuration| KeySource::Plugin { configuration }));
    if let Some(path) = path("file_key_management_filename") {
        sources.push(KeySource::MariadbFile(mariadb_file(options, path, base)));
    }
    sources.extend(mariadb_vault(options, base).map(KeySource::MariadbVault));
    sources.extend(mariadb_aws(options, &loaded).map(KeySource::MariadbAws));
    let others = ["keyring_encrypted_file", "keyring_okv", "keyring_aws", "keyring_hashicorp"];
    let others = others.into_iter().filter(|name| has(name));
    sources.extend(others.map(|name| KeySource::Other { name: name.to_owned() }));
    sources
}

/// The plugins that options load, by their libraries' names.
fn loaded_plugins(options: &OptionFile) -> Vec<String> {
    let loads = ["early_plugin_load", "plugin_load", "plugin_load_add"];
    let settings = options.of_server().filter(|it| loads.contains(&it.name.as_str()));
    let texts = settings.filter_map(|it| it.value.as_deref());
    let texts = texts.map(|text| String::from_utf8_lossy(text).into_owned());
    let library = |plugin: &str| {
        let library = plugin.rsplit('=').next().unwrap_or_default().trim();
        library.trim_end_matches(".so").to_owned()
    };
    texts.flat_map(|text| text.split(';').map(library).collect::<Vec<_>>()).collect()
}

fn text(options: &OptionFile, name: &str) -> Option<String> {
    value(options, &[name])?.into_string().ok().filter(|text| !text.is_empty())
}

fn mariadb_file(options: &OptionFile, path: PathBuf, base: &Path) -> MariadbFile {
    let password =
        text(options, "file_key_management_filekey").map(|text| match text.strip_prefix("FILE:") {
            Some(file) => MariadbPassword::File(base.join(file)),
            None => MariadbPassword::Given(SecretBytes::new(text.into_bytes())),
        });
    let iterations = text(options, "file_key_management_use_pbkdf2");
    MariadbFile {
        path,
        password,
        digest: text(options, "file_key_management_digest"),
        iterations: iterations.and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}

fn mariadb_vault(options: &OptionFile, base: &Path) -> Option<MariadbVaultOptions> {
    const URL: &str = "hashicorp_key_management_vault_url";
    let url = text(options, URL)?;
    let path = options.of_server().filter(|it| it.name == URL).last()?.path.clone();
    let token = text(options, "hashicorp_key_management_token");
    let authority = text(options, "hashicorp_key_management_vault_ca");
    Some(MariadbVaultOptions {
        path,
        url,
        token: token.map(|token| SecretBytes::new(token.into_bytes())),
        authority: authority.map(|path| base.join(path)),
        timeout: text(options, "hashicorp_key_management_timeout"),
    })
}

fn mariadb_aws(options: &OptionFile, loaded: &[String]) -> Option<MariadbAwsOptions> {
    let region = text(options, "aws_key_management_region");
    let endpoint = text(options, "aws_key_management_endpoint_url");
    let is_loaded = loaded.iter().any(|plugin| plugin == "aws_key_management")
        || region.is_some()
        || value(options, &["aws_key_management_master_key_id"]).is_some();
    is_loaded.then(|| MariadbAwsOptions {
        data_directory: value(options, &["datadir"]).map(PathBuf::from),
        region,
        endpoint,
        timeout: text(options, "aws_key_management_request_timeout"),
    })
}
