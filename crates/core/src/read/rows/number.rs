//! Integers as digits.

use crate::bytes::put_number;

/// Appends a number without a sign.
#[inline]
pub(super) fn unsigned(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    // Twenty digits are enough for any number of 64 bits.
    let _ = put_number(&mut digits, value);
    let unused = digits.iter().take_while(|digit| **digit == 0).count();
    out.extend_from_slice(digits.get(unused..).unwrap_or_default());
}

/// Appends a number with a `-` if it is below zero.
#[inline]
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}
