//! Which statement it is, and which tables it is about.

use super::alter::{self, Action};
use super::create::{self, Definition};
use super::parser::{Named, NotUnderstood, Parser};
use super::table::{Trigger, UniqueKey};
use super::tokens::Token;

/// One statement names fewer tables.
const MAX_NAMES: usize = 65_536;

/// A statement, as far as tables, databases and what fires on them are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    CreateTable {
        table: Named,
        if_not_exists: bool,
        definition: Result<Definition, NotUnderstood>,
    },
    DropTables(Vec<Named>),
    RenameTables(Vec<(Named, Named)>),
    AlterTable {
        table: Named,
        actions: Result<Vec<Action>, NotUnderstood>,
    },
    Truncate(Named),
    CreateUniqueKey {
        table: Named,
        key: UniqueKey,
    },
    DropKey {
        table: Named,
        name: String,
    },
    CreateTrigger {
        table: Named,
        trigger: Trigger,
    },
    DropTrigger(String),
    /// Also what alters one: its default character set is this from here on.
    CreateDatabase {
        name: Option<String>,
        charset: Option<String>,
        collation: Option<String>,
        /// There was none of this name before.
        is_new: bool,
    },
    DropDatabase(String),
    Use(String),
    /// It is about tables, and does not even tell which in a way that is understood.
    Unclear(NotUnderstood),
    /// INSERT, UPDATE, DELETE and the like: it changes rows.
    ChangesRows,
    /// None of these: nothing here hangs on it.
    Other,
}

