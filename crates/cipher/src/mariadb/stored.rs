//! Where an event lies in its file, and the bytes around a piece of it.

#[cfg(doc)]
use super::{LEAD, TRAIL};

/// Where an event is: what its IV and its blocks follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSpan {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its length in bytes, as its header says: 19 at least.
    pub length: u32,
}

impl EventSpan {
    /// Offset of the first byte after it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length as u64)
    }

    /// Where its last full block ends, at the earliest after its head.
    pub const fn full_blocks_end(&self) -> u64 {
        let enciphered = (self.length as u64).saturating_sub(4);
        let full = enciphered.saturating_sub(enciphered % 16);
        self.offset.saturating_add(4).saturating_add(full)
    }
}

/// Bytes of a file around the piece that is deciphered: up to [`LEAD`] before, up to [`TRAIL`]
/// after. All of them as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Offset of `body` in the file.
    pub offset: u64,
    /// What stands before `body`.
    pub lead: &'a [u8],
    /// The piece itself.
    pub body: &'a [u8],
    /// What stands after it.
    pub trail: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Only what is at hand, and nothing around it.
    #[must_use]
    pub const fn alone(offset: u64, body: &'a [u8]) -> Self {
        Self { offset, lead: &[], body, trail: &[] }
    }

    /// Offset of the first byte after `body`.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(length(self.body))
    }

    /// `N` bytes from a file offset on; what is not at hand is zero.
    #[must_use]
    pub fn array<const N: usize>(&self, offset: u64) -> [u8; N] {
        let start = self.offset.saturating_sub(length(self.lead));
        let mut array = [0; N];
        let Some(at) = offset.checked_sub(start).and_then(to_index) else {
            return array;
        };
        if let Some(within) = at
            .checked_sub(self.lead.len())
            .and_then(|within| self.body.get(within..)?.first_chunk::<N>())
        {
            return *within;
        }
        let all = self.lead.iter().chain(self.body).chain(self.trail);
        array.iter_mut().zip(all.skip(at)).for_each(|(target, byte)| *target = *byte);
        array
    }

    /// The event at a file offset, by the length in its header.
    #[must_use]
    #[inline]
    pub fn event_at(&self, offset: u64) -> EventSpan {
        let at = offset.saturating_add(9);
        let length = self.body_from(at).first_chunk().copied();
        EventSpan { offset, length: u32::from_le_bytes(length.unwrap_or_else(|| self.array(at))) }
    }

    /// The body from a file offset on.
    #[inline]
    pub fn body_from(&self, offset: u64) -> &'a [u8] {
        offset
            .checked_sub(self.offset)
            .and_then(to_index)
            .and_then(|within| self.body.get(within..))
            .unwrap_or_default()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

pub(super) fn to_index(offset: u64) -> Option<usize> {
    usize::try_from(offset).ok()
}
