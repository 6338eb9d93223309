//! Reports for people: tables, and a line that sums up. A module for each command.

mod check;
mod decrypt;
mod inspect;
mod keyring;

use anstyle::{AnsiColor, Style};

pub use check::{check, explain};
pub use decrypt::decrypt;
pub use inspect::inspect;
pub use keyring::keyring;

const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// A time of a report's model, shorter by what every time in a column has.
fn time(rfc3339: &str) -> String {
    rfc3339.trim_end_matches('Z').replace('T', " ")
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A size as people say it: three digits and a binary unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let (unit, shift) = UNITS
        .iter()
        .find(|(_, shift)| bytes >> shift > 0)
        .copied()
        .unwrap_or(("B", 0));
    if shift == 0 {
        return format!("{bytes} {unit}");
    }
    let tenths = (u128::from(bytes).saturating_mul(10)) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (102_070, "99.6 KiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
