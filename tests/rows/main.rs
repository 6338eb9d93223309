//! Row values, and taking changes of rows back.

#[path = "../common/mod.rs"]
mod common;

mod counts;
mod fates;
mod figures;
mod limits;
mod rows;
mod table_schema;
mod undo;
