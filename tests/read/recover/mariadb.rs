//! MariaDB's domains, rings and holes.

use super::*;

/// Servers of MariaDB that do not write down what they replicated know nothing of one another's logs:
/// the numbers of the domain alone say in which order they come.
#[test]
fn mariadbs_domains_go_on_from_server_to_server() {
    let folder = folder();
    let log =
        |server: u32, time: u32, list: &[(u32, u64)], numbers: std::ops::RangeInclusive<u64>| {
            let mut log = Log::new(server, START + time, true);
            log.list(list);
            log.time = START + time.max(numbers.start().wrapping_mul(10) as u32);
            numbers.for_each(|number| log.mariadb(number, &insert(number)));
            log
        };
    log(10, 100, &[], 1..=10).write(&folder.path().join("server-10/m-bin.000001"));
    log(10, 200, &[(10, 10)], 11..=20).write(&folder.path().join("server-10/m-bin.000002"));
    // It ran as a replica all the while, and has nothing of its own from then.
    log(11, 50, &[], 21..=30).write(&folder.path().join("server-11/m-bin.000001"));
    log(10, 400, &[(10, 20)], 31..=35).write(&folder.path().join("server-10/m-bin.000003"));
    let expected: Vec<_> = (6..=35)
        .map(|number| format!("0-{}-{number}", if (21..=30).contains(&number) { 11 } else { 10 }))
        .collect();
    let output = run(folder.path(), &["--from", "0-10-5", "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout), expected);
    let output = run(folder.path(), &["--from", "0-10-5", "--to", "0-11-25", "-o", "-"]);
    assert_eq!(written(&output.stdout), expected[..20]);
    // A moment before the last that is there is one as good.
    let time = jiff::Timestamp::from_second(i64::from(START) + 203).unwrap().to_string();
    let (found, code) = plan(folder.path(), &["--from", "0-10-5", "--to", &time]);
    assert_eq!((code, &found["complete"]), (0, &Value::from(true)), "{found}");
    // Without the other server's archive ten transactions are missing, which no GTID_LIST tells.
    std::fs::remove_dir_all(folder.path().join("server-11")).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "0-10-5"]);
    assert_eq!((code, &found["gaps"][0]["gtids"]), (1, &Value::from("0-10-21..0-10-30")));
    let all = ["--from", "0-10-5", "-o", "-", "--allow-gap", "0-10-21..0-10-30"];
    let output = run(folder.path(), &all);
    assert_eq!(written(&output.stdout).len(), 20);
    // GTIDs of the other kind of server.
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-5"), "--plan"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The old primary wrote five transactions that nobody fetched, and the new one gave their numbers to
/// others: which of the two count, no log tells.
#[test]
fn numbers_that_two_servers_of_mariadb_gave_away_are_told_and_not_dropped() {
    let folder = folder();
    let log = |server: u32, list: &[(u32, u64)], parts: &[(u32, std::ops::RangeInclusive<u64>)]| {
        let mut log = Log::new(server, START + 100 * server, true);
        log.list(list);
        for (by, numbers) in parts {
            log.server = *by;
            numbers.clone().for_each(|number| log.mariadb(number, &insert(number)));
        }
        log
    };
    let old = folder.path().join("old/m-bin.000001");
    let new = folder.path().join("new/m-bin.000001");
    log(1, &[], &[(1, 1..=35)]).write(&old);
    log(2, &[], &[(1, 1..=30), (2, 31..=40)]).write(&new);
    let (found, code) = plan(folder.path(), &["--from", "0-1-10"]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("diverged")), "{found}");
    let told = &found["gaps"][0]["gtids"];
    assert!(["0-1-31..0-1-35", "0-2-31..0-2-35"].contains(&told.as_str().unwrap()), "{found}");
    let output = run(folder.path(), &["--from", "0-1-10", "-o", "-"]);
    assert!(output.stdout.is_empty() && output.status.code() == Some(1));
    // Either way to go on, as it is printed.
    let (found, code) = plan(folder.path(), &["--from", "0-1-10", "--server-id", "2"]);
    assert_eq!((code, &found["gaps"]), (0, &serde_json::json!([])), "{found}");
    let allowed =
        run(folder.path(), &["--from", "0-1-10", "-o", "-", "--allow-gap", told.as_str().unwrap()]);
    assert_eq!((allowed.status.code(), written(&allowed.stdout).len()), (Some(0), 30));
    // Numbers before the backup are the backup's matter; and without the five all is well.
    let (found, code) = plan(folder.path(), &["--from", "0-2-36"]);
    assert_eq!((code, &found["gaps"]), (0, &serde_json::json!([])), "{found}");
    log(1, &[], &[(1, 1..=30)]).write(&old);
    let (found, code) = plan(folder.path(), &["--from", "0-1-10"]);
    assert_eq!((code, &found["gaps"]), (0, &serde_json::json!([])), "{found}");
}

