//! MariaDB's UUID, INET6 and INET4 as texts.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::event::rows::table::Meaning;

/// The text of such a value; `None` when the bytes are not as many as it has, and of a vector. Logs leave out zero bytes
/// at the end.
pub(super) fn text(bytes: &[u8], meaning: Meaning) -> Option<String> {
    match meaning {
        Meaning::Inet4 => Some(Ipv4Addr::from(filled::<4>(bytes)?).to_string()),
        Meaning::Inet6 => Some(inet6(filled(bytes)?)),
        Meaning::Uuid => Some(uuid(filled(bytes)?)),
        Meaning::Vector => None,
    }
}

fn filled<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut filled = [0; N];
    filled.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(filled)
}

fn inet6(bytes: [u8; 16]) -> String {
    Ipv6Addr::from(bytes).to_string()
}

/// A UUID has its bytes in order in a log, of whatever version it is. In tables the server stores some
/// from their last part to their first, so that those of one machine lie together; what it writes to the
/// log is turned back (seen in logs of MariaDB 10.11).
fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}
