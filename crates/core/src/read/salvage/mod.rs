//! What is whole in a damaged log, and nothing else.
//!
//! From event to event as long as header, checksum and position agree. Where they do not, the next
//! whole event is looked for: where the damaged event's own length leads; further on in the same
//! alignment; and in an encrypted log, whose stream runs on over bytes that are missing or were put
//! in, under other alignments of file and stream. In a log that MariaDB encrypted event by event,
//! every offset is deciphered as the start of an event, and where bytes are missing or were put in,
//! as one that was written elsewhere. Every byte that is written was in the log, but for the magic,
//! which is always the same, the in-use flag, which is cleared (what was saved is closed), and one
//! bit of a format description event that nothing else could be read without.
//!
//! | module | |
//! |---|---|
//! | `open` | the ways to the plaintext, also where a log's beginning is damaged |
//! | `body`, `held`, `events` | plaintext under any alignment |
//! | `scan`, `large`, `sums`, `judge` | whether an event is whole, and the next one that is |
//! | `shift`, `moved` | the alignment behind bytes that are missing or were put in |
//! | `between` | what has moved between two damages that cancel each other out |
//! | `keeper`, `halves` | what goes into the output, and what is told of transactions |

mod between;
mod body;
mod events;
pub mod halves;
mod head;
mod held;
mod judge;
mod keeper;
mod large;
mod moved;
mod open;
mod rounds;
mod scan;
mod shift;
mod sums;
mod write;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use body::Body;
use halves::CutXa;
use keeper::{Keeper, Piece};
use open::{Opened, find_header, open, open_next};
use scan::Scanner;
use write::{Output, Shared};

use crate::batch::transfer::check_not_itself;
use crate::event::FIRST_EVENT;
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::header;
use crate::event::walker::EventView;
use crate::file::TransferError;
use crate::file::pipeline::{CHUNK, Progress};
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::mysql::header::{BODY_OFFSET, EncryptionHeader};
use crate::secret::Secret32;

/// So many lost transactions are named; more are counted.
const MAX_NAMED: usize = 1000;

/// How to salvage.
#[derive(Debug, Default)]
pub struct SalvageOptions {
    /// A copy of the log's encryption header, used in place of the one in the file.
    pub header: Option<EncryptionHeader>,
    /// The log's file password, in place of header and keyring.
    pub password: Option<Secret32>,
    /// The format description event of another log of the same server, where this log's is lost or
    /// damaged.
    pub description: Option<Vec<u8>>,
    /// Leave out events of transactions that are not whole.
    pub whole_transactions: bool,
    /// By how many bytes file and stream may have moved against each other, at any byte; ten times
    /// as far whole blocks of 512 are tried.
    pub max_shift: u64,
}

/// A part of the file that is not in the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvagedGap"))]
pub struct Gap {
    /// Where it starts in the file.
    pub file_offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// By how many bytes the stream is further on behind it than before it: positive where bytes
    /// are missing, negative where some were put in, 0 where bytes were changed.
    pub shift: i64,
    /// `changed`, `bytes-missing`, `bytes-inserted` or `tail`.
    pub kind: GapKind,
}

/// What became of the bytes of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvagedGapKind"))]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// They are other ones.
    Changed,
    /// Some are missing.
    BytesMissing,
    /// Some were put in.
    BytesInserted,
    /// From here to the end of the file nothing is whole.
    Tail,
}

impl GapKind {
    const fn new(shift: i64, is_tail: bool) -> Self {
        match shift {
            _ if is_tail => Self::Tail,
            0 => Self::Changed,
            1.. => Self::BytesMissing,
            _ => Self::BytesInserted,
        }
    }
}

