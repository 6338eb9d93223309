//! System calls that fail, give less than was asked for, or are interrupted.

use std::collections::BTreeMap;
use std::process::Output;

use crate::common::mixed_keyring;
use crate::common::shim::shim;
use crate::common::system::{can_look_into, can_trace};
use crate::lab::{Lab, finish, said};

/// What is run, and which file it makes or replaces.
const COMMANDS: [(&str, Option<&str>); 8] = [
    ("decrypt log -o out --keyring keyring", Some("out")),
    ("decrypt log -o out --force --keyring keyring", Some("out")),
    ("inspect log plain --keyring keyring", None),
    ("check log --keyring keyring", None),
    ("verify log --keyring keyring", None),
    ("events plain", None),
    ("salvage log -o out --keyring keyring", Some("out")),
    ("header dump log -o out", Some("out")),
];

struct Injected {
    output: Output,
    /// Whether the fault was met at all.
    met: bool,
    /// The loader or the runtime failed before the command began.
    before_main: bool,
}

/// The call by which logs are read, and libraries by the loader. That strace tells them apart by
/// what is read takes the right to look into the command.
const LOG_READ: &str = "pread64";

/// Whether faults of these calls can be aimed.
fn can_aim(calls: &str) -> bool {
    calls != LOG_READ || can_look_into()
}

/// `time` counts for each thread. Of calls by which the loader reads libraries, too, only those on
/// the log count.
fn inject(lab: &Lab, arguments: &str, calls: &str, fault: &str, time: usize) -> Injected {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let expression = format!("inject={calls}:{fault}:when={time}");
    let trace_path = trace.path().to_str().unwrap();
    let log = lab.path("log");
    let mut program = vec!["strace", "-f", "-qq", "-o", trace_path, "-e", &expression];
    if calls == LOG_READ {
        program.extend(["-P", log.to_str().unwrap()]);
    }
    let output = finish(lab.under(&program, arguments));
    let traced = std::fs::read_to_string(trace.path()).unwrap();
    let before_main = output.status.code() == Some(127) || said(&output).contains("shared lib");
    Injected { output, met: traced.contains("(INJECTED)"), before_main }
}

/// What a command gives when nothing fails.
struct Reference {
    code: Option<i32>,
    stdout: Vec<u8>,
    made: Option<Vec<u8>>,
}

fn reference(arguments: &str, made: Option<&str>) -> Reference {
    let lab = Lab::new();
    let output = lab.run(arguments);
    Reference {
        code: output.status.code(),
        stdout: output.stdout,
        made: made.map(|name| lab.read(name)),
    }
}

/// Every call of these kinds fails once.
fn sweep(calls: &str, errno: &str) -> BTreeMap<&'static str, usize> {
    let mut met = BTreeMap::new();
    for (arguments, made) in COMMANDS {
        let right = reference(arguments, made);
        for time in 1.. {
            let lab = Lab::new();
            let injected = inject(&lab, arguments, calls, &format!("error={errno}"), time);
            if !injected.met {
                break;
            }
            *met.entry(arguments).or_default() += 1;
            if !injected.before_main {
                holds(&lab, &injected.output, &right, made);
            }
        }
    }
    met
}

/// Success means the right result. Failure means none; or a whole one, where only the report of it
/// could not be written.
fn holds(lab: &Lab, output: &Output, right: &Reference, made: Option<&str>) {
    let (code, message) = (output.status.code(), said(output));
    let is_made = made.is_some_and(|name| lab.path(name).exists());
    if is_made {
        assert_eq!(made.map(|name| lab.read(name)), right.made, "{message}");
    }
    lab.holds_only(made.filter(|_| is_made).as_slice());
    if code == right.code {
        assert_eq!(is_made, made.is_some(), "{message}");
        assert!(output.stdout == right.stdout, "{message}");
    } else {
        assert!(matches!(code, Some(1..=4)), "{code:?}: {message}");
    }
}

