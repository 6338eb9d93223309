//! XA transactions of which one half is lost, or is not chosen: what `salvage --whole-transactions` and
//! `decrypt` make of the other, and what they say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::ops::Range;
use std::path::Path;

use binlogsec_core::event::event_type;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::read::salvage::halves::{XaFate, XaVerb};
use binlogsec_core::read::salvage::{SalvageOptions, Salvaged};

use crate::common::{binlogsec, logs};
use crate::recover::{Log, query};
use crate::salvage_transactions::{every_event, salvaged};

const A: u8 = 0xA1;
const UUID_A: &str = "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1";

/// A transaction in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prepare { id: u8, is_compressed: bool },
    Commit(u8),
    Rollback(u8),
    Row,
}
use Kind::{Commit, Prepare, Rollback, Row};

const fn plain(id: u8) -> Kind {
    Prepare { id, is_compressed: false }
}

const fn compressed(id: u8) -> Kind {
    Prepare { id, is_compressed: true }
}

/// These transactions with the numbers from `first` on, and where each of them stands.
fn log(first: u64, all: &[Kind]) -> (Log, Vec<Range<usize>>) {
    let mut log = Log::new(1, 1_700_000_000, false);
    log.previous(&[(A, first - 1)]);
    let mut places = Vec::new();
    for (number, kind) in (first..).zip(all) {
        let start = log.bytes.len();
        match kind {
            Commit(id) => log.transaction(A, number, &format!("XA COMMIT X'{id:02x}',X'',1")),
            Rollback(id) => log.transaction(A, number, &format!("XA ROLLBACK X'{id:02x}',X'',1")),
            Row => {
                log.transaction(A, number, "BEGIN");
                log.statement("shop", "INSERT INTO t VALUES (1)");
                log.event(event_type::XID, &number.to_le_bytes());
            }
            Prepare { id, is_compressed } => prepare(&mut log, number, *id, *is_compressed),
        }
        places.push(start..log.bytes.len());
    }
    (log, places)
}

fn prepare(log: &mut Log, number: u64, id: u8, is_compressed: bool) {
    let mut gtid = vec![1];
    gtid.extend([A; 16]);
    gtid.extend(number.to_le_bytes());
    log.event(event_type::GTID, &gtid);
    let mut prepared = vec![0];
    prepared.extend(1_u32.to_le_bytes());
    prepared.extend(1_u32.to_le_bytes());
    prepared.extend(0_u32.to_le_bytes());
    prepared.push(id);
    let events = [
        (event_type::QUERY, query("shop", &format!("XA START X'{id:02x}',X'',1"))),
        (event_type::QUERY, query("shop", "INSERT INTO t VALUES (2)")),
        (event_type::QUERY, query("shop", &format!("XA END X'{id:02x}',X'',1"))),
        (event_type::XA_PREPARE, prepared),
    ];
    if is_compressed {
        log.payload(&events);
    } else {
        events.iter().for_each(|(kind, body)| log.event(*kind, body));
    }
}

/// What is lost of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// All of it.
    All,
    /// The event at this index.
    Event(usize),
}
use Loss::{All, Event};

fn lose(log: &Log, place: &Range<usize>, loss: Loss) -> Vec<u8> {
    let mut damaged = log.bytes.clone();
    match loss {
        All => damaged[place.clone()].fill(0),
        Event(index) => {
            let mut within = logs::events(&log.bytes).into_iter();
            let (offset, length, _) =
                within.by_ref().filter(|(at, ..)| place.contains(at)).nth(index).unwrap();
            damaged[offset + 19..offset + length - 4].fill(0xA5);
        }
    }
    damaged
}

fn whole(damaged: &[u8]) -> (Salvaged, Vec<u8>) {
    let options = SalvageOptions { whole_transactions: true, ..every_event() };
    salvaged(damaged, &Keyring::new(), &options)
}

/// The log without these transactions.
fn without(log: &Log, places: &[Range<usize>], left_out: &[usize]) -> Vec<u8> {
    let mut rest = log.bytes.clone();
    for &index in left_out.iter().rev() {
        drop(rest.drain(places[index].clone()));
    }
    rest
}

/// What was told: the id, what became of it, how it ends, and its GTID's number.
fn told(found: &Salvaged) -> Vec<(String, XaFate, Option<XaVerb>, Option<u64>)> {
    let number = |gtid: &String| gtid.rsplit(':').next().unwrap().parse().unwrap();
    let cut = found.xa.iter();
    let cut = cut.map(|it| (it.xid.clone(), it.fate, it.end, it.gtid.as_ref().map(number)));
    cut.collect()
}

fn xid(id: u8) -> String {
    format!("x'{id:02x}',x'',1")
}