/// What was salvaged.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Salvaged {
    /// How the plaintext was had.
    pub access: String,
    /// Whole events found.
    pub events: u64,
    /// Of them, those written.
    pub written_events: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes of the file that are in gaps.
    pub lost: u64,
    /// What is missing, in order.
    pub gaps: Vec<Gap>,
    /// Transactions that have lost events; at most 1000 are named.
    #[serde(rename = "incomplete_transactions")]
    pub incomplete: Vec<String>,
    /// How many there are, as not all may be named.
    pub incomplete_count: u64,
    /// XA transactions of which one half is lost or not known to be there, with
    /// [`SalvageOptions::whole_transactions`]; at most 1000 are named.
    pub xa: Vec<CutXa>,
    /// How many there are, as not all may be named.
    pub xa_count: u64,
    /// Whether the format description event is damaged and was kept: no log can be read without.
    pub description_damaged: bool,
    /// Whether one bit of the format description event was put right, which its checksum tells.
    pub description_mended: bool,
    /// Whether the format description event is that of another log, or, in a relay log, the
    /// source's.
    pub description_borrowed: bool,
    /// Alignments of file and stream that were tried.
    pub shifts_tried: u64,
    /// How often an event follows that was written before the one that it follows.
    pub out_of_order: u64,
    /// Where in the file the first of these stands.
    pub first_out_of_order: Option<u64>,
    /// Of a relay log: from where its replica has to fetch again what is lost.
    pub resume: Option<Resume>,
    /// Logs that follow the first one in the file.
    pub further_logs: Vec<FurtherLog>,
}

/// Where in the source's logs the events stand that a relay log has lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvageResume"))]
pub struct Resume {
    /// The source's log; `null` if the event is lost that names it.
    pub source_log: Option<String>,
    /// Where the last transaction ends in it that is all there before the first gap.
    pub position: Option<u64>,
    /// The GTID of that one.
    pub after_gtid: Option<String>,
}

/// A log behind another one in the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvagedLog"))]
pub struct FurtherLog {
    /// Where its encryption header or its magic starts in the file.
    pub file_offset: u64,
    /// The key under which it is encrypted; empty if it begins in clear.
    pub key_id: String,
    /// Whether that key opened it, so that its events are in the output.
    pub is_open: bool,
}

impl Salvaged {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.gaps.is_empty()
            && !self.description_damaged
            && !self.description_mended
            && !self.description_borrowed
            && self.incomplete_count == 0
            && self.out_of_order == 0
    }
}

/// Salvages a log into a file of its own, which appears when it is done.
///
/// # Errors
/// [`Error::Log`] when no whole event can be found, or no format description event is at hand, or
/// no key; [`Error::Transfer`], [`Error::Keyring`].
pub fn salvage(
    source: &FileSource,
    target: &Path,
    sink_options: SinkOptions,
    keys: &Keyring,
    options: &SalvageOptions,
    progress: &dyn Progress,
) -> Result<Salvaged, Error> {
    check_not_itself(source, target)?;
    let opened = open(source, keys, options)?;
    let shared = Shared::new(AtomicFile::create(target, sink_options)?);
    let mut salvager = Salvager::new(options, progress);
    salvager.keeper.outcome.access = opened.access.clone();
    let salvaged = rayon::scope_fifo(|scope| {
        salvager.walk_all((source, keys), opened, Output::new(&shared, scope))
    });
    // What a thread could not write is why the walk was given up.
    let sink = shared.into_sink()?;
    let salvaged = salvaged?;
    source.check_size()?;
    sink.commit()?;
    Ok(salvaged)
}

struct Salvager<'o> {
    keeper: Keeper,
    options: &'o SalvageOptions,
    progress: &'o dyn Progress,
    /// How far the progress has been told.
    told: u64,
    /// The format description event at the log's start, as it stands in the log, and where.
    description: Option<(u64, Vec<u8>)>,
    /// Another log's, which is better than a damaged one.
    borrowed: Option<FormatDescription>,
}

impl<'o> Salvager<'o> {
    fn new(options: &'o SalvageOptions, progress: &'o dyn Progress) -> Self {
        let borrowed = options.description.as_deref().map(FormatDescription::parse);
        Self {
            keeper: Keeper::new(options.whole_transactions),
            options,
            progress,
            told: 0,
            description: None,
            borrowed: borrowed.and_then(Result::ok),
        }
    }

