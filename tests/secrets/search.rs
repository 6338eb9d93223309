//! Looks for secrets. What is looked for is kept inverted, so that the search does not find itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::password;

use crate::common::{mixed, mixed_keyring};

/// One spelling of a secret, every bit inverted.
#[derive(Clone)]
pub(crate) struct Needle {
    pub(crate) name: String,
    inverted: Vec<u8>,
}

impl Needle {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), inverted: bytes.iter().map(|byte| !byte).collect() }
    }

    /// How often it stands in some bytes.
    pub(crate) fn count(&self, bytes: &[u8]) -> usize {
        let matches = |window: &[u8]| window.iter().zip(&self.inverted).all(|(a, b)| *a == !*b);
        let first = !self.inverted[0];
        let length = self.inverted.len();
        bytes.windows(length).filter(|window| window[0] == first && matches(window)).count()
    }

    pub(crate) fn to_line(&self) -> String {
        let hex: String = self.inverted.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {hex}\n", self.name)
    }

    pub(crate) fn from_line(line: &str) -> Self {
        let (name, hex) = line.split_once(' ').unwrap();
        let digits = |at: usize| hex.get(at..at + 2).unwrap();
        let byte = |at: usize| u8::from_str_radix(digits(at), 16).unwrap();
        Self { name: name.to_owned(), inverted: (0..hex.len()).step_by(2).map(byte).collect() }
    }
}

/// A secret as bytes, in hexadecimal of both cases and in base64.
fn spellings(name: &str, secret: &[u8]) -> Vec<Needle> {
    let lower: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        Needle::new(&format!("{name}-raw"), secret),
        Needle::new(&format!("{name}-hex"), lower.as_bytes()),
        Needle::new(&format!("{name}-HEX"), lower.to_uppercase().as_bytes()),
        Needle::new(
            &format!("{name}-base64"),
            STANDARD.encode(secret).trim_end_matches('=').as_bytes(),
        ),
        Needle::new(&format!("{name}-base64url"), URL_SAFE_NO_PAD.encode(secret).as_bytes()),
        Needle::new(
            &format!("{name}-base64-tail"),
            &STANDARD_NO_PAD.encode(&secret[3..]).as_bytes()[..36],
        ),
    ]
}

/// The replication encryption key and the file password of `binlog.000003`.
pub(crate) fn needles() -> Vec<Needle> {
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let log = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let header = EncryptionHeader::parse(&log).unwrap();
    let key = keys.candidates(&header.key_id).unwrap().pop().unwrap();
    let password = password::unwrap(&key, &header.iv, &header.wrapped_password);
    let mut all = spellings("key", key.expose());
    all.extend(spellings("password", password.expose()));
    all
}

/// How often each needle stands in what a process may write of its memory: heap, stacks, data.
pub(crate) fn in_memory(process: &str, needles: &[Needle]) -> Vec<(String, usize)> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = vec![0; needles.len()];
    // One buffer, wiped at the end: what is read must not be found again.
    let mut buffer = vec![0_u8; 1 << 20];
    let own = buffer.as_ptr() as u64;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") || rest.contains("[vvar") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (address(start), address(end));
        search_range(&memory, (start, end), process, own, &mut buffer, |bytes| {
            for (count, needle) in found.iter_mut().zip(needles) {
                *count += needle.count(bytes);
            }
        });
    }
    buffer.fill(0);
    needles.iter().map(|needle| needle.name.clone()).zip(found).collect()
}

/// In pieces that overlap by more than a needle; leaves out the buffer itself.
fn search_range(
    memory: &File,
    (start, end): (u64, u64),
    process: &str,
    own: u64,
    buffer: &mut [u8],
    mut look: impl FnMut(&[u8]),
) {
    const OVERLAP: u64 = 128;
    let size = buffer.len() as u64;
    let mut at = start;
    while at < end {
        if process == "self" && at < own + size && at + size > own {
            // The piece before the buffer, then what follows it.
            let before = own.saturating_sub(at);
            if before > 0 {
                let piece = &mut buffer[..usize::try_from(before).unwrap()];
                if memory.read_exact_at(piece, at).is_ok() {
                    look(piece);
                }
            }
            at = own + size;
            continue;
        }
        let length = usize::try_from((end - at).min(size)).unwrap();
        if memory.read_exact_at(&mut buffer[..length], at).is_ok() {
            look(&buffer[..length]);
        }
        at += if length as u64 == size { size - OVERLAP } else { length as u64 };
    }
}
