//! What the command's exit codes mean, decided here and nowhere else.

use std::process::ExitCode;

use binlogsec_core::log::error::Error;
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::seal::SealError;

use super::terminal::Terminal;

/// Exit codes, in the order in which one outweighs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: done, nothing found.
    Done,
    /// 1: the work is done, and there are findings.
    Findings,
    /// 2: wrong usage, or the work could not be done.
    Work,
    /// 3: a key is missing or wrong.
    Key,
    /// 4: a log or a keyring is damaged, or of an unknown version.
    Damage,
}

/// What a shell shows for a program that a closed pipe ended: 128 + SIGPIPE.
const BROKEN_PIPE: u8 = 141;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::Work => 2,
            Exit::Key => 3,
            Exit::Damage => 4,
        })
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Work => Self::Work,
            ErrorClass::Key => Self::Key,
            ErrorClass::Damage => Self::Damage,
        }
    }
}

impl Exit {
    /// The code of the worst of many outcomes.
    pub(crate) fn worst(classes: impl IntoIterator<Item = ErrorClass>) -> Self {
        classes.into_iter().map(Self::from).max().unwrap_or(Self::Done)
    }
}

/// Says what went wrong and gives its code. A reader that went away is not worth a word.
pub(crate) fn report(error: &anyhow::Error, terminal: &Terminal) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::from(BROKEN_PIPE);
    }
    let bare = error.chain().len() == 1 && error.is::<std::io::Error>();
    // All other input and output says what it was about; reports are written as they come.
    let about = if bare { "cannot write to standard output: " } else { "" };
    terminal.error(&format!("{about}{error:#}"));
    let of_seal = error.downcast_ref::<SealError>().map(SealError::class);
    let class = error.downcast_ref::<Error>().map(Error::class).or(of_seal);
    let class = class.unwrap_or(ErrorClass::Work);
    Exit::from(class).into()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let in_transfer =
        |error: &Error| matches!(error, Error::Transfer(transfer) if transfer.is_broken_pipe());
    let in_output = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(in_transfer) || error.downcast_ref().is_some_and(in_output)
}
