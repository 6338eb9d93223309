//! How servers are configured, as far as their files say.

pub mod key_source;
pub mod option_file;
pub mod server;
