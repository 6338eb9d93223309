//! The rules: what each finding means, and what to do. `explain`, docs/checks.md and every report
//! take their words from here.

mod configuration;
mod controls;
mod logs;
mod seals;
mod servers;
mod stores;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use controls::Control;

use binlogsec_core::text::path_text;

/// How much a finding weighs. Errors and warnings count for the exit code, notes do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something is out of order.
    Warning,
    /// Plaintext, or what may be plaintext, or a log that can no longer be read.
    Error,
}

impl Severity {
    /// Its name in reports. Stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! rule_ids {
    ($($id:ident)*) => {
        /// The ids, stable for ever.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "UPPERCASE")]
        #[expect(missing_docs, reason = "each is documented once, in its Rule")]
        pub enum RuleId {
            $($id),*
        }

        impl RuleId {
            /// Every id, in order.
            pub const ALL: &'static [Self] = &[$(Self::$id),*];
        }
    };
}

rule_ids! {
    Bls001 Bls002 Bls003 Bls004 Bls005 Bls006 Bls007 Bls008 Bls009 Bls010
    Bls011 Bls012 Bls013 Bls014
    Bls015 Bls016 Bls017
    Bls018 Bls019 Bls020 Bls021

    Blr001 Blr002 Blr003 Blr004 Blr005 Blr006 Blr007 Blr008 Blr009 Blr010
    Blr011 Blr012 Blr013 Blr014 Blr015 Blr016 Blr017 Blr018
    Blr020 Blr021 Blr022 Blr023 Blr024 Blr025 Blr026
    Blr030 Blr031 Blr032 Blr033 Blr034 Blr035 Blr036 Blr037 Blr038 Blr039 Blr040 Blr041
    Blr050 Blr051 Blr052 Blr053 Blr054 Blr055 Blr056 Blr057 Blr058 Blr059
    Blr060 Blr061 Blr062 Blr063 Blr064 Blr065 Blr066 Blr067 Blr068 Blr069
    Blr070 Blr071 Blr072 Blr073 Blr074
}

/// What a remedy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// A command line.
    Shell,
    /// Statements for a server.
    Sql,
    /// Lines of an option file.
    Options,
}

impl Language {
    /// Its name as Markdown's code blocks have it.
    #[must_use]
    pub const fn code_block(self) -> &'static str {
        match self {
            Self::Shell => "sh",
            Self::Sql => "sql",
            Self::Options => "ini",
        }
    }
}

/// What the rules are about, and who applies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Files of logs and keyrings: BLS, by `check`, and by `audit` in a data directory.
    Logs,
    /// Logs against a seal manifest: BLS, by `check --sealed`.
    Seals,
    /// Key stores: BLS, by `check` with the store's configuration.
    Stores,
    /// Servers and what goes on between them: BLR, by `audit`.
    Replication,
}

/// The tables, each in the order of its ids.
static TABLES: &[(Family, &[Rule])] = &[
    (Family::Logs, &logs::RULES),
    (Family::Seals, &seals::RULES),
    (Family::Stores, &stores::RULES),
    (Family::Replication, configuration::RULES),
    (Family::Replication, servers::RULES),
];

/// Every rule.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    TABLES.iter().flat_map(|(_, rules)| *rules)
}

/// The rules of one family.
pub fn of_family(family: Family) -> impl Iterator<Item = &'static Rule> {
    TABLES.iter().filter(move |(of, _)| *of == family).flat_map(|(_, rules)| *rules)
}

/// What one id stands for.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The id.
    pub id: RuleId,
    /// `BLS001`
    pub code: &'static str,
    /// A name for machines and for those who remember words.
    pub name: &'static str,
    /// What was found, in one line.
    pub title: &'static str,
    /// Unless a policy says otherwise.
    pub severity: Severity,
    /// What it means, and how it is found.
    pub meaning: &'static str,
    /// Why it matters.
    pub risk: &'static str,
    /// What the user can run or write; in a command, `{path}` stands for the file, quoted for a
    /// shell, and `{directory}` for its directory. A finding may have a remedy of its own.
    pub remedy: &'static str,
    /// What the remedy is written in.
    pub language: Language,
    /// What to know about the remedy.
    pub advice: &'static str,
    /// The controls it bears on, by number.
    pub controls: &'static [Control],
}

impl RuleId {
    /// What it stands for.
    #[must_use]
    pub fn rule(self) -> &'static Rule {
        // The tables have a rule for each id: a test holds them to that.
        let rule = all().find(|rule| rule.id == self);
        rule.unwrap_or(&logs::RULES[0])
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule().code)
    }
}

/// There is no such id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no finding has the id {found:?}; `binlogsec explain` lists them all")]
pub struct UnknownRule {
    /// What was asked for.
    pub found: String,
}

/// By id in either case (`BLS001`, `bls001`), or by name (`plaintext-log`).
impl FromStr for RuleId {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        all()
            .find(|rule| rule.code.eq_ignore_ascii_case(text) || rule.name == text)
            .map(|rule| rule.id)
            .ok_or_else(|| UnknownRule { found: text.to_owned() })
    }
}

impl Rule {
    /// The command for one file.
    #[must_use]
    pub fn remedy_for(&self, path: &Path) -> String {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // One kind of place in each template: what is put in is not looked at again.
        if self.remedy.contains("{path}") {
            self.remedy.replace("{path}", &path_text::quoted(path))
        } else {
            self.remedy.replace("{directory}", &path_text::quoted(directory))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_finds_its_own_rule() {
        assert_eq!(all().map(|rule| rule.id).collect::<Vec<_>>(), RuleId::ALL);
        for rule in all() {
            assert_eq!(rule.id.rule().code, rule.code);
            assert_eq!(rule.code, format!("{:?}", rule.id).to_uppercase());
            assert_eq!(rule.code.to_lowercase().parse(), Ok(rule.id));
            assert_eq!(rule.name.parse(), Ok(rule.id), "{}", rule.code);
            assert!(!rule.controls.is_empty() && !rule.remedy.is_empty());
        }
        assert!("BLS999".parse::<RuleId>().is_err());
    }

    #[test]
    fn remedies_survive_a_shell() {
        let rule = RuleId::Bls002.rule();
        assert_eq!(rule.remedy_for(Path::new("/a/b c'd")), "shred -u \"/a/b c'd\"");
        assert_eq!(rule.remedy_for(Path::new("-rf")), "shred -u ./-rf");
    }
}
