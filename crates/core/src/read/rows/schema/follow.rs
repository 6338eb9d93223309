//! Statements, carried out on the tables as they are known.

use std::borrow::Cow;
use std::sync::Arc;

use super::alter::{self, Action};
use super::create::Definition;
use super::parser::{Named, NotUnderstood};
use super::statement::{self, Statement};
use super::tokens::{Reading, Token, Tokens};
use super::{Database, Entry, Key, Schema, key, split};
use crate::bytes::Cursor;
use crate::event::event_type;
use crate::event::query::Query;
use crate::event::walker::EventView;

/// A longer statement is not read: what it is about becomes unknown.
const LONGEST: usize = 16 << 20;
/// Changes that one statement reports.
const MAX_CHANGES: usize = 65_536;

/// What a statement does to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// CREATE TABLE.
    Created,
    /// DROP TABLE; its rows are gone without an event for each.
    Dropped,
    /// ALTER TABLE, of its columns.
    Altered,
    /// ALTER TABLE, of its keys and options alone: rows stay as they are.
    AlteredKeys,
    /// RENAME TABLE, by either of its names.
    Renamed,
    /// TRUNCATE TABLE; its rows are gone without an event for each.
    Truncated,
}

impl ChangeKind {
    /// Whether a row from before it may not be put back as it was.
    #[must_use]
    pub const fn concerns_rows(self) -> bool {
        !matches!(self, Self::AlteredKeys)
    }

    /// The statement in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATE TABLE",
            Self::Dropped => "DROP",
            Self::Altered | Self::AlteredKeys => "ALTER TABLE",
            Self::Renamed => "RENAME TABLE",
            Self::Truncated => "TRUNCATE TABLE",
        }
    }
}

/// A table that a statement changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its database; empty where neither the statement nor its session names one.
    pub database: String,
    /// Its name; `None` for all tables of the database.
    pub table: Option<String>,
    /// What is done to it.
    pub kind: ChangeKind,
}

/// What came of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    /// Tables that it changes, whether anything is known of them or not.
    pub changes: Vec<Change>,
    /// What must be told: of tables that are not known any more, or were not what the statement
    /// takes for granted.
    pub notes: Vec<String>,
    /// Whether it changes rows by itself (INSERT, UPDATE, DELETE, CALL …), without row events.
    pub changes_rows: bool,
}

/// Where a statement is carried out.
pub(super) struct Target<'a> {
    /// The default database.
    pub(super) database: Option<&'a str>,
    /// The statement is of a file: what it makes may be of another time than the logs.
    pub(super) is_file: bool,
}

/// What a statement does that row events do not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::read::rows) enum Beside {
    /// It changes rows by itself.
    Rows,
    /// It changes tables.
    Tables,
}

/// What a statement does beside row events, if anything.
pub(in crate::read::rows) fn beside(query: &Query<'_>) -> Option<Beside> {
    if query.is_begin() || query.is_end() || query.is_inside_transaction() {
        return None;
    }
    let session = Session::of(query.variables);
    let statement = match session.text(&query.statement) {
        Ok(text) if query.length <= query.statement.len() => {
            split::single(&text, session.reading())
        }
        Ok(text) | Err(text) => without_content(&text, session.reading(), ""),
    };
    match statement {
        Statement::ChangesRows | Statement::Truncate(_) => Some(Beside::Rows),
        Statement::Other | Statement::Use(_) => None,
        _ => Some(Beside::Tables),
    }
}

impl Schema {
    /// Carries out the statement of an event; other events change nothing. The events of a log are
    /// to be given in their order.
    pub fn follow(&mut self, event: &EventView<'_>) -> Followed {
        let is_query = matches!(
            event.header.event_type,
            event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED
        );
        if !is_query {
            return Followed::default();
        }
        let Some(query) = Query::of_at_most(event, LONGEST) else {
            return Followed::default();
        };
        self.follow_query(&query)
    }

    /// Carries out a statement.
    pub fn follow_query(&mut self, query: &Query<'_>) -> Followed {
        let mut followed = Followed::default();
        if query.is_begin() || query.is_end() || query.is_inside_transaction() {
            return followed;
        }
        let session = Session::of(query.variables);
        let text = session.text(&query.statement);
        let database = str::from_utf8(query.database).ok();
        let target = Target { database: database.filter(|it| !it.is_empty()), is_file: false };
        let is_whole = query.length <= query.statement.len() && query.length <= LONGEST;
        let statement = match text {
            Ok(text) if is_whole => split::single(&text, session.reading()),
            // The words at its beginning tell what it is about; what it does is not read.
            Ok(text) => without_content(&text, session.reading(), "it is too long"),
            Err(text) => without_content(
                &text,
                session.reading(),
                "it is in no character set that is read here",
            ),
        };
        self.carry_out(statement, &target, &mut followed);
        if std::mem::take(&mut self.is_full) {
            followed.notes.push(
                "the tables of this schema take more memory than is given to them: some are not known from here on".to_owned(),
            );
        }
        followed
    }

