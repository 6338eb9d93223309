//! Is a log whole? Every checksum, every length, every position, and what stands between files.
//!
//! The log is cut into segments that workers decipher and check at once. A worker cannot know where
//! the first event of its segment starts: it looks for one whose position and checksum are right.
//! The segments are then joined in order, and where one does not start exactly where the one before
//! it ended, it is checked again from there. So a wrong guess costs time and never truth.

mod continuity;
mod findings;
mod gtids;
mod log_facts;
mod many;
mod orphans;
mod positions;
mod segment;
mod torn;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use continuity::{Gap, GapKind, Link, check as check_continuity};
pub use findings::{Damage, DamageKind, Note};
pub use gtids::{Gtids, MAX_WEIGHT as MAX_GTID_WEIGHT};
use log_facts::LogFacts;
pub use many::{VerifiedLogs, gaps, verify_all};
use orphans::Transactions;
use positions::Positions;
use segment::{Basis, Segment};

use crate::event::FIRST_EVENT;
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::format_description::FormatDescription;
use crate::event::transaction::Progress as TransactionProgress;
use crate::event::walker::{EventForm, WalkError};
use crate::file::pipeline::Progress;
use crate::file::source::WINDOW;
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::error_class::ErrorClass;
use crate::log::kind::LogKind;
use crate::log::log_error::LogError;
use crate::log::open::OpenLog;
use crate::log::walk::{PlainSource, is_in_use};
use crate::mariadb::error::MariadbError;

/// So many damages of one log are kept with their places; more are counted.
pub const MAX_DAMAGES_KEPT: usize = 100;
/// The first segment, which tells what the others need to know, is a small one.
const FIRST_SEGMENT: u64 = 64 << 10;
/// Segments that are checked at once, for each thread: the joining waits for all of them.
const SEGMENTS_PER_THREAD: usize = 8;

/// What became of one log.
#[derive(Debug)]
pub struct Verified {
    /// The log.
    pub path: PathBuf,
    /// What it is; `None` where plaintext alone was given.
    pub kind: Option<LogKind>,
    /// Its format description event.
    pub description: Option<FormatDescription>,
    /// Its size in bytes, as a file.
    pub size: u64,
    /// Events found, good and bad.
    pub events: u64,
    /// Events in which nothing is wrong.
    pub good_events: u64,
    /// Events with a checksum that was checked.
    pub checksums: u64,
    /// Up to which plain offset every event is good.
    pub good_up_to: u64,
    /// Where the check ended; the log's end unless an event's length could not be believed.
    pub checked_up_to: u64,
    /// The first [`MAX_DAMAGES_KEPT`], in order.
    pub damages: Vec<Damage>,
    /// How many there are.
    pub damage_count: u64,
    /// What else there is to say.
    pub notes: Vec<Note>,
    /// Which transactions it holds, and which those before it do.
    pub gtids: Gtids,
    /// The log that its ROTATE event names.
    pub next_log: Option<String>,
    /// The time of the last event that has one, in seconds since 1970 UTC.
    pub last_time: Option<u32>,
}

impl Verified {
    /// What the plaintext does not have: an encrypted event at the log's end of which so little is
    /// left, or whose length is so wrong, that nothing of it can be deciphered.
    pub(super) fn add_tail(&mut self, tail: Option<&LogError>, plain_length: u64, is_strict: bool) {
        let Some(LogError::Mariadb(tail)) = tail.filter(|_| self.checked_up_to >= plain_length)
        else {
            return;
        };
        let (error, is_cut) = match *tail {
            MariadbError::BadLength { offset, length } if length < 19 => {
                (WalkError::LengthTooSmall { offset, length }, false)
            }
            MariadbError::BadLength { offset, length } => {
                (WalkError::Lost { offset, length }, false)
            }
            MariadbError::Cut { offset, available, .. } => {
                (WalkError::HeaderCut { offset, available }, true)
            }
            _ => return,
        };
        let is_known = |damage: &Damage| damage.plain_offset == error.offset();
        if self.has_cut_tail() || self.damages.iter().any(is_known) {
            return;
        }
        if is_cut && !is_strict && self.description.as_ref().is_some_and(FormatDescription::in_use)
        {
            self.notes.push(Note::CutTail(error));
            return;
        }
        self.notes.retain(|note| !matches!(note, Note::NoLastEvent));
        self.damage_count = self.damage_count.saturating_add(1);
        self.damages.push(Damage {
            plain_offset: error.offset(),
            file_offset: error.offset(),
            events_before: self.events,
            event_type: None,
            kind: if is_cut { DamageKind::Cut(error) } else { DamageKind::NoEvent(error) },
        });
    }

