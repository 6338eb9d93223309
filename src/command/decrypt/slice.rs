//! Which transactions `binlogsec decrypt` takes.

use binlogsec_core::event::gtid_selection::GtidSelection;
use binlogsec_core::read::slice::SliceOptions;
use binlogsec_core::read::tables::TableGlob;
use clap::Args;

use crate::chosen::{Position, position, table, tables};
use crate::terminal::Terminal;
use crate::time::{self, Time, ZoneArgs};

/// Which transactions; as the options of mysqlbinlog of the same names, but whole transactions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Slices: only some transactions (with -o)")]
pub(crate) struct SliceArgs {
    /// Transactions that begin at this position of the first log or behind it; an event must start
    /// there. Or, in logs of MariaDB, those behind these GTIDs, one of each domain
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    start_position: Option<Position>,
    /// Transactions that end at this position of the last log or before it; or, in logs of MariaDB,
    /// those up to these GTIDs, of their domains alone
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    stop_position: Option<Position>,
    /// From the first transaction on whose first event is of this time or later; see --time-zone
    #[arg(long, value_name = "TIME", value_parser = time::parse, visible_alias = "start-datetime")]
    from: Option<Time>,
    /// Up to the first transaction whose first event is of this time or later, which is left out
    #[arg(long, value_name = "TIME", value_parser = time::parse, visible_alias = "stop-datetime")]
    to: Option<Time>,
    #[command(flatten)]
    zone: ZoneArgs,
    /// Transactions in this set, e.g. UUID:1-5:tag:7, or of MariaDB 0-1-100,0-1-105..0-1-110
    #[arg(long, value_name = "SET", visible_alias = "include-gtids")]
    gtid: Option<GtidSelection>,
    /// Transactions not in this set
    #[arg(long, value_name = "SET", visible_alias = "exclude-gtids")]
    exclude_gtid: Option<GtidSelection>,
    /// Transactions of this MariaDB domain; repeatable
    #[arg(long = "domain-id", value_name = "ID")]
    domain_ids: Vec<u32>,
    /// Transactions that this server wrote; repeatable
    #[arg(long = "server-id", value_name = "ID")]
    server_ids: Vec<u32>,
    /// Transactions that change tables of this database, or have a statement run in it or that names them, as
    /// a whole; `*` and `?` stand for any characters; repeatable
    #[arg(long = "database", value_name = "DB")]
    databases: Vec<String>,
    /// The same for this table, e.g. 'shop.order*'; repeatable
    #[arg(long = "table", value_name = "DB.TABLE", value_parser = table)]
    tables: Vec<TableGlob>,
}

impl SliceArgs {
    /// The options, with times as the zone understands them: what that came to is told.
    pub(crate) fn options(&self, terminal: &Terminal) -> anyhow::Result<SliceOptions> {
        let [start_time, stop_time] =
            self.zone.seconds([("--from", &self.from), ("--to", &self.to)], terminal)?;
        let offset = |position: &Option<Position>| position.as_ref().and_then(Position::offset);
        let gtids = |position: &Option<Position>| position.as_ref().and_then(Position::gtids);
        Ok(SliceOptions {
            start_position: offset(&self.start_position),
            stop_position: offset(&self.stop_position),
            after_gtids: gtids(&self.start_position),
            up_to_gtids: gtids(&self.stop_position),
            domain_ids: self.domain_ids.iter().copied().collect(),
            server_ids: self.server_ids.iter().copied().collect(),
            tables: tables(&self.databases, &self.tables),
            start_time,
            stop_time,
            include_gtids: self.gtid.clone(),
            exclude_gtids: self.exclude_gtid.clone(),
        })
    }
}
