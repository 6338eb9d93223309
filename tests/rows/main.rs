//! Row values, and taking changes of rows back.

#[path = "../common/mod.rs"]
mod common;

mod table_schema;
mod undo;
