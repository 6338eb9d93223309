//! What lies where an output is to be, and which outputs may take its place with `--force`.

use crate::event;
use crate::file::sink::Existing;
use crate::keyring::holds_keys;
use crate::mysql::header;

/// What an output that has a log in it never replaces: keys.
#[must_use]
pub fn spared_by_logs(there: &Existing<'_>) -> Option<&'static str> {
    holds_keys(there.start).then_some("a file of keys")
}

/// What an output that is neither a log nor a keyring never replaces: both.
#[must_use]
pub fn spared_by_others(there: &Existing<'_>) -> Option<&'static str> {
    spared_by_keyrings(there).or_else(|| spared_by_logs(there))
}

/// What a keyring never replaces: logs. A header that was put aside begins as a log does, and is
/// none.
#[must_use]
pub fn spared_by_keyrings(there: &Existing<'_>) -> Option<&'static str> {
    let start = there.start;
    let is_encrypted = start.starts_with(&header::MAGIC) && start.len() > header::LENGTH;
    (is_encrypted || start.starts_with(&event::MAGIC)).then_some("a log")
}

/// What a report never replaces: anything but an empty file or another report of this toolkit, in
/// whatever format.
#[must_use]
pub fn spared_by_reports(there: &Existing<'_>) -> Option<&'static str> {
    if there.start.is_empty() || is_report(there) {
        return None;
    }
    spared_by_others(there).or(Some("no report of binlogsec"))
}

/// How the formats begin that say what they are.
const BEGINNINGS: [(&str, &str); 5] = [
    ("{", "sarif-2.1.0.json"),
    ("<?xml", "<testsuites name=\"binlogsec\""),
    ("<!DOCTYPE html>", "<title>Replication audit: "),
    ("[", "\"check_name\": \"BL"),
    ("[", "\"check_name\":\"BL"),
];

/// What JSON reports have, at either end and with or without a blank: other programs may have written
/// them anew.
const SCHEMAS: [&str; 2] = ["\"schema\": \"binlogsec.", "\"schema\":\"binlogsec."];

/// How lines of metrics begin.
const METRICS: &str = "# HELP binlogsec_";

/// How the last line of a report begins that is text or annotations.
const LAST_LINES: [&str; 6] = [
    "PASS: ",
    "FAIL: ",
    "INCOMPLETE: ",
    "PARTLY EXAMINED: ",
    "NOTHING ",
    "::notice title=binlogsec ",
];

/// How the last lines of the tables of `inspect` and `verify` go on behind their first number.
const TOTALS: [&str; 4] = [" file: ", " files: ", " log, ", " logs, "];

fn is_report(there: &Existing<'_>) -> bool {
    let text = |bytes| String::from_utf8_lossy(bytes);
    let (start, end) = (text(there.start), text(there.end));
    let begins = |(first, then): &(&str, &str)| start.starts_with(first) && start.contains(then);
    let last = end.trim_end().lines().next_back().unwrap_or_default();
    let behind_number = last.trim_start_matches(|sign: char| sign.is_ascii_digit());
    let is_total = behind_number.len() < last.len()
        && TOTALS.iter().any(|total| behind_number.starts_with(total));
    let is_json = start.starts_with('{')
        && SCHEMAS.iter().any(|schema| start.contains(schema) || end.contains(schema));
    // A code quality report in which nothing is.
    let is_empty_list = start.trim() == "[]";
    is_json
        || is_empty_list
        || BEGINNINGS.iter().any(begins)
        || start.starts_with(METRICS)
        || LAST_LINES.iter().any(|line| last.starts_with(line))
        || is_total
}
