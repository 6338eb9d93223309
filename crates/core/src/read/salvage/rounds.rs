//! How far a search behind a damage goes before the next one goes further. Most damage is small, and so is
//! then what it costs to find out.

/// How far one search goes.
#[derive(Debug)]
pub(super) struct Round {
    /// So far behind the damage the alignment is tried that was right before.
    pub(super) near: u64,
    /// So far file and stream may have moved against each other, if that is allowed at all.
    pub(super) reach: u64,
    /// Where behind the damage any alignment is looked for, and in how many pieces of which length.
    pub(super) joined_from: u64,
    pub(super) joined: u64,
    pub(super) pieces: u64,
    /// How many places, of which nearly all are events, are tried under all alignments.
    pub(super) places: usize,
}

/// The searches, one after the other.
pub(super) const ROUNDS: [Round; 3] = [
    Round {
        near: 16 << 10,
        reach: 8 << 10,
        joined_from: 0,
        joined: 16 << 10,
        pieces: 1,
        places: 4,
    },
    Round {
        near: 1 << 20,
        reach: u64::MAX,
        joined_from: 0,
        joined: 64 << 10,
        pieces: 1,
        places: 64,
    },
    Round {
        near: 16 << 20,
        reach: u64::MAX,
        joined_from: 64 << 10,
        joined: 1 << 20,
        pieces: 16,
        places: 0,
    },
];
