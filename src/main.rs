//! The `binlogsec` command: parse, dispatch, and map the outcome to an exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::process::protect();
    binlogsec::io::inputs::keep_list();
    let arguments = match cli::args::parse() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let terminal = cli::terminal::Terminal::new(&arguments.global);
    let result = cli::run(&arguments.command, &arguments.global, &terminal);
    cli::process::let_signal_end();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => cli::exit::report(&error, &terminal),
    }
}
