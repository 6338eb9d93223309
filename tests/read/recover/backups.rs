//! Where a backup is, and from there to a moment.

use super::*;

#[test]
fn backups_of_every_program_say_where_they_are() {
    let gtids = format!("{UUID_A}:1-15,{UUID_B}:1-3");
    let lines = gtids.replace(',', ",\n");
    let place = Some(("binlog.000002".to_owned(), 157));
    for (what, content) in [
        ("xtrabackup_binlog_info", format!("binlog.000002\t157\t{lines}\n")),
        (
            "xtrabackup_info",
            format!(
                "uuid = x\ntool_name = xtrabackup\nbinlog_pos = filename 'binlog.000002', position '157', GTID of the last change '{gtids}'\n"
            ),
        ),
        (
            "mysqldump",
            format!(
                "-- MySQL dump 10.13\n--\n-- GTID state at the beginning of the backup\n--\n\nSET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '{lines}';\n\n-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000002', SOURCE_LOG_POS=157;\n"
            ),
        ),
        (
            "mysqldump, commented",
            format!(
                "-- MySQL dump\n/* SET @@GLOBAL.GTID_PURGED='+{gtids}';*/\nCHANGE MASTER TO MASTER_LOG_FILE='binlog.000002', MASTER_LOG_POS=157;\n"
            ),
        ),
        (
            "mydumper, old",
            format!(
                "Started dump at: 2026-11-21 10:00:00\nSHOW MASTER STATUS:\n\tLog: binlog.000002\n\tPos: 157\n\tGTID:{gtids}\n\nSHOW SLAVE STATUS:\n\tHost: h\n\tLog: other.000009\n\tPos: 4\n\tGTID:\n"
            ),
        ),
        (
            "mydumper, new",
            format!(
                "[config]\nquote-character = BACKTICK\n[source]\n# executed_gtid_set = \"x\"\nFile = binlog.000002\nPosition = 157\nExecuted_Gtid_Set = {gtids}\n[replication]\nFile = other.000009\nPosition = 4\n"
            ),
        ),
        (
            "MySQL Shell",
            format!(
                r#"{{"dumper":"mysqlsh","gtidExecuted":"{}","gtidExecutedInconsistent":false,"binlogFile":"binlog.000002","binlogPosition":157}}"#,
                lines.replace('\n', "\\n")
            ),
        ),
    ] {
        let state = State::parse(&content).unwrap().unwrap_or_else(|| panic!("{what}"));
        assert_eq!(state.gtids.unwrap().to_string(), gtids, "{what}");
        assert_eq!(state.position.map(|it| (it.log, it.position)), place, "{what}");
    }
    for (what, content) in [
        ("mariadb_backup_binlog_info", "mariadb-bin.000004\t342\t0-1-17,1-2-5\n"),
        (
            "mariadb_backup_info",
            "tool_name = mariadb-backup\nbinlog_pos = filename 'mariadb-bin.000004', position '342', GTID of the last change '0-1-17,1-2-5'\n",
        ),
        (
            "mariadb-dump",
            "-- MariaDB dump 10.19\n-- CHANGE MASTER TO MASTER_LOG_FILE='mariadb-bin.000004', MASTER_LOG_POS=342;\n-- SET GLOBAL gtid_slave_pos='0-1-17,1-2-5';\n",
        ),
    ] {
        let state = State::parse(content).unwrap().unwrap();
        assert_eq!(state.gtids.unwrap().to_string(), "0-1-17,1-2-5", "{what}");
        assert_eq!(state.position.map(|it| it.position), Some(342), "{what}");
    }
    assert_eq!(State::parse("-- MySQL dump\nCREATE TABLE t (a INT);\n"), Ok(None));
    assert!(State::parse("binlog.000002\t157\tnonsense\n").is_err());
}

