//! What is known of a set-up before anything is judged. Plain data without secrets.

pub mod certificate;
pub mod data_directory;
pub mod key_store;
pub mod replica_files;
pub mod server;
pub mod settings;

use serde::Serialize;

use certificate::CertificateFacts;
use data_directory::DataDirectoryFacts;
use key_store::KeyStoreFacts;
use settings::Settings;

/// Everything that was collected.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditFacts {
    /// What option files say.
    #[cfg_attr(feature = "schema", schemars(with = "Option<settings::SettingsEntry>"))]
    pub options: Option<Settings>,
    /// What a data directory has.
    pub data_directory: Option<DataDirectoryFacts>,
    /// Certificates that options name, or that lie in the data directory.
    pub certificates: Vec<CertificateFacts>,
    /// Key stores on the network that components' configurations and option files name.
    pub key_stores: Vec<KeyStoreFacts>,
    /// Live servers, in the order in which they were named.
    pub servers: Vec<server::ServerFacts>,
}
