//! The floor under `check`: the same four system calls for each file (open, status, read, close),
//! by as many threads, and no judgement. benches/check_vs_find.sh runs it beside the command, to
//! show what the kernel takes and what the command adds.
//!
//! `check_floor DIRECTORY THREADS`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::CStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use binlogsec_core::log::kind::PROBE_LENGTH;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, threads] = arguments.as_slice() else {
        panic!("check_floor DIRECTORY THREADS");
    };
    let mut directories = vec![PathBuf::from(root)];
    // Of a tree of two levels, as the script makes it: directories of files.
    directories.extend(
        std::fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.path()),
    );
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(directory) = directories.get(next.fetch_add(1, Ordering::Relaxed)) {
            read_files_of(directory);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.parse().unwrap() {
            scope.spawn(work);
        }
        work();
    });
}

fn read_files_of(path: &Path) {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mut buffer = vec![0; PROBE_LENGTH];
    let mut read = |name: &CStr| {
        let file: File =
            openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty()).unwrap().into();
        fstat(&file).unwrap();
        file.read_at(&mut buffer, 0).unwrap();
    };
    for entry in Dir::read_from(&directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type() == FileType::RegularFile {
            read(entry.file_name());
        }
    }
}
