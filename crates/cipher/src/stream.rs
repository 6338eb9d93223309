//! The AES-256-CTR stream of a log's body, from any byte of it.

use std::fmt;

use aes::cipher::consts::U16;
use aes::cipher::{
    Block, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, ParBlocks, StreamCipherBackend,
    StreamCipherClosure, StreamCipherCore, StreamCipherSeekCore,
};
use aes::{Aes128, Aes192, Aes256};
use ctr::CtrCore;
use ctr::flavors::{Ctr64BE, Ctr128BE, CtrFlavor};

use crate::file_key::FileKey;
use crate::secret::Secret;
use binlogsec_memory::prefetch;

/// Bytes of a cipher block.
const BLOCK: usize = 16;
/// How far ahead of the cipher a source is asked for: two batches of the widest instructions.
const AHEAD: usize = 2048;

/// Encrypts and decrypts a log's body; the two are the same.
///
/// Of a MySQL server's log the counter block is the nonce (8 bytes) and the block number as a
/// big-endian u64, 0 for the first 16 bytes of the body. A body would have to pass 2^68 bytes before
/// the number wrapped. Of Percona Binlog Server's it is an IV of 16 bytes plus the block number, as
/// one big-endian number, as OpenSSL counts.
pub struct CtrStream {
    schedule: Schedule,
    /// The counter block of the first 16 bytes.
    first: Secret<BLOCK>,
}

/// Key schedules, made once; each use copies one.
enum Schedule {
    /// Whose counter has 64 bits.
    Mysql(Aes256),
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl CtrStream {
    /// The stream under a file key.
    #[must_use]
    pub fn new(file_key: FileKey) -> Self {
        let FileKey { key, nonce } = file_key;
        let mut first = Secret::zeroed();
        first.expose_mut().iter_mut().zip(nonce.expose()).for_each(|(byte, nonce)| *byte = *nonce);
        Self { schedule: Schedule::Mysql(Aes256::new(key.expose().into())), first }
    }

    /// The stream of one of Percona Binlog Server's files: AES with a key of 16, 24 or 32 bytes;
    /// `None` for any other length.
    #[must_use]
    pub fn counting_from(iv: &[u8; BLOCK], key: &[u8]) -> Option<Self> {
        let schedule = match key.len() {
            16 => Schedule::Aes128(Aes128::new_from_slice(key).ok()?),
            24 => Schedule::Aes192(Aes192::new_from_slice(key).ok()?),
            32 => Schedule::Aes256(Aes256::new_from_slice(key).ok()?),
            _ => return None,
        };
        let first = Secret::from_slice(iv)?;
        Some(Self { schedule, first })
    }

    /// Applies the stream in place to bytes that start at `offset` of the body.
    pub fn apply(&self, offset: u64, bytes: &mut [u8]) {
        self.process(offset, None, bytes);
    }

    /// Applies the stream from `source` to `target`, both of which start at `offset` of the body.
    /// Of slices of unequal length the shorter counts.
    pub fn apply_to(&self, offset: u64, source: &[u8], target: &mut [u8]) {
        let length = source.len().min(target.len());
        let (Some(source), Some(target)) = (source.get(..length), target.get_mut(..length)) else {
            return;
        };
        self.process(offset, Some(source), target);
    }

    /// A source has the length of the target.
    fn process(&self, offset: u64, source: Option<&[u8]>, target: &mut [u8]) {
        debug_assert!(source.is_none_or(|source| source.len() == target.len()));
        let xor = Xor { skip: (offset % 16) as usize, source, target };
        let block = self.first.expose();
        let number = offset / 16;
        match &self.schedule {
            Schedule::Mysql(cipher) => run::<_, Ctr64BE>(cipher, block, number, xor),
            Schedule::Aes128(cipher) => run::<_, Ctr128BE>(cipher, block, number.into(), xor),
            Schedule::Aes192(cipher) => run::<_, Ctr128BE>(cipher, block, number.into(), xor),
            Schedule::Aes256(cipher) => run::<_, Ctr128BE>(cipher, block, number.into(), xor),
        }
    }
}

/// Applies the stream from a block on.
fn run<C, F>(cipher: &C, first: &[u8; BLOCK], number: F::Backend, xor: Xor<'_>)
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone,
    F: CtrFlavor<U16>,
{
    let mut core: CtrCore<C, F> = CtrCore::inner_iv_init(cipher.clone(), first.into());
    core.set_block_pos(number);
    core.process_with_backend(xor);
}

/// Adds the key stream to bytes, as many blocks at a time as the processor takes.
///
/// `StreamCipher::apply_keystream` does the same at half the speed: it moves each batch of blocks
/// several times, and takes the last blocks one by one, which for events of a few hundred bytes
/// are all there are.
struct Xor<'a> {
    /// Bytes of the first block that come before the data.
    skip: usize,
    /// Where the data is; in the target if nowhere else. As long as the target.
    source: Option<&'a [u8]>,
    target: &'a mut [u8],
}

impl BlockSizeUser for Xor<'_> {
    type BlockSize = U16;
}