/// Reads a statement. `is_part`: see [`create::definition`].
pub(super) fn parse(tokens: &[Token<'_>], is_part: bool) -> Statement {
    let mut parser = Parser::new(tokens);
    // MariaDB's way to set variables for one statement.
    if parser.words(&["SET", "STATEMENT"]) {
        while !parser.is_at_end() && !parser.word("FOR") {
            parser.skip();
        }
    }
    let statement = if parser.word("CREATE") {
        create_statement(&mut parser, is_part)
    } else if parser.word("ALTER") {
        alter_statement(&mut parser)
    } else if parser.word("DROP") {
        drop_statement(&mut parser)
    } else if parser.word("RENAME") {
        rename_statement(&mut parser)
    } else if parser.word("TRUNCATE") {
        parser.word("TABLE");
        parser.table().map(Statement::Truncate)
    } else if parser.word("USE") {
        parser.name().map(Statement::Use)
    } else if parser.one_of(&["INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH", "CALL"]) {
        Ok(Statement::ChangesRows)
    } else {
        Ok(Statement::Other)
    };
    statement.unwrap_or_else(Statement::Unclear)
}

fn create_statement(
    parser: &mut Parser<'_, '_>,
    is_part: bool,
) -> Result<Statement, NotUnderstood> {
    let or_replace = parser.words(&["OR", "REPLACE"]);
    if parser.word("TABLE") {
        let if_not_exists = parser.words(&["IF", "NOT", "EXISTS"]);
        let table = parser.table()?;
        let definition = create::definition(parser, is_part);
        return Ok(Statement::CreateTable { table, if_not_exists, definition });
    }
    if parser.word("DATABASE") || parser.word("SCHEMA") {
        let if_not_exists = parser.words(&["IF", "NOT", "EXISTS"]);
        let name = Some(parser.name()?);
        return database_options(parser, name, or_replace || !if_not_exists);
    }
    skip_definer(parser)?;
    if parser.word("TRIGGER") {
        return trigger(parser);
    }
    let _ = parser.one_of(&["ONLINE", "OFFLINE"]);
    if parser.word("UNIQUE") && parser.word("INDEX") {
        return unique_index(parser);
    }
    Ok(Statement::Other)
}

/// `DEFINER=user@host`, where the user may be `CURRENT_USER` or `CURRENT_USER()`.
fn skip_definer(parser: &mut Parser<'_, '_>) -> Result<(), NotUnderstood> {
    if !parser.word("DEFINER") {
        return Ok(());
    }
    parser.symbol(b'=');
    if parser.text().is_none() {
        parser.name()?;
    }
    parser.group();
    if parser.symbol(b'@') && parser.text().is_none() {
        parser.name()?;
    }
    Ok(())
}

fn trigger(parser: &mut Parser<'_, '_>) -> Result<Statement, NotUnderstood> {
    parser.words(&["IF", "NOT", "EXISTS"]);
    let name = parser.table()?.table;
    if !parser.one_of(&["BEFORE", "AFTER"]) {
        return Err(parser.not_understood());
    }
    let Some(event) = parser.take_word() else {
        return Err(parser.not_understood());
    };
    // MariaDB: `INSERT OR UPDATE`, and `UPDATE OF column`.
    while !parser.is_at_end() && !parser.word("ON") {
        parser.skip();
    }
    let table = parser.table()?;
    let event = event.to_ascii_uppercase();
    Ok(Statement::CreateTrigger { table, trigger: Trigger { name, event } })
}

fn unique_index(parser: &mut Parser<'_, '_>) -> Result<Statement, NotUnderstood> {
    parser.words(&["IF", "NOT", "EXISTS"]);
    let name = parser.name()?;
    if parser.word("USING") || parser.word("TYPE") {
        parser.skip();
    }
    if !parser.word("ON") {
        return Err(parser.not_understood());
    }
    let table = parser.table()?;
    let (columns, whole) = create::key_parts(parser)?;
    let key = UniqueKey { name: Some(name), columns, whole };
    Ok(Statement::CreateUniqueKey { table, key })
}

fn database_options(
    parser: &mut Parser<'_, '_>,
    name: Option<String>,
    is_new: bool,
) -> Result<Statement, NotUnderstood> {
    let (mut charset, mut collation) = (None, None);
    while !parser.is_at_end() {
        if !create::charset_option(parser, &mut charset, &mut collation)? {
            parser.skip();
        }
    }
    Ok(Statement::CreateDatabase { name, charset, collation, is_new })
}

fn alter_statement(parser: &mut Parser<'_, '_>) -> Result<Statement, NotUnderstood> {
    if parser.word("DATABASE") || parser.word("SCHEMA") {
        let is_named = !parser.is_word("DEFAULT")
            && !parser.is_word("CHARACTER")
            && !parser.is_word("CHARSET")
            && !parser.is_word("COLLATE");
        let name = if is_named { Some(parser.name()?) } else { None };
        return database_options(parser, name, false);
    }
    while parser.one_of(&["ONLINE", "OFFLINE", "IGNORE"]) {}
    if !parser.word("TABLE") {
        return Ok(Statement::Other);
    }
    parser.words(&["IF", "EXISTS"]);
    let table = parser.table()?;
    let actions = alter::actions(parser);
    Ok(Statement::AlterTable { table, actions })
}

fn drop_statement(parser: &mut Parser<'_, '_>) -> Result<Statement, NotUnderstood> {
    if parser.word("DATABASE") || parser.word("SCHEMA") {
        parser.words(&["IF", "EXISTS"]);
        return parser.name().map(Statement::DropDatabase);
    }
    if parser.word("TRIGGER") {
        parser.words(&["IF", "EXISTS"]);
        return Ok(Statement::DropTrigger(parser.table()?.table));
    }
    let _ = parser.one_of(&["ONLINE", "OFFLINE"]);
    if parser.word("INDEX") {
        parser.words(&["IF", "EXISTS"]);
        let name = parser.name()?;
        if !parser.word("ON") {
            return Err(parser.not_understood());
        }
        return Ok(Statement::DropKey { table: parser.table()?, name });
    }
    if !parser.one_of(&["TABLE", "TABLES"]) {
        return Ok(Statement::Other);
    }
    parser.words(&["IF", "EXISTS"]);
    let mut tables = vec![parser.table()?];
    while parser.symbol(b',') {
        tables.push(parser.table()?);
        if tables.len() > MAX_NAMES {
            return Err(parser.not_understood());
        }
    }
    Ok(Statement::DropTables(tables))
}

fn rename_statement(parser: &mut Parser<'_, '_>) -> Result<Statement, NotUnderstood> {
    if !parser.one_of(&["TABLE", "TABLES"]) {
        return Ok(Statement::Other);
    }
    parser.words(&["IF", "EXISTS"]);
    let mut renamed = Vec::new();
    loop {
        let from = parser.table()?;
        if parser.word("WAIT") {
            parser.skip();
        }
        parser.word("NOWAIT");
        if !parser.word("TO") || renamed.len() > MAX_NAMES {
            return Err(parser.not_understood());
        }
        renamed.push((from, parser.table()?));
        if !parser.symbol(b',') {
            return Ok(Statement::RenameTables(renamed));
        }
    }
}
