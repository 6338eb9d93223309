//! An open log: what it is, its plaintext, its events, and what can be wrong with it.

pub mod ancient;
pub mod envelope;
pub mod error;
pub mod index;
pub mod kind;
pub mod log_error;
pub mod open;
pub mod per_event;
pub mod probe;
pub mod reader;
pub mod refusal;
pub mod unlock;
pub mod walk;
