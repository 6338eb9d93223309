//! Many processes: parts of a manifest, and parts of a comparison.

use super::{Lab, SEAL};
use crate::common;

use common::{binlogsec, fixture};
use serde_json::Value;

/// Three processes, each a part of the logs; after a while again; and the manifests of all parts make
/// one of the whole, as if one process had made it.
#[test]
fn the_manifests_of_all_parts_make_one_of_the_whole() {
    let lab = Lab::new();
    let part = |index: u32, code: i32| {
        let part = format!("seal . -o p{index} --shard {index}/3 --hmac --keyring keyring");
        lab.report(&part, code)
    };
    let merge = "seal merge p2 p0 p1 -o m --hmac --keyring keyring";
    // The fourth log comes later.
    let later = lab.read("binlog.000004");
    std::fs::remove_file(lab.at("binlog.000004")).unwrap();
    (0..3).for_each(|index| drop(part(index, 0)));
    let report = lab.report(merge, 1);
    assert_eq!(report["status"], "created");
    assert_eq!(report["gaps"][0]["reason"], "1 in between is missing");
    let anchor = lab.done("seal anchor m");
    let verify = format!("seal verify m . --keyring keyring --anchor {}", anchor.trim());
    let with_anchor = |code: i32| {
        let (head, anchor) = verify.split_once("--anchor ").unwrap();
        let mut arguments: Vec<_> = head.trim().split(' ').collect();
        arguments.extend(["--anchor", anchor]);
        let output = binlogsec().current_dir(lab.0.path()).args(arguments).output().unwrap();
        let said = common::said(&output, lab.0.path());
        assert_eq!(output.status.code(), Some(code), "{said}");
    };
    with_anchor(0);
    lab.write("binlog.000004", &later);
    let sealed = |report: &Value| report["sealed"].as_array().unwrap().len();
    let added: usize = (0..3).map(|index| sealed(&part(index, 0))).sum();
    assert_eq!(added, 1, "the parts go on, too");
    let report = lab.report(merge, 0);
    assert_eq!((&report["status"], sealed(&report)), (&"extended".into(), 1));
    assert_eq!(report["sealed"][0]["name"], "binlog.000004");
    assert_eq!(lab.report(merge, 0)["status"], "unchanged");
    // The earlier anchor still holds, and every log is as it was sealed.
    with_anchor(0);
    let report = lab.report("seal verify m . --keyring keyring", 0);
    assert_eq!(report["summary"]["unchanged"], 5);
    // What one process seals has the same digests.
    lab.done("seal . -o one --hmac --keyring keyring");
    let digests = |name: &str| {
        let text = String::from_utf8(lab.read(name)).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut all: Vec<_> = records
            .filter(|record| record["record"] == "log")
            .map(|record| (record["name"].clone().to_string(), record["root"].to_string()))
            .collect();
        all.sort();
        all
    };
    assert_eq!(digests("m"), digests("one"));
    // A part proves its own logs alone, and finds what is done to them.
    let names: Vec<_> = (0..3).flat_map(|index| digests(&format!("p{index}"))).collect();
    assert_eq!(names.len(), 5);
    for index in 0..3 {
        let own = digests(&format!("p{index}")).len();
        let report = lab.report(&format!("seal verify p{index} . --keyring keyring"), 0);
        assert_eq!(report["summary"]["unchanged"], own);
    }
}

