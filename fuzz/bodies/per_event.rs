//! Logs that MariaDB encrypted event by event.

use std::sync::LazyLock;

use binlogsec_core::event::MAGIC;
use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::event::walker::Events;
use binlogsec_core::keyring::{Keyring, MariadbOptions};
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::mariadb::cipher::{EventCipher, EventSpan, HEAD, Mode};
use binlogsec_core::mariadb::start_encryption::{self, Layout, StartEncryption};

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
        let options = MariadbOptions { mode, ..MariadbOptions::default() };
        keys.set_mariadb_options(options);
        keys.add_mariadb_keys(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt")).unwrap();
        keys
    })
});

/// Sizes of the pieces in which plaintext is read a second time.
const PIECES: [usize; 4] = [1, 7, 16, 61];

/// The lowest bit of the first byte: the rest is a whole file; else it is plaintext, which is
/// enciphered behind a real beginning, with right checksums if bit 8 is set. Bits 2 and 4: the mode;
/// for whole files, all of them as well. Bits 16 and 32: the size of the pieces.
pub(crate) fn mariadb(data: &[u8]) {
    let Some((switch, rest)) = switches(data) else {
        return;
    };
    let mode = usize::from(switch >> 1 & 3);
    let piece = PIECES[usize::from(switch >> 4 & 3)];
    if switch & 1 != 0 {
        let _ = start_encryption::find(rest);
        let _ = Layout::parse(rest, ChecksumAlgorithm::Crc32);
        let _ = Layout::parse(rest, ChecksumAlgorithm::None);
        read(rest, &KEYS[mode], piece);
        return;
    }
    let (plain, file) = encrypted(rest, switch & 8 != 0, mode);
    let Some(read) = read(&file, keys(mode), piece) else {
        return;
    };
    let events = &read[BEGINNING.bytes.len()..];
    assert!(plain.starts_with(events), "deciphers to what was enciphered");
}

/// The keys with a mode, which counts from 0.
pub(super) fn keys(mode: usize) -> &'static Keyring {
    &KEYS[mode % MODES.len()]
}

/// How many bytes of such a log stand in clear.
pub(super) fn clear_length() -> usize {
    BEGINNING.bytes.len()
}

/// Events, with right checksums if that is wanted, and the log with a real beginning in which they
/// are enciphered.
pub(super) fn encrypted(events: &[u8], repair: bool, mode: usize) -> (Vec<u8>, Vec<u8>) {
    let plain = if repair { with_right_checksums(events) } else { events.to_vec() };
    let mode = MODES[mode % MODES.len()];
    let file = [&BEGINNING.bytes[..], &encipher(&plain, mode)].concat();
    (plain, file)
}

fn encipher(plain: &[u8], mode: Mode) -> Vec<u8> {
    let keys = KEYS[3].mariadb_candidates(1).unwrap();
    let key = keys.candidates().into_iter().find(|key| key.id == Some(1)).unwrap().key;
    let cipher = EventCipher::new(key, mode, BEGINNING.nonce).unwrap();
    let start = BEGINNING.bytes.len() as u64;
    let mut stored = plain.to_vec();
    for event in Events::new(plain, start, ChecksumAlgorithm::None).flatten() {
        let span = EventSpan { offset: event.offset, length: event.header.length };
        let at = (event.offset - start) as usize;
        let bytes = &mut stored[at..at + event.bytes.len()];
        let (head, body) = bytes.split_at_mut(HEAD.min(event.bytes.len()));
        cipher.encryptor(span, head).encrypt(body);
    }
    // What is no whole event any more is cut off: it could not be enciphered.
    let whole = Events::new(plain, start, ChecksumAlgorithm::None).flatten().last();
    stored.truncate(whole.map_or(0, |last| (last.end() - start) as usize));
    stored
}

/// The plaintext, the same in pieces of any size; `None` if there is none.
fn read(file: &[u8], keys: &Keyring, piece: usize) -> Option<Vec<u8>> {
    let log = OpenLog::new(source(file), keys).ok()?;
    let length = log.plain_length();
    assert!(length <= file.len() as u64);
    let _ = log.tail_damage().map(|error| error.to_string());
    let mut whole = vec![0; length as usize];
    assert_eq!(log.read_at(0, &mut whole).unwrap(), whole.len());
    if !whole.is_empty() {
        assert!(whole.starts_with(&MAGIC));
    }
    // What stands in clear is no matter.
    let encrypted = log.probe().per_event().map(|log| log.layout().first_event);
    let from = whole.len().min(encrypted.unwrap_or(0) as usize);
    let pieces = whole[from..].chunks(piece).take(100);
    for (number, expected) in pieces.enumerate() {
        let mut bytes = vec![0; piece];
        let offset = from + number * piece;
        let read = log.read_at(offset as u64, &mut bytes).unwrap();
        assert_eq!(&bytes[..read], expected, "{piece} bytes at {offset}");
    }
    Some(whole)
}
