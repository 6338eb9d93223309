//! TRANSACTION_PAYLOAD: the events of a transaction, compressed with zstd.

use std::borrow::{Borrow, BorrowMut};
use std::io::{BufRead, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::checksum::ChecksumAlgorithm;
use super::gtid::packed_length;
use super::header::{self, EventHeader};
use super::walker::{EventView, WalkError};
use crate::bytes::{Cursor, OutOfBytes};

/// The most that a payload may unfold to. No server gets near it; a forged one would unfold for
/// hours.
pub const MAX_UNCOMPRESSED: u64 = 16 << 30;
/// An inner event of more bytes is given by its first so many alone.
pub const MAX_HELD: usize = 16 << 20;
/// The largest window that a frame may ask for: that of zstd's highest level, and the most memory
/// that unfolding takes.
const WINDOW_MAX: u64 = 1 << 27;

/// Why a payload cannot be unfolded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The event's own fields end too early.
    #[error("the payload's fields are cut short: {0}")]
    Fields(#[from] OutOfBytes),
    /// Neither zstd nor none.
    #[error("compression {found} is not known")]
    UnknownCompression {
        /// The number in the event.
        found: u64,
    },
    /// The frame is damaged, or cut.
    #[error("the payload cannot be decompressed: {0}")]
    Decompress(#[from] std::io::Error),
    /// More comes out than the event says.
    #[error("more than the {declared} bytes come out that the event announces")]
    TooMuch {
        /// What the event announces, or the most that is unfolded.
        declared: u64,
    },
    /// More would come out than all payloads of the log together may.
    #[error("more would come out than the {limit} bytes that are left for it")]
    OverLimit {
        /// What was left.
        limit: u64,
    },
    /// What comes out is no chain of events. Offsets count from its start.
    #[error("inside the payload: {0}")]
    Inside(WalkError),
}

/// The fields of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Compression: 0 is zstd, 255 none (server source: `mysql::binlog::event::compression::type`).
    pub compression: u64,
    /// Bytes before compression, if the event says.
    pub uncompressed_size: Option<u64>,
    /// Bytes after compression, if the event says.
    pub payload_size: Option<u64>,
    /// The compressed bytes, as far as they are at hand.
    pub data: &'a [u8],
    /// Where they start in the event's body.
    pub data_offset: usize,
}

impl<'a> Payload<'a> {
    /// Reads the event's body: fields of a packed type, a packed length and a packed value, up to
    /// type 0; then the compressed bytes (server source: `Transaction_payload_event`).
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn parse(body: &'a [u8]) -> Result<Self, OutOfBytes> {
        const END: u64 = 0;
        const SIZE: u64 = 1;
        const COMPRESSION: u64 = 2;
        const UNCOMPRESSED_SIZE: u64 = 3;
        let mut cursor = Cursor::new(body);
        let (mut payload_size, mut uncompressed_size, mut compression) = (None, None, 0);
        loop {
            let field = packed_length(&mut cursor)?;
            if field == END {
                break;
            }
            let length = packed_length(&mut cursor)?;
            let value = cursor.take(usize::try_from(length).unwrap_or(usize::MAX))?;
            let value = packed_length(&mut Cursor::new(value))?;
            match field {
                SIZE => payload_size = Some(value),
                COMPRESSION => compression = value,
                UNCOMPRESSED_SIZE => uncompressed_size = Some(value),
                _ => {}
            }
        }
        Ok(Self {
            compression,
            uncompressed_size,
            payload_size,
            data: cursor.rest(),
            data_offset: cursor.position(),
        })
    }

    /// The events inside, unfolded one by one from `data`: [`Payload::data`], or a reader of the
    /// same bytes where they are too many to be held.
    ///
    /// # Errors
    /// [`PayloadError`] for another compression, or when the decompressor cannot be set up.
    pub fn events<'r>(&self, data: impl BufRead + 'r) -> Result<InnerEvents<'r>, PayloadError> {
        self.events_by(Unfolder::default(), data)
    }

    /// The same by an unfolder that has a limit, and has served other payloads before.
    ///
    /// # Errors
    /// As [`Payload::events`].
    pub fn events_by<'r>(
        &self,
        unfolder: impl BorrowMut<Unfolder> + 'r,
        data: impl BufRead + 'r,
    ) -> Result<InnerEvents<'r>, PayloadError> {
        const ZSTD: u64 = 0;
        const NONE: u64 = 255;
        let limit = unfolder.borrow().limit;
        let reader: Box<dyn Read + 'r> = match self.compression {
            ZSTD => Box::new(
                StreamingDecoder::new_with_decoder(data, Borrowed(unfolder))
                    .map_err(std::io::Error::other)?,
            ),
            NONE => Box::new(data),
            found => return Err(PayloadError::UnknownCompression { found }),
        };
        let declared = self.uncompressed_size.unwrap_or(MAX_UNCOMPRESSED);
        Ok(InnerEvents {
            reader,
            limit,
            declared: declared.min(MAX_UNCOMPRESSED),
            offset: 0,
            held: Vec::new(),
            ended: false,
        })
    }
}

