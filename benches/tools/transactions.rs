//! Which tables are written together: for every pair of tables, in how many transactions of a log
//! both have changed. Tables that always go together have to be restored together.
//!
//! `cargo run --example transactions -- LOG [KEYRING]`
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use binlogsec_core::event::event_type;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::events::{EventFilter, Summary, TableName, list};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("transactions LOG [KEYRING]")?;
    let keys = match arguments.next() {
        Some(keyring) => Keyring::open(keyring)?,
        None => Keyring::new(),
    };
    let log = OpenLog::open(Path::new(&path), &keys)?;

    let mut pairs: BTreeMap<(TableName, TableName), u64> = BTreeMap::new();
    let mut tables = BTreeSet::new();
    list(&log, &EventFilter::default(), &mut |event| {
        // Rows inside compressed transactions come as if they stood in the log itself.
        if let Summary::Rows { name: Some(name), .. } = &event.summary {
            tables.insert(TableName::clone(name));
        } else if event_type::begins_transaction(event.event_type) {
            count_pairs(&std::mem::take(&mut tables), &mut pairs);
        }
        Ok(())
    })?;
    count_pairs(&tables, &mut pairs);

    let mut sorted: Vec<_> = pairs.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for ((first, second), count) in sorted {
        println!("{count:>8}  {first}  {second}");
    }
    Ok(())
}

fn count_pairs(tables: &BTreeSet<TableName>, pairs: &mut BTreeMap<(TableName, TableName), u64>) {
    for first in tables {
        for second in tables.iter().filter(|second| *second > first) {
            let count = pairs.entry((first.clone(), second.clone())).or_default();
            *count = count.saturating_add(1);
        }
    }
}
