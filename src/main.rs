//! The `binlogsec` command: parse, dispatch, and map the outcome to an exit code.

mod args;
mod chosen;
mod cli;
mod command;
mod exit;
mod files_report;
mod findings;
mod json;
mod key_stores;
mod keys;
mod lines;
mod log_entry;
mod mariadb_keys;
mod note_entry;
mod password;
mod process;
mod progress;
mod reports;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod schema;
#[cfg(test)]
mod schema_values;
mod settings;
mod shard;
mod table;
mod terminal;
mod time;
mod transfer;

use std::process::ExitCode;

fn main() -> ExitCode {
    process::protect();
    binlogsec_core::file::inputs::keep_list();
    #[cfg(feature = "objects")]
    binlogsec_core::file::store::install(&binlogsec_stores::Stores);
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let terminal = terminal::Terminal::new(&arguments.global);
    let result = cli::run(&arguments, &terminal);
    process::let_signal_end();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error, &terminal),
    }
}
