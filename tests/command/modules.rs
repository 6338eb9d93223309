//! No module leads back to itself: at no level of a package do two modules name each other, by whatever
//! way round. What a module's own parents define, it may name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its path in the package: `["read", "verify"]`; the package itself is empty.
type Module = Vec<String>;

/// The modules of a package, and the code of each without tests, comments and texts.
struct Package {
    code: BTreeMap<Module, String>,
    /// What modules hand on of others: the name, and where it is from.
    handed_on: BTreeMap<(Module, String), Module>,
}

impl Package {
    fn open(source: &Path) -> Self {
        let mut code = BTreeMap::new();
        read(source, source, &mut code);
        let mut package = Self { code, handed_on: BTreeMap::new() };
        let mut handed_on = BTreeMap::new();
        for (module, code) in &package.code {
            for (statement, is_public) in uses(code) {
                for path in is_public.then(|| leaves(&statement)).into_iter().flatten() {
                    if let Some(target) = package.absolute(module, &path) {
                        let name = target.last().unwrap().clone();
                        handed_on.insert((module.clone(), name), target);
                    }
                }
            }
        }
        package.handed_on = handed_on;
        package
    }

    /// A path from the root of the package; `None` for one into another package.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (mut base, mut rest) = (module.clone(), path);
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            // A module below this one needs no more than its name.
            name => {
                let child = [module.as_slice(), &[name.to_owned()]].concat();
                self.code.contains_key(&child).then_some(())?;
            }
        }
        base.extend(rest.iter().filter(|name| *name != "self").cloned());
        Some(base)
    }

    /// The module in which what a path names is defined.
    fn home(&self, path: &[String]) -> Module {
        let is_module = |length: &usize| self.code.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(is_module).unwrap();
        let (module, rest) = path.split_at(length);
        let from = rest.first().and_then(|name| {
            self.handed_on.get(&(module.to_vec(), name.clone())).filter(|from| *from != path)
        });
        match from {
            Some(from) => self.home(&[from.as_slice(), &rest[1..]].concat()),
            None => module.to_vec(),
        }
    }

    /// The modules that each one names.
    fn imports(&self) -> Vec<(&Module, Module)> {
        let mut all = Vec::new();
        for (module, code) in &self.code {
            let in_uses = uses(code).into_iter().filter(|(_, is_public)| !is_public);
            let in_uses = in_uses.flat_map(|(statement, _)| leaves(&statement));
            for path in in_uses.chain(inline(code)) {
                if let Some(path) = self.absolute(module, &path) {
                    all.push((module, self.home(&path)));
                }
            }
        }
        all
    }

    /// The circles at each level: between modules of one parent, all below them counted as theirs.
    fn circles(&self) -> Vec<String> {
        let imports = self.imports();
        let parents: BTreeSet<Module> =
            self.code.keys().filter_map(|it| it.split_last()).map(|(_, it)| it.to_vec()).collect();
        let mut found = Vec::new();
        for parent in parents {
            let depth = parent.len();
            let mut below: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (from, to) in &imports {
                let is_inside = |it: &Module| it.len() > depth && it[..depth] == parent[..];
                if is_inside(from) && is_inside(to) && from[depth] != to[depth] {
                    below.entry(&from[depth]).or_default().insert(&to[depth]);
                }
            }
            for start in below.keys() {
                if let Some(way) = way_back(start, &below) {
                    found.push(format!("{}: {way}", parent.join("::")));
                }
            }
        }
        found
    }
}

/// A way from a module to itself.
fn way_back(start: &str, below: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for &next in below.get(way.last().unwrap()).into_iter().flatten() {
            let longer = [way.as_slice(), &[next]].concat();
            if next == start {
                return Some(longer.join(" -> "));
            }
            if seen.insert(next) {
                ways.push(longer);
            }
        }
    }
    None
}

