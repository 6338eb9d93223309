//! The report of `binlogsec verify`.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::log_entry::{Failure, role};
use crate::note_entry::NoteEntry;
#[cfg(test)]
use crate::schema_values;
use crate::shard::entry::{ShardEntry, failures, in_order};
use binlogsec_core::event::event_type;
use binlogsec_core::event::gtid_set::GtidError;
use binlogsec_core::log::error::Error;
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::read::verify::{
    Damage, Gap, Gtids, Link, Note, Verified, check_continuity, gaps,
};
use binlogsec_core::text::path_text;

/// `binlogsec verify --format json`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifyReport {
    /// `binlogsec.verify/1`.
    pub schema: Cow<'static, str>,
    /// Which part of a run this is, if it is one: gaps are looked for when all are merged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<ShardEntry>,
    /// Every log that could be opened.
    pub files: Vec<VerifyEntry>,
    /// What does not join one log to the next.
    pub gaps: Vec<GapEntry>,
    /// Logs that could not be opened, and names that could not be read.
    pub failures: Vec<Failure>,
    /// Counts.
    pub summary: VerifySummary,
}

/// Counts over all logs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifySummary {
    /// Logs that were read.
    pub files: usize,
    /// Of them, those in which nothing is damaged.
    pub whole: usize,
    /// Of them, those that are damaged.
    pub damaged: usize,
    /// Events in all of them.
    pub events: u64,
    /// Gaps between logs.
    pub gaps: usize,
    /// Failures.
    pub failures: usize,
}

/// One log.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifyEntry {
    /// As given, or as found.
    pub path: String,
    /// `whole`, `cut` (an unfinished event at the end of a log that was never closed) or
    /// `damaged`.
    pub status: VerifyStatus,
    /// See [`LogKind::name`](binlogsec_core::log::kind::LogKind::name).
    #[cfg_attr(test, schemars(extend("enum" = schema_values::kinds_or_null())))]
    pub kind: Option<Cow<'static, str>>,
    /// `binlog` or `relaylog`, where the log says.
    #[cfg_attr(test, schemars(extend("enum" = ["binlog", "relaylog", null])))]
    pub role: Option<Cow<'static, str>>,
    /// Size of the file in bytes.
    pub size: u64,
    /// Events, good and bad.
    pub events: u64,
    /// Events in which nothing is wrong.
    pub good_events: u64,
    /// Checksums that were checked.
    pub checksums: u64,
    /// Up to which plain offset every event is good.
    pub good_up_to: u64,
    /// Up to which plain offset the log could be read.
    pub checked_up_to: u64,
    /// How many damages there are.
    pub damage_count: u64,
    /// The first of them.
    pub damages: Vec<DamageEntry>,
    /// What else there is to say.
    pub notes: Vec<NoteEntry>,
    /// GTIDs of the log's own transactions; of a log of MariaDB the last one of each domain and
    /// server, as in `gtid_binlog_state`.
    pub gtids: String,
    /// GTIDs that occur more than once.
    pub repeated_gtids: String,
    /// The set in PREVIOUS_GTIDS; of a log of MariaDB what its GTID_LIST has.
    pub previous_gtids: Option<String>,
    /// The log that ROTATE names.
    pub next_log: Option<String>,
    /// The id of the server that wrote the log.
    #[serde(default)]
    pub server_id: Option<u32>,
    /// In the report of a shard: its number among all files, those of the other shards included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<u64>,
}

/// What a log comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VerifyStatus {
    /// Nothing is damaged.
    Whole,
    /// Nothing is damaged; at its end is an unfinished event, and it was never closed.
    Cut,
    /// Something is damaged.
    Damaged,
}

/// One damage.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DamageEntry {
    /// Where the event starts in the plaintext.
    pub plain_offset: u64,
    /// Where it starts in the file.
    pub file_offset: u64,
    /// How many events stand before it.
    pub events_before: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// What is wrong.
    pub reason: String,
}

/// One gap.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GapEntry {
    /// The log before.
    pub before: String,
    /// The log after.
    pub after: String,
    /// What is amiss.
    pub reason: String,
}

impl VerifyReport {
    /// From the outcomes of one run.
    #[must_use]
    pub(crate) fn new(logs: Vec<(u64, Verified)>, errors: &[Error]) -> Self {
        let entries = logs.iter().map(|(_, log)| VerifyEntry::new(log)).collect();
        let links: Vec<_> = logs.into_iter().map(|(_, log)| Link::from(log)).collect();
        Self::of_files(entries, &gaps(&links), failures(errors))
    }

    /// The report of one shard; each log with its number among all.
    #[must_use]
    pub(crate) fn of_shard(files: &[(u64, Verified)], errors: &[Error], shard: ShardEntry) -> Self {
        let entry = |(position, file): &(u64, Verified)| VerifyEntry {
            position: Some(*position),
            ..VerifyEntry::new(file)
        };
        Self {
            shard: Some(shard),
            ..Self::of_files(files.iter().map(entry).collect(), &[], failures(errors))
        }
    }

