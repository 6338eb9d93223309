//! Is a log whole? Every checksum, every length, every position, and what stands between files.
//!
//! The log is cut into segments that workers decipher and check at once. A worker cannot know where
//! the first event of its segment starts: it looks for one whose position and checksum are right.
//! The segments are then joined in order, and where one does not start exactly where the one before
//! it ended, it is checked again from there. So a wrong guess costs time and never truth.

mod continuity;
mod segment;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use continuity::{Gap, GapKind, Link, check as check_continuity};
use segment::{Basis, Segment};

use crate::error::{Error, ErrorClass};
use crate::event::FIRST_EVENT;
use crate::event::checksum::ChecksumMismatch;
use crate::event::format_description::FormatDescription;
use crate::event::gtid_set::GtidSet;
use crate::event::transaction::Progress as TransactionProgress;
use crate::event::walker::WalkError;
use crate::io::pipeline::Progress;
use crate::io::source::{FileSource, WINDOW};
use crate::keyring::Keyring;
use crate::log::LogKind;
use crate::mariadb::error::MariadbError;
use crate::open::{LogError, OpenLog};
use crate::walk::{PlainSource, is_in_use};

/// So many damages of one log are kept with their places; more are counted.
pub const MAX_DAMAGES_KEPT: usize = 100;
/// The first segment, which tells what the others need to know, is a small one.
const FIRST_SEGMENT: u64 = 64 << 10;
/// Segments that are checked at once, for each thread: the joining waits for all of them.
const SEGMENTS_PER_THREAD: usize = 8;

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// Its checksum is not that of its bytes.
    #[error("{0}")]
    Checksum(ChecksumMismatch),
    /// It ends elsewhere than its end position says, in a log without checksums.
    #[error("its end position is {found}, {expected} was expected")]
    Position {
        /// In the header.
        found: u32,
        /// By offset and length, modulo 2^32.
        expected: u32,
    },
    /// Its header cannot be one.
    #[error("its header is none: type {event_type}, flags {flags:#06x}")]
    Implausible {
        /// Type byte.
        event_type: u8,
        /// Flags.
        flags: u16,
    },
    /// There is no event where one should start.
    #[error("{0}")]
    NoEvent(WalkError),
    /// The log ends within an event, although it was closed.
    #[error("{0}")]
    Cut(WalkError),
}

/// One event that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts in the plaintext.
    pub plain_offset: u64,
    /// Where that is in the file.
    pub file_offset: u64,
    /// How many events stand before it.
    pub events_before: u64,
    /// Its type, if there is an event.
    pub event_type: Option<u8>,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is noteworthy and no damage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The log is in use, or its server crashed: it was not closed.
    InUse,
    /// It ends within an event, as a log does whose server is writing it or crashed.
    CutTail(WalkError),
    /// It ends within a transaction.
    UnfinishedTransaction,
    /// It was closed, and its last event is neither a ROTATE nor a STOP: a crash and a recovery, or
    /// a cut between two events.
    NoLastEvent,
    /// Events are whole and stand elsewhere than they did: the log is a slice, or was salvaged.
    Moved {
        /// Where the first such event is.
        plain_offset: u64,
        /// How often the difference changes.
        count: u64,
    },
    /// In a relay log: the source's positions jump, as they do when events are filtered out or the
    /// connection was made anew.
    SourceJumps {
        /// How often.
        count: u64,
    },
    /// Events without checksums: only their lengths and positions were checked. In a relay log
    /// those of a source that writes none.
    NoChecksums,
}

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
    /// The set in its PREVIOUS_GTIDS event.
    pub previous_gtids: Option<GtidSet>,
    /// GTIDs of its own transactions.
    pub gtids: GtidSet,
    /// GTIDs that occur twice in it.
    pub repeated_gtids: GtidSet,
    /// The log that its ROTATE event names.
    pub next_log: Option<String>,
}

