//! The command: what it prints, its reports' schemas, and the house's own rules.

#[path = "../common/mod.rs"]
mod common;

mod cli;
mod configuration;
mod conventions;
mod layering;
mod modules;
mod schemas;
mod terminal;
