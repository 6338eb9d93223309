//! Where replication encryption keys come from.
