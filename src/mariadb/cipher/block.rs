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

/// The first enciphered block of an event, out of its first 20 bytes; what is not there is zero.
pub(super) fn gather(head: &[u8]) -> [u8; BLOCK] {
    let mut whole = [0; HEAD];
    let [h0, h1, h2, h3, h4, h5, h6, h7, h8, _, _, _, _, rest @ ..] = match head.first_chunk() {
        Some(head) => head,
        None => {
            copy(head, &mut whole);
            &whole
        }
    };
    let [r0, r1, r2, r3, r4, r5, r6] = *rest;
    [
        *h4, *h5, *h6, *h7, *h8, *h0, *h1, *h2, *h3, r0, r1, r2, r3, r4, r5, r6,
    ]
}

/// The reverse: a block and the length to the first bytes of an event.
pub(super) fn scatter(block: &[u8; BLOCK], length: u32, head: &mut [u8]) {
    let [
        p0,
        p1,
        p2,
        p3,
        p4,
        p5,
        p6,
        p7,
        p8,
        q0,
        q1,
        q2,
        q3,
        q4,
        q5,
        q6,
    ] = *block;
    let [a, b, c, d] = length.to_le_bytes();
    let ordered = [
        p5, p6, p7, p8, p0, p1, p2, p3, p4, a, b, c, d, q0, q1, q2, q3, q4, q5, q6,
    ];
    match head.first_chunk_mut::<HEAD>() {
        Some(head) => *head = ordered,
        None => copy(&ordered, head),
    }
}