    /// Goes through one log after the other, where several stand in one file.
    fn walk_all<'s>(
        mut self,
        (source, keys): (&'s FileSource, &Keyring),
        first: Opened<'s>,
        mut output: Output<'_, 's>,
    ) -> Result<Salvaged, Error> {
        let mut logs = vec![Arc::new(first)];
        while let Some(header) = self.walk(&logs, &mut output)? {
            match self.open_next(source, keys, header)? {
                Some(next) => logs.push(Arc::new(next)),
                None => break,
            }
        }
        self.keeper.conclude();
        let head = self.head(source)?;
        if !output.has_head() {
            output.begin(&head)?;
        }
        output.write(&mut self.keeper.pieces, &logs, None)?;
        let mut outcome = self.keeper.outcome;
        outcome.written = output.finish()?;
        Ok(outcome)
    }

    /// Goes through the last log, from event to event, up to the end of the file or to the header of
    /// another one.
    fn walk<'s>(
        &mut self,
        logs: &[Arc<Opened<'s>>],
        output: &mut Output<'_, 's>,
    ) -> Result<Option<u64>, Error> {
        let Some((number, log)) = logs.len().checked_sub(1).zip(logs.last()) else {
            return Ok(None);
        };
        let body = &log.body;
        let mut scanner = Scanner::new(body, self.options.max_shift);
        let length = scanner.file_end();
        let (mut at, mut shift) = log.first;
        if let Some(description) = &self.borrowed {
            follow(&mut scanner, &mut self.keeper, description);
        }
        self.read_description(&mut scanner, log.first, number)?;
        let is_regular = shift == 0 && at == body.start.saturating_add(FIRST_EVENT);
        if is_regular && body.events.is_none() && !body.has_magic()? {
            self.gap(body.start..at, 0, false);
        }
        // The log's first bytes are gone, and events stand where magic or header would.
        let is_header_gone = at == FIRST_EVENT && u64::try_from(shift) == Ok(body.start);
        // MariaDB's events of a further log were written as far from where they stand as it begins.
        let is_further = number > 0 && body.events.is_some();
        if !is_regular && !is_header_gone && !is_further {
            self.gap(body.start.saturating_sub(BODY_OFFSET)..at, shift, false);
        }
        let mut next_log = None;
        while at < length && next_log.is_none() {
            if let Some(bytes) = scanner.event_at((at, shift))? {
                let end = at.saturating_add(bytes);
                let piece = Piece { log: number, file: at..end, shift };
                self.take(&mut scanner, piece)?;
                at = end;
            } else {
                // Another log may begin right here; then nothing of this one follows.
                let is_next = is_header(body, at)? || open::begins_in_clear(log, at)?;
                let found = if is_next { None } else { scanner.resync((at, shift))? };
                let (mut next, mut next_shift) = found.unwrap_or((length, shift));
                next_log = if is_next {
                    Some(at)
                } else {
                    open::next_log(log, at..next, found.is_none())?
                };
                if let Some(header) = next_log {
                    (next, next_shift) = (header, shift);
                }
                let is_tail = found.is_none() && next_log.is_none();
                self.gap(at..next, next_shift.saturating_sub(shift), is_tail);
                (at, shift) = (next, next_shift);
            }
            if self.tell(at)? {
                self.write(logs, &mut scanner, output)?;
            }
        }
        self.keeper.finish();
        let tried = &mut self.keeper.outcome.shifts_tried;
        *tried = tried.saturating_add(scanner.shifts_tried);
        Ok(next_log)
    }

    /// Tells the progress now and then, and returns whether it did.
    fn tell(&mut self, at: u64) -> Result<bool, TransferError> {
        let done = at.saturating_sub(self.told);
        if done < CHUNK as u64 {
            return Ok(false);
        }
        if self.progress.advance(done).is_break() {
            return Err(TransferError::Cancelled);
        }
        self.told = at;
        Ok(true)
    }

    /// Writes what is kept so far, once it is known what stands before it.
    fn write<'s>(
        &mut self,
        logs: &[Arc<Opened<'s>>],
        scanner: &mut Scanner<'_>,
        output: &mut Output<'_, 's>,
    ) -> Result<(), TransferError> {
        let Some((_, description)) = &self.description else {
            return Ok(());
        };
        if !output.has_head() {
            output.begin(&head::head(description))?;
        }
        if output.write(&mut self.keeper.pieces, logs, Some(scanner))? {
            Ok(())
        } else {
            Err(TransferError::Cancelled)
        }
    }

