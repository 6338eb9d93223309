//! Rows as lines: what makes them of records, and hands them on in pieces.

use super::lister::{Given, Lister};
use super::mapped::RawMap;
use super::sql::NoStatement;
use super::turn::Turn;
use super::{Lines, RowRecord, RowsListed, Section, Unreadable};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::read::events::blocks::Block;
use crate::read::events::parallel;
use crate::read::events::spare::Spare;

/// Lines are handed on in pieces of about this length.
const PIECE: usize = 64 << 10;

/// Makes the text of rows.
pub trait RowMaker: Send {
    /// Appends key and head of the section that a row is in, where it is another than that of the row
    /// before it, and says whether it is; the first row behind [`RowMaker::restart`] always begins one,
    /// if there are sections.
    fn section(&mut self, record: &RowRecord<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        let _ = (record, key, head);
        false
    }

    /// What comes next does not follow what came last.
    fn restart(&mut self) {}

    /// Appends one row's lines.
    ///
    /// # Errors
    /// [`NoStatement`]: the row cannot be written in this form. What was appended for it is told of
    /// instead.
    fn row(&mut self, record: &RowRecord<'_>, out: &mut Vec<u8>) -> Result<(), NoStatement>;

    /// As [`RowMaker::section`], of a statement that is told.
    fn turn_section(&mut self, turn: &Turn<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        let _ = (turn, key, head);
        false
    }

    /// Appends what is told of a statement by which a transaction goes back, if anything.
    fn turn(&mut self, turn: &Turn<'_>, out: &mut Vec<u8>) {
        let _ = (turn, out);
    }
}

/// Makes lines of blocks.
pub(super) struct Work<'a> {
    lister: Lister<'a>,
    maker: Box<dyn RowMaker>,
    spare: &'a Spare<Piece>,
}

impl<'a> Work<'a> {
    /// Its pieces are some of `spare`, for whoever takes them to give back.
    pub(super) fn new(
        lister: Lister<'a>,
        maker: Box<dyn RowMaker>,
        spare: &'a Spare<Piece>,
    ) -> Self {
        Self { lister, maker, spare }
    }
}

impl parallel::Work<RawMap> for Work<'_> {
    type Piece = Piece;
    type Figures = RowsListed;

    fn block(
        &mut self,
        block: &Block<RawMap>,
        hand_on: &mut dyn FnMut(Piece) -> Result<(), TransferError>,
    ) -> (Piece, Result<RowsListed, Error>) {
        let (maker, spare) = (&mut *self.maker, self.spare);
        let mut piece = spare.take();
        maker.restart();
        let (mut unnamed, mut failed) = (0_u64, None);
        let listed = self.lister.block(block, &mut |given| {
            match given {
                Given::Row(record) => {
                    piece.begin(|key, head| maker.section(record, key, head));
                    match maker.row(record, &mut piece.text) {
                        Ok(()) => {}
                        Err(NoStatement::Unnamed) => unnamed = unnamed.saturating_add(1),
                        Err(error) => {
                            failed.get_or_insert_with(|| unreadable(record, &error.to_string()));
                        }
                    }
                }
                Given::Turn(turn) => {
                    piece.begin(|key, head| maker.turn_section(turn, key, head));
                    maker.turn(turn, &mut piece.text);
                }
            }
            if piece.text.len() >= PIECE {
                hand_on(std::mem::replace(&mut piece, spare.take()))?;
            }
            Ok(())
        });
        let listed = listed.map(|mut listed| {
            listed.unnamed = unnamed;
            if let Some(failed) = failed {
                listed.unreadable = listed.unreadable.saturating_add(1);
                listed.examples.push(failed);
            }
            listed
        });
        (piece, listed)
    }
}

/// Lines that are handed on together: often of many short sections, as each transaction is one of SQL.
#[derive(Default)]
pub(super) struct Piece {
    text: Vec<u8>,
    /// The sections that begin in it.
    begun: Vec<Begun>,
    /// Their keys, one behind the other, and their heads.
    keys: Vec<u8>,
    heads: Vec<u8>,
}

/// A section that begins in a piece.
struct Begun {
    /// Where its first line is in the text.
    start: usize,
    /// Lengths of its key and its head.
    key: usize,
    head: usize,
}

impl Piece {
    /// Begins a section, if one is appended.
    fn begin(&mut self, section: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>) -> bool) {
        let (key, head) = (self.keys.len(), self.heads.len());
        if section(&mut self.keys, &mut self.heads) {
            self.begun.push(Begun {
                start: self.text.len(),
                key: self.keys.len().saturating_sub(key),
                head: self.heads.len().saturating_sub(head),
            });
        }
    }

    /// Gives the lines of each section.
    pub(super) fn each(
        &self,
        give: &mut dyn FnMut(Lines<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let ends = self.begun.iter().map(|begun| begun.start).chain([self.text.len()]);
        let mut starts = self.begun.iter();
        let (mut keys, mut heads) = (self.keys.as_slice(), self.heads.as_slice());
        let (mut section, mut start) = (None, 0_usize);
        for end in ends {
            let text = self.text.get(start..end).unwrap_or_default();
            if section.is_some() || !text.is_empty() {
                give(Lines { section, text })?;
            }
            start = end;
            if let Some(begun) = starts.next() {
                let (key, later) = keys.split_at_checked(begun.key).unwrap_or_default();
                let (head, later_heads) = heads.split_at_checked(begun.head).unwrap_or_default();
                section = Some(Section { key, head });
                (keys, heads) = (later, later_heads);
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.begun.clear();
        self.keys.clear();
        self.heads.clear();
    }

    /// Whether it is worth to be kept for other lines: not what had to grow for a large row.
    pub(super) const fn is_kept(&self) -> bool {
        const MOST: usize = PIECE * 8;
        self.text.capacity() <= MOST && self.heads.capacity() <= MOST
    }
}

fn unreadable(record: &RowRecord<'_>, reason: &str) -> Unreadable {
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    Unreadable {
        position: record.position,
        inner_offset: record.inner_offset,
        table: Some(format!("{}.{}", name(&record.table.database), name(&record.table.name))),
        reason: format!("row {}: {reason}", record.number),
    }
}
