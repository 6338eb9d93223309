//! Who may import whom. Between packages the compiler sees to it; between the rooms of a package
//! this does (docs/architecture.md).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rooms of a package, and the rooms that each imports.
type Rooms = BTreeMap<String, BTreeSet<String>>;

/// Each room of the library, from the ground up, and all that it imports.
const CORE: &[(&str, &[&str])] = &[
    ("bytes", &[]),
    ("hex", &[]),
    ("secret", &[]),
    ("file", &["bytes"]),
    ("event", &["bytes"]),
    ("random", &["secret"]),
    ("text", &["file"]),
    ("mysql", &["bytes", "secret"]),
    ("mariadb", &["bytes", "event", "secret"]),
    ("percona", &["hex", "secret"]),
    ("keyring", &["bytes", "file", "hex", "mariadb", "mysql", "percona", "secret"]),
    (
        "log",
        &["bytes", "event", "file", "keyring", "mariadb", "mysql", "percona", "random", "secret"],
    ),
    ("batch", &["bytes", "event", "file", "keyring", "log", "mysql"]),
    (
        "read",
        &[
            "batch", "bytes", "event", "file", "keyring", "log", "mariadb", "mysql", "percona",
            "secret", "text",
        ],
    ),
    (
        "write",
        &[
            "batch", "bytes", "event", "file", "keyring", "log", "mariadb", "mysql", "percona",
            "random", "secret", "text",
        ],
    ),
    (
        "seal",
        &[
            "batch", "event", "file", "hex", "keyring", "log", "mysql", "random", "read", "secret",
            "text",
        ],
    ),
];

/// The same of what is found wrong with logs, files and servers.
const CHECKS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("finding", &[]),
    ("check", &["config", "finding"]),
    ("audit", &["check", "config", "finding"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

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

/// The rooms that a source names by `crate::` or `use crate::{…}`, tests aside.
fn imports(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let mut named = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => named.extend(first_names(group)),
            None => named.extend(first_name(rest)),
        }
    }
    named
}

/// The first name of each path of a group, up to the brace that closes it.
fn first_names(group: &str) -> BTreeSet<String> {
    let (mut depth, mut names, mut is_start) = (0, BTreeSet::new(), true);
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            _ if is_start && !sign.is_whitespace() => {
                names.extend(first_name(group.split_at(at).1));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> Option<String> {
    let name: String =
        path.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn rooms(package: &str) -> Rooms {
    let source = root().join("crates").join(package).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 10, "{package} has sources");
    let mut rooms = Rooms::new();
    for file in files {
        let within = file.strip_prefix(&source).unwrap();
        let first = within.iter().next().unwrap().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let mut named = imports(&std::fs::read_to_string(&file).unwrap());
        named.remove(&room);
        rooms.entry(room).or_default().extend(named);
    }
    rooms
}

#[test]
fn rooms_import_what_the_table_says_and_nothing_else() {
    for (package, table) in [("core", CORE), ("checks", CHECKS)] {
        let rooms = rooms(package);
        for (room, expected) in table {
            // `secret` is handed on by the library, and lives in the package of the ciphers.
            let found = rooms.get(*room).cloned().unwrap_or_default();
            let expected = expected.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(found, expected, "{package}/{room}");
        }
        for room in rooms.keys() {
            let is_known = table.iter().any(|(name, _)| name == room);
            assert!(is_known, "{package}/{room} is no room of the architecture");
        }
    }
}

#[test]
fn no_room_leads_back_to_itself() {
    for table in [CORE, CHECKS] {
        for (place, (room, below)) in table.iter().enumerate() {
            for name in *below {
                let is_below = table[..place].iter().any(|(other, _)| other == name);
                assert!(is_below, "{room} imports {name}, which does not stand below it");
            }
        }
    }
}

#[test]
fn groups_of_imports_are_read_too() {
    let names = |text| imports(text).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::{file::{self, sink}, log, read::x};"), ["file", "log", "read"]);
    assert_eq!(
        names("use crate::event::{a, b};\nfn f() { crate::batch::g() }"),
        ["batch", "event"]
    );
    assert!(names("// crate::write\nuse super::x;").is_empty());
}

/// The compiler keeps the floors only if no package below names one above it.
#[test]
fn packages_stand_on_those_below_them() {
    const FLOORS: [(&str, &[&str]); 7] = [
        ("memory", &[]),
        ("wire", &[]),
        ("stores", &["core"]),
        ("cipher", &["memory"]),
        ("core", &["cipher", "memory"]),
        ("keystores", &["core", "wire"]),
        ("checks", &["core", "wire"]),
    ];
    for (package, below) in FLOORS {
        let manifest = root().join("crates").join(package).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let named: BTreeSet<_> = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("binlogsec-")?.split(' ').next())
            .collect();
        assert_eq!(named, below.iter().copied().collect(), "{package}");
        for name in ["clap", "anyhow", "indicatif"] {
            assert!(!manifest.contains(&format!("\n{name} ")), "{package} uses {name}");
        }
    }
}
