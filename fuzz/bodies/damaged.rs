//! Salvaging a damaged log.

use std::path::PathBuf;
use std::sync::LazyLock;

use binlogsec::event::checksum::ChecksumAlgorithm;
use binlogsec::event::walker::Events;
use binlogsec::event::{FIRST_EVENT, MAGIC};
use binlogsec::io::pipeline::NoProgress;
use binlogsec::io::sink::SinkOptions;
use binlogsec::keyring::Keyring;
use binlogsec::ops::salvage::{SalvageOptions, salvage as run};

use super::event_chain::with_right_checksums;
use super::log_file::ENCRYPTED;
use super::source;

/// In memory, as a disk would be the bottleneck.
static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    directory.join(format!("binlogsec-salvaged-{}", std::process::id()))
});

/// Bits of the first byte: 1, encrypted; 2, checksums put right first; 4, whole transactions alone.
/// The second byte, modulo 32: how many bytes are cut out of the encrypted file; the third, where,
/// in steps of 16 bytes. The rest is a log behind its magic.
pub(crate) fn salvage(data: &[u8]) {
    let Some((&[switch, cut, place], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let events = if switch & 2 == 0 {
        rest.to_vec()
    } else {
        with_right_checksums(rest)
    };
    let plain = [&MAGIC[..], &events].concat();
    let file = if switch & 1 == 0 {
        plain
    } else {
        let mut log = ENCRYPTED.log(&plain);
        let start = (512 + usize::from(place) * 16).min(log.len());
        let end = (start + usize::from(cut % 32)).min(log.len());
        log.drain(start..end);
        log
    };
    let options = SalvageOptions {
        whole_transactions: switch & 4 != 0,
        max_shift: 40,
        ..SalvageOptions::default()
    };
    let sink = SinkOptions {
        force: true,
        ..SinkOptions::default()
    };
    let keys = if switch & 1 == 0 {
        &Keyring::new()
    } else {
        &ENCRYPTED.keys
    };
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
