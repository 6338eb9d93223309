//! The events inside a compressed transaction.

use std::io::BufReader;
use std::ops::ControlFlow;

use crate::event::payload::{Payload, PayloadError, Unfolder};
use crate::event::query::Query;
use crate::event::walker::EventView;
use crate::event::xa::{self, XaHalf};
use crate::file::pipeline::CHUNK;
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
    let mut receive = |view: &EventView<'_>| receive(view).map(ControlFlow::Continue);
    until(Some(source), event, (unfolder, limit), &mut receive)
}

/// The same, up to where the receiver breaks off; without a source, of what of the payload is at hand.
fn until(
    source: Option<&dyn PlainSource>,
    event: &EventView<'_>,
    (unfolder, limit): (&mut Unfolder, u64),
    receive: &mut dyn FnMut(&EventView<'_>) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Inner> {
    let payload = Payload::parse(event.body()).map_err(PayloadError::from)?;
    if limit == 0 && payload.uncompressed_size != Some(0) {
        return Err(PayloadError::OverLimit { limit }.into());
    }
    unfolder.limit = limit;
    let mut inner = if let Some(source) = source.filter(|_| !event.is_whole()) {
        let head = crate::event::header::LENGTH.saturating_add(payload.data_offset);
        let start = event.offset.saturating_add(u64::try_from(head).unwrap_or(0));
        let part = PartReader::new(source, start, event.end());
        let length = event.header.byte_length().unwrap_or(CHUNK);
        let data = BufReader::with_capacity(CHUNK.min(length), part);
        payload.events_by(unfolder, data)?
    } else {
        payload.events_by(unfolder, payload.data)?
    };
    while let Some(view) = inner.next_event()? {
        if receive(&view).map_err(Inner::Other)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Which half of an XA transaction a payload has. Only one that begins as such a transaction does is
/// unfolded beyond its first event; one that is damaged has none.
pub(in crate::read) fn xa_half(
    source: &dyn PlainSource,
    event: &EventView<'_>,
    unfolding: (&mut Unfolder, u64),
) -> Result<Option<XaHalf>, Error> {
    let mut seen = Seen::default();
    let read = until(Some(source), event, unfolding, &mut |view| Ok(seen.take(view)));
    match read {
        Ok(()) | Err(Inner::Payload(_)) => Ok(seen.half),
        Err(Inner::Other(error)) => Err(error),
    }
}

/// The same of what of a payload is at hand. Where that ends before the transaction does, it is taken for
/// one that is prepared.
pub(in crate::read) fn xa_half_at_hand(
    event: &EventView<'_>,
    unfolding: (&mut Unfolder, u64),
) -> Option<XaHalf> {
    let mut seen = Seen::default();
    let read = until(None, event, unfolding, &mut |view| Ok(seen.take(view)));
    let begun = seen.begun.filter(|_| read.is_err());
    seen.half.or(begun.map(XaHalf::Prepared))
}

/// What was seen of an XA transaction.
#[derive(Default)]
struct Seen {
    begun: Option<String>,
    half: Option<XaHalf>,
}

impl Seen {
    fn take(&mut self, view: &EventView<'_>) -> ControlFlow<()> {
        if self.begun.is_none() {
            self.begun = Query::of(view).and_then(|query| xa::begun(&query.statement));
        }
        self.half = XaHalf::of(view).or(self.half.take());
        if self.begun.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
