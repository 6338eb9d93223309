//! From an event to what is stored of it.

use std::fmt;

use aes::cipher::{Array, consts::U16};

use super::block::{BLOCK, Block, xor};
use super::{EventCipher, Mode};

/// An event that is being enciphered, from its first byte to its last.
pub struct EventEncryptor<'a> {
    pub(super) cipher: &'a EventCipher,
    pub(super) iv: [u8; BLOCK],
    pub(super) previous: [u8; BLOCK],
    pub(super) next_block: u64,
}

impl EventEncryptor<'_> {
    /// Enciphers the next bytes in place. All pieces but the last one of an event must be whole
    /// blocks of 16 bytes.
    pub fn encrypt(&mut self, bytes: &mut [u8]) {
        let (blocks, tail) = Array::<u8, U16>::slice_as_chunks_mut(bytes);
        for block in blocks {
            let mask: Block = match self.cipher.mode {
                Mode::Cbc => {
                    xor(block, &self.previous);
                    Block::default()
                }
                Mode::Ctr => self.cipher.tail_mask(self.iv, self.next_block).into(),
                Mode::Ecb => Block::default(),
            };
            if self.cipher.mode == Mode::Ctr {
                xor(block, &mask);
            } else {
                self.cipher.schedule.encrypt(std::slice::from_mut(block));
            }
            self.previous = (*block).into();
            self.next_block = self.next_block.saturating_add(1);
        }
        if !tail.is_empty() {
            xor(tail, &self.cipher.tail_mask(self.iv, self.next_block));
        }
    }
}

impl fmt::Debug for EventEncryptor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventEncryptor({:?})", self.cipher)
    }
}
