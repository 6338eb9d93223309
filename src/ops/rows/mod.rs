//! Row values: who changed what.

pub mod schema;
