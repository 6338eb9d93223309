//! Connections to servers and key stores: [`Timed`], on which no wait goes on for ever, and
//! [`trust`], which says whose certificate is good enough.

mod timed;
pub mod trust;

pub use timed::{Duplex, Timed};
