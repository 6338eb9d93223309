//! What holds for all of the source, and no compiler sees: every dependency has its reason,
//! every `unsafe` its argument, every integer of a file its width and byte order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders with sources: the command's, and each package's.
fn source_folders() -> Vec<PathBuf> {
    let packages = std::fs::read_dir(root().join("crates")).unwrap();
    let packages = packages.map(|entry| entry.unwrap().path().join("src"));
    packages.chain([root().join("src")]).collect()
}

fn all_sources() -> Vec<(PathBuf, String)> {
    source_folders().iter().flat_map(|folder| sources(folder)).collect()
}

/// The manifest of the command, which is the workspace's too, and each package's.
fn manifests() -> Vec<String> {
    let files = source_folders().into_iter().map(|folder| folder.join("../Cargo.toml"));
    files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
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
    let mut names = BTreeSet::new();
    for manifest in manifests() {
        let mut inside = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                let table = line.trim_matches(['[', ']']);
                inside = table.ends_with(heading) && !table.starts_with("workspace");
            } else if let (true, Some((name, _))) = (inside, line.split_once(" = ")) {
                names.insert(name.to_owned());
            }
        }
    }
    // The packages of this workspace need no reason there: the page is about them.
    names.retain(|name| !name.starts_with("binlogsec"));
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
    let reasons: BTreeSet<_> =
        rows.flat_map(|row| in_backticks(row.split('|').nth(1).unwrap())).collect();
    let mut needed = dependencies("dependencies");
    let for_tests = dependencies("dev-dependencies");
    needed.retain(|name| !for_tests.contains(name) || reasons.contains(name));
    assert_eq!(needed, reasons);
    let tests = section.lines().skip_while(|line| !line.starts_with("For tests"));
    let tests = in_backticks(&tests.collect::<Vec<_>>().join(" "));
    for name in for_tests {
        assert!(tests.contains(&name) || reasons.contains(&name), "{name} has no reason");
    }
}

#[test]
fn no_dependency_brings_more_than_is_asked_of_it() {
    // What has no features by default, or is wanted whole; bzip2 in Rust is its default.
    const WHOLE: [&str; 16] = [
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
        "zeroize",
    ];
    let manifests = manifests();
    let before_tests =
        manifests.iter().map(|manifest| manifest.split("[dev-dependencies]").next().unwrap());
    for line in before_tests
        .flat_map(str::lines)
        .filter(|line| line.contains(" = { version") && !line.starts_with("binlogsec"))
    {
        let name = line.split(' ').next().unwrap();
        let minimal = line.contains("default-features = false");
        assert!(minimal || WHOLE.contains(&name), "{name} comes with its default features");
    }
}

#[test]
fn every_unsafe_block_has_its_argument() {
    let text = std::fs::read_to_string(root().join("crates/memory/src/lib.rs")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let mut blocks = 0;
    for (index, line) in lines.iter().enumerate() {
        if line.contains("unsafe {") {
            blocks += 1;
            let above = lines[..index].iter().rev();
            let mut comment = above.take_while(|line| line.trim_start().starts_with("//"));
            assert!(comment.any(|line| line.contains("SAFETY:")), "line {}", index + 1);
        }
    }
    assert!(blocks > 0);
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
    // One package may, and each of the others takes the workspace's word.
    let allowed: Vec<_> = all_sources()
        .into_iter()
        .filter(|(_, code)| code.contains("allow(unsafe_code)"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(allowed, [root().join("crates/memory/src/lib.rs")]);
    for manifest in manifests() {
        assert!(manifest.contains("[lints]\nworkspace = true"));
    }
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
    let files = all_sources();
    assert!(files.len() > 100);
    for (path, code) in &files {
        for word in MACHINE {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
        let is_memory = path.ends_with("memory/src/lib.rs");
        assert!(is_memory || !code.contains("transmute"), "{}", path.display());
    }
}

/// What works on files has offsets and lengths of 64 bits; `usize` counts bytes in memory.
#[test]
fn no_file_offset_is_a_usize() {
    // In the first 4096 bytes of a log, which are in memory.
    const IN_MEMORY: [(&str, &str); 1] = [("write/encrypt_mariadb/encoder.rs", "offset")];
    let folders = source_folders();
    for (path, code) in all_sources() {
        let within = folders.iter().find_map(|folder| path.strip_prefix(folder).ok());
        let within = within.unwrap();
        let on_files = ["file", "log", "read", "write", "batch", "check"];
        if !on_files.iter().any(|module| within.starts_with(module)) {
            continue;
        }
        for declared in code.match_indices(": usize").map(|(at, _)| code.get(..at).unwrap()) {
            let name = declared.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
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

/// What the README shows to a Rust developer compiles, as it is part of a program that does.
#[test]
fn the_readmes_rust_block_is_part_of_an_example() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let example = root().join("crates/core/examples/plaintext.rs");
    let example = std::fs::read_to_string(example).unwrap();
    let block = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<_> = block.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() >= 5, "{block}");
    for line in lines {
        let is_there = example.lines().any(|other| other.trim() == line);
        assert!(is_there, "the example has no line {line:?}");
    }
}