#[test]
fn every_read_and_open_that_fails_once_is_told_or_made_good() {
    if !can_trace() {
        return;
    }
    let all = ["openat,open", "read", LOG_READ, "statx,newfstatat,fstat"];
    for calls in all.into_iter().filter(|calls| can_aim(calls)) {
        let met = sweep(calls, "EIO");
        println!("{calls}: {met:?}");
        let of_log = COMMANDS.iter().filter(|(it, _)| it.contains(" log"));
        assert!(met.len() >= of_log.count(), "every command was met");
    }
}

#[test]
fn every_write_that_fails_once_leaves_nothing() {
    if !can_trace() {
        return;
    }
    for (calls, errno) in [
        ("pwrite64", "ENOSPC"),
        ("pwrite64", "EDQUOT"),
        ("linkat,renameat,renameat2,rename", "EIO"),
    ] {
        let met = sweep(calls, errno);
        println!("{calls} {errno}: {met:?}");
        assert!(!met.is_empty());
    }
}

#[test]
fn a_full_disk_and_a_spent_quota_are_named() {
    if !can_trace() {
        return;
    }
    for (errno, text) in [
        ("ENOSPC", "No space left on device"),
        ("EDQUOT", "quota exceeded"),
        ("EIO", "Input/output error"),
        ("EROFS", "Read-only file system"),
    ] {
        let lab = Lab::new();
        let arguments = "decrypt log -o out --keyring keyring";
        let injected = inject(&lab, arguments, "pwrite64", &format!("error={errno}"), 1);
        let message = said(&injected.output);
        assert!(message.contains(text), "{message}");
        assert_eq!(injected.output.status.code(), Some(2), "{message}");
        lab.holds_only(&[]);
    }
}

#[test]
fn an_interrupted_call_is_made_again() {
    if !can_trace() {
        return;
    }
    let arguments = "decrypt log -o out --sync --keyring keyring";
    let right = reference(arguments, Some("out"));
    let all = ["openat", "read", LOG_READ, "pwrite64", "fsync"];
    for calls in all.into_iter().filter(|calls| can_aim(calls)) {
        let mut times = 0;
        for time in 1.. {
            let lab = Lab::new();
            let injected = inject(&lab, arguments, calls, "error=EINTR", time);
            if !injected.met {
                break;
            }
            if !injected.before_main {
                times += 1;
                let message = said(&injected.output);
                assert_eq!(injected.output.status.code(), Some(0), "{calls} {time}: {message}");
                holds(&lab, &injected.output, &right, Some("out"));
            }
        }
        println!("{calls}: {times} times");
        assert!(times > 0, "{calls} was never met");
    }
}

const REPORTS: [&str; 9] = [
    "decrypt log -o - --keyring keyring",
    "decrypt log -o out --force --keyring keyring -v",
    "decrypt log -o out --force --stop-position 9000 --keyring keyring",
    "inspect log plain --keyring keyring --format json",
    "check . --keyring keyring --format json",
    "verify log plain --keyring keyring --format json",
    "events log --keyring keyring --stats",
    "salvage log -o out --force --keyring keyring --format json",
    "keyring keyring --format json",
];

/// A report but for when it was made.
fn timeless(report: &[u8]) -> Vec<&[u8]> {
    let lines = report.split(|&byte| byte == b'\n');
    lines.filter(|line| !line.starts_with(b"  \"time\": ")).collect()
}

fn through_shim(faults: &str) {
    let Some((_directory, library)) = shim() else {
        return;
    };
    for arguments in REPORTS {
        let lab = Lab::new();
        let right = lab.run(arguments);
        let made = std::fs::read(lab.path("out")).ok();
        for _ in 0..3 {
            let mut command = lab.command(arguments);
            command.env("LD_PRELOAD", &library).env("FAULTS", faults);
            let output = finish(command);
            let message = said(&output);
            assert_eq!(output.status.code(), right.status.code(), "{arguments}: {message}");
            let is_same = timeless(&output.stdout) == timeless(&right.stdout);
            assert!(is_same, "{arguments}: {message}");
            assert_eq!(std::fs::read(lab.path("out")).ok(), made, "{arguments}");
        }
    }
}

