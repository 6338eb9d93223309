//! What is known of a set-up before anything is judged. Plain data without secrets.

pub mod server;