impl Verified {
    /// What the plaintext does not have: an encrypted event at the log's end of which so little is
    /// left, or whose length is so wrong, that nothing of it can be deciphered.
    fn add_tail(&mut self, tail: &MariadbError) {
        let (error, is_cut) = match *tail {
            MariadbError::BadLength { offset, length } if length < 19 => {
                (WalkError::LengthTooSmall { offset, length }, false)
            }
            MariadbError::BadLength { offset, length } => {
                (WalkError::Lost { offset, length }, false)
            }
            MariadbError::Cut {
                offset, available, ..
            } => (WalkError::HeaderCut { offset, available }, true),
            _ => return,
        };
        let is_known = |damage: &Damage| damage.plain_offset == error.offset();
        if self.has_cut_tail() || self.damages.iter().any(is_known) {
            return;
        }
        if is_cut
            && self
                .description
                .as_ref()
                .is_some_and(FormatDescription::in_use)
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
            kind: if is_cut {
                DamageKind::Cut(error)
            } else {
                DamageKind::NoEvent(error)
            },
        });
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
        self.notes
            .iter()
            .any(|note| matches!(note, Note::CutTail(_)))
    }

    /// The class of its damage; `None` for a whole log.
    #[must_use]
    pub const fn problem(&self) -> Option<ErrorClass> {
        if self.is_whole() {
            None
        } else {
            Some(ErrorClass::Damage)
        }
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
    verify(&OpenLog::new(FileSource::open(path)?, keys)?, progress)
}

/// Verifies an open log, on all threads of the current rayon pool.
///
/// # Errors
/// [`Error::Transfer`].
pub fn verify(log: &OpenLog, progress: &dyn Progress) -> Result<Verified, Error> {
    let description = log.probe().description().cloned();
    let mut verified = verify_plain(log, description, progress)?;
    if let Some(LogError::Mariadb(tail)) = log.tail_damage()
        && verified.checked_up_to >= log.plain_length()
    {
        verified.add_tail(&tail);
    }
    Ok(Verified {
        kind: Some(log.kind().clone()),
        ..verified
    })
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
    let is_relay = description
        .as_ref()
        .is_some_and(FormatDescription::is_relay_log);
    let mut joined = Joined::new(source, is_relay);
    joined.run(progress)?;
    source.check_size()?;
    let in_use = is_in_use(source, description.as_ref())?;
    Ok(joined.finish(description, in_use))
}

/// The segments up to here as one.
struct Joined<'s> {
    source: &'s dyn PlainSource,
    is_relay: bool,
    whole: Segment,
}

impl<'s> Joined<'s> {
    fn new(source: &'s dyn PlainSource, is_relay: bool) -> Self {
        Self {
            source,
            is_relay,
            whole: Segment::starting_at(FIRST_EVENT),
        }
    }

    fn run(&mut self, progress: &dyn Progress) -> Result<(), Error> {
        let length = self.source.plain_length();
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
            checksum: self.whole.checksum,
            server_ids: self.whole.server_ids.clone(),
            is_relay: self.is_relay,
            shift: self.whole.last_shift.unwrap_or(0),
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
            Some(guess) if guess.start == start && guess.assumed == basis.checksum => guess,
            Some(_) => segment::check(self.source, &basis, start, end, None)?,
            None => segment::check(self.source, &basis, start, end, Some(progress))?,
        };
        self.whole.append(segment, self.is_relay);
        Ok(())
    }

    fn finish(self, description: Option<FormatDescription>, in_use: bool) -> Verified {
        let Self {
            source, mut whole, ..
        } = self;
        let mut notes = Vec::new();
        if in_use {
            notes.push(Note::InUse);
        }
        if let Some(error) = whole.stop {
            if in_use && error.is_cut() {
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
        whole.add_notes(&mut notes, in_use, self.is_relay);
        let damages = whole.damages.iter().map(|damage| Damage {
            file_offset: source.file_offset(damage.plain_offset),
            ..*damage
        });
        let good_up_to = damages
            .clone()
            .map(|damage| damage.plain_offset)
            .next()
            .unwrap_or(whole.end);
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
            previous_gtids: whole.previous_gtids,
            gtids: whole.gtids,
            repeated_gtids: whole.repeated_gtids,
            next_log: whole.next_log,
        }
    }
}

impl Segment {
    fn add_notes(&self, notes: &mut Vec<Note>, in_use: bool, is_relay: bool) {
        if self.transaction.is_unfinished() && !is_relay {
            notes.push(Note::UnfinishedTransaction);
        }
        if !in_use && !is_relay && !self.ends_properly && self.stop.is_none() {
            notes.push(Note::NoLastEvent);
        }
        match self.first_shifted {
            Some(_) if is_relay => notes.push(Note::SourceJumps { count: self.shifts }),
            Some(plain_offset) => notes.push(Note::Moved {
                plain_offset,
                count: self.shifts,
            }),
            None => {}
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
