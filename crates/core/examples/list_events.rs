//! The events of a log: position, type, and what each says.
//!
//! `cargo run -p binlogsec-core --example list_events -- LOG [KEYRING]`

use std::io::Write;

use binlogsec_core::event::event_type;
use binlogsec_core::read::events::{self, EventFilter};
use binlogsec_core::{Keyring, OpenLog};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("list_events LOG [KEYRING]")?;
    let keys = arguments.next().map(Keyring::open).transpose()?.unwrap_or_default();
    let log = OpenLog::open(path, &keys)?;

    let mut out = std::io::stdout().lock();
    let listed = events::list(&log, &EventFilter::default(), &mut |event| {
        let name = event_type::name(event.event_type);
        // A reader that has gone away ends this program at its next write.
        let _ = writeln!(out, "{:>10} {name:<24} {:?}", event.position, event.summary);
        Ok(())
    })?;
    if listed.damaged > 0 {
        return Err(format!("{} of {} events are damaged", listed.damaged, listed.events).into());
    }
    Ok(())
}
