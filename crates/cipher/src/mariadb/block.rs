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

    /// From `source` to `target`, which has as many blocks.
    pub(super) fn decrypt_to(&self, source: &[Block], target: &mut [Block]) {
        // Fails where the numbers differ alone.
        let _ = match self {
            Self::Aes128(cipher) => cipher.decrypt_blocks_b2b(source, target),
            Self::Aes192(cipher) => cipher.decrypt_blocks_b2b(source, target),
            Self::Aes256(cipher) => cipher.decrypt_blocks_b2b(source, target),
        };
    }
}

/// The event's IV plus a count of blocks, as 128 bits, big-endian.
pub(super) fn counter(iv: [u8; BLOCK], block: u64) -> [u8; BLOCK] {
    u128::from_be_bytes(iv).wrapping_add(u128::from(block)).to_be_bytes()
}

/// As far as both go.
pub(super) fn xor(target: &mut [u8], with: &[u8]) {
    target.iter_mut().zip(with).for_each(|(target, with)| *target ^= with);
}

/// Deciphered blocks, XORed with the stored ones before them, into `target`: as far as all go.
pub(super) fn unchain(blocks: &[Block], before: &[u8], target: &mut [u8]) {
    let (targets, _) = target.as_chunks_mut::<BLOCK>();
    let (before, _) = before.as_chunks::<BLOCK>();
    for ((target, block), before) in targets.iter_mut().zip(blocks).zip(before) {
        *target = (bits(*block) ^ u128::from_le_bytes(*before)).to_le_bytes();
    }
}

/// A block as a little-endian integer: what is made of words is best kept in registers, as a wide
/// read of what was just written in two halves has to wait for them.
pub(super) fn bits(block: Block) -> u128 {
    u128::from_le_bytes(block.into())
}

/// As far as both go.
pub(super) fn copy(source: &[u8], target: &mut [u8]) {
    target.iter_mut().zip(source).for_each(|(target, byte)| *target = *byte);
}

/// The first enciphered block of an event, out of its first 20 bytes, as a little-endian integer;
/// what is not there is zero.
#[inline]
pub(super) fn gather(head: &[u8]) -> u128 {
    let mut whole = [0; HEAD];
    let head = match head.first_chunk::<HEAD>() {
        Some(head) => head,
        None => {
            copy(head, &mut whole);
            &whole
        }
    };
    let [.., h8, _, _, _, _, _, _, _, _, _, _, _] = *head;
    let low = word(head.first_chunk());
    let high = word(head.last_chunk());
    let first = low >> 32 | u64::from(h8) << 32 | low << 40;
    let second = high & !0xFF | low >> 24 & 0xFF;
    u128::from(first) | u128::from(second) << 64
}

/// The reverse: a block and the length to the first bytes of an event.
#[inline]
pub(super) fn scatter(block: u128, length: u32, head: &mut [u8]) {
    // Bytes 0..8, 8..12 and 12..20.
    let middle = block >> 32 & 0xFF | u128::from(length) << 8;
    let low = block >> 40 & 0xFFFF_FFFF | block << 32;
    let high = block >> 64 & !0xFF | u128::from(length) >> 24;
    let parts = (low_half(low), low_half(middle), low_half(high));
    if let Some(head) = head.first_chunk_mut::<HEAD>() {
        put(head, parts);
    } else {
        let mut whole = [0; HEAD];
        put(&mut whole, parts);
        copy(&whole, head);
    }
}

fn put(head: &mut [u8; HEAD], (low, middle, high): (u64, u64, u64)) {
    let (start, rest) = head.split_at_mut(8);
    let (between, end) = rest.split_at_mut(4);
    let [a, b, c, d, ..] = middle.to_le_bytes();
    copy_word(&low.to_le_bytes(), start);
    copy_word(&[a, b, c, d], between);
    copy_word(&high.to_le_bytes(), end);
}

fn copy_word<const N: usize>(word: &[u8; N], target: &mut [u8]) {
    if let Some(target) = target.first_chunk_mut() {
        *target = *word;
    }
}

fn word(bytes: Option<&[u8; 8]>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn low_half(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default()
}
