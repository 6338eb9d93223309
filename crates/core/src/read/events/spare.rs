//! Buffers that are used again.

use std::sync::{Mutex, PoisonError};

/// Buffers of one kind, for the next who needs one: the kernel maps each page anew of what is allocated
/// anew.
pub(in crate::read) struct Spare<B> {
    buffers: Mutex<Vec<B>>,
    new: fn() -> B,
    is_kept: fn(&B) -> bool,
}

impl<B> Spare<B> {
    /// Buffers that are made so; those that are not worth it are not kept.
    pub(in crate::read) const fn new(new: fn() -> B, is_kept: fn(&B) -> bool) -> Self {
        Self { buffers: Mutex::new(Vec::new()), new, is_kept }
    }

    /// One as it was given.
    pub(in crate::read) fn take(&self) -> B {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_else(self.new)
    }

    pub(in crate::read) fn give(&self, buffer: B) {
        if (self.is_kept)(&buffer) {
            let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
            buffers.push(buffer);
        }
    }
}
