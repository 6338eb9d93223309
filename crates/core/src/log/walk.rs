//! The events of a log, in constant memory, whatever its dialect and its size.

use std::io::Read;
use std::path::Path;

use crate::event::checksum::{self, ChecksumAlgorithm, ChecksumMismatch};
use crate::event::format_description::FormatDescription;
use crate::event::header::{self, flag};
use crate::event::walker::{EventForm, EventView, WalkError, check_extent, is_plausible};
use crate::event::{FIRST_EVENT, FIRST_FLAGS, event_type};
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;
use crate::log::error::Error;

/// Larger events are given by their first so many bytes alone.
pub const MAX_HELD: usize = 16 << 20;
/// What is read at a time where headers alone are wanted.
const HOP: usize = 4 << 10;

/// Something whose plaintext can be read at any offset: an [`OpenLog`](crate::log::open::OpenLog), or
/// another dialect's.
pub trait PlainSource: Sync {
    /// What messages call it.
    fn path(&self) -> &Path;

    /// Length of the plaintext in bytes.
    fn plain_length(&self) -> u64;

    /// Where a byte of the plaintext lies in the file.
    fn file_offset(&self, plain_offset: u64) -> u64;

    /// Length of the file in bytes, with what is no plaintext or cannot be made into it.
    fn file_length(&self) -> u64 {
        self.file_offset(self.plain_length())
    }

    /// Fills `buffer` from `offset` on; returns how much there was.
    ///
    /// # Errors
    /// [`TransferError`].
    fn read_plain_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError>;

    /// Whether parts of it are best read by several threads at once, each by [`PlainSource::read_plain_at`].
    fn is_read_by_many(&self) -> bool {
        true
    }

    /// One worker's way to the bytes, for those who read much in a row.
    fn plain_view(&self) -> Box<dyn PlainView + '_>;

    /// Whether the file still has the bytes that it had when it was opened. To be asked before
    /// what was made of a log is believed.
    ///
    /// # Errors
    /// [`TransferError::Shrank`].
    fn check_size(&self) -> Result<(), TransferError>;
}

/// Whether a log was never closed: by its format description event, or where that is not all there,
/// by its flags alone. A log that ends before them does not say so.
///
/// # Errors
/// [`TransferError`].
pub fn is_in_use(
    source: &dyn PlainSource,
    description: Option<&FormatDescription>,
) -> Result<bool, TransferError> {
    if let Some(description) = description {
        return Ok(description.in_use());
    }
    let mut flags = [0; 2];
    let read = source.read_plain_at(FIRST_FLAGS as u64, &mut flags)?;
    Ok(read == flags.len() && u16::from_le_bytes(flags) & flag::IN_USE != 0)
}

/// See [`PlainSource::plain_view`].
pub trait PlainView: Send {
    /// Fills all of `buffer` with plaintext from `offset` on, which must be there.
    ///
    /// # Errors
    /// [`TransferError`].
    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), TransferError>;
}

/// A plaintext log in memory.
#[derive(Debug, Clone)]
pub struct MemorySource<'a> {
    name: &'a Path,
    bytes: &'a [u8],
}

impl<'a> MemorySource<'a> {
    /// Bytes that start with the magic, and what messages call them.
    #[must_use]
    pub const fn new(name: &'a Path, bytes: &'a [u8]) -> Self {
        Self { name, bytes }
    }

    fn from(&self, offset: u64) -> &'a [u8] {
        let offset = usize::try_from(offset).ok();
        offset.and_then(|offset| self.bytes.get(offset..)).unwrap_or_default()
    }
}

impl PlainSource for MemorySource<'_> {
    fn path(&self) -> &Path {
        self.name
    }

    fn plain_length(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    fn file_offset(&self, plain_offset: u64) -> u64 {
        plain_offset
    }

    fn read_plain_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let mut bytes = self.from(offset);
        bytes.read(buffer).map_err(TransferError::at(self.name, "read"))
    }

    fn plain_view(&self) -> Box<dyn PlainView + '_> {
        Box::new(self.clone())
    }

    fn check_size(&self) -> Result<(), TransferError> {
        Ok(())
    }
}

impl PlainView for MemorySource<'_> {
    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), TransferError> {
        let mut bytes = self.from(offset);
        bytes.read_exact(buffer).map_err(TransferError::at(self.name, "read"))
    }
}

/// How much of each event is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// The header, and of the body what happens to be at hand. On an encrypted log no more than
    /// this is deciphered.
    Headers,
    /// All of it, up to [`MAX_HELD`].
    Whole,
}

