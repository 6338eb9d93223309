//! The seeds of the fuzz targets, and what once went wrong, through the same functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use std::path::Path;

#[test]
fn every_seed_of_every_target_keeps_the_promises() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for &(target, body) in bodies::ALL {
        let files = std::fs::read_dir(seeds.join(target)).unwrap();
        let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{target} has no seeds");
        for path in paths {
            println!("{}", path.display()); // seen when the body panics
            body(&std::fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_target_is_built_and_has_its_file() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for &(target, _) in bodies::ALL {
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target}");
        let file = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(file.contains(&format!("bodies::{target}(data)")), "{target}");
    }
}