#[test]
fn what_would_end_a_lost_xa_transaction_is_left_out_and_told() {
    let cases = [
        // Which transaction is hit, where; and whether its id is known all the same.
        (compressed(0x31), Event(1), XaFate::PrepareUnknown),
        (compressed(0x31), Event(0), XaFate::PrepareLost),
        (compressed(0x31), All, XaFate::PrepareUnknown),
        (plain(0x31), Event(0), XaFate::PrepareLost),
        (plain(0x31), Event(1), XaFate::PrepareLost),
        (plain(0x31), Event(4), XaFate::PrepareLost),
        (plain(0x31), All, XaFate::PrepareUnknown),
    ];
    for (kind, loss, fate) in cases {
        for (end, verb) in [(Commit(0x31), XaVerb::Commit), (Rollback(0x31), XaVerb::Rollback)] {
            // Another one is whole, and stays.
            let all = [Row, compressed(0x99), kind, Row, Commit(0x99), Row, end, Row];
            let (log, places) = log(1, &all);
            let damaged = lose(&log, &places[2], loss);
            let (found, saved) = whole(&damaged);
            let what = format!("{kind:?} {loss:?} {verb:?}");
            assert_eq!(told(&found), [(xid(0x31), fate, Some(verb), Some(7))], "{what}: {found:?}");
            assert!(saved == without(&log, &places, &[2, 6]), "{what}: {found:?}");
            assert_eq!(found.xa_count, 1, "{what}");
            let ends_there = logs::events(&log.bytes);
            let at = ends_there.iter().find(|(at, ..)| *at as u64 == found.xa[0].position).unwrap();
            assert!(places[6].contains(&at.0) && at.2 == event_type::QUERY, "{what}");
            let gtid = format!("{UUID_A}:7");
            assert!(found.incomplete.contains(&gtid), "{what}: {:?}", found.incomplete);
            // What is saved so has no part of it any more.
            let (again, twice) = whole(&saved);
            assert!(twice == saved && again.xa.is_empty(), "{what}: {again:?}");
            // Of what has every whole event, too.
            let (_, all_events) = salvaged(&damaged, &Keyring::new(), &every_event());
            let (_, twice) = whole(&all_events);
            if loss != All {
                assert!(twice == saved, "{what}, from all that is whole");
            }
        }
    }
}

#[test]
fn what_ends_an_xa_transaction_stays_where_nothing_that_may_have_prepared_it_was_lost() {
    // It was prepared in a log before.
    let all = [Row, Row, Commit(0x31), Row, compressed(0x32), Rollback(0x32), compressed(0x33)];
    let (log, places) = log(1, &all);
    let (found, saved) = whole(&log.bytes);
    assert!(found.is_whole() && found.xa.is_empty() && saved == log.bytes, "{found:?}");
    // A row of a transaction whose beginning and end are there; its end; its statement BEGIN, whose end is
    // there; and what stands behind.
    for (hit, loss) in [(1, Event(2)), (1, Event(3)), (1, Event(1)), (3, All), (4, Event(1))] {
        let (found, saved) = whole(&lose(&log, &places[hit], loss));
        let left_out: &[usize] = if hit == 4 { &[4, 5] } else { &[hit] };
        assert!(saved == without(&log, &places, left_out), "{hit} {loss:?}: {found:?}");
        let ends: Vec<_> = found.xa.iter().filter(|cut| cut.xid == xid(0x31)).collect();
        assert!(ends.is_empty(), "{hit} {loss:?}: {found:?}");
    }
    // Bytes that were put in between two transactions cost none.
    let mut damaged = log.bytes.clone();
    drop(damaged.splice(places[1].start..places[1].start, [0xA5; 100]));
    let (found, saved) = whole(&damaged);
    assert!(saved == log.bytes && found.xa.is_empty(), "{found:?}");
}

#[test]
fn an_id_that_is_prepared_again_is_not_taken_for_the_lost_one() {
    // The first one is lost with its end, so that its id is free.
    let all = [Row, plain(0x31), Commit(0x31), Row, plain(0x31), Row, Commit(0x31), Row];
    let (log, places) = log(1, &all);
    let mut damaged = lose(&log, &places[1], Event(2));
    damaged[places[2].clone()].fill(0);
    let (found, saved) = whole(&damaged);
    assert!(saved == without(&log, &places, &[1, 2]), "{found:?}");
    assert!(found.xa.is_empty(), "{found:?}");
}

#[test]
fn what_is_prepared_and_has_lost_its_end_is_told() {
    for kind in [plain(0x31), compressed(0x31)] {
        let all = [Row, kind, Row, Commit(0x31), Row, plain(0x32), Row];
        let (log, places) = log(1, &all);
        // The statement is lost, the GTID, or both; of the second one the end is in the next log.
        for (loss, verb) in [(Event(1), None), (Event(0), Some(XaVerb::Commit)), (All, None)] {
            let (found, saved) = whole(&lose(&log, &places[3], loss));
            assert!(saved == without(&log, &places, &[3]), "{loss:?}: {found:?}");
            let expected = [(xid(0x31), XaFate::EndLost, verb, Some(2))];
            assert_eq!(told(&found), expected, "{kind:?} {loss:?}: {found:?}");
        }
    }
}

