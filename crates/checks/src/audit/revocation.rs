//! Reads lists of revoked certificates, and holds certificates against them.
//!
//! Source: RFC 5280, section 5; OpenSSL's `X509_LOOKUP_hash_dir(3)` for the names in a directory.

use std::path::{Path, PathBuf};

use super::certificates::Bundle;
use super::facts::certificate::RevocationListFacts;
use super::files;
use super::pem::{self, Block};
use super::x509::{self, RevocationList};
use binlogsec_core::log::error::describe;

/// More is no list that a server reads at every start.
const LARGEST_FILE: u64 = 64 << 20;
/// Lists of one directory that are looked at.
const MOST_FILES: usize = 1000;

/// An option that names lists, and what they are held against.
pub(super) struct Lists<'a> {
    /// `ssl_crl`, `ssl_crlpath`, or a channel's.
    pub(super) named_by: String,
    /// The file or directory.
    pub(super) path: PathBuf,
    /// Whether it is a directory of lists.
    pub(super) is_directory: bool,
    /// The file of authorities at hand.
    pub(super) authorities: Option<&'a Path>,
    /// The certificates at hand.
    pub(super) certificates: &'a [PathBuf],
}

/// Every list that an option names; one without anything but a problem, where there is none.
pub(super) fn read(lists: &Lists<'_>) -> Vec<RevocationListFacts> {
    if !lists.is_directory {
        return of_file(lists, &lists.path);
    }
    let entries = match std::fs::read_dir(&lists.path) {
        Ok(entries) => entries,
        Err(error) => return vec![unread(lists, &lists.path, error.to_string())],
    };
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| is_looked_for(path));
    paths.sort();
    if paths.is_empty() {
        let problem = "no file in it has the name that OpenSSL looks for (`openssl rehash`): as if \
                       there were none";
        return vec![unread(lists, &lists.path, problem.to_owned())];
    }
    paths.iter().take(MOST_FILES).flat_map(|path| of_file(lists, path)).collect()
}

/// Hash of the issuer's name and a number: `5ed36f99.r0`.
fn is_looked_for(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once(".r").is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn unread(lists: &Lists<'_>, path: &Path, problem: String) -> RevocationListFacts {
    RevocationListFacts {
        path: path.to_owned(),
        named_by: lists.named_by.clone(),
        issuer: None,
        this_update: None,
        next_update: None,
        revoked: 0,
        known_issuer: None,
        revokes: Vec::new(),
        problem: Some(problem),
    }
}

fn of_file(lists: &Lists<'_>, path: &Path) -> Vec<RevocationListFacts> {
    let bytes = match files::read(path, LARGEST_FILE) {
        Ok(bytes) => bytes,
        Err(error) => return vec![unread(lists, path, describe(&error))],
    };
    let mut blocks = pem::blocks(&bytes);
    blocks.retain(|block| block.label == "X509 CRL");
    if blocks.is_empty() {
        return vec![unread(
            lists,
            path,
            "no list of revoked certificates in PEM form in it".to_owned(),
        )];
    }
    let facts = |block: &Block| match RevocationList::parse(&block.der) {
        Ok(list) => of_list(lists, path, &list),
        Err(_) => unread(lists, path, "the list in it is damaged".to_owned()),
    };
    blocks.iter().map(facts).collect()
}

fn of_list(lists: &Lists<'_>, path: &Path, list: &RevocationList<'_>) -> RevocationListFacts {
    let bundles = lists.certificates.iter().filter_map(|path| Bundle::open(path).ok());
    let mut revokes: Vec<String> = bundles
        .flat_map(|bundle| {
            let found = bundle.certificates().filter(|it| list.revokes(it));
            found.map(|it| x509::shown(it.subject())).collect::<Vec<_>>()
        })
        .collect();
    revokes.dedup();
    let authorities = lists.authorities.and_then(|path| Bundle::open(path).ok());
    RevocationListFacts {
        issuer: Some(x509::shown(&list.issuer)),
        this_update: Some(list.this_update),
        next_update: list.next_update,
        revoked: list.revoked.len(),
        known_issuer: authorities
            .map(|them| them.certificates().any(|it| *it.subject() == list.issuer)),
        revokes,
        problem: None,
        ..unread(lists, path, String::new())
    }
}
