//! Rows are counted by the widths of their columns, whichever values are NULL, and wherever the bytes end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use binlogsec_core::event::column_type as ty;
use binlogsec_core::event::rows::Rows;
use binlogsec_core::event::table_map::Column;

const WRITE_ROWS: u8 = 30;
const UPDATE_ROWS: u8 = 31;

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// A column, the bytes before its value that tell how long that is, and the bytes of it where none do.
const COLUMNS: [(u8, [u8; 2], usize, usize); 8] = [
    (ty::TINY, [0, 0], 0, 1),
    (ty::LONGLONG, [0, 0], 0, 8),
    (ty::NEWDECIMAL, [65, 30], 0, 30),
    (ty::VARCHAR, [255, 0], 1, 0),
    (ty::VARCHAR, [0, 4], 2, 0),
    (ty::BLOB, [3, 0], 3, 0),
    (ty::JSON, [4, 0], 4, 0),
    (ty::NULL, [0, 0], 0, 0),
];

/// An image of a row: a bitmap of NULLs, and the other values.
fn image(columns: &[usize], numbers: &mut Numbers) -> Vec<u8> {
    let mut nulls = vec![0; columns.len().div_ceil(8)];
    let mut values = Vec::new();
    let one_in = 1 + numbers.below(5);
    for (index, column) in columns.iter().enumerate() {
        if numbers.below(one_in) > 0 {
            nulls[index / 8] |= 1 << (index % 8);
            continue;
        }
        let (_, _, prefix, fixed) = COLUMNS[*column];
        let length =
            if prefix > 0 { numbers.below(if prefix > 1 { 300 } else { 9 }) } else { fixed };
        values.extend(&length.to_le_bytes()[..prefix]);
        // Values that, read as lengths, are far too large.
        values.extend(vec![0xFE; length]);
    }
    // Bits behind the last column say nothing.
    if let Some(last) = nulls.last_mut().filter(|_| !columns.len().is_multiple_of(8)) {
        *last |= 0xFF << (columns.len() % 8);
    }
    [nulls, values].concat()
}

#[test]
fn rows_with_any_values_null_are_counted_and_a_cut_one_is_not() {
    let mut numbers = Numbers(3);
    for round in 0..2000 {
        let columns: Vec<usize> = (0..=numbers.below(20)).map(|_| numbers.below(8)).collect();
        let of = |column: &usize| {
            let (column_type, metadata, ..) = COLUMNS[*column];
            Column { column_type, metadata }
        };
        let table: Vec<Column> = columns.iter().map(of).collect();
        let images = 1 + round % 2;
        let rows = 1 + numbers.below(4);
        let event_type = if images == 1 { WRITE_ROWS } else { UPDATE_ROWS };
        let bitmaps = vec![0xFF; columns.len().div_ceil(8)].repeat(images);
        let width = u8::try_from(columns.len()).unwrap();
        let head = [&[7, 0, 0, 0, 0, 0, 1, 0, 2, 0, width][..], &bitmaps].concat();
        let images: Vec<_> = (0..rows * images).map(|_| image(&columns, &mut numbers)).collect();
        let mut body = [head, images.concat()].concat();
        let last = images.last().map_or(0, Vec::len);
        let counted = |body: &[u8]| Rows::parse(event_type, body).unwrap().count(&table);
        assert_eq!(counted(&body), Some(u64::try_from(rows).unwrap()), "{columns:?}");
        // One byte alone is a whole image of NULLs.
        if last > 1 {
            body.pop();
            assert_eq!(counted(&body), None, "{columns:?}");
        }
    }
}