    /// Drops its GTIDs, and says so: there are too many of them in all logs of a run.
    pub fn forget_gtids(&mut self) {
        if !self.gtids.overflowed {
            self.gtids.overflow();
            self.notes.push(Note::GtidsNotJudged);
        }
    }

    /// Whether nothing is damaged.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.damage_count == 0
    }

    /// Whether its last bytes are those of an event that was never finished, by a log that was
    /// never closed.
    #[must_use]
    pub fn has_cut_tail(&self) -> bool {
        self.notes.iter().any(|note| matches!(note, Note::CutTail(_)))
    }

    /// The class of its damage; `None` for a whole log.
    #[must_use]
    pub const fn problem(&self) -> Option<ErrorClass> {
        if self.is_whole() { None } else { Some(ErrorClass::Damage) }
    }
}

/// Opens a log and verifies it, in memory alone.
///
/// # Errors
/// As [`OpenLog::open`]: a log whose kind, key or format description event is damaged cannot be
/// read at all. Damage behind that is part of the outcome.
pub fn verify_file(
    path: &Path,
    keys: &Keyring,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    verify(&OpenLog::open(path, keys)?, progress)
}

/// How a log is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VerifyOptions {
    /// A log that has no end counts as damaged: one that was never closed, that ends within an event
    /// or a transaction, or in neither ROTATE nor STOP.
    pub strict: bool,
    /// Nobody asks for GTIDs: none are collected.
    pub without_gtids: bool,
}

/// Verifies an open log, on all threads of the current rayon pool.
///
/// # Errors
/// [`Error::Transfer`].
pub fn verify(log: &OpenLog, progress: &dyn Progress) -> Result<Verified, Error> {
    verify_with(log, VerifyOptions::default(), progress)
}

/// The same with options.
///
/// # Errors
/// [`Error::Transfer`].
pub fn verify_with(
    log: &OpenLog,
    options: VerifyOptions,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    let description = log.probe().description().cloned();
    let mut verified = verify_source(log, description, options, progress)?;
    verified.add_tail(log.tail_damage().as_ref(), log.plain_length(), options.strict);
    Ok(Verified { kind: Some(log.kind().clone()), ..verified })
}

/// Verifies plaintext wherever it comes from, given the format description event that it starts
/// with; `None` if it ends before that does.
///
/// # Errors
/// [`Error::Transfer`].
pub fn verify_plain(
    source: &dyn PlainSource,
    description: Option<FormatDescription>,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    verify_source(source, description, VerifyOptions::default(), progress)
}

fn verify_source(
    source: &dyn PlainSource,
    description: Option<FormatDescription>,
    options: VerifyOptions,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    let log = LogFacts::new(description.as_ref(), !options.without_gtids);
    let mut joined = Joined::new(source, log);
    joined.run(progress)?;
    source.check_size()?;
    let in_use = is_in_use(source, description.as_ref())?;
    Ok(joined.finish(description, in_use, options.strict))
}

/// The segments up to here as one.
struct Joined<'s> {
    source: &'s dyn PlainSource,
    log: LogFacts,
    whole: Segment,
}

impl<'s> Joined<'s> {
    fn new(source: &'s dyn PlainSource, log: LogFacts) -> Self {
        let form = EventForm::new(ChecksumAlgorithm::None);
        Self {
            source,
            log,
            whole: Segment {
                positions: Positions::at_start(log.has_sound_positions),
                transactions: Transactions::at_start(log.is_relay),
                ..Segment::starting_at(FIRST_EVENT, form, log)
            },
        }
    }

