//! The file of the `keyring_file` plugin (MySQL 5.7.11 to 8.x), versions 1.0 and 2.0.
//!
//! ```text
//! "Keyring file version:2.0"   24 bytes
//! record…                      each a multiple of the word size
//! "EOF"                        3 bytes
//! SHA-256 of all records       32 bytes, version 2.0 only
//! ```
//!
//! A record is five words (its length with padding, then the lengths of key id, key type, user id
//! and key), these four, and padding to the word size. A word is the `size_t` of the machine that
//! wrote the file: 8 or 4 bytes of either byte order, told by which reading walks all records
//! exactly to `EOF`. Key bytes are combined by XOR with a fixed
//! text, which hides nothing.
//!
//! Source: server source, `plugin/keyring` (`common/keyring_key.cc` for the record,
//! `checker/checker.cc` and `converter.cc` for the four machine kinds, `buffered_file_io.cc` for
//! the digest); version 1.0 with 64-bit little-endian words checked on a server's file.

mod error;
mod read;
mod write;

use std::fmt;

pub use error::{PluginError, RecordDefect};
pub use read::parse;
pub use write::serialize;

use super::Entry;
use crate::bytes::{Cursor, OutOfBytes};

/// What every such file starts with; the version follows.
pub const SIGNATURE: &[u8] = b"Keyring file version:";

const VERSION_BYTES: usize = 3;
const RECORDS_OFFSET: usize = 24;
const EOF_TAG: &[u8] = b"EOF";
const DIGEST_BYTES: usize = 32;
const OBFUSCATION: &[u8; 24] = b"*305=Ljt0*!@$Hnm(*-9-w;:";

/// The version of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginVersion {
    /// Without a digest.
    V1_0,
    /// With a SHA-256 digest of the records at the end.
    V2_0,
}

impl PluginVersion {
    const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V2_0 => "2.0",
        }
    }

    const fn digest_bytes(self) -> usize {
        match self {
            Self::V1_0 => 0,
            Self::V2_0 => DIGEST_BYTES,
        }
    }
}

