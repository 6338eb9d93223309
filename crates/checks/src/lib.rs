//! What is found wrong with logs, files and servers.

pub mod audit;
pub mod check;
pub mod config;
pub mod finding;
