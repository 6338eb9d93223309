//! `binlogsec decrypt` of a part of a log.

use std::io;
use std::path::Path;

use anyhow::bail;
use binlogsec_core::batch::transfer::Output;
use binlogsec_core::event::gtid_selection::{GtidPosition, GtidSelection};
use binlogsec_core::file::sealed::Recipients;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::decrypt::{self, Decrypted, FileOutcome, FileResult};
use binlogsec_core::read::slice::{self, SliceOptions};
use clap::Args;

use crate::command::decrypt::DecryptArgs;
use crate::progress::Bar;
use crate::terminal::Terminal;
use crate::time;
use crate::transfer::{STDOUT, is_dash, open_source};

/// Which transactions; as the options of mysqlbinlog of the same names, but whole transactions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Slices: only some transactions (with -o FILE)")]
pub(crate) struct SliceArgs {
    /// Transactions that begin at this position or behind it; an event must start there. Or, in logs
    /// of MariaDB, those behind these GTIDs, one of each domain
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    start_position: Option<Position>,
    /// Transactions that end at this position or before it; or, in logs of MariaDB, those up to these
    /// GTIDs, of their domains alone
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    stop_position: Option<Position>,
    /// From the first transaction on whose first event is of this time or later (UTC, or with an
    /// offset)
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    start_datetime: Option<i64>,
    /// Up to the first transaction whose first event is of this time or later
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    stop_datetime: Option<i64>,
    /// Transactions in this set, e.g. UUID:1-5:tag:7, or of MariaDB 0-1-100,0-1-105..0-1-110
    #[arg(long, value_name = "SET", visible_alias = "gtid")]
    include_gtids: Option<GtidSelection>,
    /// Transactions not in this set
    #[arg(long, value_name = "SET")]
    exclude_gtids: Option<GtidSelection>,
    /// Transactions of this MariaDB domain; repeatable
    #[arg(long = "domain-id", value_name = "ID")]
    domain_ids: Vec<u32>,
    /// Transactions that this server wrote; repeatable
    #[arg(long = "server-id", value_name = "ID")]
    server_ids: Vec<u32>,
}

/// Where to begin or end.
#[derive(Debug, Clone)]
pub(crate) enum Position {
    /// At a plain offset.
    Offset(u64),
    /// By MariaDB's GTIDs.
    Gtids(GtidPosition),
}

impl Position {
    pub(crate) const fn offset(&self) -> Option<u64> {
        match self {
            Self::Offset(offset) => Some(*offset),
            Self::Gtids(_) => None,
        }
    }

    pub(crate) fn gtids(&self) -> Option<GtidPosition> {
        match self {
            Self::Offset(_) => None,
            Self::Gtids(gtids) => Some(gtids.clone()),
        }
    }
}

pub(crate) fn position(text: &str) -> Result<Position, String> {
    if let Ok(offset) = text.parse() {
        return Ok(Position::Offset(offset));
    }
    if !text.contains('-') {
        return Err("a position is a number, or a list of MariaDB's GTIDs, e.g. 0-1-100".to_owned());
    }
    let gtids = text.parse::<GtidPosition>();
    gtids.map(Position::Gtids).map_err(|error| error.to_string())
}

impl SliceArgs {
    pub(crate) fn options(&self) -> SliceOptions {
        let offset = |position: &Option<Position>| position.as_ref().and_then(Position::offset);
        let gtids = |position: &Option<Position>| position.as_ref().and_then(Position::gtids);
        SliceOptions {
            start_position: offset(&self.start_position),
            stop_position: offset(&self.stop_position),
            after_gtids: gtids(&self.start_position),
            up_to_gtids: gtids(&self.stop_position),
            domain_ids: self.domain_ids.iter().copied().collect(),
            server_ids: self.server_ids.iter().copied().collect(),
            start_time: self.start_datetime,
            stop_time: self.stop_datetime,
            include_gtids: self.include_gtids.clone(),
            exclude_gtids: self.exclude_gtids.clone(),
        }
    }
}

/// A part of one log. Plaintext logs are as good as encrypted ones here.
pub(crate) fn one_slice(
    args: &DecryptArgs,
    (options, recipients): (&SliceOptions, Option<&Recipients>),
    output: &Path,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<FileResult> {
    let [path] = args.inputs.as_slice() else {
        bail!("a slice is made of one log, {} were named", args.inputs.len());
    };
    let result = open_source(path)
        .and_then(|source| OpenLog::new(source, keyring))
        .and_then(|log| write_slice(args, &log, (options, recipients), output, terminal));
    match result {
        Err(Error::Transfer(error)) if error.is_broken_pipe() => Err(Error::from(error).into()),
        result => {
            let outcome = |decrypted| FileOutcome::Done(output.to_owned(), decrypted);
            Ok(FileResult { input: path.clone(), result: result.map(outcome) })
        }
    }
}

fn write_slice(
    args: &DecryptArgs,
    log: &OpenLog,
    (options, recipients): (&SliceOptions, Option<&Recipients>),
    output: &Path,
    terminal: &Terminal,
) -> Result<Decrypted, Error> {
    let notes = if args.verify { decrypt::refuse_damaged(log, args.strict)? } else { Vec::new() };
    let plan = slice::plan(log, options)?;
    let bar = Bar::new(Some(plan.length()), terminal);
    if is_dash(output) {
        let mut stdout = io::stdout().lock();
        let target = Output::Stream(&mut stdout, Path::new(STDOUT));
        slice::write(log, &plan, target, recipients, &bar)?;
    } else {
        let target = Output::File(output, args.write.sink_options());
        slice::write(log, &plan, target, recipients, &bar)?;
    }
    drop(bar);
    if plan.incomplete > 0 {
        terminal.warning(&format!(
            "{} transactions that the range cuts were left out",
            plan.incomplete
        ));
    }
    if plan.transactions == 0 {
        terminal.warning("no transaction is in the slice");
    }
    terminal.detail(&format!("{} transactions", plan.transactions));
    Ok(Decrypted { notes, ..Decrypted::of(log, plan.length(), recipients) })
}