impl fmt::Display for PluginVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The machine kind that wrote the file: width and byte order of its `size_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// 8 bytes, least significant first.
    Le64,
    /// 4 bytes, least significant first.
    Le32,
    /// 8 bytes, most significant first.
    Be64,
    /// 4 bytes, most significant first.
    Be32,
}

impl Word {
    /// All four, in the order in which the server tries them.
    pub const ALL: [Self; 4] = [Self::Le64, Self::Le32, Self::Be64, Self::Be32];

    /// That of this machine.
    pub const NATIVE: Self = match (cfg!(target_endian = "little"), size_of::<usize>()) {
        (true, 8) => Self::Le64,
        (true, _) => Self::Le32,
        (false, 8) => Self::Be64,
        (false, _) => Self::Be32,
    };

    /// Bytes a word takes.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Le64 | Self::Be64 => 8,
            Self::Le32 | Self::Be32 => 4,
        }
    }

    const fn lengths_width(self) -> usize {
        match self {
            Self::Le64 | Self::Be64 => 40,
            Self::Le32 | Self::Be32 => 20,
        }
    }

    fn read(self, cursor: &mut Cursor<'_>) -> Result<u64, OutOfBytes> {
        match self {
            Self::Le64 => cursor.u64_le(),
            Self::Le32 => cursor.u32_le().map(u64::from),
            Self::Be64 => cursor.u64_be(),
            Self::Be32 => cursor.u32_be().map(u64::from),
        }
    }

    fn write(self, value: usize, out: &mut Vec<u8>) -> Result<(), PluginError> {
        let too_long = |_| PluginError::TooLong { word: self };
        let wide = u64::try_from(value).map_err(too_long)?;
        match self {
            Self::Le64 => out.extend(wide.to_le_bytes()),
            Self::Le32 => out.extend(u32::try_from(value).map_err(too_long)?.to_le_bytes()),
            Self::Be64 => out.extend(wide.to_be_bytes()),
            Self::Be32 => out.extend(u32::try_from(value).map_err(too_long)?.to_be_bytes()),
        }
        Ok(())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Le64 => "64-bit little-endian",
            Self::Le32 => "32-bit little-endian",
            Self::Be64 => "64-bit big-endian",
            Self::Be32 => "32-bit big-endian",
        })
    }
}

/// A file that was read whole.
#[derive(Debug, PartialEq, Eq)]
pub struct PluginKeyring {
    /// The version line.
    pub version: PluginVersion,
    /// The machine kind of the records; `None` when there are none, since every kind fits then.
    pub word: Option<Word>,
    /// The machine kind in whose form the records were when the digest was made; `None` without
    /// records or without a digest. It differs from `word` after a server of another machine kind
    /// has changed the file: that server keeps the file's kind and digests its own form.
    pub digest_word: Option<Word>,
    /// The records in file order.
    pub entries: Vec<Entry>,
}

/// XOR with the repeated text; the same both ways.
fn obfuscated(key: &[u8]) -> impl ExactSizeIterator<Item = u8> {
    // `take` keeps the exact length, which `zip` with an endless iterator does not promise.
    let mut text = OBFUSCATION.iter().cycle();
    key.iter().map(move |byte| byte ^ text.next().unwrap_or(&0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keyring::{KeyType, find_duplicate};
    use crate::mysql::key_id::KeyId;
    use crate::secret::SecretBytes;

    fn entry(id: &[u8], user: &[u8], key_type: &[u8], data: &[u8]) -> Entry {
        Entry {
            id: KeyId::new(id),
            user: user.into(),
            key_type: KeyType::from_bytes(key_type),
            data: SecretBytes::new(data.to_vec()),
        }
    }

    #[test]
    fn the_obfuscation_starts_again_at_every_key() {
        let zeros: Vec<u8> = obfuscated(&[0; 50]).collect();
        assert_eq!(&zeros, b"*305=Ljt0*!@$Hnm(*-9-w;:*305=Ljt0*!@$Hnm(*-9-w;:*3");
        assert_eq!(obfuscated(&[0; 50]).len(), 50, "collected into a buffer of its exact size");
    }

    #[test]
    fn a_record_is_laid_out_as_documented() {
        let entry = entry(b"x", b"u@h", b"AES", &[0; 4]);
        let file = serialize(PluginVersion::V1_0, Word::Be32, [&entry]).unwrap();
        let expected = b"Keyring file version:1.0\
            \0\0\0\x20\0\0\0\x01\0\0\0\x03\0\0\0\x03\0\0\0\x04xAESu@h*305\0EOF";
        assert_eq!(file.as_slice(), expected);
    }

    #[test]
    fn without_records_no_machine_kind_is_named() {
        for version in [PluginVersion::V1_0, PluginVersion::V2_0] {
            let file = serialize(version, Word::Be32, []).unwrap();
            let keyring = parse(&file).unwrap();
            assert_eq!((keyring.version, keyring.word, keyring.entries.len()), (version, None, 0));
        }
        let mut file = serialize(PluginVersion::V2_0, Word::Be32, []).unwrap();
        *file.last_mut().unwrap() ^= 1;
        assert_eq!(parse(&file), Err(PluginError::DigestMismatch { offset: 27, end: 24 }));
    }

    #[test]
    fn what_the_version_line_says_decides() {
        assert_eq!(parse(b""), Err(PluginError::Signature));
        assert_eq!(parse(b"keyring file version:1.0EOF"), Err(PluginError::Signature));
        let cut = |available| PluginError::Truncated {
            what: "the version line",
            offset: 0,
            needed: 24,
            available,
        };
        assert_eq!(parse(b"Key"), Err(cut(3)));
        assert_eq!(parse(b"Keyring file version:2."), Err(cut(23)));
        let found = r"9\n9".to_owned();
        let error = PluginError::UnsupportedVersion { found };
        assert_eq!(parse(b"Keyring file version:9\n9EOF"), Err(error));
    }

    #[test]
    fn padding_of_any_content_is_accepted_but_it_must_be_there() {
        let entry = entry(b"x", b"", b"AES", &[7; 3]);
        let mut file = serialize(PluginVersion::V1_0, Word::Le64, [&entry]).unwrap();
        let last = file.len() - 4;
        file[last] = 0xFF;
        assert_eq!(parse(&file).unwrap().entries, [entry]);
        file.remove(last);
        assert!(matches!(parse(&file), Err(PluginError::Record { record: 0, offset: 24, .. })));
    }

    #[test]
    fn a_whole_word_of_padding_is_refused() {
        let mut file = b"Keyring file version:1.0".to_vec();
        for value in [32_u32, 1, 3, 0, 4] {
            file.extend(value.to_le_bytes());
        }
        file.extend(b"xAES\0\0\0\0\0\0\0\0EOF");
        let defect = RecordDefect::ExcessPadding { used: 28, length: 32 };
        let error = PluginError::Record { record: 0, offset: 24, word: Word::Le32, defect };
        assert_eq!(parse(&file), Err(error));
    }

    prop_compose! {
        fn any_entry()(
            id in prop::collection::vec(any::<u8>(), 0..80),
            user in prop::collection::vec(any::<u8>(), 0..20),
            key_type in prop_oneof![
                Just(b"AES".to_vec()),
                prop::collection::vec(any::<u8>(), 0..9),
            ],
            data in prop::collection::vec(any::<u8>(), 0..70),
        ) -> Entry {
            entry(&id, &user, &key_type, &data)
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mut entries in prop::collection::vec(any_entry(), 1..6),
            word in prop::sample::select(Word::ALL.to_vec()),
            version in prop::sample::select(vec![PluginVersion::V1_0, PluginVersion::V2_0]),
        ) {
            while let Some((_, later)) = find_duplicate(&entries) {
                entries.remove(later);
            }
            let file = serialize(version, word, &entries).unwrap();
            let keyring = parse(&file).unwrap();
            prop_assert_eq!(&keyring.entries, &entries);
            prop_assert_eq!(keyring.word, Some(word));
            prop_assert_eq!(keyring.version, version);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            version in prop::sample::select(vec!["1.0", "2.0", "3.0"]),
            with_tag in any::<bool>(),
        ) {
            let _ = parse(&bytes);
            let mut file = [SIGNATURE, version.as_bytes(), &bytes].concat();
            if with_tag {
                file.extend(EOF_TAG);
            }
            let _ = parse(&file);
        }
    }
}
