//! What a machine has, and what it lets a test do. Each question is asked by trying; what cannot be
//! had is said, and the test that needs it is skipped.

use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{mixed, mixed_keyring, program};

/// Says so if something is not to be had.
fn told(had: bool, what: &str) -> bool {
    if !had {
        println!("skipped: {what}");
    }
    had
}

fn succeeds(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether the open files, maps and memory of a process that holds keys can be seen. It is not
/// dumpable: that takes root, with the capability `CAP_SYS_PTRACE`, which containers are spared.
pub(crate) fn can_look_into() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = *CAN.get_or_init(|| {
        let mut command = Command::new(program());
        command.args(["decrypt", "-", "-o", "-", "--keyring"]).arg(mixed_keyring());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = std::fs::read(mixed().join("binlog.000003")).unwrap();
        // More than it reads before it writes, and than anybody takes from it.
        log.resize(log.len() + (4 << 20), 0);
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&log)));
        let mut magic = [0; 4];
        let begun = child.stdout.as_mut().unwrap().read_exact(&mut magic);
        let process = Path::new("/proc").join(child.id().to_string());
        let can = process.join("fd/0").read_link().is_ok()
            && std::fs::read(process.join("maps")).is_ok_and(|maps| !maps.is_empty())
            && std::fs::File::open(process.join("mem")).is_ok();
        child.kill().unwrap();
        child.wait().unwrap();
        writer.join().unwrap();
        begun.unwrap();
        can
    });
    told(can, "needs to look into a process that holds keys (root with CAP_SYS_PTRACE)")
}

/// Whether something can be mounted here, in a mount namespace that ends with its process.
pub(crate) fn can_mount_on(place: &Path) -> bool {
    let mut command = Command::new("unshare");
    command.args(["-m", "mount", "-t", "tmpfs", "none"]).arg(place);
    told(succeeds(&mut command), "needs to mount (root with CAP_SYS_ADMIN)")
}

/// Whether a program can be traced.
pub(crate) fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    told(
        succeeds(strace.args(["-f", "-qq", "-o", "/dev/null", "true"])),
        "needs strace, and to be allowed to trace",
    )
}

/// Whether a file of this file system can be without a name at first; others give it a hidden one.
pub(crate) fn has_unnamed_files(directory: &Path) -> bool {
    let mut options = std::fs::File::options();
    options.write(true).custom_flags(libc::O_TMPFILE);
    options.open(directory).is_ok()
}

/// The user and group that own nothing.
pub(crate) const NOBODY: u32 = 65534;

/// The command as somebody who has no right but everybody's; `None` where this user cannot become
/// another one, or where nobody else gets at the command or the directory for temporary files.
pub(crate) fn nobody() -> Option<Command> {
    static CAN: OnceLock<bool> = OnceLock::new();
    let become_nobody = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
        command
    };
    let can = *CAN.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        succeeds(become_nobody(program()).arg("--version"))
            && succeeds(become_nobody("ls").arg(directory.path()))
    });
    let reason = "needs to become another user (setpriv, CAP_SETUID), for whom the command and \
                  the directory for temporary files are open";
    told(can, reason).then(|| {
        let mut command = become_nobody(program());
        command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
        command
    })
}

/// Whether a file could be given to an owner and a group.
pub(crate) fn is_given_to(path: &Path, user: u32, group: Option<u32>) -> bool {
    let given = std::os::unix::fs::chown(path, Some(user), group).is_ok();
    told(given, "needs to give files to others (CAP_CHOWN)")
}

/// Whether these tests were started to ignore a signal, by `nohup` or in the background: then so do
/// commands that they start.
pub(crate) fn is_ignored(signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    mask >> (signal.as_raw() - 1) & 1 == 1
}
