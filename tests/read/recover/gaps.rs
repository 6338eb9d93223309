//! What is missing, damaged or without a key.

use super::*;

#[test]
fn a_missing_log_is_told_by_name_and_gtids_and_nothing_is_written() {
    let folder = folder();
    ten_each(folder.path(), 4);
    std::fs::remove_file(folder.path().join("binlog.000003")).unwrap();
    let from = format!("{UUID_A}:1-15");
    let (found, code) = plan(folder.path(), &["--from", &from]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &found["complete"]), (1, &Value::from(false)));
    assert_eq!(gap["gtids"], format!("{UUID_A}:21-30"));
    assert_eq!(gap["first"], format!("{UUID_A}:21"));
    assert_eq!(gap["logs"], serde_json::json!(["binlog.000003"]));
    let out = folder.path().join("out");
    let target = out.to_str().unwrap();
    let output = run(folder.path(), &["--from", &from, "-o", target]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!out.exists());
    let gtids = format!("{UUID_A}:21-30");
    for allowed in ["binlog.000003", &gtids] {
        let output = run(folder.path(), &["--from", &from, "-o", "-", "--allow-gap", allowed]);
        assert_eq!(output.status.code(), Some(0), "{allowed}");
        assert_eq!(written(&output.stdout), [numbers(16..=20), numbers(31..=40)].concat());
    }
    // Part of what is missing is not all of it.
    let part = format!("{UUID_A}:21-29");
    let output = run(folder.path(), &["--from", &from, "-o", "-", "--allow-gap", &part]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    // Before the backup nothing is needed.
    std::fs::remove_file(folder.path().join("binlog.000001")).unwrap();
    let (_, code) = plan(folder.path(), &["--from", &format!("{UUID_A}:1-30")]);
    assert_eq!(code, 0);
}

#[test]
fn a_damaged_log_stops_all_of_it_unless_another_copy_is_there() {
    let folder = folder();
    ten_each(folder.path(), 4);
    let third = folder.path().join("binlog.000003");
    let sound = std::fs::read(&third).unwrap();
    let mut damaged = sound.clone();
    let at = damaged.len() - 40;
    damaged[at] ^= 1;
    std::fs::write(&third, &damaged).unwrap();
    let from = format!("{UUID_A}:1-15");
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0), "{error}");
    assert!(error.contains("binlog.000003") && error.contains("21-30"), "{error}");
    let (found, code) = plan(folder.path(), &["--from", &from, "--verify"]);
    assert_eq!((code, &found["gaps"][0]["unread"][0]["class"]), (4, &Value::from("damage")));
    // By heads alone it is not seen, and the plan says that it did not look.
    let (found, code) = plan(folder.path(), &["--from", &from]);
    assert_eq!((code, &found["verified"]), (0, &Value::from(false)));
    let other = folder.path().join("other/binlog.000003");
    std::fs::create_dir(other.parent().unwrap()).unwrap();
    std::fs::write(&other, &sound).unwrap();
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(written(&output.stdout), numbers(16..=40));
}

#[test]
fn a_log_without_its_key_is_told_where_it_is_missing() {
    let folder = folder();
    for name in common::names(&mixed()).iter().filter(|name| name.starts_with("binlog.0")) {
        std::fs::copy(mixed().join(name), folder.path().join(name)).unwrap();
    }
    let keyring = mixed_keyring();
    let keyring = keyring.to_str().unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--keyring", keyring]);
    assert_eq!((code, found["slices"].as_array().unwrap().len()), (0, 6));
    let fourth = folder.path().join("binlog.000004");
    let mut bytes = std::fs::read(&fourth).unwrap();
    let at = bytes.windows(2).position(|pair| pair == b"_3" || pair == b"_2").unwrap();
    bytes[at + 1] = b'9';
    std::fs::write(&fourth, bytes).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--keyring", keyring]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &gap["unread"][0]["class"]), (3, &Value::from("key")));
    assert_eq!(gap["gtids"], "2bc92730-e533-11f1-b7bc-02fc00000001:57-71");
    // At the end nothing tells by GTIDs that it is needed.
    std::fs::rename(&fourth, folder.path().join("binlog.000007")).unwrap();
    std::fs::copy(mixed().join("binlog.000004"), fourth).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--keyring", keyring]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (3, &Value::from("not-reached")));
}