fn read(source: &Path, directory: &Path, code: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(source, &path, code);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let within = path.strip_prefix(source).unwrap().with_extension("");
            let mut module: Module =
                within.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                module.pop();
            }
            if module.last().is_none_or(|name| name != "tests") {
                code.insert(module, stripped(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
}

/// Code without its tests, its comments, and what stands in quotes.
fn stripped(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut code = String::new();
    for line in text.lines() {
        let mut is_quoted = false;
        let mut signs = line.char_indices().peekable();
        while let Some((at, sign)) = signs.next() {
            match sign {
                '\\' if is_quoted => drop(signs.next()),
                '"' => is_quoted = !is_quoted,
                '/' if !is_quoted && line[at..].starts_with("//") => break,
                _ if !is_quoted => code.push(sign),
                _ => {}
            }
        }
        code.push('\n');
    }
    code
}

/// The `use` statements, each with whether it hands on what it names.
fn uses(code: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let Some((before, path)) = statement.rsplit_once("use ") else { continue };
        let line = before.rsplit('\n').next().unwrap().trim();
        if line.is_empty() || line.starts_with("pub") {
            found.push((path.to_owned(), line.starts_with("pub")));
        }
    }
    found
}

/// Each path of a tree: `a::{b, c::d}` has `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap();
        let names = path.split("::").map(|name| name.trim().to_owned());
        return vec![names.filter(|name| !name.is_empty() && name != "*").collect()];
    };
    let prefix: Vec<String> =
        prefix.split("::").map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    let group = &rest[..rest.rfind('}').unwrap()];
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, sign) in group.char_indices().chain([(group.len(), ',')]) {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = &group[start..at];
                start = (at + 1).min(group.len());
                if !part.trim().is_empty() {
                    found.extend(leaves(part).into_iter().map(|it| [&*prefix, &*it].concat()));
                }
            }
            _ => {}
        }
    }
    found
}

/// Paths in the code itself.
fn inline(code: &str) -> Vec<Vec<String>> {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == ':';
    let words = code.split(|sign| !is_part(sign)).filter(|word| word.contains("::"));
    let names = |word: &str| word.split("::").map(str::to_owned).collect::<Vec<_>>();
    words.map(names).filter(|path| path.iter().all(|name| !name.is_empty())).collect()
}

#[test]
fn no_module_leads_back_to_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = vec![root.join("src")];
    for package in std::fs::read_dir(root.join("crates")).unwrap() {
        sources.push(package.unwrap().path().join("src"));
    }
    assert!(sources.len() > 7, "{sources:?}");
    let mut modules = 0;
    for source in sources {
        let package = Package::open(&source);
        modules += package.code.len();
        let circles = package.circles();
        assert!(circles.is_empty(), "{}:\n{}", source.display(), circles.join("\n"));
    }
    assert!(modules > 300, "{modules}");
}

#[test]
fn circles_are_found_however_they_are_written() {
    let package = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, code) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, code).unwrap();
        }
        Package::open(folder.path()).circles()
    };
    let is_circle = |one: &str, other: &str| {
        !package(&[("lib.rs", "pub use b::B;\n"), ("a.rs", one), ("b.rs", other)]).is_empty()
    };
    assert!(is_circle("use super::b::B;", "use crate::a::A;"));
    assert!(is_circle("use crate::{a::X, b::{self}};", "fn f() { super::a::f() }"));
    assert!(is_circle("use crate::B;", "use crate::a;"), "by what the root hands on");
    assert!(!is_circle(
        "use crate::b::B;",
        "// use crate::a::A;\nconst TEXT: &str = \"crate::a::A\";"
    ));
    assert!(!is_circle("use crate::b::B;", "#[cfg(test)]\nmod tests { use crate::a::A; }"));
    // What a parent defines is no circle; what a cousin does is one, between their parents.
    assert!(package(&[("x/mod.rs", "use self::y::Y;"), ("x/y.rs", "use super::X;")]).is_empty());
    let cousins =
        [("x/a.rs", "use crate::z::b;"), ("z/b.rs", "use crate::x::c::C;"), ("x/c.rs", "")];
    let roots = [("x/mod.rs", ""), ("z/mod.rs", "")];
    assert_eq!(package(&[&cousins[..], &roots[..]].concat()).len(), 2);
}
