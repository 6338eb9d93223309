//! The events inside a compressed transaction.

use std::io::BufReader;

use crate::event::payload::{Payload, PayloadError, Unfolder};
use crate::event::walker::EventView;
use crate::log::error::Error;
use crate::log::walk::{PartReader, PlainSource};

/// What may go wrong inside a payload.
pub(in crate::read) enum Inner {
    /// With the payload: it is damaged, or too large.
    Payload(PayloadError),
    /// With something else.
    Other(Error),
}

impl From<PayloadError> for Inner {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}

/// Unfolds a payload to `limit` bytes at the most, and gives each event in it.
pub(in crate::read) fn each(
    source: &dyn PlainSource,
    event: &EventView<'_>,
    (unfolder, limit): (&mut Unfolder, u64),
    receive: &mut dyn FnMut(&EventView<'_>) -> Result<(), Error>,
) -> Result<(), Inner> {
    let payload = Payload::parse(event.body()).map_err(PayloadError::from)?;
    if limit == 0 && payload.uncompressed_size != Some(0) {
        return Err(PayloadError::OverLimit { limit }.into());
    }
    unfolder.limit = limit;
    let part;
    let mut inner = if event.is_whole() {
        payload.events_by(unfolder, payload.data)?
    } else {
        let head = crate::event::header::LENGTH.saturating_add(payload.data_offset);
        let start = event.offset.saturating_add(u64::try_from(head).unwrap_or(0));
        part = PartReader::new(source, start, event.end());
        let data = BufReader::with_capacity(crate::file::pipeline::CHUNK, part);
        payload.events_by(unfolder, data)?
    };
    while let Some(view) = inner.next_event()? {
        receive(&view).map_err(Inner::Other)?;
    }
    Ok(())
}