#[test]
fn parts_that_are_not_those_of_one_whole_are_not_merged() {
    let lab = Lab::new();
    for index in 0..2 {
        lab.done(&format!("seal . -o p{index} --shard {index}/2 --hmac --keyring keyring"));
    }
    lab.done("seal . -o q --shard 0/3 --hmac --keyring keyring");
    lab.done(SEAL);
    let merge = |parts: &str, code: i32| {
        lab.ends(&format!("seal merge {parts} -o w --hmac --keyring keyring"), code).1
    };
    for (parts, reason) in [
        ("p0", "part 1 is missing"),
        ("p0 p0", "p0 is part 0/2, too"),
        ("p0 p1 p1", "is part 1/2, too"),
        ("p0 q", "it is part 0/3, and the first one is 0/2"),
        ("p0 m", "it is of all logs, and no part"),
    ] {
        let said = merge(parts, 2);
        assert!(said.contains(reason), "{parts}: {said}");
        assert!(!lab.at("w").exists());
    }
    // A part whose line was changed proves nothing; nor does one under another key.
    let part = String::from_utf8(lab.read("p1")).unwrap();
    lab.write("p1", part.replace("mysql-plain", "mysql-pla1n").as_bytes());
    merge("p0 p1", 4);
    lab.write("p1", part.as_bytes());
    lab.done("seal keygen key");
    lab.done("seal . -o e --shard 1/2 --sign-key key --keyring keyring");
    let said = merge("p0 e", 3);
    assert!(said.contains("nobody said that it is the right one"), "{said}");
    // Part and whole are different things, whichever is gone on with.
    lab.ends("seal . -o p0 --hmac --keyring keyring", 2);
    lab.ends("seal . -o m --shard 0/2 --hmac --keyring keyring", 2);
    lab.ends("seal merge p0 p1 -o p0 --hmac --keyring keyring", 2);
    let said = lab.ends("check . --sealed p0 --keyring keyring", 2).1;
    assert!(said.contains("is about part 0/2 of the logs"), "{said}");
    // The whole knows a log otherwise: it was changed before the part was made anew.
    lab.done("seal merge p0 p1 -o w --hmac --keyring keyring");
    for name in ["p0", "p1"] {
        std::fs::remove_file(lab.at(name)).unwrap();
    }
    let mut log = lab.read("binlog.000001");
    let last = log.len() - 1;
    log[last] ^= 1;
    lab.write("binlog.000001", &log);
    for index in 0..2 {
        let seal = format!("seal . -o p{index} --shard {index}/2 --hmac --keyring keyring");
        assert!(lab.run(&seal).status.code().is_some_and(|code| code < 2));
    }
    let before = lab.read("w");
    let said = merge("p0 p1", 4);
    assert!(said.contains("has another record of log binlog.000001 than w"), "{said}");
    assert_eq!(lab.read("w"), before);
}

#[test]
fn the_shards_of_a_comparison_come_to_the_report_of_one_run() {
    let lab = Lab::sealed();
    let other = fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    std::fs::copy(other, lab.at("other")).unwrap();
    // A changed log, a missing one, and two new headers that were made one.
    lab.done("rekey binlog.000003 binlog.000004 --keyring keyring --new-keyring other");
    let (three, four) = (lab.read("binlog.000003"), lab.read("binlog.000004"));
    lab.write("binlog.000004", &[&three[..512], &four[512..]].concat());
    let mut changed = lab.read("binlog.000005");
    changed[20_000] ^= 1;
    lab.write("binlog.000005", &changed);
    std::fs::remove_file(lab.at("binlog.000002")).unwrap();
    for more in ["--keyring keyring", "--quick --keyring keyring --keyring other"] {
        let verify = format!("seal verify m binlog.index {more}");
        let (whole, _) = lab.ends(&format!("{verify} --format json"), 1);
        assert!(whole.contains("its header is that of"), "{whole}");
        for count in [1, 2, 5] {
            let shards: Vec<_> = (0..count).map(|index| format!("s{index}.json")).collect();
            for (index, shard) in shards.iter().enumerate() {
                let run = format!("{verify} --shard {index}/{count} --report json={shard} --quiet");
                assert!(lab.run(&run).status.code().is_some_and(|code| code < 2));
            }
            let merge = format!("report merge {}", shards.join(" "));
            let (merged, _) = lab.ends(&format!("{merge} --format json"), 1);
            assert_eq!(merged, whole, "{count} shards");
            let (text, _) = lab.ends(&merge, 1);
            assert!(text.contains("CHANGED: "), "{text}");
            // A shard that is done is not done again, and a manifest that went on is another run.
            let resume = format!("{verify} --shard 0/{count} --report json=s0.json --resume");
            let before = lab.read("s0.json");
            let said = common::said(&lab.run(&resume), lab.0.path());
            assert!(said.contains("no log was read"), "{said}");
            assert_eq!(lab.read("s0.json"), before);
        }
        let said = lab.ends("report merge s0.json s1.json s2.json s3.json", 2).1;
        assert!(said.contains("of 5 shards one is missing: 4"), "{said}");
    }
}
