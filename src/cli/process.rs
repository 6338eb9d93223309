//! The process itself: what it must not leave behind.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Forbids core dumps, and other processes of the user to look into the memory: it will hold keys.
/// Where the system refuses, work goes on: there is no safer alternative to offer.
pub(crate) fn protect() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

/// Removes temporaries that have a name when a signal ends the process.
pub(crate) fn clean_up_on_signals() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                binlogsec::io::sink::remove_temporaries();
                std::process::exit(signal.saturating_add(128));
            }
        })?;
    Ok(())
}