fn write(folder: &Path, name: &str, log: &Log) -> String {
    let path = folder.join(name);
    std::fs::write(&path, &log.bytes).unwrap();
    path.display().to_string()
}

#[test]
fn salvage_says_which_xa_transactions_are_cut_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let all = [compressed(0x31), Row, Commit(0x31), plain(0x32), Rollback(0x32)];
    let (log, places) = log(1, &all);
    let mut damaged = lose(&log, &places[0], Event(1));
    damaged[places[4].clone()].fill(0);
    let (path, target) = (folder.path().join("log"), folder.path().join("saved"));
    std::fs::write(&path, &damaged).unwrap();
    let salvage = |format: &str| {
        let mut command = binlogsec();
        command.arg("salvage").arg(&path).arg("-o").arg(&target).args(["--whole-transactions"]);
        let output = command.args(["--force", "--format", format]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = salvage("text");
    let at = |event: usize, place: &Range<usize>| {
        let all = logs::events(&log.bytes);
        all.iter().filter(|(at, ..)| place.contains(at)).nth(event).unwrap().0
    };
    let (end, prepared) = (at(1, &places[2]), at(4, &places[3]));
    for line in [
        format!(
            "left out XA COMMIT x'31',x'',1 ({UUID_A}:3, position {end}): its XA PREPARE is lost"
        ),
        "run: XA COMMIT x'31',x'',1".to_owned(),
        format!("prepared (XA) x'32',x'',1 ({UUID_A}:4, position {prepared}): its end is lost"),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    let document: serde_json::Value = serde_json::from_str(&salvage("json")).unwrap();
    assert_eq!(document["xa_count"], 2);
    let first = &document["xa"][0];
    assert_eq!(first["fate"], "prepare-unknown");
    assert_eq!((&first["xid"], &first["end"]), (&"x'31',x'',1".into(), &"commit".into()));
    assert_eq!(document["xa"][1]["fate"], "end-lost");
}

/// What `decrypt` says of these logs.
fn decrypted(paths: &[String], arguments: &[&str]) -> String {
    let mut command = binlogsec();
    command.arg("decrypt").args(paths).args(["-o", "-"]).args(arguments);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{told}");
    told
}

#[test]
fn halves_of_xa_transactions_that_a_choice_parts_are_named_with_the_other_half() {
    let folder = tempfile::tempdir().unwrap();
    for is_compressed in [false, true] {
        let kind = |id| Prepare { id, is_compressed };
        let (one, _) = log(1, &[Row, kind(0x31), Row, Commit(0x31), kind(0x32), Row]);
        let (two, _) = log(7, &[Row, Rollback(0x32), Row, Commit(0x33)]);
        let first = [write(folder.path(), "binlog.000001", &one)];
        let both = [first[0].clone(), write(folder.path(), "binlog.000002", &two)];
        let without = |paths: &[String], number: u64| {
            decrypted(paths, &["--exclude-gtid", &format!("{UUID_A}:{number}")])
        };
        let gtid = |number: u64| format!("{UUID_A}:{number}");
        let prepared = |id: &str, taken: u64, other: Option<u64>| {
            let other = other.map(|other| {
                format!("; {}, its XA COMMIT or XA ROLLBACK, is left out", gtid(other))
            });
            let other = other.unwrap_or_default();
            format!("not ended: 1 transaction: x'{id}',x'',1 ({}{other})", gtid(taken))
        };
        // What prepares is left out; what ends; and each in a log of its own.
        let told = without(&first, 2);
        let ended = format!("x'31',x'',1 ({}; {}, its XA PREPARE, is left out)", gtid(4), gtid(2));
        assert!(told.contains(&format!("in them: 1 transaction: {ended}")), "{told}");
        let told = without(&first, 4);
        let line = told.lines().find(|line| line.contains("not ended: 2 transactions")).unwrap();
        let end = format!("; {}, its XA COMMIT or XA ROLLBACK, is left out", gtid(4));
        assert!(line.contains(&format!("x'31',x'',1 ({}{end})", gtid(2))), "{told}");
        assert!(line.contains(&format!("x'32',x'',1 ({})", gtid(5))), "{told}");
        let told = without(&both, 5);
        let end = format!("x'32',x'',1 ({}; {}, its XA PREPARE, is left out)", gtid(8), gtid(5));
        assert!(told.contains("in them: 2 transactions") && told.contains(&end), "{told}");
        let told = without(&both, 8);
        assert!(told.contains(&prepared("32", 5, Some(8))), "{told}");
        // Both, or none.
        for arguments in
            [&["--exclude-gtid", &format!("{UUID_A}:2:4:10")][..], &["--server-id", "1"]]
        {
            let told = decrypted(&both, arguments);
            assert!(!told.contains("x'31'") && !told.contains("x'32'"), "{told}");
        }
        // By another choice: what ends is behind the moment.
        let told = decrypted(&first, &["--gtid", &format!("{UUID_A}:1-3")]);
        assert!(told.contains(&prepared("31", 2, Some(4))), "{told}");
    }
}
