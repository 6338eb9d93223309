//! The beginning of the output: magic and format description event, without which no log can be
//! read.

use super::body::Place;
use super::judge::drift;
use super::scan::Scanner;
use super::{Salvager, follow};
use crate::batch::transfer::clear_in_use;
use crate::event::MAGIC;
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::format_description::{self, FormatDescription};
use crate::event::header::EventHeader;
use crate::file::TransferError;
use crate::file::source::FileSource;
use crate::log::error::Error;
use crate::log::log_error::LogError;

/// Enough for any format description event.
const LONGEST: usize = 512;

impl Salvager<'_> {
    /// Keeps the format description event where the log has one: whole; mended; or damaged, if
    /// there is no other.
    pub(super) fn read_description(
        &mut self,
        scanner: &mut Scanner<'_>,
        first: Place,
        log: usize,
    ) -> Result<(), TransferError> {
        let mut bytes = vec![0; LONGEST];
        let read = scanner.body.read(first.0, first.1, &mut bytes)?;
        bytes.truncate(read);
        let parsed = FormatDescription::parse(&bytes);
        if log > 0 {
            if let Ok(description) = parsed {
                follow(scanner, &mut self.keeper, &description);
            }
            return Ok(());
        }
        let (description, is_mended) = match parsed {
            Ok(description) if description.own_checksum.is_ok() => (description, false),
            // Another log's is better than a damaged one.
            _ if self.borrowed.is_some() => return Ok(()),
            Ok(description) if ends_where_it_says(scanner, first, &description)? => {
                (description, false)
            }
            _ => match mend(scanner, first, &bytes)? {
                Some((mended, description)) => {
                    bytes = mended;
                    (description, true)
                }
                None => return Ok(()),
            },
        };
        let is_damaged = description.own_checksum.is_err();
        bytes.truncate(description.header.byte_length().unwrap_or(0));
        self.keeper.outcome.description_damaged = is_damaged;
        self.keeper.outcome.description_mended = is_mended;
        self.description = Some((first.0, bytes));
        follow(scanner, &mut self.keeper, &description);
        if is_damaged {
            scanner.checksum = checksums_behind(scanner, first, description.checksum)?;
        }
        Ok(())
    }

    /// The head of the output, when all events are known.
    pub(super) fn head(&mut self, source: &FileSource) -> Result<Vec<u8>, Error> {
        let own = self.description.take().map(|(_, bytes)| bytes);
        let outcome = &mut self.keeper.outcome;
        if own.is_none() && self.options.description.is_some() {
            outcome.description_borrowed = true;
        }
        if outcome.events == 0 {
            return Err(Error::log(source.path(), LogError::NothingToSalvage));
        }
        let Some(description) = own.or_else(|| self.options.description.clone()) else {
            return Err(Error::log(source.path(), LogError::DescriptionLost));
        };
        Ok(head(&description))
    }
}

/// Magic and format description event of the output.
pub(super) fn head(description: &[u8]) -> Vec<u8> {
    let mut head = [MAGIC.as_slice(), description].concat();
    clear_in_use(&mut head);
    head
}

/// Whether a damaged format description event has the length that it says.
fn ends_where_it_says(
    scanner: &mut Scanner<'_>,
    first: Place,
    description: &FormatDescription,
) -> Result<bool, TransferError> {
    let header = &description.header;
    if drift(header, scanner.plain_offset(first)) == 0 {
        return Ok(true);
    }
    let end = scanner.after(first, header);
    Ok(end.0 == scanner.file_end() || scanner.is_event_here(end)?)
}

/// What a damaged format description event says of the checksums may be what is damaged: an event
/// behind it whose checksum is right knows better.
fn checksums_behind(
    scanner: &mut Scanner<'_>,
    first: Place,
    said: ChecksumAlgorithm,
) -> Result<ChecksumAlgorithm, TransferError> {
    scanner.checksum = ChecksumAlgorithm::Crc32;
    let found = scanner.resync(first)?;
    Ok(if found.is_some() { ChecksumAlgorithm::Crc32 } else { said })
}

/// A format description event that cannot be read because of one wrong bit: its checksum tells
/// which.
fn mend(
    scanner: &mut Scanner<'_>,
    first: Place,
    bytes: &[u8],
) -> Result<Option<(Vec<u8>, FormatDescription)>, TransferError> {
    // It ends where it says, or where the next event begins.
    let said = EventHeader::parse(bytes).ok().and_then(|header| header.byte_length());
    let next = scanner.resync(first)?;
    let next = next.filter(|(_, shift)| *shift == first.1);
    let next = next.and_then(|(at, _)| usize::try_from(at.saturating_sub(first.0)).ok());
    let lengths = [said, next].into_iter().flatten();
    for length in lengths.filter(|length| *length <= format_description::MAX_LENGTH) {
        let Some(event) = bytes.get(..length) else {
            continue;
        };
        for bit in 0..length.saturating_mul(8) {
            let mut mended = event.to_vec();
            if let Some(byte) = mended.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            if let Ok(description) = FormatDescription::parse(&mended)
                && description.own_checksum.is_ok()
                && description.header.byte_length() == Some(length)
            {
                return Ok(Some((mended, description)));
            }
        }
    }
    Ok(None)
}