    /// One report of those of all shards of a run, with the gaps between all of their logs.
    ///
    /// # Errors
    /// [`GtidError`] when a report has a GTID set that is none.
    pub(crate) fn merged(shards: Vec<Self>) -> Result<Self, GtidError> {
        let (mut files, mut failures) = (Vec::new(), Vec::new());
        for shard in shards {
            files.extend(shard.files);
            failures.extend(shard.failures);
        }
        files.sort_by(|one, other| {
            let key = |file: &VerifyEntry| file.position;
            key(one).cmp(&key(other)).then_with(|| one.path.cmp(&other.path))
        });
        files.iter_mut().for_each(|file| file.position = None);
        let links: Vec<_> = files.iter().map(VerifyEntry::link).collect::<Result<_, _>>()?;
        Ok(Self::of_files(files, &check_continuity(&links), in_order(failures)))
    }

    fn of_files(files: Vec<VerifyEntry>, gaps: &[Gap], failures: Vec<Failure>) -> Self {
        let whole = files.iter().filter(|file| file.damage_count == 0).count();
        let events = files.iter().map(|file| file.events);
        Self {
            schema: "binlogsec.verify/1".into(),
            shard: None,
            summary: VerifySummary {
                files: files.len(),
                whole,
                damaged: files.len().saturating_sub(whole),
                events: events.fold(0, u64::saturating_add),
                gaps: gaps.len(),
                failures: failures.len(),
            },
            files,
            gaps: gaps.iter().map(GapEntry::new).collect(),
            failures,
        }
    }

    /// Damage, and what could not be read.
    pub(crate) fn problems(&self) -> impl Iterator<Item = ErrorClass> {
        let damaged = self.files.iter().filter(|file| file.damage_count > 0);
        let failures = self.failures.iter().map(|failure| failure.class);
        damaged.map(|_| ErrorClass::Damage).chain(failures)
    }
}

impl VerifyEntry {
    fn new(file: &Verified) -> Self {
        let status = match (file.is_whole(), file.has_cut_tail()) {
            (false, _) => VerifyStatus::Damaged,
            (true, true) => VerifyStatus::Cut,
            (true, false) => VerifyStatus::Whole,
        };
        let description = file.description.as_ref();
        Self {
            path: path_text::text(&file.path),
            status,
            kind: file.kind.as_ref().map(|kind| kind.name().into()),
            role: description.map(role),
            size: file.size,
            events: file.events,
            good_events: file.good_events,
            checksums: file.checksums,
            good_up_to: file.good_up_to,
            checked_up_to: file.checked_up_to,
            damage_count: file.damage_count,
            damages: file.damages.iter().map(DamageEntry::new).collect(),
            notes: NoteEntry::all(&file.notes),
            gtids: match &file.gtids {
                mariadb if !mariadb.last.is_empty() => mariadb.last.to_string(),
                mysql => mysql.own.to_string(),
            },
            repeated_gtids: file.gtids.repeated.to_string(),
            previous_gtids: match &file.gtids {
                Gtids { list: Some(list), .. } => Some(list.to_string()),
                mysql => mysql.previous.as_ref().map(ToString::to_string),
            },
            next_log: file.next_log.clone(),
            server_id: description.map(|description| description.header.server_id),
            position: None,
        }
    }

    fn link(&self) -> Result<Link, GtidError> {
        Ok(Link {
            path: PathBuf::from(&self.path),
            is_relay: self.role.as_deref() == Some("relaylog"),
            is_whole: self.damage_count == 0,
            gtids: self.known_gtids()?,
            server_id: self.server_id,
            next_log: self.next_log.clone(),
        })
    }
}

impl VerifyEntry {
    fn known_gtids(&self) -> Result<Gtids, GtidError> {
        let previous = self.previous_gtids.as_deref();
        let is_mariadb = self.kind.as_deref().is_some_and(|kind| kind.starts_with("mariadb"));
        let mut gtids = Gtids {
            overflowed: self.notes.iter().any(|note| note.id == NOT_JUDGED),
            ..Gtids::default()
        };
        if is_mariadb {
            gtids.list = previous.map(str::parse).transpose()?;
            gtids.last = self.gtids.parse()?;
        } else {
            gtids.previous = previous.map(str::parse).transpose()?;
            gtids.own = self.gtids.parse()?;
        }
        Ok(gtids)
    }
}

/// The note of a log whose GTIDs are too many.
const NOT_JUDGED: &str = Note::GtidsNotJudged.name();

impl DamageEntry {
    fn new(damage: &Damage) -> Self {
        let name = |number| event_type::name(number).into_owned();
        Self {
            plain_offset: damage.plain_offset,
            file_offset: damage.file_offset,
            events_before: damage.events_before,
            event_type: damage.event_type.map(name),
            reason: damage.kind.to_string(),
        }
    }
}

impl GapEntry {
    fn new(gap: &Gap) -> Self {
        Self {
            before: path_text::text(&gap.before),
            after: path_text::text(&gap.after),
            reason: gap.kind.to_string(),
        }
    }
}
