//! What `check` and `audit` show.

pub mod github;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod nothing;
pub mod prometheus;
pub(crate) mod report;
pub mod sarif;
pub(crate) mod show;
pub(crate) mod table;
