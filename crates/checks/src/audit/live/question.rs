//! Asking a server, and noting what its answer would have needed.

use super::error::Problem;
use super::session::{Answer, Session};
use crate::audit::facts::server::{Area, Flavour, MissingPrivilege, NotAsked};
use crate::audit::facts::settings::Product;
use crate::audit::sql;

/// A session, and what is known of the server and of the account in use.
pub(super) struct Asker {
    pub(super) session: Session,
    pub(super) flavour: Flavour,
    /// Major, minor, patch.
    pub(super) version: (u16, u16, u16),
    account: String,
    pub(super) missing: Vec<MissingPrivilege>,
    pub(super) not_asked: Vec<NotAsked>,
}

/// A statement and what it takes.
pub(super) struct Question<'a> {
    /// What would not be known without it.
    pub(super) what: &'a str,
    /// What `GRANT` and `ON` have between them, and the object: `PROCESS ON *.*`.
    pub(super) privilege: &'a str,
    pub(super) statement: &'a str,
}

impl Asker {
    /// Marks the session as one that only reads, and finds out who it is.
    pub(super) fn new(mut session: Session) -> Result<Self, Problem> {
        // The server itself refuses to change data from here on.
        session.query("SET SESSION TRANSACTION READ ONLY")?;
        let answer = session.query("SELECT CURRENT_USER(), @@version_comment")?;
        let whole = session.version().to_owned();
        let row = answer.records().next();
        let row = row.ok_or(Problem::Protocol { problem: "an answer without a row" })?;
        let comment = row.at(1).unwrap_or_default();
        let flavour = if whole.contains("MariaDB") || comment.to_lowercase().contains("mariadb") {
            Flavour::Mariadb
        } else if comment.contains("Percona") {
            Flavour::Percona
        } else {
            Flavour::Mysql
        };
        let account = row.at(0).unwrap_or_default();
        let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
        Ok(Self {
            account: sql::account(user, host),
            flavour,
            version: whole.parse().map_or((0, 0, 0), |it: Product| it.version),
            session,
            missing: Vec::new(),
            not_asked: Vec::new(),
        })
    }

    /// Whether this is at least that version.
    pub(super) fn since(&self, major: u16, minor: u16, patch: u16) -> bool {
        self.version >= (major, minor, patch)
    }

    /// Whether an account is the one that this audit asks as.
    pub(super) fn is_own(&self, account: &str) -> bool {
        self.account == account
    }

    /// One entry for each privilege, whatever it is needed for.
    fn note(&mut self, question: &Question<'_>) {
        let grant = format!("GRANT {} TO {};", question.privilege, self.account);
        match self.missing.iter_mut().find(|known| known.grant == grant) {
            Some(known) => known.what = format!("{}; {}", known.what, question.what),
            None => self.missing.push(MissingPrivilege {
                what: question.what.to_owned(),
                privilege: without_columns(question.privilege),
                grant,
            }),
        }
    }

    /// The answer, or `None` where the server gives none: what was not looked at is noted with its
    /// area. For what not every version has, and what not every audit's account is given.
    pub(super) fn ask_if_possible(
        &mut self,
        area: Area,
        question: &Question<'_>,
    ) -> Result<Option<Answer>, Problem> {
        match self.session.query(question.statement) {
            Ok(answer) => Ok(Some(answer)),
            Err(problem @ Problem::Server { .. }) => {
                let because = if problem.is_denial() {
                    format!("{}: {}", question.what, without_columns(question.privilege))
                } else {
                    format!("{}: the server does not say", question.what)
                };
                self.not_asked.push(NotAsked { area, because });
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }

    /// The answer, or `None` where a privilege is missing, which is noted.
    pub(super) fn ask(&mut self, question: &Question<'_>) -> Result<Option<Answer>, Problem> {
        match self.session.query(question.statement) {
            Ok(answer) => Ok(Some(answer)),
            Err(problem) if problem.is_denial() => {
                self.note(question);
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }
}

/// `SELECT (a, b) ON t` -> `SELECT on columns of t`
fn without_columns(privilege: &str) -> String {
    match (privilege.split_once(" ("), privilege.rsplit_once(") ON ")) {
        (Some((verb, _)), Some((_, table))) => format!("{verb} on columns of {table}"),
        _ => privilege.replace(" ON ", " on "),
    }
}

/// A row, with the names of its fields.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    columns: &'a [String],
    fields: &'a [Option<String>],
}

impl Answer {
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.rows.iter().map(|fields| Record { columns: &self.columns, fields })
    }
}

impl<'a> Record<'a> {
    /// By position.
    pub(super) fn at(self, index: usize) -> Option<&'a str> {
        self.fields.get(index)?.as_deref()
    }

    /// By name, of which versions have different ones. `None` for NULL and where there is none.
    pub(super) fn get(self, names: &[&str]) -> Option<&'a str> {
        let mut columns = self.columns.iter();
        let index = columns
            .position(|column| names.iter().any(|name| name.eq_ignore_ascii_case(column)))?;
        self.at(index)
    }

    /// By name, as a text that may be empty.
    pub(super) fn text(self, names: &[&str]) -> String {
        self.get(names).unwrap_or_default().to_owned()
    }

    /// By name; empty counts as none.
    pub(super) fn non_empty(self, names: &[&str]) -> Option<String> {
        self.get(names).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// By name, as a number.
    pub(super) fn number<T: std::str::FromStr>(self, names: &[&str]) -> Option<T> {
        self.get(names)?.parse().ok()
    }

    /// `Yes`, `Y`, `ON` …
    pub(super) fn flag(self, names: &[&str]) -> bool {
        matches!(self.get(names), Some("Yes" | "Y" | "ON" | "1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_told_without_their_columns() {
        assert_eq!(
            without_columns("SELECT (a, b) ON mysql.user"),
            "SELECT on columns of mysql.user"
        );
        assert_eq!(without_columns("PROCESS ON *.*"), "PROCESS on *.*");
    }
}
