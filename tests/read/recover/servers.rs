//! Logs of several servers, and of one that began anew.

use super::*;

#[test]
fn after_a_failover_names_used_twice_are_told_apart_and_each_transaction_comes_once() {
    let folder = folder();
    failover(folder.path(), false);
    let from = format!("{UUID_A}:1-15");
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let of_b: Vec<_> = (1..=5).map(|number| format!("{UUID_B}:{number}")).collect();
    assert_eq!(written(&output.stdout), [numbers(16..=30), of_b.clone()].concat());
    // The position in a log of that name would be of either server.
    let output = run(folder.path(), &["--from", "binlog.000002:157", "--plan"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("several servers") && error.contains("--server-id"), "{error}");
    // What the old primary alone has would be a transaction that nobody saw since.
    failover(folder.path(), true);
    let (found, code) = plan(folder.path(), &["--from", &from]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &gap["kind"]), (1, &Value::from("diverged")), "{found}");
    assert_eq!(gap["gtids"], format!("{UUID_A}:31"));
    let (found, code) = plan(folder.path(), &["--from", &from, "--server-id", "2"]);
    let last = slices(folder.path(), &found).pop().unwrap();
    assert_eq!((code, last.1), (0, format!("{UUID_A}:26-30,{UUID_B}:1-5")));
}

#[test]
fn logs_of_two_servers_of_one_id_that_were_begun_in_one_second_are_no_copies() {
    let folder = folder();
    for (name, uuid, count) in [("one", A, 3), ("two", B, 2)] {
        let mut log = Log::new(1, START, false);
        log.previous(&[]);
        for number in 1..=count {
            log.transaction(uuid, number, "INSERT INTO t VALUES (1)");
        }
        std::fs::create_dir(folder.path().join(name)).unwrap();
        log.write(&folder.path().join(name).join("binlog.000001"));
    }
    let (found, _) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!(found["doubled"].as_array().unwrap().len(), 0, "{found}");
    let reached = found["reached"].as_str().unwrap();
    assert!(reached.contains(UUID_A) && reached.contains(UUID_B), "{reached}");
}

/// A server that was primary, was none, and is it again, writes its first numbers again: names of its
/// archive are used twice by one and the same server.
#[test]
fn numbers_that_a_server_began_anew_are_of_two_tenures() {
    let folder = folder();
    ten_each(&folder.path().join("first"), 2);
    let mut log = Log::new(1, START + 900, false);
    log.previous(&[(A, 20)]);
    (21..=25).for_each(|number| log.transaction(A, number, &insert(number)));
    log.write(&folder.path().join("again/binlog.000001"));
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-5"), "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout), numbers(6..=25));
}

/// RESET between two eras of one server: numbers 4 to 6 are other transactions in each. Restored and
/// replayed, they would be the same ones, first committed at the same times.
#[test]
fn numbers_that_a_server_gave_twice_are_told_and_not_mixed() {
    for is_replay in [false, true] {
        let folder = folder();
        let era = |name: &str, time: u32, last: u64, shift: u32| {
            for number in 1..=last {
                let mut log = Log::new(1, START + time + 10 * number as u32, false);
                let before: &[(u8, u64)] = &[(A, number - 1)];
                log.previous(if number > 1 { before } else { &[] });
                // A replay keeps the time of each transaction.
                log.time = START + shift + 10 * number as u32 + 1;
                log.transaction(A, number, &insert(number));
                log.write(&folder.path().join(format!("{name}/binlog.{number:06}")));
            }
        };
        era("before", 0, 6, 0);
        era("after", 1000, 8, if is_replay { 0 } else { 1000 });
        let from = format!("{UUID_A}:1-3");
        let (found, code) = plan(folder.path(), &["--from", &from]);
        if is_replay {
            assert_eq!((code, &found["complete"]), (0, &Value::from(true)), "{found}");
            continue;
        }
        assert_eq!(code, 1, "{found}");
        let gap = found["gaps"].as_array().unwrap().iter().find(|gap| gap["kind"] == "renumbered");
        assert_eq!(gap.unwrap()["gtids"], format!("{UUID_A}:4-6"), "{found}");
        let output = run(
            folder.path(),
            &["--from", &from, "-o", "-", "--allow-gap", &format!("{UUID_A}:4-6")],
        );
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        // The logs of one era alone.
        let output = run(&folder.path().join("after"), &["--from", &from, "-o", "-"]);
        assert_eq!(written(&output.stdout), numbers(4..=8));
    }
}

/// A server that was restored began its numbers anew in the second in which it had begun its last log.
#[test]
fn logs_of_two_tenures_are_told_apart_by_what_is_in_them_not_by_their_times() {
    let folder = folder();
    let log = |name: &str, second: u32, before: u64, numbers: std::ops::RangeInclusive<u64>| {
        let mut log = Log::new(1, START + second, false);
        let sets: &[(u8, u64)] = &[(A, before)];
        log.previous(if before > 0 { sets } else { &[] });
        numbers.for_each(|number| log.transaction(A, number, &insert(number)));
        log.write(&folder.path().join(name));
    };
    log("first/binlog.000001", 50, 0, 1..=20);
    log("first/binlog.000002", 52, 20, 21..=30);
    log("again/binlog.000001", 52, 0, 31..=40);
    log("again/binlog.000002", 60, 40, 41..=50);
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(written(&output.stdout), numbers(1..=50), "{told}");
}

#[test]
fn sources_of_one_replica_are_not_diverged_where_its_logs_have_all() {
    let folder = folder();
    let log = |name: &str, server: u32, all: &[(u8, u64)]| {
        let mut log = Log::new(server, START, false);
        log.previous(&[]);
        all.iter().for_each(|&(uuid, number)| log.transaction(uuid, number, &insert(number)));
        log.write(&folder.path().join(name));
    };
    log("s1/binlog.000001", 1, &[(A, 1), (A, 2)]);
    log("s2/binlog.000001", 2, &[(B, 1), (B, 2), (B, 3)]);
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("diverged")), "{found}");
    log("r/binlog.000001", 3, &[(B, 1), (A, 1), (A, 2), (B, 2), (B, 3)]);
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), written(&output.stdout).len()), (Some(0), 5), "{told}");
    // A transaction that the replica never got is one that diverged.
    log("s2/binlog.000001", 2, &[(B, 1), (B, 2), (B, 3), (B, 4)]);
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("diverged")), "{found}");
}

/// A server is started, and begins its numbers anew, within one second.
#[test]
fn two_first_logs_of_one_second_are_no_copies_and_a_part_of_one_is() {
    for is_mariadb in [false, true] {
        let folder = folder();
        let log = |name: &str, numbers: &[u64]| {
            let mut log = Log::new(1, START, is_mariadb);
            if is_mariadb {
                log.list(&[]);
            } else {
                log.previous(&[]);
            }
            for &number in numbers {
                if is_mariadb {
                    log.mariadb(number, &insert(number));
                } else {
                    log.transaction(A, number, &insert(number));
                }
            }
            log.write(&folder.path().join(name));
        };
        log("first/binlog.000001", &[1, 2, 3, 4, 5]);
        log("part/binlog.000001", &[3, 4, 5]);
        let (found, code) = plan(folder.path(), &["--from", "beginning"]);
        assert_eq!((code, found["doubled"].as_array().unwrap().len()), (0, 1), "{found}");
        log("again/binlog.000001", &[6, 7]);
        let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(written(&output.stdout).len(), 7, "{told}");
    }
}
