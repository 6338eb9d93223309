//! Which rows a log changes: one record each, from compressed transactions too, chosen by
//! transaction, table and value, and written as statements, JSON, text or CSV.

pub mod names;
mod network;
mod number;
pub mod schema;
pub mod sql;
