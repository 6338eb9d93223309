//! The cipher path against OpenSSL, which shares no code with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::io::{Read, Seek, SeekFrom};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::mysql::file_key::FileKey;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::password;
use binlogsec_core::mysql::stream::CtrStream;
use binlogsec_core::secret::Secret32;
use proptest::prelude::*;

use common::openssl::{self, hex, openssl};
use common::{mixed, mixed_keyring, sha256};

fn cbc(direction: &str, key: &[u8], iv: &[u8], input: &[u8]) -> Vec<u8> {
    let (key, iv) = (hex(key), hex(iv));
    openssl(&["enc", "-aes-256-cbc", direction, "-nopad", "-K", &key, "-iv", &iv], input)
}

/// The keystream applied from a block on, as OpenSSL counts.
fn ctr(key: &[u8], nonce: &[u8], block: u64, input: &[u8]) -> Vec<u8> {
    let iv = [nonce, &block.to_be_bytes()].concat();
    openssl(&["enc", "-aes-256-ctr", "-d", "-K", &hex(key), "-iv", &hex(&iv)], input)
}

#[test]
fn openssl_goes_the_whole_way_on_a_real_log() {
    if !openssl::is_here() {
        return;
    }
    let bytes = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let header = EncryptionHeader::parse(&bytes).unwrap();
    let keys = Keyring::open(mixed_keyring()).unwrap().candidates(&header.key_id).unwrap();
    let key = keys[0].expose();
    let file_password = cbc("-d", key, &header.iv, &header.wrapped_password);
    let digest = openssl(&["dgst", "-sha512", "-binary"], &file_password);
    let plain = ctr(&digest[..32], &digest[32..40], 0, &bytes[512..]);
    assert_eq!(
        sha256(&plain),
        "248fdd06fde29e0968fe65ac5584181f6a046a46a4c42a7ff8834c4bef6452b9",
        "the manifest's plaintext"
    );

    let ours = password::unwrap(&keys[0], &header.iv, &header.wrapped_password);
    assert_eq!(ours.expose()[..], file_password);
    let file_key = FileKey::derive(&ours);
    assert_eq!(file_key.key.expose()[..], digest[..32]);
    assert_eq!(file_key.nonce.expose()[..], digest[32..40]);
    assert_eq!(cbc("-e", key, &header.iv, &file_password), header.wrapped_password);
    assert_eq!(password::wrap(&keys[0], &header.iv, &ours), header.wrapped_password);
}

#[test]
fn openssl_agrees_at_odd_offsets_and_lengths() {
    if !openssl::is_here() {
        return;
    }
    let file_password = [0x5A; 32];
    let digest = openssl(&["dgst", "-sha512", "-binary"], &file_password);
    let file_password = Secret32::from_slice(&file_password).unwrap();
    let stream = CtrStream::new(FileKey::derive(&file_password));
    for (offset, length) in [
        (0, 1),
        (1, 15),
        (15, 2),
        (16, 16),
        (511, 513),
        (4095, 70_001),
        ((1 << 32) - 5, 37),
        ((1 << 36) - 7, 300),
        (u64::MAX >> 1, 100),
    ] {
        let input: Vec<u8> = (0..length).map(|n: u32| (n % 253) as u8).collect();
        let skip = usize::try_from(offset % 16).unwrap();
        let padded = [vec![0; skip], input.clone()].concat();
        let expected = ctr(&digest[..32], &digest[32..40], offset / 16, &padded);
        let mut ours = input;
        stream.apply(offset, &mut ours);
        assert!(ours == expected[skip..], "{length} bytes at {offset}");
    }
}

proptest! {
    #[test]
    fn whatever_piece_is_read_it_is_that_of_the_whole(
        pieces in prop::collection::vec((0_u64..110_000, 0_usize..9_000), 1..20)
    ) {
        let keys = Keyring::open(mixed_keyring()).unwrap();
        let log = OpenLog::open(mixed().join("binlog.000003"), &keys).unwrap();
        let mut whole = Vec::new();
        log.reader().read_to_end(&mut whole).unwrap();
        let mut reader = log.reader();
        for (offset, length) in pieces {
            reader.seek(SeekFrom::Start(offset)).unwrap();
            let mut piece = Vec::new();
            (&mut reader).take(length as u64).read_to_end(&mut piece).unwrap();
            let start = usize::try_from(offset).unwrap().min(whole.len());
            let end = (start + length).min(whole.len());
            prop_assert!(piece == whole[start..end]);
        }
    }

    #[test]
    fn wrapping_is_undone_by_unwrapping(key: [u8; 32], iv: [u8; 16], secret: [u8; 32]) {
        let key = Secret32::from_slice(&key).unwrap();
        let secret = Secret32::from_slice(&secret).unwrap();
        let wrapped = password::wrap(&key, &iv, &secret);
        prop_assert!(password::unwrap(&key, &iv, &wrapped) == secret);
    }

    #[test]
    fn a_header_is_read_as_it_was_written(
        id in prop::collection::vec(any::<u8>(), 0..=255),
        wrapped_password: [u8; 32],
        iv: [u8; 16]
    ) {
        let key_id = binlogsec_core::mysql::key_id::KeyId::new(&id);
        let header = EncryptionHeader { key_id, wrapped_password, iv };
        prop_assert_eq!(EncryptionHeader::parse(&header.serialize().unwrap()), Ok(header));
    }
}
