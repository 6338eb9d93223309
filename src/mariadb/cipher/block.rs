//! AES blocks, and the order in which the first one lies in an event.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};

use super::HEAD;

/// An AES block, in bytes.
pub(super) const BLOCK: usize = 16;

pub(super) type Block = Array<u8, U16>;

/// Key schedules, made once. Wiped when dropped.
pub(super) enum Schedule {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl Schedule {
    /// With a key of 16, 24 or 32 bytes; `None` for any other length.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        Some(match key.len() {
            16 => Self::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            24 => Self::Aes192(Box::new(Aes192::new_from_slice(key).ok()?)),
            32 => Self::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        })
    }

    pub(super) fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes192(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.encrypt_blocks(blocks),
        }
    }

    pub(super) fn decrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(cipher) => cipher.decrypt_blocks(blocks),
            Self::Aes192(cipher) => cipher.decrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.decrypt_blocks(blocks),
        }
    }
}

/// The event's IV plus a count of blocks, as 128 bits, big-endian.
pub(super) fn counter(iv: [u8; BLOCK], block: u64) -> [u8; BLOCK] {
    u128::from_be_bytes(iv)
        .wrapping_add(u128::from(block))
        .to_be_bytes()
}

/// As far as both go.
pub(super) fn xor(target: &mut [u8], with: &[u8]) {
    target
        .iter_mut()
        .zip(with)
        .for_each(|(target, with)| *target ^= with);
}

/// As far as both go.
pub(super) fn copy(source: &[u8], target: &mut [u8]) {
    target
        .iter_mut()
        .zip(source)
        .for_each(|(target, byte)| *target = *byte);
}

/// The first enciphered block of an event, out of its first 20 bytes.
pub(super) fn gather(head: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let order = (4..9).chain(0..4).chain(13..HEAD);
    for (target, index) in block.iter_mut().zip(order) {
        *target = head.get(index).copied().unwrap_or_default();
    }
    block
}

/// The reverse: a block and the length to the first bytes of an event.
pub(super) fn scatter(block: &[u8; BLOCK], length: u32, head: &mut [u8]) {
    let order = (4..9).chain(0..4).chain(13..HEAD);
    for (byte, index) in block.iter().zip(order) {
        if let Some(target) = head.get_mut(index) {
            *target = *byte;
        }
    }
    for (byte, target) in length.to_le_bytes().iter().zip(head.iter_mut().skip(9)) {
        *target = *byte;
    }
}