    fn take(&mut self, scanner: &mut Scanner<'_>, piece: Piece) -> Result<(), Error> {
        let outcome = &mut self.keeper.outcome;
        outcome.events = outcome.events.saturating_add(1);
        let place = (piece.file.start, piece.shift);
        let event = scanner.current(place)?;
        if event.header.event_type != event_type::FORMAT_DESCRIPTION {
            self.keeper.take(&event, piece);
            return Ok(());
        }
        // In a relay log the source's follows, and with it the source's checksums.
        let bytes = event.bytes.to_vec();
        let description = FormatDescription::parse(&bytes).ok();
        if let Some(description) = &description {
            follow(scanner, &mut self.keeper, description);
        }
        // Not where the log's own should be: something was put in before it; or that is lost, and
        // this one is the source's, by which the events are to be read that follow.
        let is_relay = |description: &FormatDescription| description.is_relay_log();
        let is_of_source = self.borrowed.as_ref().is_some_and(is_relay)
            && !description.as_ref().is_some_and(is_relay);
        let is_first = self.keeper.outcome.events == 1 && !is_of_source;
        if self.description.is_none() && piece.log == 0 && (is_first || self.borrowed.is_none()) {
            self.keeper.outcome.description_borrowed = !is_first;
            self.description = Some((piece.file.start, bytes));
        }
        let is_head = self.description.as_ref();
        if piece.log == 0 && is_head.is_some_and(|(at, _)| *at == piece.file.start) {
            // Written as the head.
            let written = &mut self.keeper.outcome.written_events;
            *written = written.saturating_add(1);
            return Ok(());
        }
        let event = scanner.current(place)?;
        self.keeper.take(&event, piece);
        Ok(())
    }

    fn gap(&mut self, file: std::ops::Range<u64>, shift: i64, is_tail: bool) {
        // Where bytes are missing between two events nothing that is here is lost.
        if file.is_empty() && shift == 0 {
            return;
        }
        self.keeper.gap(Gap {
            file_offset: file.start,
            length: file.end.saturating_sub(file.start),
            shift,
            kind: GapKind::new(shift, is_tail),
        });
    }

    /// Opens the log whose header stands at an offset; what has no key is lost.
    fn open_next<'a>(
        &mut self,
        source: &'a FileSource,
        keys: &Keyring,
        offset: u64,
    ) -> Result<Option<Opened<'a>>, Error> {
        let mut offset = offset;
        loop {
            let (key_id, opened) = open_next(source, keys, offset)?;
            self.keeper.outcome.further_logs.push(FurtherLog {
                file_offset: offset,
                key_id,
                is_open: opened.is_some(),
            });
            if let Some(opened) = opened {
                return Ok(Some(opened));
            }
            // The one behind it may have one.
            let from = offset.saturating_add(1);
            let next = find_header(source, from, source.length())?;
            let end = next.unwrap_or(source.length());
            self.gap(offset..end, 0, next.is_none());
            match next {
                Some(next) => offset = next,
                None => return Ok(None),
            }
        }
    }
}

/// Whether the header of another log stands at a place.
fn is_header(body: &Body<'_>, at: u64) -> Result<bool, TransferError> {
    Ok(find_header(body.source, at, at.saturating_add(1))?.is_some())
}

/// Goes on by what a format description event says of the events behind it.
fn follow(scanner: &mut Scanner<'_>, keeper: &mut Keeper, description: &FormatDescription) {
    scanner.checksum = description.checksum;
    scanner.is_relay |= description.is_relay_log();
    keeper.describe(description);
}

/// The bytes of an event that the scanner holds.
fn view(offset: u64, bytes: &[u8], checksum: ChecksumAlgorithm) -> Option<EventView<'_>> {
    let header = header::EventHeader::parse(bytes).ok()?;
    let held = header.byte_length()?.min(bytes.len());
    Some(EventView { offset, header, bytes: bytes.get(..held)?, checksum })
}