    pub(super) fn carry_out(
        &mut self,
        statement: Statement,
        target: &Target<'_>,
        followed: &mut Followed,
    ) {
        let mut step = Step { schema: self, target, followed };
        match statement {
            Statement::CreateTable { table, if_not_exists, definition } => {
                step.create(&table, if_not_exists, definition);
            }
            Statement::DropTables(tables) => tables.iter().for_each(|table| step.drop_table(table)),
            Statement::RenameTables(pairs) => {
                pairs.iter().for_each(|(from, to)| step.rename(from, to));
            }
            Statement::AlterTable { table, actions } => step.alter(&table, &actions),
            Statement::Truncate(table) => step.change(&table, ChangeKind::Truncated),
            Statement::CreateUniqueKey { table, key } => {
                step.modify(&table, |table| table.unique_keys.push(key));
            }
            Statement::DropKey { table, name } => {
                step.modify(&table, |table| alter::drop_named(table, &name));
            }
            Statement::CreateTrigger { table, trigger } => {
                step.modify(&table, |table| table.triggers.push(trigger));
            }
            Statement::DropTrigger(name) => step.drop_trigger(&name),
            Statement::CreateDatabase { name, charset, collation, is_new } => {
                let named = name.or_else(|| target.database.map(str::to_owned));
                if let Some(name) = named {
                    step.create_database(name, charset, collation, is_new);
                }
            }
            Statement::DropDatabase(name) => step.drop_database(&name),
            Statement::Unclear(near) => step.unclear(&near),
            Statement::ChangesRows => followed.changes_rows = true,
            Statement::Use(_) | Statement::Other => {}
        }
    }
}

/// A statement of which the names count alone: its content is not understood, for this reason.
fn without_content(text: &str, reading: Reading, why: &str) -> Statement {
    let near = NotUnderstood { near: why.to_owned() };
    /// Names stand among the first words.
    const WORDS: usize = 64;
    let mut tokens = Tokens::new(text, reading);
    let words: Vec<Token<'_>> = std::iter::from_fn(|| tokens.next_token()).take(WORDS).collect();
    match statement::parse(&words, false) {
        Statement::CreateTable { table, if_not_exists, .. } => {
            Statement::CreateTable { table, if_not_exists, definition: Err(near) }
        }
        Statement::AlterTable { table, .. } => Statement::AlterTable { table, actions: Err(near) },
        Statement::DropTables(_) | Statement::RenameTables(_) => Statement::Unclear(near),
        other => other,
    }
}

/// One statement on its way.
struct Step<'s, 't, 'f> {
    schema: &'s mut Schema,
    target: &'t Target<'t>,
    followed: &'f mut Followed,
}

