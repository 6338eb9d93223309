//! MariaDB's logs, in every command.

#[path = "../common/mod.rs"]
mod common;

mod mariadb;
mod mariadb_commands;
mod mariadb_salvage;
