//! Objects below a prefix of a store, many at once.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use rayon::prelude::*;

use super::content::{Content, Opened};
use super::facts::FilePath;
use super::scan::{Local, Scan};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::listing;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::file::store::Entry;

/// Objects that are listed and not yet looked at.
const LISTED_AHEAD: usize = 4096;

impl Content for FileSource {
    fn at_hand(&self) -> Option<usize> {
        Some(Self::at_hand(self).len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Self::read_at(self, offset, buffer).map_err(TransferError::into_io)
    }

    fn size_and_mode(&self) -> (u64, u32) {
        (self.length(), 0)
    }

    fn metadata(&self) -> Option<Metadata> {
        None
    }
}

/// An object without a byte, of which nothing needs to be asked.
struct Nothing;

impl Content for Nothing {
    fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn size_and_mode(&self) -> (u64, u32) {
        (0, 0)
    }

    fn metadata(&self) -> Option<Metadata> {
        None
    }
}

impl Scan<'_> {
    /// Everything below the prefixes that the user named.
    pub(super) fn prefixes(&self) {
        for prefix in &self.roots.prefixes {
            self.prefix(prefix);
        }
    }

    fn prefix(&self, prefix: &Path) {
        let (sender, listed) = mpsc::sync_channel(LISTED_AHEAD);
        std::thread::scope(|scope| {
            let listing = scope.spawn(move || {
                listing::list(prefix, &mut |page| {
                    page.into_iter().all(|entry| sender.send(entry).is_ok())
                })
            });
            listed.into_iter().par_bridge().for_each(|entry| {
                if !self.cancelled.load(Ordering::Relaxed) {
                    self.object(&entry);
                    self.advance(1);
                }
            });
            // Each shard lists by itself, and knows only of its own list that it is whole.
            if let Ok(Err(error)) = listing.join() {
                self.with_local(|local| local.collected.failures.push(error.into()));
            }
        });
    }

    fn object(&self, entry: &Entry) {
        let path = &entry.path;
        if !self.owns(path) || !self.options.selection.has_file(path) {
            return;
        }
        self.with_local(|local| {
            if entry.size == 0 {
                return self.look_into(local, path, &Nothing);
            }
            match FileSource::open(path) {
                Ok(source) => self.look_into(local, path, &source),
                // Servers purge logs while somebody looks.
                Err(error) if error.is_not_found() => {
                    let vanished = &mut local.collected.counts.vanished;
                    *vanished = vanished.saturating_add(1);
                }
                Err(error) => self.unreadable(local, path, &error),
            }
        });
    }

    fn look_into(&self, local: &mut Local, path: &Path, content: &dyn Content) {
        let at = FilePath::of(path);
        let directory: Arc<Path> = Arc::from(at.directory());
        let name: &OsStr = at.name();
        let opened = Opened::new(&directory, name, content);
        let reason = self.meet(name, || path.to_owned());
        self.look(local, &opened, reason);
    }
}
