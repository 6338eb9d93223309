//! How outcomes are shown: a model that serializes, and what renders it.

#[cfg(feature = "cli")]
pub mod csv;
#[cfg(feature = "cli")]
pub mod human;
pub mod model;
#[cfg(feature = "cli")]
mod table;
