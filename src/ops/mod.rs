//! What the toolkit does, a file each: options in, outcome out, no printing.

pub mod decrypt;
mod guard;
pub mod inspect;
mod per_event;
pub mod targets;
