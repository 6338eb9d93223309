//! What matters of a log to each of its events.

use crate::event::format_description::FormatDescription;

/// What a log's format description event says, as far as it matters to each event.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogFacts {
    pub(super) is_relay: bool,
    /// The server that wrote the log.
    pub(super) server_id: u32,
    /// Types up to this are known to that server.
    pub(super) event_types: usize,
    /// Whether events without checksums end where they say, unless they are damaged or were moved.
    pub(super) has_sound_positions: bool,
    /// Whether its server, or its source, gave events the positions at which they end.
    pub(super) has_right_positions: bool,
    pub(super) is_mariadb: bool,
    /// Whether GTIDs are to be collected.
    pub(super) wants_gtids: bool,
}

impl LogFacts {
    pub(super) fn new(description: Option<&FormatDescription>, wants_gtids: bool) -> Self {
        let is_relay = description.is_some_and(FormatDescription::is_relay_log);
        let is_sound = description.is_none_or(FormatDescription::has_sound_positions);
        Self {
            is_relay,
            server_id: description.map_or(0, |description| description.header.server_id),
            event_types: description.map_or(0, |description| description.event_types),
            has_sound_positions: is_sound && !is_relay,
            has_right_positions: is_sound,
            is_mariadb: description.is_some_and(FormatDescription::is_mariadb),
            wants_gtids,
        }
    }
}
