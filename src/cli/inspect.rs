//! `binlogsec inspect`.

use std::io::Write;

use binlogsec::ops::inspect::{self, InspectOptions, InspectOutcome, Inspected};
use binlogsec::report::human;
use binlogsec::report::model::InspectReport;

use super::args::{Format, InspectArgs};
use super::exit::Exit;
use super::terminal::{Terminal, write_json};
use super::{decrypt, keys};

pub(crate) fn run(args: &InspectArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let keyring = keys::open(&args.keys, terminal)?;
    let options = InspectOptions {
        all_files: args.all,
    };
    let (stdin, paths): (Vec<_>, Vec<_>) = args
        .paths
        .iter()
        .cloned()
        .partition(|path| decrypt::is_dash(path));
    let mut outcome = inspect::inspect(&paths, &keyring, &options);
    if !stdin.is_empty() {
        let input = inspect::inspect_stream(&mut std::io::stdin(), &keyring);
        match input {
            Ok(file) => outcome.files.push(file),
            Err(error) => outcome.failures.push(error),
        }
    }
    let report = InspectReport::new(&outcome);
    let mut out = terminal.out();
    match args.format {
        Format::Text => human::inspect(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    for failure in &outcome.failures {
        terminal.error(&failure.to_string());
    }
    Ok(exit(&outcome))
}

fn exit(outcome: &InspectOutcome) -> Exit {
    if outcome.files.is_empty() && outcome.failures.is_empty() {
        return Exit::Work;
    }
    let failures = outcome.failures.iter().map(binlogsec::error::Error::class);
    Exit::worst(
        outcome
            .files
            .iter()
            .filter_map(Inspected::problem)
            .chain(failures),
    )
}
