//! What the toolkit does, a file each: options in, outcome out, no printing.

pub mod decrypt;
pub mod events;
pub mod inspect;
mod numbers;
pub mod pairs;
pub mod pattern;
pub mod recover;
pub mod rows;
pub mod salvage;
pub mod slice;
pub mod stream;
pub mod tables;
pub mod verify;
mod wild;
