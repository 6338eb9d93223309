//! What is known of a set-up before anything is judged. Plain data without secrets.

pub mod certificate;
pub mod data_directory;
pub mod key_store;
pub mod replica_files;
pub mod server;
pub mod settings;

use serde::{Deserialize, Serialize};

use certificate::{CertificateFacts, RevocationListFacts};
use data_directory::DataDirectoryFacts;
use key_store::KeyStoreFacts;
use settings::Settings;

/// Everything that was collected.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditFacts {
    /// The files of one server; of the first, where those of many were named.
    #[serde(flatten)]
    pub files: FileFacts,
    /// The files of the others, in the order in which they were named.
    #[serde(default)]
    pub more_files: Vec<FileFacts>,
    /// Live servers, in the order in which they were named.
    pub servers: Vec<server::ServerFacts>,
}

/// What the files of one server say.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileFacts {
    /// What option files say.
    #[cfg_attr(feature = "schema", schemars(with = "Option<settings::SettingsEntry>"))]
    pub options: Option<Settings>,
    /// What a data directory has.
    pub data_directory: Option<DataDirectoryFacts>,
    /// Certificates that options name, or that lie in the data directory.
    pub certificates: Vec<CertificateFacts>,
    /// Key stores on the network that components' configurations and option files name.
    #[serde(default)]
    pub key_stores: Vec<KeyStoreFacts>,
    /// Lists of revoked certificates that options and channels name.
    #[serde(default)]
    pub revocation_lists: Vec<RevocationListFacts>,
    /// The live server whose files these are, by its address, where an inventory says so.
    #[serde(default)]
    pub of_server: Option<String>,
}

impl FileFacts {
    /// What reports call the server whose files these are.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.options.as_ref().map(|settings| settings.subject.name())
    }

    /// Whether there were no files.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.options.is_none() && self.data_directory.is_none()
    }
}

impl AuditFacts {
    /// The files of every server, in the order in which they were named.
    pub fn all_files(&self) -> impl Iterator<Item = &FileFacts> {
        std::iter::once(&self.files).chain(&self.more_files).filter(|files| !files.is_empty())
    }

    /// Adds the files of one more server, in place of what is known of the same.
    pub fn add_files(&mut self, files: FileFacts) {
        let is_same = |known: &&mut FileFacts| !known.is_empty() && known.name() == files.name();
        let mut all = std::iter::once(&mut self.files).chain(&mut self.more_files);
        if let Some(known) = all.find(is_same) {
            *known = files;
        } else if self.files.is_empty() {
            self.files = files;
        } else if !files.is_empty() {
            self.more_files.push(files);
        }
    }

    /// Whether nothing was there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.all_files().next().is_none()
    }
}
