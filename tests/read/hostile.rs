//! Input from broken or attacked machines: an error or a correct result, never a panic, and never
//! an output that looks right and is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::kind::{LogKind, Magic};
use binlogsec_core::log::log_error::LogError;
use binlogsec_core::log::probe::{KeyStatus, Probe};
use binlogsec_core::mysql::header::{EncryptionHeader, FieldType, HeaderError};

use common::{fixture, mixed, mixed_keyring};

fn log() -> Vec<u8> {
    let mut bytes = std::fs::read(mixed().join("binlog.000003")).unwrap();
    bytes.truncate(4096);
    bytes
}

fn obstacle(bytes: &[u8]) -> Option<LogError> {
    let keys = Keyring::open(mixed_keyring()).unwrap();
    Probe::new(bytes, &keys).unwrap().obstacle().cloned()
}

/// Where the header of the log has the type byte 0 that ends its fields; then comes padding.
const END_OF_FIELDS: usize = 115;

#[test]
fn every_bit_of_the_header_matters_and_none_does_harm() {
    let good = log();
    let keys = Keyring::open(mixed_keyring()).unwrap();
    for bit in 0..512 * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let probe = Probe::new(&bytes, &keys).unwrap();
        let opens = probe.obstacle().is_none();
        let is_padding = bit / 8 > END_OF_FIELDS;
        assert_eq!(opens, is_padding, "bit {bit}: {:?}", probe.obstacle());
    }
}

#[test]
fn every_cut_is_said_to_be_one() {
    let good = log();
    for length in 0..good.len() {
        let kind = LogKind::classify(&good[..length]);
        match length {
            0 => assert_eq!(kind, LogKind::Empty),
            1..4 => assert_eq!(kind, LogKind::Truncated { magic: None, available: length }),
            4..512 => {
                let magic = Some(Magic::MysqlEncrypted);
                assert_eq!(kind, LogKind::Truncated { magic, available: length });
            }
            _ => assert!(matches!(kind, LogKind::MysqlEncrypted(_))),
        }
        let is_readable = obstacle(&good[..length]).is_none();
        assert_eq!(is_readable, length >= 516, "{length}");
    }
}

/// A header with these fields after magic and version.
fn header(fields: &[u8]) -> Vec<u8> {
    let mut bytes = b"\xFDbin\x01".to_vec();
    bytes.extend(fields);
    bytes.resize(512, 0);
    bytes
}

fn key_id(id: &[u8]) -> Vec<u8> {
    [&[1, u8::try_from(id.len()).unwrap()], id].concat()
}

fn password() -> Vec<u8> {
    [&[2], &[7; 32][..]].concat()
}

fn iv() -> Vec<u8> {
    [&[3], &[8; 16][..]].concat()
}

#[test]
fn fields_may_stand_in_any_order_and_the_last_one_wins() {
    let id = key_id(b"some id");
    for order in [[&id, &password(), &iv()], [&iv(), &id, &password()], [&password(), &iv(), &id]] {
        let bytes = header(&order.map(Vec::as_slice).concat());
        let parsed = EncryptionHeader::parse(&bytes).unwrap();
        assert_eq!(parsed.key_id.as_bytes(), b"some id");
        assert_eq!((parsed.wrapped_password, parsed.iv), ([7; 32], [8; 16]));
        assert_eq!(parsed.key_id.parts(), None, "not of the server's form, and kept");
    }
    let fields = [&id[..], &password(), &iv(), &key_id(b"later")].concat();
    assert_eq!(EncryptionHeader::parse(&header(&fields)).unwrap().key_id.as_bytes(), b"later");
    let mut bytes = header(&[&id[..], &password(), &iv()].concat());
    bytes[200..].fill(0xAA);
    assert!(EncryptionHeader::parse(&bytes).is_ok(), "rubbish after the end of the fields");
}