/// Walks from event to event. As views borrow the walker's buffer, it is no
/// [`Iterator`]; for bytes in memory there is one, [`Events`](crate::event::walker::Events).
///
/// ```no_run
/// use binlogsec_core::{Keyring, OpenLog};
/// use binlogsec_core::log::walk::{Depth, Walker};
///
/// # fn main() -> Result<(), binlogsec_core::Error> {
/// let keys = Keyring::open("component_keyring_file")?;
/// let log = OpenLog::open("binlog.000042", &keys)?;
/// let mut walker = Walker::new(&log, Depth::Headers);
/// while let Some(event) = walker.next_event()? {
///     println!("{} {}", event.offset, event.header.event_type);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Walker<'s> {
    source: &'s dyn PlainSource,
    view: Box<dyn PlainView + 's>,
    depth: Depth,
    buffer: Vec<u8>,
    /// Plain offset of the buffer's first byte.
    start: u64,
    next: u64,
    form: EventForm,
    /// No more than is needed is read beyond this.
    soft_end: u64,
}

impl std::fmt::Debug for Walker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walker")
            .field("path", &self.source.path())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<'s> Walker<'s> {
    /// Starts at the first event.
    #[must_use]
    pub fn new(source: &'s dyn PlainSource, depth: Depth) -> Self {
        let form = EventForm::new(ChecksumAlgorithm::None);
        Self::starting_at(source, depth, FIRST_EVENT, form)
    }

    /// Starts at an event that is known to begin at a plain offset, with the checksums and headers
    /// that events have there.
    #[must_use]
    pub fn starting_at(
        source: &'s dyn PlainSource,
        depth: Depth,
        offset: u64,
        form: EventForm,
    ) -> Self {
        Self {
            source,
            view: source.plain_view(),
            depth,
            buffer: Vec::new(),
            start: 0,
            next: offset,
            form,
            soft_end: u64::MAX,
        }
    }

    /// Promises that no event beyond an offset will be asked for, so that nothing is read ahead
    /// there.
    pub const fn stop_reading_ahead_at(&mut self, offset: u64) {
        self.soft_end = offset;
    }

    /// Where the next event starts.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.next
    }

    /// Goes on elsewhere: at an event, if the walk is to go on from there.
    pub const fn seek(&mut self, offset: u64) {
        self.next = offset;
    }

    /// Leaves out what stands before an offset, at which an event must start. The format
    /// description event is read in any case, for the checksums; one further on, as relay logs
    /// have it, is not known of.
    ///
    /// # Errors
    /// [`Error::Walk`] when no event starts there, [`Error::Transfer`].
    pub fn start_at(&mut self, offset: u64) -> Result<(), Error> {
        if offset <= FIRST_EVENT {
            return Ok(());
        }
        self.next = FIRST_EVENT;
        self.next_event().map(drop)?;
        let none = || Error::Walk {
            path: self.source.path().to_owned(),
            source: WalkError::NoEventHere { offset },
        };
        if offset < self.next {
            return Err(none());
        }
        self.next = offset;
        if offset == self.source.plain_length() {
            return Ok(());
        }
        let mut ahead = Self::starting_at(self.source, Depth::Whole, offset, self.form);
        let header_or_more = |event: &EventView<'_>| {
            is_plausible(&event.header) && (!event.is_whole() || event.verify_checksum().is_ok())
        };
        match ahead.next_event() {
            Ok(Some(event)) if header_or_more(&event) => Ok(()),
            Ok(_) | Err(Error::Walk { .. }) => Err(none()),
            Err(error) => Err(error),
        }
    }

    /// The checksums in force.
    #[must_use]
    pub const fn checksum(&self) -> ChecksumAlgorithm {
        self.form.checksum
    }

    /// The checksums and headers of the events that come next.
    #[must_use]
    pub const fn form(&self) -> EventForm {
        self.form
    }

    /// The next event; `None` at the end of the log. After an error the walk stays where it is.
    ///
    /// # Errors
    /// [`Error::Walk`] when what is there is no whole event, [`Error::Transfer`].
    pub fn next_event(&mut self) -> Result<Option<EventView<'_>>, Error> {
        let (offset, log_length) = (self.next, self.source.plain_length());
        let available = log_length.saturating_sub(offset);
        if available == 0 {
            return Ok(None);
        }
        let of_log =
            |source: WalkError| Error::Walk { path: self.source.path().to_owned(), source };
        let form = self.form;
        let Ok(header) = form.header(self.peek(offset, header::LENGTH)?) else {
            return Err(of_log(WalkError::HeaderCut { offset, available }));
        };
        let end = check_extent(&header, offset, log_length).map_err(of_log)?;
        let is_description = header.event_type == event_type::FORMAT_DESCRIPTION;
        let length = header.byte_length().unwrap_or(MAX_HELD).min(MAX_HELD);
        if is_description {
            self.form = form.after(self.peek(offset, length)?);
        }
        self.next = end;
        let checksum = self.form.checksum;
        let bytes = match self.depth {
            Depth::Whole => self.peek(offset, length)?,
            Depth::Headers => {
                let at_hand = self.buffered(offset);
                at_hand.get(..length).unwrap_or(at_hand)
            }
        };
        Ok(Some(EventView { offset, header, bytes, checksum }))
    }

    /// Up to `length` bytes from `offset` on, fewer at the log's end only. The view stays where it
    /// is.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn peek(&mut self, offset: u64, length: usize) -> Result<&[u8], TransferError> {
        let left = self.source.plain_length().saturating_sub(offset);
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        if self.buffered(offset).len() < length {
            self.read_more(offset, length)?;
        }
        Ok(self.buffered(offset).get(..length).unwrap_or_default())
    }

    /// What is in the buffer from an offset on.
    fn buffered(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.start);
        skip.and_then(|skip| self.buffer.get(usize::try_from(skip).ok()?..)).unwrap_or_default()
    }

    /// Fills the buffer from `offset` on with `length` bytes and some more, keeping what it has.
    fn read_more(&mut self, offset: u64, length: usize) -> Result<(), TransferError> {
        let kept = self.buffered(offset).len();
        let skipped = self.buffer.len().saturating_sub(kept);
        self.buffer.copy_within(skipped.., 0);
        self.start = offset;
        let target = self.read_to(offset, length);
        let target = usize::try_from(target.saturating_sub(offset)).unwrap_or(length);
        self.buffer.resize(target.max(kept), 0);
        let from = offset.saturating_add(u64::try_from(kept).unwrap_or(0));
        let missing = self.buffer.get_mut(kept..).unwrap_or_default();
        let filled = self.view.fill(from, missing);
        if filled.is_err() {
            self.buffer.clear();
        }
        filled
    }

    /// Up to where a read goes that must give `length` bytes from `offset` on.
    fn read_to(&self, offset: u64, length: usize) -> u64 {
        let ahead = match self.depth {
            Depth::Headers => HOP,
            Depth::Whole => CHUNK,
        };
        let chunk = u64::try_from(ahead).unwrap_or(u64::MAX);
        let needed = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        // Chunks of the file, so that the reads are aligned and end where the windows do.
        let file_end = self.source.file_offset(needed);
        let past_boundary = file_end.checked_rem(chunk).filter(|&rest| rest > 0);
        let to_boundary = past_boundary.map_or(0, |rest| chunk.saturating_sub(rest));
        let generous = needed.saturating_add(to_boundary);
        generous.min(self.soft_end.max(needed)).min(self.source.plain_length())
    }

    /// Checks the CRC-32 of an event that is too large to be held; reads it again from its start.
    ///
    /// # Errors
    /// [`TransferError`]; the inner result is that of the check.
    pub fn verify_large(
        &mut self,
        offset: u64,
        length: u32,
    ) -> Result<Result<(), ChecksumMismatch>, TransferError> {
        let (mut hasher, mut at) = (crc32fast::Hasher::new(), offset);
        let end = offset.saturating_add(u64::from(length));
        let summed_end = end.saturating_sub(checksum::LENGTH as u64);
        let mut piece = vec![0; CHUNK];
        while at < summed_end {
            let left = usize::try_from(summed_end.saturating_sub(at)).unwrap_or(CHUNK);
            let target = piece.get_mut(..left.min(CHUNK)).unwrap_or_default();
            self.view.fill(at, target)?;
            hasher.update(target);
            at = at.saturating_add(u64::try_from(target.len()).unwrap_or(u64::MAX));
        }
        let mut stored = [0; checksum::LENGTH];
        self.view.fill(summed_end, &mut stored)?;
        let (stored, computed) = (u32::from_le_bytes(stored), hasher.finalize());
        Ok(if stored == computed { Ok(()) } else { Err(ChecksumMismatch { stored, computed }) })
    }
}

/// A part of a log's plaintext as a stream.
pub struct PartReader<'s> {
    view: Box<dyn PlainView + 's>,
    offset: u64,
    end: u64,
}

impl std::fmt::Debug for PartReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartReader")
            .field("offset", &self.offset)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<'s> PartReader<'s> {
    /// From one plain offset up to another, or to the log's end.
    #[must_use]
    pub fn new(source: &'s dyn PlainSource, offset: u64, end: u64) -> Self {
        Self { view: source.plain_view(), offset, end: end.min(source.plain_length()) }
    }
}

impl Read for PartReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let target = buffer.get_mut(..length).unwrap_or_default();
        self.view.fill(self.offset, target).map_err(std::io::Error::other)?;
        let read = u64::try_from(length).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(read);
        Ok(length)
    }
}
