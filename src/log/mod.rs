//! What a log file says of itself before any key is used.

pub mod key_id;
