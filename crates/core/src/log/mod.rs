//! An open log: what it is, its plaintext, its events, and what can be wrong with it.

pub(crate) mod ancient;
pub mod archive;
pub(crate) mod envelope;
pub mod error;
pub mod error_class;
pub mod index;
pub mod kind;
pub mod log_error;
pub mod open;
pub mod per_event;
pub mod probe;
pub mod refusal;
pub(crate) mod unlock;
pub mod walk;
