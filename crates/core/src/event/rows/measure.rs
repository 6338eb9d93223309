//! How many bytes each row takes, and where in it the values of some columns are: without reading any
//! value.

use super::Rows;
use super::table::Table;
use super::widths::{Present, Widths};
use crate::bytes::bit;

/// A longer key is not given.
const MAX_KEY: usize = 128;

/// What is known of a row whose values were passed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent<'r> {
    /// Bytes of its images, those of NULLs and of presence included; of an update both.
    pub(crate) bytes: u64,
    /// The bytes of the values of the key, one behind the other: those of the row before, or of an
    /// insert. `None` where one is not there, is NULL, or they are longer than 128 bytes.
    pub(crate) key: Option<&'r [u8]>,
}

/// The columns that tell rows of a table apart, by number and in order: of its primary key, or the
/// first one, where nothing tells what the primary key is.
pub(crate) fn key_columns(table: &Table) -> Vec<usize> {
    match table.primary_key.as_slice() {
        [] if table.columns.is_empty() => Vec::new(),
        [] => vec![0],
        key => key.to_vec(),
    }
}

impl Rows<'_> {
    /// Gives the extent of each row; how many there are. `None` where they cannot be counted, see
    /// [`Rows::count`]: what was given before is right.
    pub(crate) fn measure(
        &self,
        widths: &Widths,
        key: &[usize],
        see: &mut dyn FnMut(Extent<'_>),
    ) -> Option<u64> {
        if widths.len() != self.width {
            return None;
        }
        let bytes = self.unfolded()?;
        let form = self.form();
        let (mut rows, mut at) = (u64::from(self.is_bare()), 0_usize);
        let (mut places, mut held) = (vec![None; key.len()], Vec::new());
        while at < bytes.len() {
            places.fill(None);
            let first = image(&bytes, at, (widths, &form.before), (key, &mut places))?;
            let end = widths.rest_end(&bytes, first, &form)?;
            let length = end.saturating_sub(at);
            (length > 0).then_some(())?;
            at = end;
            rows = rows.saturating_add(1);
            held.clear();
            let has_key = !places.is_empty() && gather(&bytes, &places, &mut held).is_some();
            see(Extent {
                bytes: u64::try_from(length).unwrap_or(u64::MAX),
                key: has_key.then_some(&held),
            });
        }
        Some(rows)
    }
}

/// Where a value begins and ends.
type Place = (usize, usize);

fn gather(bytes: &[u8], places: &[Option<Place>], held: &mut Vec<u8>) -> Option<()> {
    for place in places {
        let (start, end) = (*place)?;
        let value = bytes.get(start..end)?;
        (held.len().saturating_add(value.len()) <= MAX_KEY).then_some(())?;
        held.extend_from_slice(value);
    }
    Some(())
}

/// Where an image ends that begins at a place, as [`Widths::image_end`] says; and where in it the
/// values of some columns are that are not NULL.
fn image(
    bytes: &[u8],
    at: usize,
    (widths, there): (&Widths, &Present<'_>),
    (key, places): (&[usize], &mut [Option<Place>]),
) -> Option<usize> {
    let nulls = bytes.get(at..)?.get(..there.count.div_ceil(8))?;
    let mut end = at.saturating_add(nulls.len());
    let columns = widths.iter().enumerate().filter(|(index, _)| there.has(*index));
    for (position, (index, width)) in columns.enumerate() {
        if bit(nulls, position) {
            continue;
        }
        let start = end;
        end = width.end(bytes, start)?;
        for (column, kept) in key.iter().zip(&mut *places) {
            if *column == index {
                *kept = Some((start, end));
            }
        }
    }
    Some(end)
}
