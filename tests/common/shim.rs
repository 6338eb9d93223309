//! A library that is put before the system's: it shortens reads and writes, and has a clock of its own.

use std::path::PathBuf;
use std::process::Command;

/// The library, if there is a compiler to make it with, and the folder that it is in. What it does is said
/// by the variable FAULTS: see its source.
pub(crate) fn shim() -> Option<(tempfile::TempDir, PathBuf)> {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/shim.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    let made = compiler.arg(&library).arg(source).arg("-ldl").output();
    match made {
        Ok(output) if output.status.success() => Some((directory, library)),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            println!("skipped: no cc");
            None
        }
    }
}
