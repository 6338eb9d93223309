//! A progress bar for long work on a terminal.

use std::ops::ControlFlow;

use binlogsec_core::file::pipeline::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::Terminal;

/// Less than this is done before a bar could be read.
const WORTH_A_BAR: u64 = 256 << 20;

/// Counts bytes; draws them, or not.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar over so many bytes; `None` when the end is not known.
    pub(crate) fn new(total: Option<u64>, terminal: &Terminal) -> Self {
        Self::when(total.is_none_or(|total| total >= WORTH_A_BAR), total, terminal)
    }

    /// The same for work that is slow, however little it is.
    pub(crate) fn at_once(total: Option<u64>, terminal: &Terminal) -> Self {
        Self::when(true, total, terminal)
    }

    fn when(is_long: bool, total: Option<u64>, terminal: &Terminal) -> Self {
        let target = if terminal.shows_progress() && is_long {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => {
                "{bar:32} {percent:>3}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left"
            }
            None => "{spinner} {binary_bytes}  {binary_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self(bar)
    }
}

/// Counts files; draws the count, or not.
#[derive(Debug)]
pub(crate) struct Counter(ProgressBar);

impl Counter {
    pub(crate) fn new(terminal: &Terminal) -> Self {
        let target = if terminal.shows_progress() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} files  {per_sec}") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Counter {
    fn advance(&self, files: u64) -> ControlFlow<()> {
        self.0.inc(files);
        ControlFlow::Continue(())
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        self.0.inc(bytes);
        ControlFlow::Continue(())
    }
}
