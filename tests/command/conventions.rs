//! What holds for all of the source, and no compiler sees: every dependency has its reason,
//! every `unsafe` its argument, every integer of a file its width and byte order.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            found.push((path, code.to_owned()));
        }
    }
    found
}

/// Names of the tables of dependencies whose heading ends so.
fn dependencies(heading: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim_matches(['[', ']']).ends_with(heading);
        } else if let (true, Some((name, _))) = (inside, line.split_once(" = ")) {
            names.insert(name.to_owned());
        }
    }
    names
}

fn in_backticks(text: &str) -> BTreeSet<String> {
    let names = text.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn every_dependency_has_its_reason_and_every_reason_its_dependency() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, section) = page.split_once("## Dependencies").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let reasons: BTreeSet<_> = rows
        .flat_map(|row| in_backticks(row.split('|').nth(1).unwrap()))
        .collect();
    let mut needed = dependencies("dependencies");
    let for_tests = dependencies("dev-dependencies");
    needed.retain(|name| !for_tests.contains(name) || reasons.contains(name));
    assert_eq!(needed, reasons);
    let tests = section
        .lines()
        .skip_while(|line| !line.starts_with("For tests"));
    let tests = in_backticks(&tests.collect::<Vec<_>>().join(" "));
    for name in for_tests {
        assert!(
            tests.contains(&name) || reasons.contains(&name),
            "{name} has no reason"
        );
    }
}

#[test]
fn no_dependency_brings_more_than_is_asked_of_it() {
    // What has no features by default, or is wanted whole; bzip2 in Rust is its default.
    const WHOLE: [&str; 17] = [
        "anstream",
        "anstyle",
        "anyhow",
        "async-trait",
        "bzip2",
        "clap",
        "clap_complete",
        "clap_mangen",
        "csv",
        "rpassword",
        "rustix",
        "serde",
        "serde_json",
        "shlex",
        "thiserror",
        "walkdir",
        "zeroize",
    ];
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let before_tests = manifest.split("[dev-dependencies]").next().unwrap();
    for line in before_tests
        .lines()
        .filter(|line| line.contains(" = { version"))
    {
        let name = line.split(' ').next().unwrap();
        let minimal = line.contains("default-features = false");
        assert!(
            minimal || WHOLE.contains(&name),
            "{name} comes with its default features"
        );
    }
}

#[test]
fn every_unsafe_block_has_its_argument() {
    let text = std::fs::read_to_string(root().join("src/memory.rs")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let mut blocks = 0;
    for (index, line) in lines.iter().enumerate() {
        if line.contains("unsafe {") {
            blocks += 1;
            let above = lines[..index].iter().rev();
            let mut comment = above.take_while(|line| line.trim_start().starts_with("//"));
            assert!(
                comment.any(|line| line.contains("SAFETY:")),
                "line {}",
                index + 1
            );
        }
    }
    assert!(blocks > 0);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
}

/// So a big-endian or 32-bit machine reads the same from the same bytes.
#[test]
fn no_integer_takes_the_machines_own_width_or_byte_order() {
    const MACHINE: [&str; 7] = [
        "from_ne_bytes",
        "to_ne_bytes",
        "NativeEndian",
        "NetworkEndian",
        "usize::from_le_bytes",
        "usize::from_be_bytes",
        "read_unaligned",
    ];
    let files = sources(&root().join("src"));
    assert!(files.len() > 100);
    for (path, code) in &files {
        for word in MACHINE {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
        let is_memory = path.ends_with("src/memory.rs");
        assert!(
            is_memory || !code.contains("transmute"),
            "{}",
            path.display()
        );
    }
}

/// What works on files has offsets and lengths of 64 bits; `usize` counts bytes in memory.
#[test]
fn no_file_offset_is_a_usize() {
    // In the first 4096 bytes of a log, which are in memory.
    const IN_MEMORY: [(&str, &str); 1] = [("ops/encrypt_mariadb/encoder.rs", "offset")];
    for (path, code) in sources(&root().join("src")) {
        let within = path.strip_prefix(root().join("src")).unwrap();
        let on_files = ["io", "ops", "check", "open", "open.rs", "walk.rs"];
        if !on_files.iter().any(|module| within.starts_with(module)) {
            continue;
        }
        for declared in code
            .match_indices(": usize")
            .map(|(at, _)| code.get(..at).unwrap())
        {
            let name = declared
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            let is_offset = ["offset", "position", "file_size", "file_length"]
                .iter()
                .any(|word| name.ends_with(word));
            assert!(
                !is_offset || IN_MEMORY.contains(&(within.to_str().unwrap(), name)),
                "{}: {name}",
                within.display()
            );
        }
    }
}
