//! The `binlogsec` command.

fn main() {}
