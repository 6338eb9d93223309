//! How many bytes each row takes, and where in it the values of some columns are: without reading any
//! value.

use super::table::Table;
use super::{Rows, bit, is_update, skip_partial_bits, skip_value};
use crate::bytes::Cursor;
use crate::event::event_type;
use crate::event::table_map::Column;

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
        columns: &[Column],
        key: &[usize],
        see: &mut dyn FnMut(Extent<'_>),
    ) -> Option<u64> {
        if columns.len() != self.width {
            return None;
        }
        let bytes = self.unfolded()?;
        let mut cursor = Cursor::new(&bytes);
        let (mut rows, mut places, mut held) = (0_u64, vec![None; key.len()], Vec::new());
        while cursor.remaining() > 0 {
            let start = cursor.position();
            places.fill(None);
            image(&mut cursor, columns, self.before, &mut |index, place| {
                for (column, kept) in key.iter().zip(&mut places) {
                    if *column == index {
                        *kept = Some(place);
                    }
                }
            })?;
            if is_update(self.event_type) {
                if self.event_type == event_type::PARTIAL_UPDATE_ROWS {
                    skip_partial_bits(&mut cursor, columns)?;
                }
                image(&mut cursor, columns, self.after, &mut |_, _| {})?;
            }
            let length = cursor.position().saturating_sub(start);
            (length > 0).then_some(())?;
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

/// As `skip_image`; tells where the values are that are not NULL.
fn image(
    cursor: &mut Cursor<'_>,
    columns: &[Column],
    present: &[u8],
    see: &mut dyn FnMut(usize, Place),
) -> Option<()> {
    let indexed = || columns.iter().enumerate();
    let there = indexed().filter(|(index, _)| bit(present, *index)).count();
    let nulls = cursor.take(there.div_ceil(8)).ok()?;
    let there = indexed().filter(|(index, _)| bit(present, *index));
    for (position, (index, column)) in there.enumerate() {
        if !bit(nulls, position) {
            let start = cursor.position();
            skip_value(cursor, *column)?;
            see(index, (start, cursor.position()));
        }
    }
    Some(())
}