#[test]
fn a_folder_with_a_dump_alone_is_told_to_name_the_dump() {
    let folder = folder();
    std::fs::write(folder.path().join("full.sql"), "-- MySQL dump\n").unwrap();
    let output = run(folder.path(), &["--from", folder.path().to_str().unwrap(), "--plan"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("of a dump, name the file itself"), "{text}");
}

#[test]
fn what_the_backup_has_is_left_out_and_the_rest_is_written_in_order() {
    let folder = folder();
    ten_each(folder.path(), 4);
    let backup = folder.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    std::fs::write(backup.join("xtrabackup_info"), "nothing").unwrap();
    let info = format!("binlog.000002\t99999\t{UUID_A}:1-15\n");
    std::fs::write(backup.join("xtrabackup_binlog_info"), info).unwrap();
    let from = backup.to_str().unwrap();
    let (found, code) = plan(folder.path(), &["--from", from]);
    let expected: Vec<_> = [(2, "16-20"), (3, "21-30"), (4, "31-40")]
        .map(|(log, gtids)| (format!("binlog.{log:06}"), format!("{UUID_A}:{gtids}")))
        .into();
    assert_eq!((slices(folder.path(), &found), code), (expected, 0));
    let output = run(folder.path(), &["--from", from, "-o", "-"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(written(&output.stdout), numbers(16..=40));
}

#[test]
fn each_kind_of_moment_ends_where_it_says() {
    let folder = folder();
    ten_each(folder.path(), 3);
    let from = format!("{UUID_A}:1-5");
    // The log's fifth transaction is four seconds behind its beginning.
    let at = jiff::Timestamp::from_second(i64::from(START) + 204).unwrap();
    let local = at.to_zoned(jiff::tz::TimeZone::get("Asia/Tokyo").unwrap());
    let local = local.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let bytes = ten(2).bytes;
    let begins = logs::events(&bytes).into_iter().filter(|(.., kind)| *kind == event_type::GTID);
    let place = format!("binlog.000002:{}", begins.map(|it| it.0).nth(4).unwrap());
    let (with, before) = (format!("{UUID_A}:14"), format!("{UUID_A}:15"));
    for arguments in [
        vec!["--to", &*with],
        vec!["--to-before", &*before],
        vec!["--to", &*local, "--time-zone", "Asia/Tokyo"],
        vec!["--to", &*place],
        vec!["--find", "insert into t values (15"],
    ] {
        let all = [&["--from", &*from, "-o", "-"][..], &arguments].concat();
        let output = run(folder.path(), &all);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        assert_eq!(written(&output.stdout), numbers(6..=14), "{arguments:?}");
    }
    let without = format!("{UUID_A}:7");
    let output = run(folder.path(), &["--from", &from, "-o", "-", "--exclude-gtid", &without]);
    let expected = [numbers(6..=6), numbers(8..=30)].concat();
    assert_eq!(written(&output.stdout), expected);
    // What is in the backup, and what is in no log.
    let (there, nowhere) = (format!("{UUID_A}:3"), format!("{UUID_A}:99"));
    let output = run(folder.path(), &["--from", &from, "--to", &there, "--plan"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in the backup already"));
    let (found, code) = plan(folder.path(), &["--from", &from, "--to", &nowhere]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("not-reached")));
    assert_eq!(found["gaps"][0]["gtids"], nowhere);
}

#[test]
fn without_gtids_numbers_and_positions_lead() {
    let folder = folder();
    for number in 1..=4_u32 {
        let mut log = Log::new(1, START + 100 * number, false);
        log.previous(&[]);
        (1..=3).for_each(|_| log.anonymous("INSERT INTO t VALUES (1)"));
        if number == 3 {
            log.anonymous("DROP TABLE t");
        }
        log.write(&folder.path().join(format!("binlog.{number:06}")));
    }
    let second = std::fs::read(folder.path().join("binlog.000002")).unwrap();
    let begins = logs::events(&second).into_iter().filter(|it| it.2 == event_type::ANONYMOUS_GTID);
    let from = format!("binlog.000002:{}", begins.map(|it| it.0).nth(1).unwrap());
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    assert_eq!(written(&output.stdout).len(), 2 + 4 + 3);
    let output = run(folder.path(), &["--from", &from, "--find", "drop table shop.t", "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout).len(), 2 + 3);
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    assert_eq!((output.status.code(), written(&output.stdout).len()), (Some(0), 4 * 3 + 1));
    // A transaction was left out in the middle.
    let begins: Vec<usize> = logs::events(&second)
        .into_iter()
        .filter(|it| it.2 == event_type::ANONYMOUS_GTID)
        .map(|it| it.0)
        .collect();
    let cut = [&second[..begins[1]], &second[begins[2]..]].concat();
    let place = folder.path().join("binlog.000002");
    std::fs::write(&place, cut).unwrap();
    let output = run(folder.path(), &["--from", "beginning", "--plan", "--verify"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("000002 is a part of a log, or was salvaged"), "{told}");
    std::fs::write(&place, &second).unwrap();
    let output = run(folder.path(), &["--from", "beginning", "--plan", "--verify"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("salvaged"));
    std::fs::remove_file(folder.path().join("binlog.000003")).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["logs"][0]), (1, &Value::from("binlog.000003")), "{found}");
    let (found, code) = plan(folder.path(), &["--from", &from]);
    assert_eq!((code, &found["gaps"][0]["logs"][0]), (1, &Value::from("binlog.000003")));
    let gtid = format!("{UUID_A}:1");
    let output = run(folder.path(), &["--from", &from, "--to", &gtid, "--plan"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_beginning_without_gtids_leaves_out_no_log_that_has_none() {
    let folder = folder();
    let log = |name: &str, second: u32, fill: &dyn Fn(&mut Log)| {
        let mut log = Log::new(1, START + second, false);
        log.previous(&[]);
        fill(&mut log);
        log.write(&folder.path().join(name));
    };
    // GTIDs are turned on in the second log.
    log("binlog.000001", 0, &|log| (0..3).for_each(|_| log.anonymous("INSERT INTO t VALUES (1)")));
    log("binlog.000002", 10, &|log| {
        log.anonymous("INSERT INTO t VALUES (2)");
        (1..=2).for_each(|number| log.transaction(A, number, &insert(number)));
    });
    let mut last = Log::new(1, START + 20, false);
    last.previous(&[(A, 2)]);
    (3..=5).for_each(|number| last.transaction(A, number, &insert(number)));
    last.write(&folder.path().join("binlog.000003"));
    for (to, count) in [("end", 9), (&*format!("{UUID_A}:1"), 5), ("binlog.000002:4", 3)] {
        let output = run(folder.path(), &["--from", "beginning", "--to", to, "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(written(&output.stdout).len(), count, "{to}: {told}");
    }
    // A backup's GTIDs say nothing of them.
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-3"), "--plan"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("not used, the first of them"), "{told}");
    // The first log is missing, and then there is a second row of logs.
    std::fs::remove_file(folder.path().join("binlog.000001")).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["logs"][0]), (1, &Value::from("binlog.000001")), "{found}");
    let mut other = Log::new(2, START, false);
    other.previous(&[]);
    other.anonymous("INSERT INTO t VALUES (7)");
    other.write(&folder.path().join("other/binlog.000001"));
    let output = run(folder.path(), &["--from", "beginning", "--plan"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("name the logs of one alone"), "{told}");
}

/// A backup whose set has the transactions of several servers is one with all of them.
#[test]
fn a_backup_of_many_servers_gtids_leaves_out_no_log_that_has_more() {
    let folder = folder();
    failover(folder.path(), false);
    let from = format!("{UUID_A}:1-30,{UUID_B}:1-2,cccccccc-cccc-cccc-cccc-cccccccccccc:1-9");
    let (found, code) = plan(folder.path(), &["--from", &from]);
    let expected = ("b/binlog.000002".to_owned(), format!("{UUID_B}:3-5"));
    assert_eq!((slices(folder.path(), &found), code), (vec![expected], 0));
}

#[test]
fn a_thousand_logs_are_planned_by_their_heads_and_few_are_read_to_the_end() {
    let folder = folder();
    ten_each(folder.path(), 1000);
    // What is behind the head of a log in the middle is not looked at: it may be no log at all.
    let middle = folder.path().join("binlog.000500");
    let mut bytes = std::fs::read(&middle).unwrap();
    let from = logs::events(&bytes)[4].0;
    bytes[from..].fill(0xFF);
    std::fs::write(&middle, bytes).unwrap();
    let (found, code) = plan(folder.path(), &["--from", &format!("{UUID_A}:1-15")]);
    assert_eq!((code, found["slices"].as_array().unwrap().len()), (0, 999));
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-15"), "-o", "-"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0));
}

#[test]
fn a_client_program_that_fails_is_told_and_one_that_is_fed_gets_every_transaction() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    ten_each(&folder.path().join("logs"), 3);
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = |name: &str, script: &str| {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("mysqlbinlog", "exec cat");
    let out = folder.path().join("applied");
    // The server has more than the backup: that is left out.
    let client = format!(
        "echo \"$@\" >> {0}.arguments\ncase \"$*\" in *gtid_executed*) echo ON; echo {UUID_A}:1-12 ;; *) cat > {0} ;; esac",
        out.display()
    );
    program("mysql", &client);
    let apply = || {
        let mut command = binlogsec();
        command.arg("recover").arg(folder.path().join("logs"));
        command.args(["--from", &format!("{UUID_A}:1-5"), "--apply", "mysql://root@h/?socket=/s"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", bin.display())).output().unwrap()
    };
    let output = apply();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&std::fs::read(&out).unwrap()), numbers(13..=30));
    let arguments = std::fs::read_to_string(format!("{}.arguments", out.display())).unwrap();
    assert!(arguments.contains("--socket=/s") && arguments.contains("--user=root"), "{arguments}");
    for (name, script) in [
        ("mysql", "case \"$*\" in *gtid_executed*) ;; *) exit 1 ;; esac"),
        ("mysqlbinlog", "cat; exit 7"),
    ] {
        program("mysql", &client);
        program(name, script);
        let output = apply();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("{name} failed")), "{error}");
    }
}

/// Programs of a server's that answer a question for its state with these lines, and keep what they are
/// fed.
fn stand_ins(folder: &Path, reader: &str, client: &str, state: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("state"), state).unwrap();
    let answer = format!(
        "case \"$*\" in *@@GLOBAL*) cat {0}/state ;; *) cat > {0}/applied ;; esac",
        bin.display()
    );
    for (name, script) in [(reader, "exec cat"), (client, &answer)] {
        std::fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

fn with_programs(folder: &Path, bin: &Path, arguments: &[&str]) -> Output {
    let _ = std::fs::remove_file(bin.join("applied"));
    let path = std::env::var("PATH").unwrap();
    let mut command = binlogsec();
    command.arg("recover").arg(folder).args(arguments);
    command.env("PATH", format!("{}:{path}", bin.display())).output().unwrap()
}

#[test]
fn what_a_restore_wrote_on_mariadb_is_not_what_the_logs_have() {
    let folder = folder();
    let logs = folder.path().join("logs");
    let mut log = Log::new(71, START, true);
    log.list(&[(71, 1)]);
    (2..=20).for_each(|number| log.mariadb(number, &insert(number)));
    log.write(&logs.join("mariadb-bin.000002"));
    let url = "mariadb://root@h/?socket=/s";
    let from_backup = ["--from", "0-71-5", "--apply", url];
    let ids = |range: std::ops::RangeInclusive<u64>| -> Vec<_> {
        range.map(|number| format!("0-71-{number}")).collect()
    };
    // The server's answer; the ids that are applied, or the code and what is said.
    for (state, expected) in [
        // A restore wrote 0-72-9 with the target's own id.
        ("1\t72\n\n0-72-9\n", Ok(ids(6..=20))),
        // It, and an earlier run up to 12.
        ("1\t72\n\n0-71-12,0-72-9\n", Ok(ids(13..=20))),
        // A replica of the source until 15.
        ("1\t72\n0-71-15\n0-72-9\n", Ok(ids(16..=20))),
        // The source itself, restored in place: who wrote 9 cannot be known.
        ("1\t71\n\n0-71-9\n", Err("0-71-9 with its own id")),
        ("1\t71\n\n0-71-5\n", Ok(ids(6..=20))),
        // No binary log: it says nothing, and is told so.
        ("0\t72\n\n\n", Ok(ids(6..=20))),
    ] {
        let bin = stand_ins(folder.path(), "mariadb-binlog", "mariadb", state);
        let output = with_programs(&logs, &bin, &from_backup);
        let told = String::from_utf8_lossy(&output.stderr);
        match expected {
            Ok(ids) => {
                assert_eq!(output.status.code(), Some(0), "{state:?}: {told}");
                assert_eq!(written(&std::fs::read(bin.join("applied")).unwrap()), ids, "{state:?}");
                let is_warned = told.contains("applied twice");
                assert_eq!(is_warned, state.starts_with('0'), "{state:?}: {told}");
            }
            Err(text) => {
                assert_eq!(output.status.code(), Some(2), "{state:?}: {told}");
                assert!(told.contains(text), "{state:?}: {told}");
                assert!(!bin.join("applied").exists());
            }
        }
    }
    // The server as the backup.
    for (state, code, text) in [
        ("1\t72\n\n0-72-9\n", 2, "of its own alone (0-72-9)"),
        ("0\t72\n\n\n", 2, "log_bin is OFF"),
        ("1\t72\n\n0-71-12,0-72-9\n", 0, ""),
        ("1\t71\n\n0-71-12\n", 0, ""),
    ] {
        let bin = stand_ins(folder.path(), "mariadb-binlog", "mariadb", state);
        let output = with_programs(&logs, &bin, &["--from", url, "--apply"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{state:?}: {told}");
        assert!(told.contains(text), "{state:?}: {told}");
        if code == 0 {
            let applied = written(&std::fs::read(bin.join("applied")).unwrap());
            assert_eq!(applied, ids(13..=20), "{state:?}");
        }
    }
}

#[test]
fn a_server_without_gtids_says_that_it_cannot_go_on() {
    let folder = folder();
    let logs = folder.path().join("logs");
    ten_each(&logs, 2);
    let url = "mysql://root@h/?socket=/s";
    for mode in ["OFF", "OFF_PERMISSIVE", "ON"] {
        let bin = stand_ins(folder.path(), "mysqlbinlog", "mysql", &format!("{mode}\n\n"));
        let from = with_programs(&logs, &bin, &["--from", url, "--plan"]);
        let told = String::from_utf8_lossy(&from.stderr).into_owned();
        assert_eq!(from.status.code(), Some(if mode == "ON" { 0 } else { 2 }), "{mode}: {told}");
        assert_eq!(told.contains("gtid_mode is not ON"), mode != "ON", "{mode}: {told}");
        let apply =
            with_programs(&logs, &bin, &["--from", &format!("{UUID_A}:1-5"), "--apply", url]);
        let told = String::from_utf8_lossy(&apply.stderr).into_owned();
        assert_eq!(apply.status.code(), Some(0), "{mode}: {told}");
        assert_eq!(told.contains("applied twice"), mode != "ON", "{mode}: {told}");
    }
}

#[test]
fn a_place_that_the_log_does_not_have_is_no_place_of_a_backup() {
    let folder = folder();
    ten_each(folder.path(), 2);
    let bytes = ten(1).bytes;
    let events = logs::events(&bytes);
    let places = |place: usize| plan(folder.path(), &["--from", &format!("binlog.000001:{place}")]);
    for place in [events[1].0, events[4].0, bytes.len()] {
        assert_eq!(places(place).1, 0, "{place}");
    }
    for place in [events[4].0 + 1, bytes.len() + 1, 99_999_999] {
        let from = format!("binlog.000001:{place}");
        let output = run(folder.path(), &["--from", &from, "--plan"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{place}: {told}");
        assert!(told.contains(&format!("no event at {place}")), "{place}: {told}");
    }
}

#[test]
fn a_directory_gets_a_log_for_each_in_an_order_that_a_shell_keeps() {
    let folder = folder();
    let logs = folder.path().join("logs");
    ten_each(&logs, 12);
    let out = folder.path().join("out");
    let to = format!("{}/", out.display());
    let from = format!("{UUID_A}:1-5");
    let output = run(&logs, &["--from", &from, "-o", &to]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let names = common::names(&out);
    assert_eq!(
        (names.len(), &*names[0], &*names[11]),
        (12, "0001-binlog.000001", "0012-binlog.000012")
    );
    let all: Vec<_> =
        names.iter().flat_map(|name| written(&std::fs::read(out.join(name)).unwrap())).collect();
    assert_eq!(all, numbers(6..=120));
    // Another recovery's logs must not stand among these.
    let output = run(&logs, &["--from", &from, "-o", &to, "--force"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    // A directory of a directory that is not there.
    let output = run(&logs, &["--from", &from, "-o", &format!("{}/no/such/", out.display())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!out.join("no").exists());
}
