//! Salvaging a damaged log.

use std::path::PathBuf;
use std::sync::LazyLock;

use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::event::walker::Events;
use binlogsec_core::event::{FIRST_EVENT, MAGIC};
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::read::salvage::{SalvageOptions, salvage as run};

use super::event_chain::with_right_checksums;
use super::log_file::ENCRYPTED;
use super::{per_event, source};

/// In memory, as a disk would be the bottleneck.
static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    directory.join(format!("binlogsec-salvaged-{}", std::process::id()))
});

/// Most bytes that are cut out, and the alignments that are tried for them.
const MAX_CUT: usize = 15;

/// Bits of the first byte: 1, encrypted; 2, checksums put right first; 4, whole transactions alone;
/// 8, encrypted as MariaDB does, in the mode of the next two bits. The second byte, modulo 16: how
/// many bytes are cut out of the encrypted file; the third, where, in steps of 16 bytes. The rest
/// is a log behind its magic, or the events of MariaDB's behind a real beginning.
pub(crate) fn salvage(data: &[u8]) {
    let Some((&[switch, cut, place], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let (mut file, clear, keys) = damaged(switch, rest);
    if clear < file.len() {
        let start = (clear + usize::from(place) * 16).min(file.len());
        let end = (start + usize::from(cut) % (MAX_CUT + 1)).min(file.len());
        file.drain(start..end);
    }
    let options = SalvageOptions {
        whole_transactions: switch & 4 != 0,
        max_shift: MAX_CUT as u64 + 1,
        ..SalvageOptions::default()
    };
    let sink = SinkOptions { force: true, ..SinkOptions::default() };
    let salvaged = run(&source(&file), &TARGET, sink, keys, &options, &NoProgress);
    let Ok(salvaged) = salvaged else {
        return;
    };
    let output = std::fs::read(&*TARGET).unwrap();
    std::fs::remove_file(&*TARGET).unwrap();
    assert_eq!(salvaged.written, output.len() as u64);
    assert!(salvaged.written_events <= salvaged.events.max(1));
    let mut end = 0;
    for gap in &salvaged.gaps {
        assert!(gap.file_offset >= end && gap.length > 0);
        end = gap.file_offset + gap.length;
    }
    assert!(end <= file.len() as u64);
    assert!(output.starts_with(&MAGIC));
    for event in Events::new(&output[4..], FIRST_EVENT, ChecksumAlgorithm::None) {
        let event = event.expect("the output is a chain of events");
        let is_head = event.offset == FIRST_EVENT;
        assert!(is_head || event.verify_checksum().is_ok());
    }
}

/// A log, where its encrypted part begins, and its keys.
fn damaged(switch: u8, rest: &[u8]) -> (Vec<u8>, usize, &'static Keyring) {
    static NO_KEYS: LazyLock<Keyring> = LazyLock::new(Keyring::new);
    let repair = switch & 2 != 0;
    if switch & 8 != 0 {
        let mode = usize::from(switch >> 4);
        let (_, file) = per_event::encrypted(rest, repair, mode);
        return (file, per_event::clear_length(), per_event::keys(mode));
    }
    let events = if repair { with_right_checksums(rest) } else { rest.to_vec() };
    let plain = [&MAGIC[..], &events].concat();
    if switch & 1 == 0 {
        let length = plain.len();
        return (plain, length, &NO_KEYS);
    }
    (ENCRYPTED.log(&plain), 512, &ENCRYPTED.keys)
}
