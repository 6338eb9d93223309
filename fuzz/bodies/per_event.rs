//! Logs that MariaDB encrypted event by event.

use std::sync::LazyLock;

use binlogsec::event::MAGIC;
use binlogsec::event::checksum::ChecksumAlgorithm;
use binlogsec::event::walker::Events;
use binlogsec::keyring::{Keyring, MariadbOptions};
use binlogsec::mariadb::cipher::{EventCipher, EventSpan, HEAD, Mode};
use binlogsec::mariadb::start_encryption::{self, Layout, StartEncryption};
use binlogsec::open::OpenLog;

use super::event_chain::with_right_checksums;
use super::{fixture, source, switches};

/// The clear beginning of a real log.
struct Beginning {
    bytes: Vec<u8>,
    nonce: [u8; 12],
}

static BEGINNING: LazyLock<Beginning> = LazyLock::new(|| {
    let log = fixture("mariadb-10.11/cbc128-crc32-row/logs/binlog.000002");
    let mut bytes = std::fs::read(log).unwrap();
    let (_, event) = start_encryption::find(&bytes).unwrap();
    let nonce = StartEncryption::parse(event).unwrap().nonce;
    let layout = Layout::parse(&bytes, ChecksumAlgorithm::Crc32).unwrap();
    bytes.truncate(layout.first_event as usize);
    Beginning { bytes, nonce }
});

const MODES: [Mode; 3] = [Mode::Cbc, Mode::Ctr, Mode::Ecb];

/// The fixture's keys, and one mode or all of them.
static KEYS: LazyLock<[Keyring; 4]> = LazyLock::new(|| {
    [Some(Mode::Cbc), Some(Mode::Ctr), Some(Mode::Ecb), None].map(|mode| {
        let mut keys = Keyring::new();
        let options = MariadbOptions {
            mode,
            ..MariadbOptions::default()
        };
        keys.set_mariadb_options(options);
        keys.add_mariadb_keys(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt"))
            .unwrap();
        keys
    })
});

/// The lowest bit of the first byte: the rest is a whole file; else it is plaintext, which is
/// enciphered behind a real beginning, in the mode of the next two bits, with right checksums if
/// the bit after them is set.
pub(crate) fn mariadb(data: &[u8]) {
    let Some((switch, rest)) = switches(data) else {
        return;
    };
    let mode = usize::from(switch >> 1) % MODES.len();
    if switch & 1 != 0 {
        let _ = start_encryption::find(rest);
        let _ = Layout::parse(rest, ChecksumAlgorithm::Crc32);
        let _ = Layout::parse(rest, ChecksumAlgorithm::None);
        read(rest, &KEYS[mode]);
        read(rest, &KEYS[3]);
        return;
    }
    let plain = if switch & 8 != 0 {
        with_right_checksums(rest)
    } else {
        rest.to_vec()
    };
    let start = &BEGINNING.bytes;
    let file = [&start[..], &encipher(&plain, MODES[mode])].concat();
    let Some(read) = read(&file, &KEYS[mode]) else {
        return;
    };
    let events = &read[start.len()..];
    assert!(
        plain.starts_with(events),
        "deciphers to what was enciphered"
    );
}

fn encipher(plain: &[u8], mode: Mode) -> Vec<u8> {
    let keys = KEYS[3].mariadb_candidates(1);
    let key = keys.iter().find(|key| key.id == Some(1)).unwrap().key;
    let cipher = EventCipher::new(key, mode, BEGINNING.nonce).unwrap();
    let start = BEGINNING.bytes.len() as u64;
    let mut stored = plain.to_vec();
    for event in Events::new(plain, start, ChecksumAlgorithm::None).flatten() {
        let span = EventSpan {
            offset: event.offset,
            length: event.header.length,
        };
        let at = (event.offset - start) as usize;
        let bytes = &mut stored[at..at + event.bytes.len()];
        let (head, body) = bytes.split_at_mut(HEAD.min(event.bytes.len()));
        cipher.encryptor(span, head).encrypt(body);
    }
    // What is no whole event any more is cut off: it could not be enciphered.
    let whole = Events::new(plain, start, ChecksumAlgorithm::None)
        .flatten()
        .last();
    stored.truncate(whole.map_or(0, |last| (last.end() - start) as usize));
    stored
}

/// The plaintext, the same however it is read; `None` if there is none.
fn read(file: &[u8], keys: &Keyring) -> Option<Vec<u8>> {
    let log = OpenLog::new(source(file), keys).ok()?;
    let length = log.plain_length();
    assert!(length <= file.len() as u64);
    let _ = log.tail_damage().map(|error| error.to_string());
    let mut whole = vec![0; length as usize];
    assert_eq!(log.read_at(0, &mut whole).unwrap(), whole.len());
    if !whole.is_empty() {
        assert!(whole.starts_with(&MAGIC));
    }
    for piece in [1, 7, 16, 61] {
        let pieces = whole.chunks(piece).take(300).enumerate();
        for (number, expected) in pieces {
            let mut bytes = vec![0; piece];
            let read = log.read_at((number * piece) as u64, &mut bytes).unwrap();
            assert_eq!(&bytes[..read], expected, "piece {number} of {piece} bytes");
        }
    }
    Some(whole)
}
