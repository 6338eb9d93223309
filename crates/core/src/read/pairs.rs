//! XA transactions that a choice of transactions cuts in two: prepared in what is taken and ended in what is
//! not, or the other way round.

use std::collections::BTreeMap;

use crate::event::xa::XaHalf;

/// More halves that are not taken are not remembered: those of others are named all the same, without theirs.
const MAX_LEFT_OUT: usize = 1 << 16;

/// An XA transaction of which one half is taken alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartedXa {
    /// Its id, as statements have it, in lower case: `x'7831',x'',1`.
    pub xid: String,
    /// The half that is taken: its GTID, or the log and the plain offset at which its transaction begins.
    pub taken: String,
    /// The same of the other half, if it is in these logs and is left out.
    pub left_out: Option<String>,
}

/// One half: its GTID, or where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Half {
    name: String,
    is_taken: bool,
}

/// The halves of XA transactions in a log, or in several, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    /// What is prepared, and not ended up to here.
    prepared: BTreeMap<String, Half>,
    /// What is ended here, and not prepared before.
    ended: Vec<(String, Half)>,
    /// Those of which both halves are here, and one is taken: what is prepared, and how it ends.
    parted: Vec<(String, Half, Half)>,
    /// How many of the first two are not taken.
    left_out: usize,
}

impl Pairs {
    /// Takes the next half.
    pub(super) fn note(&mut self, half: XaHalf, name: String, is_taken: bool) {
        let here = Half { name, is_taken };
        match half {
            XaHalf::Prepared(xid) => self.prepare(xid, here),
            XaHalf::CommittedAtOnce(_) => {}
            XaHalf::Ended { id, .. } => self.end(id, here),
        }
    }

    fn prepare(&mut self, xid: String, here: Half) {
        if self.has_room_for(&here) {
            let before = self.prepared.insert(xid, here);
            self.left_out =
                self.left_out.saturating_sub(before.map_or(0, |it| usize::from(!it.is_taken)));
        }
    }

    fn end(&mut self, xid: String, here: Half) {
        match self.prepared.remove(&xid) {
            Some(before) => {
                self.left_out = self.left_out.saturating_sub(usize::from(!before.is_taken));
                if before.is_taken != here.is_taken {
                    self.parted.push((xid, before, here));
                }
            }
            None if self.has_room_for(&here) => self.ended.push((xid, here)),
            None => {}
        }
    }

    /// What is taken is remembered in any case.
    const fn has_room_for(&mut self, half: &Half) -> bool {
        if !half.is_taken {
            if self.left_out >= MAX_LEFT_OUT {
                return false;
            }
            self.left_out = self.left_out.saturating_add(1);
        }
        true
    }

    /// Takes those of the log behind.
    pub(super) fn append(&mut self, next: &Self) {
        for (xid, half) in &next.ended {
            self.end(xid.clone(), half.clone());
        }
        self.parted.extend_from_slice(&next.parted);
        for (xid, half) in &next.prepared {
            self.prepare(xid.clone(), half.clone());
        }
    }

    /// Those that are prepared in what is taken, and not ended in it.
    pub(super) fn prepared(&self) -> Vec<PartedXa> {
        let open = self.prepared.iter().map(|(xid, half)| (xid, half, None));
        let parted = self.parted.iter().map(|(xid, prepared, end)| (xid, prepared, Some(end)));
        taken(parted.chain(open))
    }

    /// Those that are ended in what is taken, and not prepared in it.
    pub(super) fn ended(&self) -> Vec<PartedXa> {
        let unknown = self.ended.iter().map(|(xid, half)| (xid, half, None));
        let parted = self.parted.iter().map(|(xid, prepared, end)| (xid, end, Some(prepared)));
        taken(parted.chain(unknown))
    }
}

fn taken<'a>(
    halves: impl Iterator<Item = (&'a String, &'a Half, Option<&'a Half>)>,
) -> Vec<PartedXa> {
    let cut = halves.filter(|(_, half, _)| half.is_taken).map(|(xid, half, other)| PartedXa {
        xid: xid.clone(),
        taken: half.name.clone(),
        left_out: other.map(|other| other.name.clone()),
    });
    cut.collect()
}