#[test]
fn domains_of_several_sources_of_mariadb_are_not_diverged() {
    let folder = folder();
    for (domain, server) in [(1_u32, 61), (2, 62)] {
        let mut log = Log::new(server, START, true);
        log.list(&[]);
        for number in 1..=5_u64 {
            let mut body = number.to_le_bytes().to_vec();
            body.extend(domain.to_le_bytes());
            body.push(1);
            body.extend([0; 6]);
            log.event(event_type::MARIADB_GTID, &body);
            log.statement("shop", &insert(number));
        }
        log.write(&folder.path().join(format!("x{server}/binlog.000001")));
    }
    let output = run(folder.path(), &["--from", "1-61-2,2-62-3", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let found = written(&output.stdout);
    assert_eq!(found, ["1-61-3", "1-61-4", "1-61-5", "2-62-4", "2-62-5"], "{told}");
}

/// Two servers of MariaDB that replicate from one another in one domain, and both write: a number is of
/// two transactions, and both are in the logs of both.
fn ring(folder: &Path) -> Vec<(u32, u64)> {
    let log = |name: &str, server: u32, before: &[(u32, u64)], all: &[(u32, u64)]| {
        let mut log = Log::new(server, START, true);
        log.list(before);
        for &(of, number) in all {
            log.server = of;
            log.mariadb(number, &insert(number));
        }
        log.write(&folder.join(name));
    };
    let first = [(51, 1), (51, 2), (51, 3), (52, 4)];
    let second = [(51, 4), (51, 5), (52, 5), (51, 6)];
    log("a/binlog.000001", 51, &[], &first);
    log("a/binlog.000002", 51, &[(51, 3), (52, 4)], &second);
    log("b/binlog.000001", 52, &[], &[&first[..], &second[..1]].concat());
    log("b/binlog.000002", 52, &[(52, 4), (51, 4)], &[(52, 5), (51, 5), (51, 6)]);
    [first, second].concat()
}

/// The server and the number of each transaction that was written.
fn servers_and_numbers(output: &[u8]) -> Vec<(u32, u64)> {
    let of = |id: &str| {
        let mut parts = id.split('-').skip(1);
        let mut part = || parts.next().unwrap().parse::<u64>().unwrap();
        (part() as u32, part())
    };
    written(output).iter().map(|id| of(id)).collect()
}

#[test]
fn servers_that_replicate_in_a_ring_are_not_diverged_and_lose_nothing() {
    let folder = folder();
    let mut all = ring(folder.path());
    for paths in [&["a"][..], &["b"], &["a", "b"]] {
        let mut command = binlogsec();
        command.arg("recover").args(paths).current_dir(folder.path());
        let output = command.args(["--from", "beginning", "-o", "-"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{paths:?} {told}");
        let mut found = servers_and_numbers(&output.stdout);
        found.sort_unstable();
        all.sort_unstable();
        assert_eq!(found, all, "{paths:?} {told}");
        assert!(told.contains("--skip-gtid-strict-mode"), "{told}");
    }
}

/// `mariadb-binlog` takes the list of a later log for a gap where the first log's is not there.
#[test]
fn a_slice_of_mariadbs_logs_begins_with_the_list_of_gtids_that_is_before_it() {
    let folder = folder();
    let place_of = |name: &str| folder.path().join(name);
    for (name, second, before, numbers) in
        [("binlog.000001", 0, 0, 1..=5), ("binlog.000002", 100, 5, 6..=9)]
    {
        let mut log = Log::new(1, START + second, true);
        log.list(if before > 0 { &[(1, 5)] } else { &[] });
        numbers.for_each(|number| log.mariadb(number, &insert(number)));
        log.write(&place_of(name));
    }
    let time = jiff::Timestamp::from_second(i64::from(START) + 3).unwrap().to_string();
    let position = place(&place_of("binlog.000001"), 3).to_string();
    for choice in [["--from", &*time], ["--start-position", &position]] {
        let mut command = binlogsec();
        command.arg("decrypt").args(["binlog.000001", "binlog.000002"].map(place_of));
        let output = command.args(["-o", "-"]).args(choice).output().unwrap();
        let kinds: Vec<u8> = logs::events(&output.stdout).iter().map(|it| it.2).collect();
        let lists = kinds.iter().filter(|kind| **kind == event_type::MARIADB_GTID_LIST);
        assert_eq!((lists.count(), kinds[1]), (2, event_type::MARIADB_GTID_LIST), "{choice:?}");
        assert_eq!(written(&output.stdout).len(), 2 + 4, "{choice:?}");
    }
}

/// The position of a log of MariaDB's GTID event, the first being 0.
fn place(log: &Path, number: usize) -> usize {
    let bytes = std::fs::read(log).unwrap();
    let all = logs::events(&bytes);
    let gtids = all.iter().filter(|it| it.2 == event_type::MARIADB_GTID);
    gtids.map(|it| it.0).nth(number).unwrap()
}

#[test]
fn a_gtid_of_a_ring_is_no_beginning_and_a_position_is() {
    let folder = folder();
    let all = ring(folder.path());
    let a = folder.path().join("a");
    // 0-51-4 stands behind 0-52-4, in the next log.
    for from in ["0-52-4", "0-51-4"] {
        let output = run(&a, &["--from", from, "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
        assert!(told.contains("0-51-4 comes behind 0-52-4"), "{told}");
        assert!(told.contains("--from LOG:POSITION"), "{told}");
    }
    for (log, number, before) in [(1, 0, 0), (1, 3, 3), (2, 0, 4), (2, 3, 7)] {
        let name = format!("binlog.{log:06}");
        let from = format!("{name}:{}", place(&a.join(&name), number));
        let output = run(&a, &["--from", &from, "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(servers_and_numbers(&output.stdout), all[before..], "{from} {told}");
        // A backup's file has both.
        let backup = folder.path().join("mariadb_backup_binlog_info");
        std::fs::write(&backup, format!("{}\t0-52-4\n", from.replace(':', "\t"))).unwrap();
        let output = run(&a, &["--from", backup.to_str().unwrap(), "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(servers_and_numbers(&output.stdout), all[before..], "{from} {told}");
    }
    // What is behind all of these is told by numbers as ever.
    let output = run(&a, &["--from", "0-51-6", "--plan"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn numbers_that_a_log_of_mariadb_leaves_out_are_told() {
    let folder = folder();
    let mut log = Log::new(1, START, true);
    log.list(&[]);
    // 7 comes late; 6, and 10 to 12, do not come.
    for number in [1, 2, 3, 4, 5, 8, 7, 9, 13] {
        log.mariadb(number, &insert(number));
    }
    log.write(&folder.path().join("binlog.000001"));
    let out = folder.path().join("out");
    for end in [&["-o", out.to_str().unwrap()][..], &["--plan", "--verify"]] {
        let arguments = [&["--from", "beginning"][..], end].concat();
        let output = run(folder.path(), &arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(
            told.contains("warning: 0-1-6,0-1-10..0-1-12 stands in none of these logs"),
            "{told}"
        );
    }
    // What the user leaves out is no hole, nor what is behind the moment.
    let arguments = ["--from", "beginning", "--to", "0-1-5", "--exclude-gtid", "0-1-3", "-o", "-"];
    let output = run(folder.path(), &arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(!told.contains("in none"), "{told}");
}
