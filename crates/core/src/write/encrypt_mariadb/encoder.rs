//! Plaintext events to encrypted ones, as they come.

use std::io::Read;
use std::path::Path;

use crate::bytes::read_full;
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::format_description::FormatDescription;
use crate::event::header::{self, EventHeader, event_type};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::mariadb::chain::Tail;
use crate::mariadb::cipher::{EventCipher, EventEncryptor, EventSpan, HEAD};
use crate::mariadb::error::MariadbError;
use crate::mariadb::{SCHEME, start_encryption};

/// Bytes of an event that are enciphered at a time: whole blocks.
const PIECE: usize = 64 << 10;

/// Where the end position stands in the common header.
const END_POSITION: usize = 13;

/// What stands in clear before the first encrypted event.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) bytes: Vec<u8>,
    /// How many bytes of the plaintext it stands for.
    pub(super) consumed: usize,
}

impl Beginning {
    /// # Errors
    /// [`MariadbError::StartDamaged`] when an event that starts encryption, and is ignored, is not
    /// as long as such events are.
    pub(super) fn new(
        file_start: &[u8],
        description: &FormatDescription,
        nonce: [u8; 12],
    ) -> Result<Self, MariadbError> {
        let after_description =
            crate::event::MAGIC.len().saturating_add(description.header.byte_length().unwrap_or(0));
        let has_checksum = description.checksum == ChecksumAlgorithm::Crc32;
        let old = start_encryption::find(file_start)
            .filter(|(offset, _)| *offset == after_description)
            .and_then(|(_, old)| EventHeader::parse(old).ok());
        // Of one that is there, time and server stay.
        let by = old.as_ref().unwrap_or(&description.header);
        let event = start_event(by, after_description, nonce, has_checksum);
        let consumed = match &old {
            Some(old) if old.byte_length() != Some(event.len()) => {
                return Err(MariadbError::StartDamaged {
                    offset: u64::try_from(after_description).unwrap_or(u64::MAX),
                    reason: format!("{} bytes, {} expected", old.length, event.len()),
                });
            }
            Some(_) => after_description.saturating_add(event.len()),
            None => after_description,
        };
        let clear = file_start.get(..after_description).unwrap_or_default();
        Ok(Self { bytes: [clear, &event].concat(), consumed })
    }

    /// How many bytes later each event will start than in the plaintext.
    pub(super) fn shift(&self) -> u32 {
        u32::try_from(self.bytes.len().saturating_sub(self.consumed)).unwrap_or(0)
    }
}

/// A START_ENCRYPTION_EVENT as the server writes it.
fn start_event(by: &EventHeader, offset: usize, nonce: [u8; 12], has_checksum: bool) -> Vec<u8> {
    let length = start_encryption::LENGTH.saturating_add(if has_checksum { 4 } else { 0 });
    let end = offset.saturating_add(length);
    let to_u32 = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let mut event = Vec::with_capacity(length);
    event.extend(by.timestamp.to_le_bytes());
    event.push(event_type::MARIADB_START_ENCRYPTION);
    event.extend(by.server_id.to_le_bytes());
    event.extend(to_u32(length));
    event.extend(to_u32(end));
    event.extend([0, 0, SCHEME]);
    event.extend(1_u32.to_le_bytes());
    event.extend(nonce);
    event.resize(length, 0);
    start_encryption::with_flags(&event, 0, has_checksum)
}

/// One event on its way.
struct InEvent<'a> {
    offset: u64,
    encryptor: Option<EventEncryptor<'a>>,
    /// Bytes that have not been read.
    left: usize,
    /// The checksums so far, where there will be another one.
    sums: Option<Sums>,
}

/// The checksum that an event should have, and the one that it gets.
#[derive(Default)]
struct Sums {
    old: crc32fast::Hasher,
    new: crc32fast::Hasher,
}

impl Sums {
    /// Replaces the checksum; says whether the old one was right.
    fn finish(self, stored: &mut [u8; checksum::LENGTH]) -> bool {
        let is_right = self.old.finalize().to_le_bytes() == *stored;
        *stored = self.new.finalize().to_le_bytes();
        is_right
    }
}

/// Turns plaintext events into encrypted ones as they come. Without a cipher, into the plaintext of
/// those.
pub(super) struct Encoder<'a, R> {
    cipher: Option<&'a EventCipher>,
    reader: R,
    name: &'a Path,
    /// How many bytes later each event starts than in the plaintext.
    shift: u32,
    has_checksum: bool,
    is_relay_log: bool,
    /// How many bytes of the plaintext have been read.
    pub(super) at: u64,
    event: Option<InEvent<'a>>,
    ready: Vec<u8>,
    given: usize,
}

