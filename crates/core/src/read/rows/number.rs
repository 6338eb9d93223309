//! Integers as digits.

/// Appends a number without a sign.
#[inline]
pub(super) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0'.saturating_add(u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        start = start.saturating_sub(1);
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a number with a `-` if it is below zero.
#[inline]
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}