impl Step<'_, '_, '_> {
    fn key(&self, table: &Named) -> Key {
        Schema::key(table, self.target.database)
    }

    fn change(&mut self, table: &Named, kind: ChangeKind) {
        let (database, name) = self.key(table);
        self.change_of(database.as_deref().unwrap_or_default(), Some(&name), kind);
    }

    fn change_of(&mut self, database: &str, table: Option<&str>, kind: ChangeKind) {
        if self.followed.changes.len() < MAX_CHANGES {
            let (database, table) = (database.to_owned(), table.map(str::to_owned));
            self.followed.changes.push(Change { database, table, kind });
        }
    }

    fn note(&mut self, key: &Key, what: &str) {
        let database = key.0.as_deref().map_or_else(String::new, |name| format!("{name}."));
        self.followed.notes.push(format!("table {database}{}: {what}", key.1));
    }

    /// Nothing can be said of a table any more.
    fn lose(&mut self, key: Key, why: &str) {
        self.note(&key, why);
        self.schema.set(key, Entry::Unknown(Arc::from(why)));
    }

    fn create(
        &mut self,
        table: &Named,
        if_not_exists: bool,
        definition: Result<Definition, NotUnderstood>,
    ) {
        let key = self.key(table);
        let made = definition
            .map_err(|near| not_understood(&near))
            .and_then(|definition| self.schema.made_by(definition, self.target));
        if if_not_exists && self.may_be_there(&key) {
            return;
        }
        self.change(table, ChangeKind::Created);
        match made {
            Ok(mut table) => {
                self.schema.inherit(&mut table, &key);
                self.schema.set_known(key, table, self.target.is_file);
            }
            Err(why) => self.lose(key, &why),
        }
    }

    /// Whether `IF NOT EXISTS` may have found the table: then the statement says nothing of it.
    fn may_be_there(&self, key: &Key) -> bool {
        match self.schema.entry(key) {
            Some(Entry::Known { .. } | Entry::Unknown(_)) => true,
            Some(Entry::Dropped) => false,
            None => {
                let database = key.0.as_ref().and_then(|name| self.schema.databases.get(name));
                !self.target.is_file && !database.is_some_and(|database| database.is_of_log)
            }
        }
    }

    fn drop_table(&mut self, table: &Named) {
        self.change(table, ChangeKind::Dropped);
        let key = self.key(table);
        self.schema.set(key, Entry::Dropped);
    }

    fn rename(&mut self, from: &Named, to: &Named) {
        self.change(from, ChangeKind::Renamed);
        self.change(to, ChangeKind::Renamed);
        let (from, to) = (self.key(from), self.key(to));
        let entry = match self.schema.entry(&from) {
            Some(Entry::Dropped) | None => None,
            Some(entry) => Some(entry.clone()),
        };
        if let Some(entry) = entry {
            self.schema.set(from, Entry::Dropped);
            self.schema.set(to, entry);
            return;
        }
        match self.schema.known(&to) {
            Some((_, true)) => self.note(
                &to,
                "it gets this name here, and the schema has it by this name already: the schema is of a \
                 later time, and its names may be wrong before this place",
            ),
            Some((_, false)) => {
                self.lose(to, "it gets the name of a table of which nothing is known");
            }
            None => {}
        }
    }

    fn alter(&mut self, table: &Named, actions: &Result<Vec<Action>, NotUnderstood>) {
        let is_of_keys = actions.as_ref().is_ok_and(|them| !them.iter().any(Action::is_of_columns));
        let kind = if is_of_keys { ChangeKind::AlteredKeys } else { ChangeKind::Altered };
        self.change(table, kind);
        let key = self.key(table);
        let Some((known, is_of_file)) = self.schema.known(&key) else {
            // Its other name may become known by this one.
            self.renamed_by(table, actions.as_deref().unwrap_or_default());
            return;
        };
        let altered = match actions {
            Ok(actions) => alter::apply(known, actions),
            Err(near) => return self.lose(key, &not_understood(near)),
        };
        match altered {
            Ok(altered) => self.schema.set_known(key, altered, is_of_file),
            Err(contradiction) if is_of_file => self.note(
                &key,
                &format!(
                    "ALTER TABLE does not fit the schema ({contradiction}): the schema is of another \
                     time than the start of the logs, and its names may be wrong before this place"
                ),
            ),
            Err(contradiction) => {
                let why = format!("ALTER TABLE does not fit what is known of it ({contradiction})");
                return self.lose(key, &why);
            }
        }
        self.renamed_by(table, actions.as_deref().unwrap_or_default());
    }

    fn renamed_by(&mut self, table: &Named, actions: &[Action]) {
        for action in actions {
            if let Action::RenameTable(to) = action {
                let database = to.database.clone().or_else(|| table.database.clone());
                let to = Named { database, table: to.table.clone() };
                self.rename(table, &to);
            }
        }
    }

    /// Changes what stands beside a table's columns.
    fn modify(&mut self, table: &Named, change: impl FnOnce(&mut super::Table)) {
        let key = self.key(table);
        if let Some((known, is_of_file)) = self.schema.known(&key) {
            let mut changed = (**known).clone();
            change(&mut changed);
            self.schema.set_known(key, changed, is_of_file);
        }
    }

    fn drop_trigger(&mut self, name: &str) {
        let has_it = |entry: &Entry| {
            matches!(entry, Entry::Known { table, .. }
                if table.triggers.iter().any(|trigger| trigger.name == name))
        };
        let found = self.schema.tables.iter().find(|(_, entry)| has_it(entry));
        if let Some(((database, table), _)) = found {
            let database = database.as_deref().map(str::to_owned);
            let named = Named { database, table: (**table).to_owned() };
            self.modify(&named, |table| table.triggers.retain(|it| it.name != name));
        }
    }

    fn create_database(
        &mut self,
        name: String,
        charset: Option<String>,
        collation: Option<String>,
        is_new: bool,
    ) {
        /// No server has more.
        const MAX_DATABASES: usize = 1 << 16;
        let (count, is_of_log) = (self.schema.databases.len(), is_new && !self.target.is_file);
        let name: Arc<str> = Arc::from(name);
        if count < MAX_DATABASES || self.schema.databases.contains_key(&name) {
            let before = self.schema.databases.entry(name).or_default();
            let is_of_log = is_of_log || before.is_of_log;
            *before = Database { charset, collation, is_of_log };
        }
    }

    fn drop_database(&mut self, name: &str) {
        self.change_of(name, None, ChangeKind::Dropped);
        let name: Arc<str> = Arc::from(name);
        let first = key(Some(&name), "");
        let of_it = self.schema.tables.range(first..);
        let of_it = of_it.take_while(|((database, _), _)| database.as_ref() == Some(&name));
        let keys: Vec<Key> = of_it.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.schema.set(key, Entry::Dropped);
        }
        self.schema.databases.remove(&name);
    }

    /// Which tables a statement is about is not understood: that may be all of them.
    fn unclear(&mut self, near: &NotUnderstood) {
        let keys = self.schema.tables.iter();
        let known = keys.filter(|(_, entry)| matches!(entry, Entry::Known { .. }));
        let known: Vec<Key> = known.map(|(key, _)| key.clone()).collect();
        if known.is_empty() || self.target.is_file {
            return;
        }
        let why = format!("a statement about tables is not understood at: {}", near.near);
        self.followed.notes.push(format!("{why}; no table is known from here on"));
        for key in known {
            self.schema.set(key, Entry::Unknown(Arc::from(why.as_str())));
        }
    }
}