#[test]
fn a_copy_that_was_taken_while_the_log_grew_gives_way_to_the_whole_one() {
    let folder = folder();
    ten_each(&folder.path().join("new"), 2);
    let whole = ten(2).bytes;
    let cut = logs::events(&whole)[8].0;
    std::fs::create_dir(folder.path().join("early")).unwrap();
    std::fs::write(folder.path().join("early/binlog.000002"), &whole[..cut]).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    let paths: Vec<_> = slices(folder.path(), &found).into_iter().map(|it| it.0).collect();
    assert_eq!((paths, code), (vec!["new/binlog.000001".into(), "new/binlog.000002".into()], 0));
    assert!(found["doubled"][0]["other"].as_str().unwrap().ends_with("early/binlog.000002"));
}

/// A log is damaged, its salvaged copy lacks a transaction, and the head of the next log knows of it.
#[test]
fn what_a_salvaged_log_lacks_is_named_and_left_out_at_the_users_word_alone() {
    let folder = folder();
    ten_each(folder.path(), 3);
    let mut salvaged = Log::new(1, START + 200, false);
    salvaged.previous(&[(A, 10)]);
    for number in (11..=20).filter(|it| *it != 15) {
        salvaged.transaction(A, number, &insert(number));
    }
    salvaged.write(&folder.path().join("binlog.000002"));
    let lacking = format!("{UUID_A}:15");
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--verify"]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &gap["kind"], &found["complete"]), (1, &"lacking".into(), &false.into()));
    assert_eq!(gap["gtids"], lacking, "{found}");
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{told}");
    assert!(told.contains(&format!("--allow-gap {lacking}")), "{told}");
    for option in ["--allow-gap", "--exclude-gtid"] {
        let output = run(folder.path(), &["--from", "beginning", "-o", "-", option, &lacking]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), written(&output.stdout).len()), (Some(0), 29), "{told}");
        let row = told.lines().find(|line| line.contains("000002")).unwrap();
        assert!(row.ends_with(" 9"), "{told}");
    }
}

/// FLUSH LOGS on a quiet server: logs of a head alone, which nobody needs for what is in them.
fn quiet(folder: &Path, numbers: std::ops::RangeInclusive<u64>, last: u64) {
    for number in numbers {
        let mut log = Log::new(1, START + 100 * number as u32, false);
        log.previous(&[(A, last)]);
        log.write(&folder.join(format!("binlog.{number:06}")));
    }
}

#[test]
fn a_log_that_is_missing_before_logs_without_transactions_is_named_all_the_same() {
    let folder = folder();
    ten_each(folder.path(), 4);
    quiet(folder.path(), 5..=6, 40);
    std::fs::remove_file(folder.path().join("binlog.000004")).unwrap();
    // Once as the last ones, once with more behind them.
    for more in [false, true] {
        if more {
            let mut log = Log::new(1, START + 700, false);
            log.previous(&[(A, 40)]);
            log.transaction(A, 41, &insert(41));
            log.write(&folder.path().join("binlog.000007"));
        }
        let (found, code) = plan(folder.path(), &["--from", "beginning"]);
        let gap = &found["gaps"][0];
        assert_eq!((code, &gap["logs"]), (1, &serde_json::json!(["binlog.000004"])), "{found}");
        assert_eq!(gap["gtids"], format!("{UUID_A}:31-40"), "{found}");
        // Behind log 3 and before log 5: what is missing may be from before that moment. Within log 3
        // it is not.
        for (seconds, expected) in [(390, 1), (305, 0)] {
            let at = jiff::Timestamp::from_second(i64::from(START) + seconds).unwrap().to_string();
            let (found, code) = plan(folder.path(), &["--from", "beginning", "--to", &at]);
            let has_gap = !found["gaps"].as_array().unwrap().is_empty();
            assert_eq!((code, has_gap), (expected, expected == 1), "{seconds}: {found}");
        }
    }
    std::fs::write(folder.path().join("binlog.000004"), b"\xfebinDAMAGED").unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!(code, 4, "{found}");
    assert!(found.to_string().contains("binlog.000004"), "{found}");
}

#[test]
fn what_is_not_found_may_be_in_a_log_that_cannot_be_read() {
    let folder = folder();
    for name in common::names(&mixed()) {
        std::fs::copy(mixed().join(&name), folder.path().join(&name)).unwrap();
    }
    let find = ["--from", "beginning", "--find", "DROP TABLE no.such", "-o", "-"];
    let output = run(folder.path(), &find);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{told}");
    assert!(told.contains("no log that can be read has \"DROP TABLE no.such\""), "{told}");
    assert!(told.contains("binlog.000003"), "{told}");
}
