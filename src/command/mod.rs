//! The commands, a room each: its arguments and how it runs, its report, its table.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod header;
pub(crate) mod inspect;
pub(crate) mod keyring;
pub(crate) mod manual;
pub(crate) mod recover;
pub(crate) mod rekey;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod salvage;
pub(crate) mod seal;
pub(crate) mod undo;
pub(crate) mod verify;
