//! How servers are configured, as far as their files say.

pub mod option_file;
pub mod server;