fn not_understood(near: &NotUnderstood) -> String {
    format!("a statement that defines it is not understood at: {}", near.near)
}

/// How the session of a statement reads text.
struct Session {
    backslashes: bool,
    /// The character set is one of a byte a character whose bytes below 0x80 are ASCII and whose
    /// others are known here: latin1.
    is_latin1: bool,
}

impl Session {
    /// Reads the status variables as far as these two (server source: `Query_event`): a byte tells
    /// which variable, and so how long it is. They stand in the order of their numbers.
    fn of(variables: &[u8]) -> Self {
        const SQL_MODE: u8 = 1;
        const CHARSET: u8 = 4;
        const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;
        /// Collations of latin1.
        const LATIN1: [u16; 8] = [5, 8, 15, 31, 47, 48, 49, 94];
        let mut session = Self { backslashes: true, is_latin1: false };
        let mut cursor = Cursor::new(variables);
        while let Ok(variable) = cursor.u8() {
            let taken = match variable {
                SQL_MODE => cursor.u64_le().map(|mode| {
                    session.backslashes = mode & NO_BACKSLASH_ESCAPES == 0;
                }),
                CHARSET => {
                    cursor.u16_le().map(|client| session.is_latin1 = LATIN1.contains(&client))
                }
                // flags; auto_increment
                0 | 3 => cursor.u32_le().map(drop),
                // catalog, in two forms
                2 => cursor.u8().and_then(|length| {
                    cursor.take(usize::from(length).saturating_add(1)).map(drop)
                }),
                6 => cursor.u8().and_then(|length| cursor.take(usize::from(length)).map(drop)),
                _ => break,
            };
            if taken.is_err() || variable == CHARSET {
                break;
            }
        }
        session
    }

    const fn reading(&self) -> Reading {
        Reading { backslashes: self.backslashes, is_file: false }
    }

    /// The statement as text; if it cannot be read for sure, with what can be.
    fn text<'t>(&self, statement: &'t [u8]) -> Result<Cow<'t, str>, Cow<'t, str>> {
        let statement = statement.get(..LONGEST).unwrap_or(statement);
        match str::from_utf8(statement) {
            // All bytes are ASCII, whatever the character set, or they are as UTF-8 demands.
            Ok(text) if !self.is_latin1 || text.is_ascii() => Ok(Cow::Borrowed(text)),
            _ if self.is_latin1 => {
                Ok(Cow::Owned(statement.iter().map(|&byte| from_cp1252(byte)).collect()))
            }
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => Err(String::from_utf8_lossy(statement)),
        }
    }
}

/// A character of what servers call latin1.
fn from_cp1252(byte: u8) -> char {
    const HIGH: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8D}Ž\u{8F}\u{90}‘’“”•–—˜™š›œ\u{9D}žŸ";
    match byte {
        0x80..=0x9F => {
            let index = usize::from(byte).saturating_sub(0x80);
            HIGH.chars().nth(index).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::from(byte),
    }
}