/// Unfolds one payload after another. Its memory, up to the largest window that a frame may ask for,
/// serves them all.
pub struct Unfolder {
    decoder: FrameDecoder,
    /// The most that the next payload may unfold to, in bytes.
    pub limit: u64,
}

impl Default for Unfolder {
    fn default() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        Self { decoder, limit: MAX_UNCOMPRESSED }
    }
}

impl std::fmt::Debug for Unfolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unfolder").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The decoder of an unfolder, whoever owns that.
struct Borrowed<U>(U);

impl<U: BorrowMut<Unfolder>> Borrow<FrameDecoder> for Borrowed<U> {
    fn borrow(&self) -> &FrameDecoder {
        &self.0.borrow().decoder
    }
}

impl<U: BorrowMut<Unfolder>> BorrowMut<FrameDecoder> for Borrowed<U> {
    fn borrow_mut(&mut self) -> &mut FrameDecoder {
        &mut self.0.borrow_mut().decoder
    }
}

/// The events of a payload, in constant memory. They have no checksums.
pub struct InnerEvents<'r> {
    reader: Box<dyn Read + 'r>,
    limit: u64,
    declared: u64,
    offset: u64,
    held: Vec<u8>,
    ended: bool,
}

impl std::fmt::Debug for InnerEvents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InnerEvents")
            .field("declared", &self.declared)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl InnerEvents<'_> {
    /// How much has been unfolded, in bytes.
    #[must_use]
    pub const fn unfolded(&self) -> u64 {
        self.offset
    }

    /// The next event; its offset counts from the start of the unfolded bytes. After an error there
    /// is none.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn next_event(&mut self) -> Result<Option<EventView<'_>>, PayloadError> {
        if self.ended {
            return Ok(None);
        }
        // Whatever goes wrong below is the last thing heard.
        self.ended = true;
        let offset = self.offset;
        self.held.clear();
        let read = self.read_into_held(header::LENGTH)?;
        if read == 0 {
            return Ok(None);
        }
        let available = u64::try_from(read).unwrap_or(u64::MAX);
        let cut = |_| PayloadError::Inside(WalkError::HeaderCut { offset, available });
        let header = EventHeader::parse(&self.held).map_err(cut)?;
        let end = offset.saturating_add(u64::from(header.length));
        if end > self.declared {
            let declared = self.declared;
            return Err(PayloadError::TooMuch { declared });
        }
        if end > self.limit {
            return Err(PayloadError::OverLimit { limit: self.limit });
        }
        // Counted whatever becomes of it: it is unfolded from here on.
        self.offset = end;
        self.read_body(&header, offset)?;
        self.ended = false;
        Ok(Some(EventView { offset, header, bytes: &self.held, checksum: ChecksumAlgorithm::None }))
    }

    fn read_body(&mut self, header: &EventHeader, offset: u64) -> Result<(), PayloadError> {
        let Some(length) = header.byte_length() else {
            let length = header.length;
            let error = WalkError::LengthTooSmall { offset, length };
            return Err(PayloadError::Inside(error));
        };
        let held = length.min(MAX_HELD);
        let mut available = self.read_into_held(held.saturating_sub(header::LENGTH))?;
        let rest = u64::try_from(length.saturating_sub(held)).unwrap_or(u64::MAX);
        let skipped = std::io::copy(&mut (&mut self.reader).take(rest), &mut std::io::sink())?;
        available = available.saturating_add(header::LENGTH);
        if self.held.len() < held || skipped < rest {
            return Err(PayloadError::Inside(WalkError::BodyCut {
                offset,
                length: header.length,
                available: u64::try_from(available).unwrap_or(u64::MAX),
                event_type: header.event_type,
                consistent: false,
            }));
        }
        Ok(())
    }

    /// Appends so many bytes, or as many as there are. The buffer grows with what comes, not with
    /// what is announced.
    fn read_into_held(&mut self, wanted: usize) -> Result<usize, PayloadError> {
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        let mut limited = (&mut self.reader).take(wanted);
        Ok(limited.read_to_end(&mut self.held)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::event_type;

    /// STOP events of 25 bytes.
    fn events(count: usize) -> Vec<u8> {
        let mut event = [0; 25];
        (event[4], event[9]) = (event_type::STOP, 25);
        event.repeat(count)
    }

    fn walked(compression: u8, size: u8, data: &[u8]) -> (usize, Option<PayloadError>) {
        let fields = [2, 1, compression, 3, 1, size, 1, 1, 99, 0];
        let body = [&fields[..], data].concat();
        let payload = Payload::parse(&body).unwrap();
        assert_eq!(
            (payload.payload_size, payload.uncompressed_size),
            (Some(99), Some(u64::from(size)))
        );
        assert_eq!((payload.data, payload.data_offset), (data, 10));
        let mut inside = match payload.events(payload.data) {
            Ok(inside) => inside,
            Err(error) => return (0, Some(error)),
        };
        for count in 0.. {
            match inside.next_event() {
                Ok(Some(event)) => assert_eq!(event.offset, 25 * count as u64),
                Ok(None) => return (count, None),
                Err(error) => {
                    assert!(matches!(inside.next_event(), Ok(None)));
                    return (count, Some(error));
                }
            }
        }
        unreachable!()
    }

    #[test]
    fn a_payload_may_be_stored_as_it_is() {
        assert!(matches!(walked(255, 50, &events(2)), (2, None)));
        let (_, error) = walked(7, 50, &events(2));
        let error = error.unwrap();
        assert!(matches!(error, PayloadError::UnknownCompression { found: 7 }));
    }

    #[test]
    fn a_cut_or_overlong_inside_is_told() {
        for (kept, header_is_cut) in [(49, false), (44, false), (43, true), (26, true)] {
            let (count, error) = walked(255, 50, &events(2)[..kept]);
            let Some(PayloadError::Inside(error)) = error else {
                panic!("{kept}: {error:?}");
            };
            assert_eq!((count, error.offset()), (1, 25));
            let is_header = matches!(error, WalkError::HeaderCut { .. });
            assert_eq!(is_header, header_is_cut, "{kept}");
            if let WalkError::BodyCut { available, .. } = error {
                assert_eq!(available, kept as u64 - 25);
            }
        }
        // Of a large event only the beginning is held; a cut behind it is told all the same.
        let size = MAX_HELD + 100;
        let mut large = vec![0; size];
        large[4] = event_type::STOP;
        large[9..13].copy_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
        let stored = Payload {
            compression: 255,
            payload_size: None,
            uncompressed_size: None,
            data: &[],
            data_offset: 0,
        };
        for (kept, is_whole) in [(size, true), (size - 1, false), (MAX_HELD, false)] {
            let mut inside = stored.events(&large[..kept]).unwrap();
            assert_eq!(inside.next_event().is_ok(), is_whole, "{kept}");
        }
        let (count, error) = walked(255, 49, &events(2));
        let error = error.unwrap();
        assert!(count == 1 && matches!(error, PayloadError::TooMuch { declared: 49 }));
    }
}
