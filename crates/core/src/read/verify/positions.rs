//! Where events say that they end, against where they do.
//!
//! The difference of the two, modulo 2^32, is an event's *shift*. It is 0 in a log as its server
//! wrote it. In a slice, or in what was salvaged, it grows wherever something was left out, and stays
//! the same up to there: so events come in runs of one shift. A checksum proves an event, wherever it
//! stands. Without one, a single event that disagrees with both of its neighbours, while these agree
//! with each other, has a damaged position or length.

use super::{Damage, DamageKind};

/// Events in a row with the same shift.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The first of them: as the damage that it would be.
    first: Damage,
    shift: u32,
    /// How many there are; nothing is known of their neighbours if it is one.
    count: u64,
    /// Whether a checksum proves the first of them.
    is_proven: bool,
    /// Whether the run goes on with the shift of the one before a damage.
    is_continued: bool,
}

/// What a run is, given its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It goes on as before.
    Same,
    /// Something was left out before it, or put in.
    Moved,
    /// Its one event is damaged.
    Damaged,
}

impl Run {
    /// `before` and `after` are the shifts of the runs around it; `None` at the log's end.
    fn judge(&self, before: u32, after: Option<u32>) -> Verdict {
        // What is left out makes the shift grow.
        let grows = |from: u32, to: u32| to != from && to.wrapping_sub(from) < 1 << 31;
        if self.is_continued || self.shift == before {
            Verdict::Same
        } else if self.count > 1 || self.is_proven {
            Verdict::Moved
        } else if after == Some(before) || !grows(before, self.shift) {
            Verdict::Damaged
        } else {
            match after {
                Some(after) if !grows(self.shift, after) => Verdict::Damaged,
                _ => Verdict::Moved,
            }
        }
    }
}

/// The runs of a part of a log. The first is not judged before what stands before it is known, nor
/// the last before what follows.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    /// Whether a disagreement may be damage, or can only be noted: end positions of a relay log are
    /// its source's, and some old servers wrote wrong ones.
    are_sound: bool,
    first: Option<Run>,
    /// The shift of the run behind the first.
    second: Option<u32>,
    /// The shift before the last run.
    before: u32,
    /// The last run, if it is not the first.
    last: Option<Run>,
    pub(super) moves: u64,
    pub(super) first_moved: Option<u64>,
    /// What is damaged; as many as a log keeps.
    pub(super) damages: Vec<Damage>,
    pub(super) damage_count: u64,
}

impl Positions {
    pub(super) fn new(are_sound: bool) -> Self {
        Self { are_sound, ..Self::default() }
    }

    /// Those of a log from its beginning: nothing has been moved yet.
    pub(super) fn at_start(are_sound: bool) -> Self {
        let first = Damage {
            plain_offset: 0,
            file_offset: 0,
            events_before: 0,
            event_type: None,
            kind: DamageKind::Position { found: 0, expected: 0 },
        };
        let first = are_sound.then_some(Run {
            first,
            shift: 0,
            count: 1,
            is_proven: true,
            is_continued: true,
        });
        Self { first, ..Self::new(are_sound) }
    }

    /// The shift of the last event.
    pub(super) fn shift(&self) -> Option<u32> {
        self.last.or(self.first).map(|run| run.shift)
    }

    /// One event with its shift, and the damage that it would be.
    pub(super) fn add(&mut self, shift: u32, is_proven: bool, damage: impl FnOnce() -> Damage) {
        match self.last.as_mut().or(self.first.as_mut()) {
            Some(run) if run.shift == shift => run.count = run.count.saturating_add(1),
            _ => {
                self.push(Run { first: damage(), shift, count: 1, is_proven, is_continued: false });
            }
        }
    }

    fn push(&mut self, run: Run) {
        if self.first.is_none() {
            self.first = Some(run);
            return;
        }
        if let Some(last) = self.last.as_mut().or(self.first.as_mut())
            && last.shift == run.shift
        {
            last.count = last.count.saturating_add(run.count);
            return;
        }
        self.second.get_or_insert(run.shift);
        let before = self.close(Some(run.shift));
        self.last = Some(Run { is_continued: run.shift == before, ..run });
        self.before = before;
    }

    /// Judges the last run, and gives the shift that holds behind it.
    fn close(&mut self, after: Option<u32>) -> u32 {
        let Some(last) = self.last else {
            return self.first.map_or(0, |first| first.shift);
        };
        let verdict = match last.judge(self.before, after) {
            Verdict::Damaged if !self.are_sound => Verdict::Moved,
            verdict => verdict,
        };
        match verdict {
            Verdict::Same => {}
            Verdict::Moved => {
                self.moves = self.moves.saturating_add(1);
                self.first_moved.get_or_insert(last.first.plain_offset);
            }
            Verdict::Damaged => {
                self.damage_count = self.damage_count.saturating_add(1);
                if self.damages.len() < super::MAX_DAMAGES_KEPT {
                    self.damages.push(last.first);
                }
                return self.before;
            }
        }
        last.shift
    }

    /// Puts the next part behind this one, in which `events` come before.
    pub(super) fn append(&mut self, next: Self, events: u64) {
        let Some(first) = next.first else {
            return;
        };
        let behind = |run: Run| Run { first: run.first.behind(events), ..run };
        self.push(behind(first));
        let Some(last) = next.last else {
            return;
        };
        self.second = self.second.or(next.second);
        self.before = self.close(next.second);
        // Judged there, with what stood before it there.
        self.before =
            if next.moves == 0 && next.damage_count == 0 { self.before } else { next.before };
        self.last = Some(Run {
            is_continued: last.is_continued || last.shift == self.before,
            ..behind(last)
        });
        self.moves = self.moves.saturating_add(next.moves);
        self.first_moved = self.first_moved.or(next.first_moved);
        self.damage_count = self.damage_count.saturating_add(next.damage_count);
        let room = super::MAX_DAMAGES_KEPT.saturating_sub(self.damages.len());
        let damages = next.damages.into_iter().take(room);
        self.damages.extend(damages.map(|damage| damage.behind(events)));
    }

    /// Judges the last run by what ends the log: its end, or something that is none of its events,
    /// to which a wrong length may have led.
    pub(super) fn finish(&mut self, is_cut_off: bool) {
        let is_alone = self.last.is_some_and(|last| last.count == 1);
        let after = (is_cut_off && is_alone).then_some(self.before);
        self.close(after);
        self.last = None;
    }
}
