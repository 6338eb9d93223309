//! What a row event does to its rows.

use crate::event::event_type;

/// What happens to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// It is made: there is an after image.
    Insert,
    /// It is changed: there are both.
    Update,
    /// It goes: there is a before image.
    Delete,
}

impl Op {
    /// What a row event does to its rows.
    #[must_use]
    pub const fn of(event_type: u8) -> Option<Self> {
        Some(match event_type {
            event_type::WRITE_ROWS_V1 | event_type::WRITE_ROWS | 166 | 169 | 20 => Self::Insert,
            24 | event_type::UPDATE_ROWS | event_type::PARTIAL_UPDATE_ROWS | 167 | 170 | 21 => {
                Self::Update
            }
            event_type::DELETE_ROWS_V1 | event_type::DELETE_ROWS | 168 | 171 | 22 => Self::Delete,
            _ => return None,
        })
    }

    /// `insert`, `update` or `delete`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Whether it is an update with a bitmap of the columns of either image; those of servers before 5.1.18
/// have one bitmap.
pub(crate) const fn has_two_bitmaps(event_type: u8) -> bool {
    matches!(event_type, 24 | event_type::UPDATE_ROWS | event_type::PARTIAL_UPDATE_ROWS | 167 | 170)
}