#[test]
fn every_malformed_header_is_told_apart() {
    let id = key_id(b"id");
    let error = |fields: &[u8]| EncryptionHeader::parse(&header(fields)).unwrap_err();
    let missing = |field| HeaderError::MissingField { field };
    assert_eq!(error(&[]), missing(FieldType::KeyId));
    assert_eq!(error(&[password(), iv()].concat()), missing(FieldType::KeyId));
    assert_eq!(error(&[id.clone(), iv()].concat()), missing(FieldType::WrappedPassword));
    assert_eq!(error(&[id.clone(), password()].concat()), missing(FieldType::Iv));
    assert_eq!(error(&[4]), HeaderError::UnknownField { offset: 5, found: 4 });
    let late = [&id[..], &[255]].concat();
    assert_eq!(error(&late), HeaderError::UnknownField { offset: 9, found: 255 });

    // 507 bytes of fields: two key ids of 250 leave 1 byte, one of 252 and a password leave none.
    let fill = [key_id(&[b'x'; 250]), key_id(&[b'y'; 250])].concat();
    let past = |field: u8| [&fill[..], &[field, 0xFF, 0xFF]].concat();
    for (field, needed, available, offset) in [
        (FieldType::WrappedPassword, 32, 2, 510),
        (FieldType::Iv, 16, 2, 510),
        (FieldType::KeyId, 255, 1, 511),
    ] {
        let expected = HeaderError::FieldPastEnd { offset, field, needed, available };
        assert_eq!(error(&past(field as u8)), expected);
    }
    assert_eq!(
        EncryptionHeader::parse(b"\xFDbin\x02").unwrap_err(),
        HeaderError::Truncated { available: 5 }
    );
    let mut other = header(&[]);
    other[4] = 2;
    assert_eq!(LogKind::classify(&other), LogKind::MysqlEncryptedUnknownVersion { version: 2 });
    other[0] = 0xFC;
    assert_eq!(LogKind::classify(&other), LogKind::Unknown);
}

#[test]
fn a_header_that_is_full_to_the_last_byte_is_read() {
    // 5 + (2 + 244) + (2 + 209) + 33 + 17 = 512: no type 0 ends the list.
    let fields = [key_id(&[b'x'; 244]), key_id(&[b'y'; 209]), password(), iv()].concat();
    assert_eq!(fields.len(), 507);
    let parsed = EncryptionHeader::parse(&header(&fields)).unwrap();
    assert_eq!(parsed.key_id.as_bytes(), &[b'y'; 209]);
}

#[test]
fn a_key_that_fits_and_a_damaged_beginning_are_told_from_a_wrong_key() {
    let good = log();
    let flipped = |offset: usize| {
        let mut bytes = good.clone();
        bytes[512 + offset] ^= 0x55;
        obstacle(&bytes)
    };
    for offset in 0..4 {
        assert!(
            matches!(flipped(offset), Some(LogError::BodyDamaged { plain_offset: 0, .. })),
            "magic"
        );
    }
    assert!(matches!(flipped(8), Some(LogError::BodyDamaged { plain_offset: 4, .. })), "type");
    assert_eq!(flipped(30), None, "the server's version is not what proves a key");
    let mut both = good.clone();
    both[512] ^= 1;
    both[520] ^= 1;
    assert!(matches!(obstacle(&both), Some(LogError::WrongKey { .. })));
}

#[test]
fn an_encrypted_header_before_a_plaintext_log_is_noticed_without_a_key() {
    let plain = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let forged = [&log()[..512], &plain[..1000]].concat();
    let probe = Probe::new(&forged, &Keyring::new()).unwrap();
    assert_eq!(probe.obstacle(), Some(&LogError::BodyNotCiphertext));
    assert_eq!(obstacle(&forged), Some(LogError::BodyNotCiphertext));
}

#[test]
fn every_bit_and_cut_of_a_plain_beginning_is_survived() {
    for path in [
        mixed().join("binlog.000001"),
        fixture("mariadb-10.11/cbc128-crc32-row/logs/binlog.000002"),
    ] {
        let mut good = std::fs::read(path).unwrap();
        good.truncate(400);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!LogKind::classify(&bytes).name().is_empty());
        }
        for length in 0..good.len() {
            let kind = LogKind::classify(&good[..length]);
            assert_eq!(kind.is_log(), length >= 4, "{length}");
        }
    }
}

#[test]
fn keys_that_nobody_offered_are_unchecked_and_not_missing() {
    let probe = Probe::new(&log(), &Keyring::new()).unwrap();
    assert_eq!(probe.key_status(), KeyStatus::Unchecked);
    let keys = Keyring::open(fixture("mysql-9.7/mixed-key1-running/component_keyring_file"));
    let probe = Probe::new(&log(), &keys.unwrap()).unwrap();
    assert_eq!(probe.key_status(), KeyStatus::Missing);
}

