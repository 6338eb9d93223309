//! How outcomes are shown: a model that serializes, and what renders it.

#[cfg(feature = "cli")]
pub mod csv;
#[cfg(feature = "check")]
pub mod github;
#[cfg(feature = "audit")]
pub mod html;
#[cfg(feature = "cli")]
pub mod human;
pub mod json;
#[cfg(feature = "check")]
pub mod junit;
#[cfg(feature = "check")]
pub mod markdown;
#[cfg(feature = "check")]
pub mod merge;
pub mod model;
#[cfg(feature = "check")]
pub mod prometheus;
#[cfg(feature = "check")]
pub mod sarif;
#[cfg(feature = "cli")]
mod table;
