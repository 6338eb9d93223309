//! Asking the processor for bytes that will be wanted soon.
//!
//! Its own prefetching stops at the end of each page of 4 KiB, and a mapped log is read a page at a
//! time: without a hint the cipher waits for memory at every page (docs/performance.md).
#![allow(unsafe_code)]

/// Bytes of a cache line, or fewer.
const LINE: usize = 64;

/// Begins to fetch the first `length` bytes into the nearest cache. Reads nothing, and changes
/// nothing but time.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], length: usize) {
    for line in bytes.get(..length).unwrap_or_default().chunks(LINE) {
        fetch(line.as_ptr());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it faults on no address, and gives no value. SSE, which has the
    // instruction, is part of every x86-64.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn fetch(_: *const u8) {}
