//! The AES-256-CTR stream of a log's body, from any byte of it.

use std::fmt;

use aes::Aes256;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherSeek};
use ctr::{Ctr64BE, CtrCore};

use super::derive::FileKey;
use crate::secret::Secret;

/// Encrypts and decrypts a log's body; the two are the same.
///
/// The counter block is the nonce (8 bytes) and the block number as a big-endian u64, 0 for the
/// first 16 bytes of the body. A body would have to pass 2^68 bytes before the number wrapped.
pub struct CtrStream {
    /// Key schedule, made once; each use copies it.
    cipher: Aes256,
    nonce: Secret<8>,
}

impl CtrStream {
    /// The stream under a file key.
    #[must_use]
    pub fn new(file_key: FileKey) -> Self {
        let FileKey { key, nonce } = file_key;
        Self {
            cipher: Aes256::new(key.expose().into()),
            nonce,
        }
    }

    /// Applies the stream in place to bytes that start at `offset` of the body.
    pub fn apply(&self, offset: u64, bytes: &mut [u8]) {
        self.at(offset).apply_keystream(bytes);
    }

    /// Applies the stream from `source` to `target`, both of which start at `offset` of the body.
    /// Of slices of unequal length the shorter counts.
    pub fn apply_to(&self, offset: u64, source: &[u8], target: &mut [u8]) {
        let length = source.len().min(target.len());
        let (Some(source), Some(target)) = (source.get(..length), target.get_mut(..length)) else {
            return;
        };
        self.at(offset).apply_keystream_b2b(source, target);
    }

    fn at(&self, offset: u64) -> Ctr64BE<Aes256> {
        let mut block = [0; 16];
        block
            .iter_mut()
            .zip(self.nonce.expose())
            .for_each(|(byte, nonce)| *byte = *nonce);
        let core = CtrCore::inner_iv_init(self.cipher.clone(), &block.into());
        let mut stream = Ctr64BE::from_core(core);
        stream.seek(offset);
        stream
    }
}

impl fmt::Debug for CtrStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CtrStream(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret32;

    fn stream() -> CtrStream {
        CtrStream::new(FileKey::derive(&Secret32::from_slice(&[7; 32]).unwrap()))
    }

    #[test]
    fn any_piece_is_what_the_whole_has_there() {
        let mut whole = vec![0; 5000];
        stream().apply(0, &mut whole);
        for offset in (0..4900).step_by(37) {
            for length in [0, 1, 15, 16, 17, 63, 64, 65] {
                let mut piece = vec![0; length];
                stream().apply(offset as u64, &mut piece);
                assert_eq!(
                    piece,
                    whole[offset..offset + length],
                    "{length} at {offset}"
                );
                let mut copied = vec![9; length];
                stream().apply_to(offset as u64, &vec![0; length], &mut copied);
                assert_eq!(copied, piece);
            }
        }
    }

    #[test]
    fn the_counter_carries_past_32_bits() {
        // Block number 2^32 - 1 and the one after it: offset 2^36 - 16.
        let offset = (1_u64 << 36) - 16;
        let mut both = [0; 32];
        stream().apply(offset, &mut both);
        let mut second = [0; 16];
        stream().apply(offset + 16, &mut second);
        assert_eq!(both[16..], second);
        let mut first_of_all = [0; 16];
        stream().apply(0, &mut first_of_all);
        assert_ne!(second, first_of_all, "the counter does not wrap at 32 bits");
    }
}