#[test]
fn short_and_interrupted_reads_and_writes_change_nothing() {
    through_shim("short");
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    through_shim("clock");
}

#[test]
fn a_shortened_pipe_gives_the_same_bytes() {
    let Some((_directory, library)) = shim() else {
        return;
    };
    let lab = Lab::new();
    let right = lab.run("decrypt log -o - --keyring keyring").stdout;
    let mut command = lab
        .under(&["sh", "-c", "cat log | \"$0\" \"$@\" | cat"], "decrypt - -o - --keyring keyring");
    command.env("LD_PRELOAD", &library).env("FAULTS", "short");
    let output = finish(command);
    assert!(output.stdout == right, "{}", said(&output));
}

#[test]
fn no_descriptor_left_is_an_error_and_no_omission() {
    let lab = Lab::new();
    let tree = lab.path("tree");
    std::fs::create_dir(&tree).unwrap();
    for number in 1..=20 {
        std::fs::copy(lab.path("plain"), tree.join(format!("binlog.{number:06}"))).unwrap();
    }
    std::fs::copy(mixed_keyring(), tree.join("keyring")).unwrap();
    let mut refused = 0;
    for limit in 3..24 {
        for arguments in [
            "decrypt log -o out --force --keyring keyring",
            "check tree --keyring keyring --format json",
            "verify tree --keyring keyring",
            "decrypt tree --output-dir plains --force --keyring keyring",
        ] {
            let whole = lab.run(arguments).status.code();
            let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
            let output = finish(lab.under(&["sh", "-c", &script], arguments));
            let message = said(&output);
            if output.status.code() == Some(127) || message.contains("shared lib") {
                continue;
            }
            if output.status.code() != whole {
                refused += 1;
                assert!(
                    matches!(output.status.code(), Some(1 | 2)),
                    "{limit} {arguments}: {message}"
                );
            } else if arguments.starts_with("check") {
                let found = String::from_utf8_lossy(&output.stdout);
                let named = (1..=20).filter(|n| found.contains(&format!("binlog.{n:06}")));
                let is_told = found.contains("cannot list") || named.count() == 20;
                assert!(is_told, "{limit}: a plaintext log was passed over");
            }
            let names = crate::common::names(lab.at());
            assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
        }
    }
    assert!(refused > 0, "the limit was felt");
}

#[test]
fn a_reader_of_any_report_that_goes_away_is_no_error() {
    // A pipe that had a reader and has none; and one whose reader goes at some time or other, when
    // all may have been written that fits into it.
    let gone = "mkfifo gone && exec 3<>gone 4>gone 3>&-; \"$0\" \"$@\" >&4";
    let going = "\"$0\" \"$@\" | true; exit ${PIPESTATUS[0]}";
    for (script, codes) in [(gone, &[141][..]), (going, &[141, 0, 1, 2])] {
        for arguments in [
            "events plain",
            "events plain --format json",
            "check b.index",
            "inspect b.index --format json",
            "decrypt log -o - --keyring keyring",
        ] {
            let lab = Lab::new();
            let index: String = (0..3000).map(|n| format!("./no.{n:06}\n")).collect();
            std::fs::write(lab.path("b.index"), index).unwrap();
            let output = finish(lab.under(&["bash", "-c", script], arguments));
            // That the logs of the index are not there is said, and nothing else.
            let said = said(&output);
            let mut lines = said.lines();
            let is_all = lines.all(|line| line.starts_with("error: cannot open no."));
            assert!(is_all, "{arguments}: {said}");
            let code = output.status.code().unwrap();
            assert!(codes.contains(&code), "{arguments}: {code}");
        }
    }
}
