//! `--schema`: what tells of tables besides the logs.

use std::path::PathBuf;

use binlogsec_core::read::rows::schema::{History, Schema};
use clap::Args;

use crate::terminal::Terminal;

/// What tells of tables besides the logs.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The tables as they were at the start of the logs: output of mysqldump --no-data, of
    /// mariadb-dump --no-data or of SHOW CREATE TABLE, or a directory of such files; repeatable
    #[arg(long = "schema", value_name = "FILE")]
    schemas: Vec<PathBuf>,
}

impl SchemaArgs {
    /// Whether no schema is named.
    pub(crate) const fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }

    /// Reads the schemas, and says what of them is not understood.
    pub(crate) fn history(&self, terminal: &Terminal) -> anyhow::Result<History> {
        let mut schema = Schema::new();
        for path in &self.schemas {
            for note in schema.open(path)? {
                terminal.warning(&note);
            }
        }
        Ok(History::new(schema))
    }
}
