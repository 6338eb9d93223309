//! Who may import whom: modules depend downward only (docs/architecture.md).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module of the library and the modules it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("bytes", &[]),
    ("hex", &[]),
    ("secret", &[]),
    ("memory", &[]),
    ("event", &["bytes"]),
    ("mariadb", &["bytes", "secret", "event"]),
    ("percona", &["hex", "secret"]),
    ("log", &["bytes", "secret", "event", "mariadb", "percona"]),
    ("crypto", &["secret", "memory"]),
    // MariaDB's key files are a format of that family, and a source of keys like the others.
    // It reads files itself, and tells `io` which: no output may replace them.
    (
        "keyring",
        &["bytes", "hex", "secret", "log", "mariadb", "percona", "io"],
    ),
    ("io", &["bytes", "memory"]),
    ("walk", &["event", "io", "error"]),
    (
        "open",
        &[
            "bytes", "secret", "event", "mariadb", "percona", "log", "crypto", "keyring", "io",
            "walk", "error",
        ],
    ),
    (
        "error",
        &["event", "log", "crypto", "keyring", "io", "open"],
    ),
    (
        "ops",
        &[
            "bytes", "secret", "event", "mariadb", "percona", "log", "crypto", "keyring", "io",
            "walk", "open", "error",
        ],
    ),
    ("config", &["io", "error"]),
    ("text", &["io"]),
    ("finding", &["io", "log", "text"]),
    (
        "check",
        &[
            "event", "mariadb", "log", "crypto", "keyring", "io", "open", "ops", "config",
            "finding", "text", "error",
        ],
    ),
    (
        "audit",
        &[
            "bytes", "secret", "event", "log", "keyring", "io", "open", "ops", "config", "finding",
            "text", "check", "error",
        ],
    ),
    (
        "report",
        &[
            "bytes", "event", "log", "keyring", "open", "ops", "text", "finding", "check", "audit",
            "error",
        ],
    ),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a source names by `crate::`, tests aside.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    code.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|name: &String| !name.is_empty())
        .collect()
}

#[test]
fn modules_import_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut seen = BTreeSet::new();
    for file in files {
        let within = file.strip_prefix(&root).unwrap();
        let first = within
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let module = first.trim_end_matches(".rs");
        if ["main", "lib", "cli"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            panic!(
                "{} belongs to no module of the architecture",
                within.display()
            );
        };
        seen.insert(module.to_owned());
        for import in imports(&std::fs::read_to_string(&file).unwrap()) {
            assert!(
                import == module || allowed.contains(&import.as_str()),
                "{} imports crate::{import}, which {module} may not",
                within.display()
            );
        }
    }
    assert_eq!(
        seen.len(),
        MAY_IMPORT.len(),
        "every module of the table is there"
    );
}

#[test]
fn unsafe_stands_in_one_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let with: Vec<_> = files
        .iter()
        .filter(|file| {
            std::fs::read_to_string(file)
                .unwrap()
                .contains("allow(unsafe_code)")
        })
        .map(|file| file.strip_prefix(&root).unwrap().to_owned())
        .collect();
    assert_eq!(with, ["memory.rs"].map(Path::new));
}

#[test]
fn clap_is_no_part_of_the_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files
        .iter()
        .filter(|file| !file.starts_with(root.join("cli")))
    {
        let source = std::fs::read_to_string(file).unwrap();
        for name in ["clap::", "anyhow::", "indicatif::"] {
            assert!(!source.contains(name), "{} uses {name}", file.display());
        }
    }
}