    fn run(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        let length = self.source.plain_length();
        if length <= FIRST_EVENT {
            self.whole.stop = Some(WalkError::HeaderCut { offset: FIRST_EVENT, available: 0 });
        }
        let mut start = FIRST_EVENT;
        let mut end = FIRST_SEGMENT.min(length);
        let threads = rayon::current_num_threads();
        while start < length && self.whole.stop.is_none() {
            let batch = if start == FIRST_EVENT {
                vec![(start, end)]
            } else {
                segments(start, length, threads.saturating_mul(SEGMENTS_PER_THREAD))
            };
            end = batch.last().map_or(length, |(_, end)| *end);
            let basis = self.basis();
            let guessed: Vec<Result<Segment, Error>> = if threads > 1 && batch.len() > 1 {
                batch
                    .par_iter()
                    .map(|&(start, end)| segment::guess(self.source, &basis, start, end, progress))
                    .collect()
            } else {
                vec![] // One thread knows where each segment starts.
            };
            let mut guessed = guessed.into_iter();
            for (_, end) in batch {
                let guess = guessed.next().transpose()?;
                self.join(guess, end, progress)?;
            }
            start = end;
        }
        Ok(())
    }

    /// What a worker may assume of events further on.
    fn basis(&self) -> Basis {
        Basis {
            log: self.log,
            form: self.whole.form,
            server_ids: self.whole.server_ids.clone(),
            shift: self.whole.positions.shift().unwrap_or(0),
        }
    }

    fn join(
        &mut self,
        guess: Option<Segment>,
        end: u64,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let start = self.whole.end;
        if start >= end || self.whole.stop.is_some() {
            return Ok(());
        }
        let basis = self.basis();
        let segment = match guess {
            Some(guess) if guess.start == start && guess.assumed == basis.form => guess,
            Some(_) => segment::check(self.source, &basis, start, end, None)?,
            None => segment::check(self.source, &basis, start, end, Some(progress))?,
        };
        self.whole.append(segment);
        Ok(())
    }

    fn finish(
        self,
        description: Option<FormatDescription>,
        in_use: bool,
        is_strict: bool,
    ) -> Verified {
        let Self { source, log, mut whole } = self;
        let mut notes = Vec::new();
        if in_use {
            notes.push(Note::InUse);
        }
        if let Some(error) = whole.stop {
            if in_use && error.is_cut() && !is_strict {
                notes.push(Note::CutTail(error));
            } else if !matches!(error, WalkError::Lost { .. }) {
                // Of an event that is lost the damage is known already.
                let kind = if error.is_cut() {
                    DamageKind::Cut(error)
                } else {
                    DamageKind::NoEvent(error)
                };
                whole.damage(error.offset(), None, kind);
            }
        }
        whole.conclude(&mut notes, log, expects_gtids(description.as_ref()));
        whole.add_notes(&mut notes, in_use, log.is_relay);
        if is_strict && whole.damage_count == 0 && !whole.is_closed(in_use, log.is_relay) {
            whole.damage(whole.end, None, DamageKind::NotClosed);
        }
        let damages = whole.damages.iter().map(|damage| Damage {
            file_offset: source.file_offset(damage.plain_offset),
            ..*damage
        });
        let good_up_to =
            damages.clone().map(|damage| damage.plain_offset).next().unwrap_or(whole.end);
        Verified {
            path: source.path().to_owned(),
            kind: None,
            description,
            size: source.file_length(),
            events: whole.events,
            good_events: whole.events.saturating_sub(whole.bad_events),
            checksums: whole.checksums,
            good_up_to,
            checked_up_to: whole.end,
            damages: damages.collect(),
            damage_count: whole.damage_count,
            notes,
            gtids: whole.gtids,
            next_log: whole.next_log,
            last_time: whole.last_time,
        }
    }
}

