//! `--policy` and `--baseline`: how findings are weighed.

use std::path::{Path, PathBuf};

use binlogsec_checks::finding::{Baseline, Policy};
use clap::Args;

use crate::settings;
use crate::terminal::Terminal;

/// How findings are weighed.
#[derive(Debug, Args)]
pub(crate) struct FindingArgs {
    /// What this site demands, see docs/check.md
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Findings that are known, with reason and expiry date, see docs/check.md
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
}

impl FindingArgs {
    /// What the policy says; nothing without one.
    pub(crate) fn policy(&self) -> anyhow::Result<Policy> {
        let policy = self.policy.as_deref().map(Policy::open).transpose()?;
        Ok(policy.unwrap_or_default())
    }

    /// What the baseline says; nothing without one.
    pub(crate) fn baseline(&self) -> anyhow::Result<Baseline> {
        let baseline = self.baseline.as_deref().map(Baseline::open).transpose()?;
        Ok(baseline.unwrap_or_default())
    }

    /// Whether a baseline is named by more than the configuration file.
    pub(crate) fn is_baseline_asked_for(&self) -> bool {
        let of_file = |path: &Path| {
            settings::of_this_run().is_some_and(|settings| settings.has("baseline", path))
        };
        self.baseline.as_deref().is_some_and(|path| !of_file(path))
    }

    /// The files, which no report may replace.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.policy.iter().chain(&self.baseline).cloned().collect()
    }
}

/// Names entries of the baseline that fit no finding any more.
pub(crate) fn tell_unused(baseline: &Baseline, terminal: &Terminal) {
    for entry in baseline.unused() {
        terminal.warning(&format!("the baseline's entry {entry} fits nothing any more"));
    }
}
