//! Names as text: every name in its own way, and none that acts on whoever reads it.

pub mod path_text;
pub mod reported;
pub mod unseen;