/// A plaintext log whose second event, right after the format description event, has this type.
fn log_with_second_event(event_type: u8, flags: u16) -> Vec<u8> {
    let log = fixture("mariadb-10.11/cbc128-crc32-row/logs/binlog.000002");
    let mut bytes = std::fs::read(log).unwrap();
    let second =
        4 + usize::try_from(u32::from_le_bytes(bytes[13..17].try_into().unwrap())).unwrap();
    assert_eq!(bytes[second + 4], 164, "where the server has its start event");
    bytes[second + 4] = event_type;
    bytes[second + 17..second + 19].copy_from_slice(&flags.to_le_bytes());
    bytes
}

#[test]
fn the_event_that_starts_encryption_tells_the_dialect() {
    let name =
        |event_type, flags| LogKind::classify(&log_with_second_event(event_type, flags)).name();
    assert_eq!(name(164, 0), "mariadb-encrypted");
    assert_eq!(name(164, 0x0080), "mariadb-plain", "in a dump the event is there and void");
    assert_eq!(name(159, 0), "percona57-encrypted");
    assert_eq!(name(30, 0), "mariadb-plain", "no such event");
    let probe = Probe::new(&log_with_second_event(159, 0), &Keyring::new()).unwrap();
    assert!(matches!(probe.obstacle(), Some(LogError::Unsupported { .. })));
}

#[test]
fn every_cut_and_changed_byte_of_an_archives_json_ends_well() {
    use binlogsec_core::percona::sidecar::Sidecar;
    let sidecar = br#"{"size": 5, "encryption": {"file_key_envelope": {"kek_id": "k",
        "data_hex": "00112233445566778899aabbccddeeff", "iv_hex": "000102030405060708090a0b",
        "tag_hex": "00112233445566778899aabbccddeeff"}, "file_data_envelope": {"cipher":
        "AES-128-CTR", "iv_hex": "00112233445566778899aabbccddeeff"}}}"#;
    let keyring = br#"{"version": 1, "keys": [{"id": "k", "cipher": "AES-128-GCM",
        "data_hex": "00112233445566778899aabbccddeeff"}]}"#;
    assert!(matches!(Sidecar::parse(sidecar), Some(Ok(_))));
    assert!(binlogsec_core::keyring::binlog_server::parse(keyring).is_ok());
    for document in [&sidecar[..], keyring] {
        for at in 0..document.len() {
            let _ = Sidecar::parse(&document[..at]);
            assert!(binlogsec_core::keyring::binlog_server::parse(&document[..at]).is_err());
            for value in [b'"', b'{', b'0', 0xFF, document[at] ^ 0x20] {
                let mut changed = document.to_vec();
                changed[at] = value;
                let _ = Sidecar::parse(&changed);
                let _ = binlogsec_core::keyring::binlog_server::parse(&changed);
            }
        }
    }
}

#[test]
fn what_mariadb_compressed_unfolds_to_no_more_than_is_asked_for() {
    use binlogsec_core::event::compressed::Compressed;
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![7; 8 << 20]).unwrap();
    let stream = encoder.finish().unwrap();
    let of = |length: u32| [&[0x84][..], &length.to_be_bytes(), &stream].concat();
    let whole = of(8 << 20);
    let parsed = Compressed::parse(&whole).unwrap();
    assert_eq!(parsed.unfold(1000).unwrap(), [7; 1000]);
    assert_eq!(parsed.unfold(usize::MAX).unwrap().len(), 8 << 20);
    // It announces more than there is.
    let bomb = of(u32::MAX);
    assert!(Compressed::parse(&bomb).unwrap().unfold(usize::MAX).is_none());
    // Behind the last byte of data there is but the end of the stream and its sum.
    for cut in 0..whole.len() - 32 {
        let unfolded = Compressed::parse(&whole[..cut]).and_then(|parsed| parsed.unfold(9 << 20));
        assert!(unfolded.is_none(), "{cut}");
    }
    for first in [0x00, 0x80, 0x85, 0x94, 0x04] {
        assert!(Compressed::parse(&[&[first][..], &whole[1..]].concat()).is_none());
    }
}