impl<'a, R: Read> Encoder<'a, R> {
    pub(super) fn new(
        (cipher, description): (Option<&'a EventCipher>, &FormatDescription),
        beginning: Beginning,
        reader: R,
        name: &'a Path,
    ) -> Self {
        Self {
            cipher,
            reader,
            name,
            shift: beginning.shift(),
            has_checksum: description.checksum == ChecksumAlgorithm::Crc32,
            is_relay_log: description.is_relay_log(),
            at: u64::try_from(beginning.consumed).unwrap_or(u64::MAX),
            event: None,
            ready: beginning.bytes,
            given: 0,
        }
    }

    /// Fills the buffer, but at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0_usize;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let ready = self.ready.get(self.given..).unwrap_or_default();
            if ready.is_empty() {
                self.given = 0;
                self.ready.clear();
                if !self.advance()? {
                    break;
                }
                continue;
            }
            let length = ready.len().min(rest.len());
            rest.iter_mut().zip(ready).for_each(|(target, byte)| *target = *byte);
            self.given = self.given.saturating_add(length);
            filled = filled.saturating_add(length);
        }
        Ok(filled)
    }

    /// Makes more bytes ready; `false` at the end.
    fn advance(&mut self) -> Result<bool, Error> {
        match self.event.take() {
            Some(event) => self.go_on(event),
            None => self.begin(),
        }
    }

    /// Reads the start of an event: all of it, if it is not a long one.
    fn begin(&mut self) -> Result<bool, Error> {
        let offset = self.at;
        let mut bytes = vec![0; header::LENGTH];
        let read = self.read(&mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        let event = EventHeader::parse(bytes.get(..read).unwrap_or_default());
        let Ok(event) = event else {
            return Err(self.damaged(Tail::CutHeader {
                offset,
                available: u64::try_from(read).unwrap_or(u64::MAX),
            }));
        };
        let span = EventSpan { offset, length: event.length };
        let Some(length) = event.byte_length() else {
            return Err(self.damaged(Tail::BadLength(span)));
        };
        let first = length.min(HEAD.saturating_add(piece(length.saturating_sub(HEAD))));
        bytes.resize(first, 0);
        self.read_all(bytes.get_mut(header::LENGTH..).unwrap_or_default(), span)?;
        let left = length.saturating_sub(first);
        let sums = self.move_position(&mut bytes, &event, (offset, left == 0))?;
        let stored = EventSpan {
            offset: offset.saturating_add(u64::from(self.shift)),
            length: event.length,
        };
        let (head, rest) = bytes.split_at_mut_checked(HEAD.min(first)).unwrap_or_default();
        let mut encryptor = self.cipher.map(|cipher| cipher.encryptor(stored, head));
        if let Some(encryptor) = &mut encryptor {
            encryptor.encrypt(rest);
        }
        self.ready = bytes;
        if left > 0 {
            self.event = Some(InEvent { offset, encryptor, left, sums });
        }
        Ok(true)
    }

    /// Where events move, so does the end position; and the checksum with it, if it was right: a
    /// new one would hide the damage.
    fn move_position(
        &self,
        bytes: &mut [u8],
        event: &EventHeader,
        (offset, is_whole): (u64, bool),
    ) -> Result<Option<Sums>, Error> {
        // A relay log has the positions of its source, and 0 stands for none.
        if self.shift == 0 || self.is_relay_log || event.end_position == 0 {
            return Ok(None);
        }
        let summed = match bytes.len().checked_sub(checksum::LENGTH) {
            Some(end) if is_whole => end,
            _ => bytes.len(),
        };
        let mut sums = Sums::default();
        sums.old.update(bytes.get(..summed).unwrap_or_default());
        let moved = event.end_position.wrapping_add(self.shift).to_le_bytes();
        for (target, byte) in bytes.iter_mut().skip(END_POSITION).zip(moved) {
            *target = byte;
        }
        sums.new.update(bytes.get(..summed).unwrap_or_default());
        match bytes.split_last_chunk_mut() {
            _ if !self.has_checksum => Ok(None),
            Some((_, stored)) if is_whole => {
                let is_right = sums.finish(stored);
                self.check_sum(is_right, offset).map(|()| None)
            }
            _ => Ok(Some(sums)),
        }
    }

    fn check_sum(&self, is_right: bool, offset: u64) -> Result<(), Error> {
        if is_right {
            return Ok(());
        }
        Err(Error::log(self.name, MariadbError::BadChecksum { offset }.into()))
    }

    fn go_on(&mut self, mut event: InEvent<'a>) -> Result<bool, Error> {
        let length = piece(event.left);
        let mut bytes = vec![0; length];
        let offset = event.offset;
        let span = EventSpan { offset, length: u32::MAX };
        self.read_all(&mut bytes, span)?;
        event.left = event.left.saturating_sub(length);
        if let Some(mut sums) = event.sums.take() {
            match bytes.split_last_chunk_mut() {
                Some((summed, stored)) if event.left == 0 => {
                    sums.old.update(summed);
                    sums.new.update(summed);
                    self.check_sum(sums.finish(stored), offset)?;
                }
                _ => {
                    sums.old.update(&bytes);
                    sums.new.update(&bytes);
                    event.sums = Some(sums);
                }
            }
        }
        if let Some(encryptor) = &mut event.encryptor {
            encryptor.encrypt(&mut bytes);
        }
        self.ready = bytes;
        if event.left > 0 {
            self.event = Some(event);
        }
        Ok(true)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let read =
            read_full(&mut self.reader, buffer).map_err(TransferError::at(self.name, "read"))?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(count);
        Ok(read)
    }

    fn read_all(&mut self, buffer: &mut [u8], event: EventSpan) -> Result<(), Error> {
        if self.read(buffer)? < buffer.len() {
            let available = self.at.saturating_sub(event.offset);
            return Err(self.damaged(Tail::Cut { event, available }));
        }
        Ok(())
    }

    fn damaged(&self, tail: Tail) -> Error {
        let error = tail.error().unwrap_or(MariadbError::Implausible { offset: self.at });
        Error::log(self.name, error.into())
    }
}

/// How much of what is left of an event is taken next: whole blocks, or all of it. The last piece
/// of a long event is never shorter than a checksum.
const fn piece(left: usize) -> usize {
    if left <= PIECE.saturating_add(16) { left } else { PIECE }
}
