//! The first bytes of a file: kind, header, and the proof of a key.

use std::sync::LazyLock;

use binlogsec_core::event::MAGIC;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::kind::{LogKind, PROBE_LENGTH};
use binlogsec_core::log::log_error::LogError;
use binlogsec_core::log::probe::Probe;
use binlogsec_core::mysql::file_key::FileKey;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::password;
use binlogsec_core::mysql::stream::CtrStream;

use super::{fixture, switches};

/// The header of a real log, the stream that it leads to, and its keyring.
pub(super) struct Encrypted {
    pub(super) header: Vec<u8>,
    pub(super) stream: CtrStream,
    pub(super) keys: Keyring,
}

pub(super) static ENCRYPTED: LazyLock<Encrypted> = LazyLock::new(|| {
    let folder = fixture("mysql-9.7/mixed-key3-running");
    let keys = Keyring::open(folder.join("component_keyring_file")).unwrap();
    let log = std::fs::read(folder.join("binlog.000003")).unwrap();
    let header = EncryptionHeader::parse(&log).unwrap();
    let key = keys.candidates(&header.key_id).unwrap().pop().unwrap();
    let password = password::unwrap(&key, &header.iv, &header.wrapped_password);
    Encrypted {
        header: log[..512].to_vec(),
        stream: CtrStream::new(FileKey::derive(&password)),
        keys,
    }
});

impl Encrypted {
    /// A log with this plaintext.
    pub(super) fn log(&self, plain: &[u8]) -> Vec<u8> {
        let mut log = [&self.header, plain].concat();
        self.stream.apply(0, &mut log[512..]);
        log
    }
}

static MARIADB_KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    let mut keys = Keyring::new();
    keys.add_mariadb_keys(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt")).unwrap();
    keys
});

/// An odd first byte: the rest is the plaintext of an encrypted log, so that the fuzzer need not
/// guess a cipher. Else the rest is the file.
pub(crate) fn log_start(data: &[u8]) {
    let Some((switch, rest)) = switches(data) else {
        return;
    };
    let encrypted = switch & 1 != 0;
    let mut file = if encrypted { ENCRYPTED.log(rest) } else { rest.to_vec() };
    file.truncate(PROBE_LENGTH);
    let kind = LogKind::classify(&file);
    assert!(!kind.name().is_empty());
    if let LogKind::MysqlEncrypted(header) = &kind {
        let again = header.serialize().expect("what was read fits a header");
        assert_eq!(EncryptionHeader::parse(&again).as_ref(), Ok(header));
    }
    for keys in [&Keyring::new(), &ENCRYPTED.keys, &MARIADB_KEYS] {
        let probe = Probe::new(&file, keys).expect("no key comes from elsewhere");
        let message = probe.obstacle().map(ToString::to_string);
        assert_ne!(message.as_deref(), Some(""));
        let _ = (probe.key_status(), probe.mariadb_key(), probe.body_offset());
    }
    let probe = Probe::new(&file, &ENCRYPTED.keys).unwrap();
    if encrypted && rest.starts_with(&MAGIC) {
        let wrong = matches!(probe.obstacle(), Some(LogError::WrongKey { .. }));
        assert!(!wrong, "the magic is there, so the key is right");
    }
}
