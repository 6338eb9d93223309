//! What `check` and `audit` show.

pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod nothing;
pub(crate) mod report;
pub(crate) mod sarif;
pub(crate) mod saved;
pub(crate) mod show;
pub(crate) mod table;