impl StreamCipherClosure for Xor<'_> {
    #[inline(always)]
    fn call<B: StreamCipherBackend<BlockSize = U16>>(self, backend: &mut B) {
        let Self { skip, mut source, mut target } = self;
        let mut batch = ParBlocks::<B>::default();
        if skip > 0 {
            backend.gen_tail_blocks(batch.get_mut(..1).unwrap_or_default());
            let stream = bytes_of::<B>(&batch).get(skip..BLOCK).unwrap_or_default();
            add(&mut source, &mut target, stream);
        }
        while target.len() >= batch.len().saturating_mul(BLOCK) {
            // A new one each time may stay in registers.
            let mut batch = ParBlocks::<B>::default();
            backend.gen_par_ks_blocks(&mut batch);
            add_blocks(&mut source, &mut target, &batch);
        }
        let blocks = target.len().div_ceil(BLOCK);
        // A whole batch takes the time of some eight single blocks.
        if blocks.saturating_mul(8) <= batch.len() {
            backend.gen_tail_blocks(batch.get_mut(..blocks).unwrap_or_default());
        } else {
            backend.gen_par_ks_blocks(&mut batch);
        }
        add(&mut source, &mut target, bytes_of::<B>(&batch));
    }
}

#[inline(always)]
fn bytes_of<B: StreamCipherBackend<BlockSize = U16>>(batch: &ParBlocks<B>) -> &[u8] {
    Block::<B>::cast_slice_to_core(batch).as_flattened()
}

/// `add` for a whole batch, whose length the compiler knows.
#[inline(always)]
fn add_blocks(source: &mut Option<&[u8]>, target: &mut &mut [u8], stream: &[Block<Xor<'_>>]) {
    let length = stream.len().saturating_mul(BLOCK);
    let Some(sums) = target.split_off_mut(..length) else {
        return;
    };
    let (sums, _) = sums.as_chunks_mut::<BLOCK>();
    if let Some(data) = source {
        prefetch(data.get(AHEAD..).unwrap_or_default(), length);
        let (data, _) = data.split_off(..length).unwrap_or_default().as_chunks();
        for (sum, (block, stream)) in sums.iter_mut().zip(data.iter().zip(stream)) {
            *sum = sum_of(block, &stream.0);
        }
    } else {
        for (block, stream) in sums.iter_mut().zip(stream) {
            *block = sum_of(block, &stream.0);
        }
    }
}

#[inline(always)]
fn sum_of(one: &[u8; BLOCK], other: &[u8; BLOCK]) -> [u8; BLOCK] {
    (u128::from_le_bytes(*one) ^ u128::from_le_bytes(*other)).to_le_bytes()
}

/// Adds the key stream to the first bytes of the source, or of the target where there is none, puts
/// the sums into the target, and goes on behind them in both. The shorter length counts.
#[inline(always)]
fn add(source: &mut Option<&[u8]>, target: &mut &mut [u8], stream: &[u8]) {
    let length = stream.len().min(target.len());
    let Some(sums) = target.split_off_mut(..length) else {
        return;
    };
    if let Some(data) = source {
        let Some(data) = data.split_off(..length) else {
            return;
        };
        sums.iter_mut()
            .zip(data.iter().zip(stream))
            .for_each(|(sum, (byte, stream))| *sum = byte ^ stream);
    } else {
        sums.iter_mut().zip(stream).for_each(|(byte, stream)| *byte ^= stream);
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
                assert_eq!(piece, whole[offset..offset + length], "{length} at {offset}");
                let mut copied = vec![9; length];
                stream().apply_to(offset as u64, &vec![0; length], &mut copied);
                assert_eq!(copied, piece);
            }
        }
    }

    #[test]
    fn it_is_what_the_crate_makes_of_the_same_stream() {
        use aes::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

        let key = FileKey::derive(&Secret32::from_slice(&[7; 32]).unwrap());
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(key.nonce.expose());
        let mut theirs = ctr::Ctr64BE::<Aes256>::new(key.key.expose().into(), &nonce.into());
        // Around a batch of 8, 30 and 64 blocks, and the distance of the prefetch.
        let edges = [16, 128, 480, 512, 1024, 2048, 3072, 5000];
        for length in edges.iter().flat_map(|edge| edge - 2..edge + 18) {
            let source: Vec<u8> = (0..=250).cycle().take(length).collect();
            for offset in [0, 1, 15, 16, 1_000_003] {
                let mut expected = source.clone();
                theirs.seek(offset);
                theirs.apply_keystream(&mut expected);
                let mut copied = vec![9; length];
                stream().apply_to(offset, &source, &mut copied);
                assert!(copied == expected, "{length} to elsewhere at {offset}");
                let mut in_place = source.clone();
                stream().apply(offset, &mut in_place);
                assert!(in_place == expected, "{length} in place at {offset}");
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