/// Whether the server that wrote a log gives an event with a GTID, or with the word that there is
/// none, to every transaction: MySQL since 5.7.6, MariaDB since 10.0.2.
fn expects_gtids(description: Option<&FormatDescription>) -> bool {
    description.is_some_and(|description| {
        let since = if description.is_mariadb() { (10, 0, 2) } else { (5, 7, 6) };
        description.version() >= since
    })
}

impl Segment {
    /// Adds what the end of the log decides.
    fn conclude(&mut self, notes: &mut Vec<Note>, log: LogFacts, expects_gtids: bool) {
        self.positions.finish(self.stop.is_some());
        let of_positions = std::mem::take(&mut self.positions.damages);
        let count = self.positions.damage_count;
        self.bad_events = self.bad_events.saturating_add(count);
        self.add_damages(of_positions, count);
        let transactions = std::mem::take(&mut self.transactions);
        let progress = transactions.progress;
        if expects_gtids {
            let orphans = transactions.finish(log.is_relay);
            self.add_damages(orphans.damages, orphans.damage_count);
            if let Some(plain_offset) = orphans.first_lost {
                let count = orphans.lost;
                notes.push(Note::LostGtids { plain_offset, count });
            }
        }
        self.transactions.progress = progress;
        if let Some(plain_offset) = self.torn.first_torn {
            notes.push(Note::TornTransactions { plain_offset, count: self.torn.count });
        }
        let moves = self.positions.moves;
        match self.positions.first_moved {
            Some(_) if log.is_relay => notes.push(Note::SourceJumps { count: moves }),
            Some(_) if !log.has_sound_positions => {
                notes.push(Note::UnsoundPositions { count: moves });
            }
            Some(plain_offset) => notes.push(Note::Moved { plain_offset, count: moves }),
            None => {}
        }
    }

    /// Adds damages that were found apart from the others.
    fn add_damages(&mut self, damages: Vec<Damage>, count: u64) {
        self.damage_count = self.damage_count.saturating_add(count);
        self.damages.extend(damages);
        self.damages.sort_by_key(|damage| damage.plain_offset);
        self.damages.truncate(MAX_DAMAGES_KEPT);
    }

    /// Whether it ends as a log does that its server closed.
    const fn is_closed(&self, in_use: bool, is_relay: bool) -> bool {
        let is_unfinished = self.transactions.progress.is_unfinished() && !is_relay;
        !in_use && self.ends_properly && self.stop.is_none() && !is_unfinished
    }

    fn add_notes(&self, notes: &mut Vec<Note>, in_use: bool, is_relay: bool) {
        if self.transactions.progress.is_unfinished() && !is_relay {
            notes.push(Note::UnfinishedTransaction);
        }
        if !in_use && !is_relay && !self.ends_properly && self.stop.is_none() {
            notes.push(Note::NoLastEvent);
        }
        if let Some(event_type) = self.unknown_type {
            let count = self.unknown;
            notes.push(Note::UnknownEvents { event_type, count });
        }
        if self.left_folded > 0 {
            let count = self.left_folded;
            notes.push(Note::LeftFolded { count });
        }
        if self.gtids.overflowed {
            notes.push(Note::GtidsNotJudged);
        }
        if self.checksums < self.events {
            notes.push(Note::NoChecksums);
        }
    }
}

/// The next segments: they end where the source's windows do.
fn segments(start: u64, length: u64, most: usize) -> Vec<(u64, u64)> {
    let mut segments = Vec::new();
    let mut start = start;
    while start < length && segments.len() < most {
        let boundary = (start / WINDOW).saturating_add(1).saturating_mul(WINDOW);
        let end = boundary.min(length);
        segments.push((start, end));
        start = end;
    }
    segments
}

/// How far the transaction at the end of a part is, given the parts before.
const fn continued(before: TransactionProgress, part: TransactionProgress) -> TransactionProgress {
    match part {
        TransactionProgress::Unknown => before,
        known => known,
    }
}
