//! What is known of a set-up before anything is judged. Plain data without secrets.

pub mod server;
pub mod settings;

use serde::Serialize;

use settings::Settings;

/// Everything that was collected.
#[derive(Debug, Default, Serialize)]
pub struct AuditFacts {
    /// What option files say.
    pub options: Option<Settings>,
    /// Live servers, in the order in which they were named.
    pub servers: Vec<server::ServerFacts>,
}
