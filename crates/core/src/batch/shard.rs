//! One part of a run that is spread over processes or machines.
//!
//! Which part a file belongs to follows from its name alone: the first eight bytes of the name's
//! SHA-256, as a big-endian number, modulo the number of parts. The name is the path below the
//! directory that was searched, or in which the index stands that lists the file, or the whole path
//! of a file that was named, byte for byte. So the same files come to the same part again, wherever
//! their tree is mounted and whatever was added beside them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The variable in which a Kubernetes Indexed Job tells a pod its number, from 0.
pub const KUBERNETES_INDEX: &str = "JOB_COMPLETION_INDEX";
/// The variable in which a Slurm array tells a task its number.
pub const SLURM_INDEX: &str = "SLURM_ARRAY_TASK_ID";
/// The variable with the number of parts. No scheduler sets one that can be relied upon: that of
/// Slurm counts the tasks of one submission, which are fewer when some are submitted again.
pub const COUNT: &str = "BINLOGSEC_SHARDS";

/// One part of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Why there is no such part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Not two numbers.
    #[error("{text:?} is no shard: I/N is expected, with I from 0 to N-1, or auto")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// The parts are numbered from 0.
    #[error(
        "there is no shard {index} of {count}: they are numbered from 0 to {}",
        count.saturating_sub(1)
    )]
    OutOfRange {
        /// The number.
        index: u32,
        /// How many parts there are.
        count: u32,
    },
    /// A variable is not set, or not to a number.
    #[error("the environment does not say which shard this is: {name} is {found}")]
    Environment {
        /// The name.
        name: &'static str,
        /// What is there instead.
        found: String,
    },
}

impl Shard {
    /// Part `index`, counted from 0, of `count`.
    ///
    /// # Errors
    /// [`ShardError::OutOfRange`].
    pub const fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        if index < count {
            Ok(Self { index, count })
        } else {
            Err(ShardError::OutOfRange { index, count })
        }
    }

    /// The part that a scheduler has given to this process: its number is in
    /// [`KUBERNETES_INDEX`], or else in [`SLURM_INDEX`], and how many there are in [`COUNT`].
    ///
    /// # Errors
    /// [`ShardError::Environment`], [`ShardError::OutOfRange`].
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ShardError> {
        let number = |name: &'static str| {
            let text = variable(name);
            let number = text.as_ref().and_then(|text| text.parse().ok());
            number.ok_or_else(|| ShardError::Environment {
                name,
                found: text.map_or("not set".to_owned(), |text| format!("{text:?}")),
            })
        };
        let index = match variable(KUBERNETES_INDEX) {
            None if variable(SLURM_INDEX).is_some() => SLURM_INDEX,
            _ => KUBERNETES_INDEX,
        };
        Self::new(number(index)?, number(COUNT)?)
    }

    /// Its number, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many parts there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Whether it is the one that does what is done once for all of them.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.index == 0
    }

    /// Whether the file of this name belongs to this part.
    #[must_use]
    pub fn has(self, name: &Path) -> bool {
        let hash = Sha256::digest(name.as_os_str().as_encoded_bytes());
        let first = hash.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(first).checked_rem(u64::from(self.count)) == Some(self.index.into())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parts = text.split_once('/');
        let numbers =
            parts.and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| ShardError::Syntax { text: text.to_owned() })?;
        Self::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_belongs_to_one_part_and_they_are_even() {
        for count in [1, 2, 7, 64] {
            let mut sizes = vec![0; count as usize];
            for number in 0..4096 {
                let name = format!("host/binlog.{number:06}");
                let owners = (0..count)
                    .filter(|&index| Shard::new(index, count).unwrap().has(Path::new(&name)));
                let [owner] = owners.collect::<Vec<_>>()[..] else { panic!("{name}") };
                sizes[owner as usize] += 1;
            }
            let fair = 4096 / count;
            assert!(sizes.iter().all(|size| (fair / 2..=fair * 2).contains(size)), "{sizes:?}");
        }
    }

    /// `printf binlog.000001 | sha256sum` begins with the number below: another program finds the
    /// same part.
    #[test]
    fn the_rule_is_the_documented_one() {
        let hash = Sha256::digest(b"binlog.000001");
        let number = u64::from_be_bytes(*hash.first_chunk().unwrap());
        let index = u32::try_from(number % 10).unwrap();
        assert!(Shard::new(index, 10).unwrap().has(Path::new("binlog.000001")));
        assert_eq!(number, 0xf01e_a7c2_2cfb_95f4);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        assert_eq!("3/8".parse(), Shard::new(3, 8));
        for text in ["", "3", "3/", "/8", "a/8", "-1/8", "8/8", "0/0", "3/8/1"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn schedulers_say_which_part_it_is() {
        let from = |variables: &[(&str, &str)]| {
            Shard::from_environment(|name| {
                let found = variables.iter().find(|(known, _)| *known == name)?;
                Some(found.1.to_owned())
            })
        };
        assert_eq!(
            from(&[("JOB_COMPLETION_INDEX", "3"), ("BINLOGSEC_SHARDS", "8")]),
            Shard::new(3, 8)
        );
        assert_eq!(
            from(&[("SLURM_ARRAY_TASK_ID", "0"), ("BINLOGSEC_SHARDS", "1")]),
            Shard::new(0, 1)
        );
        for (variables, word) in [
            (&[][..], "JOB_COMPLETION_INDEX is not set"),
            (&[("JOB_COMPLETION_INDEX", "3")], "BINLOGSEC_SHARDS is not set"),
            (&[("JOB_COMPLETION_INDEX", "x")], "is \"x\""),
            (&[("SLURM_ARRAY_TASK_ID", "8"), ("BINLOGSEC_SHARDS", "8")], "no shard 8"),
        ] {
            let error = from(variables).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
