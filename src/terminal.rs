//! Where output goes, and whether it may have colour.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

use crate::json;
use anstream::AutoStream;
use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use binlogsec_core::text::unseen::printable;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::args::{Color, Global};

/// The two streams as the global options want them.
#[derive(Debug)]
pub(crate) struct Terminal {
    color: anstream::ColorChoice,
    quiet: bool,
    verbose: bool,
    progress: bool,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

impl Terminal {
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            // Looks at the stream, NO_COLOR, CLICOLOR and TERM.
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        let progress = !global.quiet && !global.no_progress && io::stderr().is_terminal();
        Self { color, quiet: global.quiet, verbose: global.verbose, progress }
    }

    /// Standard output, for data.
    pub(crate) fn out(&self) -> impl Page + use<> {
        stream(io::stdout().lock(), self.color)
    }

    /// Standard output as it is, for what is written much of at once, and whether it may have
    /// colours: nothing takes them out again. A terminal gets what is not `printable` without what
    /// it would obey.
    pub(crate) fn plain_out(&self, printable: bool) -> (Box<dyn Page>, bool) {
        let stdout = io::stdout().lock();
        if !printable && stdout.is_terminal() {
            return (Box::new(stream(stdout, anstream::ColorChoice::Never)), false);
        }
        let color = match self.color {
            anstream::ColorChoice::Auto => AutoStream::choice(&stdout),
            other => other,
        };
        (Box::new(stdout), color != anstream::ColorChoice::Never)
    }

    /// Standard error, for reports when standard output carries a log.
    pub(crate) fn err(&self) -> impl Page + use<> {
        stream(io::stderr().lock(), self.color)
    }

    /// Whether a progress bar may be drawn.
    pub(crate) const fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Whether nothing but data and errors is wanted.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says what went wrong. There is nowhere to report that this failed.
    pub(crate) fn error(&self, message: &str) {
        self.line(format_args!("{ERROR}error:{ERROR:#} "), message);
    }

    /// Says what the user should know.
    pub(crate) fn warning(&self, message: &str) {
        if !self.quiet {
            self.line(format_args!("{WARNING}warning:{WARNING:#} "), message);
        }
    }

    /// Says how something was understood.
    pub(crate) fn note(&self, message: &str) {
        if !self.quiet {
            self.line(format_args!("note: "), message);
        }
    }

    /// Says what `--verbose` asks for.
    pub(crate) fn detail(&self, message: &str) {
        if self.verbose && !self.quiet {
            self.line(format_args!(""), message);
        }
    }

    /// One line. Messages name files, and a name may hold a line of its own, or what a terminal
    /// obeys: all of it is shown and nothing of it acts.
    fn line(&self, start: fmt::Arguments<'_>, message: &str) {
        let _ = sentence(&mut self.err(), format_args!("{start}{}", printable(message)));
    }
}

/// Where text for people goes.
pub(crate) trait Page: Write {
    /// The columns of the terminal that it is; `None` where it is none, and lines are whole.
    fn columns(&self) -> Option<usize>;
}

impl<P: Page> Page for BufWriter<P> {
    fn columns(&self) -> Option<usize> {
        self.get_ref().columns()
    }
}

impl<P: Page + ?Sized> Page for Box<P> {
    fn columns(&self) -> Option<usize> {
        (**self).columns()
    }
}

impl Page for io::StdoutLock<'_> {
    fn columns(&self) -> Option<usize> {
        columns(self)
    }
}

/// A standard stream, with colours or without.
struct Screen {
    stream: AutoStream<Box<dyn Write>>,
    columns: Option<usize>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Page for Screen {
    fn columns(&self) -> Option<usize> {
        self.columns
    }
}

fn stream<S>(stream: S, color: anstream::ColorChoice) -> Screen
where
    S: anstream::stream::RawStream + AsFd + 'static,
{
    let columns = columns(&stream);
    let color = match color {
        anstream::ColorChoice::Auto => AutoStream::choice(&stream),
        other => other,
    };
    Screen { stream: AutoStream::new(Box::new(Whole(stream)), color), columns }
}

/// Writes text as one line, or in a terminal as several that break between words; what stands between
/// backticks is there to be copied, and is not broken.
pub(crate) fn sentence(out: &mut dyn Page, text: fmt::Arguments<'_>) -> io::Result<()> {
    let text = text.to_string();
    let Some(columns) = out.columns().filter(|columns| width(&text) > *columns) else {
        return writeln!(out, "{text}");
    };
    let words = text.trim_start_matches(' ');
    let indent = text.len().saturating_sub(words.len());
    let mut left = columns.saturating_sub(indent);
    write!(out, "{:indent$}", "")?;
    let mut is_copied = false;
    let words = words.split(|character| {
        is_copied ^= character == '`';
        character == ' ' && !is_copied
    });
    for (number, word) in words.enumerate() {
        let needs = width(word).saturating_add(1);
        if number == 0 {
            left = left.saturating_sub(needs.saturating_sub(1));
        } else if needs <= left {
            out.write_all(b" ")?;
            left = left.saturating_sub(needs);
        } else {
            let indent = indent.saturating_add(FURTHER);
            write!(out, "\n{:indent$}", "")?;
            left = columns.saturating_sub(indent).saturating_sub(needs.saturating_sub(1));
        }
        out.write_all(word.as_bytes())?;
    }
    writeln!(out)
}

/// The lines of a sentence but the first stand so far to the right of it.
const FURTHER: usize = 2;

/// Columns that a text takes, which may have colours.
fn width(text: &str) -> usize {
    strip_str(text).map(UnicodeWidthStr::width).sum()
}

/// Takes all that it is given, or fails. A stream that strips colours, and is told in the middle of
/// a text that it was interrupted, would be given what is written already once more.
struct Whole<W>(W);

impl<W: Write> Write for Whole<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The columns of the terminal that a stream is; `None` where it is none, or does not say.
fn columns(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Writes a report as one JSON document.
pub(crate) fn write_json(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    json::pretty(out, report)
}
