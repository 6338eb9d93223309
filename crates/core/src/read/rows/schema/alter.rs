//! `ALTER TABLE`: what each of its clauses does to a table.

use super::create::{self, ColumnDefinition, KeyDefinition};
use super::parser::{self, NotUnderstood, Parser};
use super::table::{Generated, SchemaColumn, Table, UniqueKey, same};
use super::types::DataType;

/// One statement has fewer clauses.
const MAX_ACTIONS: usize = 16_384;

/// Where a column is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it is; a new one behind all others.
    Unsaid,
    First,
    After(String),
}

/// One clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Add {
        definition: Box<ColumnDefinition>,
        place: Place,
        if_not_exists: bool,
    },
    /// CHANGE, and MODIFY, whose new name is the old one.
    Change {
        old: String,
        definition: Box<ColumnDefinition>,
        place: Place,
        if_exists: bool,
    },
    RenameColumn {
        old: String,
        new: String,
    },
    Drop {
        name: String,
        if_exists: bool,
    },
    AddKey(KeyDefinition),
    DropPrimaryKey,
    /// Of a key, a foreign key, or a check.
    DropNamed(String),
    RenameKey {
        old: String,
        new: String,
    },
    SetInvisible {
        column: String,
        invisible: bool,
    },
    Convert {
        charset: Option<String>,
        collation: Option<String>,
    },
    Default {
        charset: Option<String>,
        collation: Option<String>,
    },
    AddRowVersions,
    DropRowVersions,
    RenameTable(parser::Named),
}

impl Action {
    /// Whether it changes what rows look like.
    pub(super) const fn is_of_columns(&self) -> bool {
        !matches!(
            self,
            Self::AddKey(_)
                | Self::DropPrimaryKey
                | Self::DropNamed(_)
                | Self::RenameKey { .. }
                | Self::SetInvisible { .. }
                | Self::Default { .. }
                | Self::RenameTable(_)
        )
    }
}

/// The clauses behind the table's name.
pub(super) fn actions(parser: &mut Parser<'_, '_>) -> Result<Vec<Action>, NotUnderstood> {
    let mut actions = Vec::new();
    if parser.word("WAIT") {
        parser.skip();
    }
    parser.word("NOWAIT");
    while !parser.is_at_end() {
        clause(parser, &mut actions)?;
        if actions.len() > MAX_ACTIONS {
            return Err(parser.not_understood());
        }
        // Options of the table need no comma between them.
        parser.symbol(b',');
    }
    Ok(actions)
}

fn clause(parser: &mut Parser<'_, '_>, actions: &mut Vec<Action>) -> Result<(), NotUnderstood> {
    if parser.word("ADD") {
        add(parser, actions)
    } else if parser.word("DROP") {
        drop_clause(parser, actions)
    } else if parser.word("CHANGE") {
        parser.word("COLUMN");
        let if_exists = parser.words(&["IF", "EXISTS"]);
        let old = parser.name()?;
        let definition = Box::new(create::column(parser)?);
        let place = place(parser)?;
        actions.push(Action::Change { old, definition, place, if_exists });
        Ok(())
    } else if parser.word("MODIFY") {
        parser.word("COLUMN");
        let if_exists = parser.words(&["IF", "EXISTS"]);
        let definition = Box::new(create::column(parser)?);
        let (old, place) = (definition.column.name.clone(), place(parser)?);
        actions.push(Action::Change { old, definition, place, if_exists });
        Ok(())
    } else if parser.word("RENAME") {
        rename(parser, actions)
    } else if parser.word("ALTER") {
        alter_clause(parser, actions)
    } else {
        option(parser, actions)
    }
}

fn add(parser: &mut Parser<'_, '_>, actions: &mut Vec<Action>) -> Result<(), NotUnderstood> {
    if parser.word("PARTITION") {
        skip_rest(parser);
        return Ok(());
    }
    if parser.words(&["SYSTEM", "VERSIONING"]) {
        actions.push(Action::AddRowVersions);
        return Ok(());
    }
    if let Some(key) = create::key(parser)? {
        actions.push(Action::AddKey(key));
        return Ok(());
    }
    parser.word("COLUMN");
    let if_not_exists = parser.words(&["IF", "NOT", "EXISTS"]);
    if !parser.symbol(b'(') {
        let definition = Box::new(create::column(parser)?);
        let place = place(parser)?;
        actions.push(Action::Add { definition, place, if_not_exists });
        return Ok(());
    }
    loop {
        if let Some(key) = create::key(parser)? {
            actions.push(Action::AddKey(key));
        } else {
            let definition = Box::new(create::column(parser)?);
            actions.push(Action::Add { definition, place: Place::Unsaid, if_not_exists });
        }
        if parser.symbol(b')') {
            return Ok(());
        }
        if !parser.symbol(b',') || actions.len() > MAX_ACTIONS {
            return Err(parser.not_understood());
        }
    }
}

fn place(parser: &mut Parser<'_, '_>) -> Result<Place, NotUnderstood> {
    if parser.word("FIRST") {
        Ok(Place::First)
    } else if parser.word("AFTER") {
        parser.name().map(Place::After)
    } else {
        Ok(Place::Unsaid)
    }
}

fn drop_clause(
    parser: &mut Parser<'_, '_>,
    actions: &mut Vec<Action>,
) -> Result<(), NotUnderstood> {
    if parser.word("PARTITION") {
        skip_rest(parser);
    } else if parser.words(&["SYSTEM", "VERSIONING"]) {
        actions.push(Action::DropRowVersions);
    } else if parser.words(&["PERIOD", "FOR"]) {
        parser.skip();
    } else if parser.words(&["PRIMARY", "KEY"]) {
        actions.push(Action::DropPrimaryKey);
    } else if parser.words(&["FOREIGN", "KEY"])
        || parser.one_of(&["INDEX", "KEY", "CONSTRAINT", "CHECK"])
    {
        parser.words(&["IF", "EXISTS"]);
        actions.push(Action::DropNamed(parser.name()?));
    } else {
        parser.word("COLUMN");
        let if_exists = parser.words(&["IF", "EXISTS"]);
        let name = parser.name()?;
        actions.push(Action::Drop { name, if_exists });
        parser.one_of(&["RESTRICT", "CASCADE"]);
    }
    Ok(())
}

fn rename(parser: &mut Parser<'_, '_>, actions: &mut Vec<Action>) -> Result<(), NotUnderstood> {
    let is_column = parser.word("COLUMN");
    if is_column || parser.word("INDEX") || parser.word("KEY") {
        parser.words(&["IF", "EXISTS"]);
        let old = parser.name()?;
        if !parser.word("TO") {
            return Err(parser.not_understood());
        }
        let new = parser.name()?;
        actions.push(if is_column {
            Action::RenameColumn { old, new }
        } else {
            Action::RenameKey { old, new }
        });
        return Ok(());
    }
    let _ = parser.word("TO") || parser.word("AS") || parser.symbol(b'=');
    actions.push(Action::RenameTable(parser.table()?));
    Ok(())
}

/// `ALTER [COLUMN] name SET …`, `ALTER INDEX name VISIBLE` and its like.
fn alter_clause(
    parser: &mut Parser<'_, '_>,
    actions: &mut Vec<Action>,
) -> Result<(), NotUnderstood> {
    if parser.one_of(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
        parser.skip_item();
        return Ok(());
    }
    parser.word("COLUMN");
    parser.words(&["IF", "EXISTS"]);
    let column = parser.name()?;
    if parser.words(&["SET", "INVISIBLE"]) {
        actions.push(Action::SetInvisible { column, invisible: true });
    } else if parser.words(&["SET", "VISIBLE"]) {
        actions.push(Action::SetInvisible { column, invisible: false });
    } else if parser.words(&["SET", "DEFAULT"]) {
        parser.value();
    } else if !parser.words(&["DROP", "DEFAULT"]) {
        return Err(parser.not_understood());
    }
    Ok(())
}

/// Options of the table, and what is done to its files and partitions.
fn option(parser: &mut Parser<'_, '_>, actions: &mut Vec<Action>) -> Result<(), NotUnderstood> {
    const OF_PARTITIONS: &[&str] = &[
        "PARTITION",
        "REMOVE",
        "REORGANIZE",
        "REBUILD",
        "COALESCE",
        "TRUNCATE",
        "ANALYZE",
        "CHECK",
        "OPTIMIZE",
        "REPAIR",
        "EXCHANGE",
        "DISCARD",
        "IMPORT",
        "UPGRADE",
    ];
    let (mut charset, mut collation) = (None, None);
    if parser.words(&["CONVERT", "TO"]) {
        if !create::charset_option(parser, &mut charset, &mut collation)? {
            return Err(parser.not_understood());
        }
        create::charset_option(parser, &mut charset, &mut collation)?;
        actions.push(Action::Convert { charset, collation });
    } else if parser.is_word("CONVERT") {
        // MariaDB makes a table of a partition so, or the other way round.
        return Err(parser.not_understood());
    } else if create::charset_option(parser, &mut charset, &mut collation)? {
        create::charset_option(parser, &mut charset, &mut collation)?;
        actions.push(Action::Default { charset, collation });
    } else if parser.words(&["ORDER", "BY"]) || parser.one_of(OF_PARTITIONS) {
        skip_rest(parser);
    } else if parser.word("FORCE")
        || parser.words(&["ENABLE", "KEYS"])
        || parser.words(&["DISABLE", "KEYS"])
        || parser.words(&["WITH", "VALIDATION"])
        || parser.words(&["WITHOUT", "VALIDATION"])
    {
    } else {
        table_option(parser)?;
    }
    Ok(())
}

/// `name = value`; without the sign the options that are known alone, as it could be another clause.
fn table_option(parser: &mut Parser<'_, '_>) -> Result<(), NotUnderstood> {
    const KNOWN: &[&str] = &[
        "ENGINE",
        "ROW_FORMAT",
        "COMMENT",
        "AUTO_INCREMENT",
        "KEY_BLOCK_SIZE",
        "ALGORITHM",
        "LOCK",
        "STATS_PERSISTENT",
        "STATS_AUTO_RECALC",
        "STATS_SAMPLE_PAGES",
        "COMPRESSION",
        "ENCRYPTION",
        "MAX_ROWS",
        "MIN_ROWS",
        "AVG_ROW_LENGTH",
        "CHECKSUM",
        "DELAY_KEY_WRITE",
        "PACK_KEYS",
        "CONNECTION",
        "TABLESPACE",
        "UNION",
        "INSERT_METHOD",
        "AUTOEXTEND_SIZE",
        "PAGE_COMPRESSED",
        "SECONDARY_ENGINE",
        "SECONDARY_LOAD",
        "SECONDARY_UNLOAD",
        "TYPE",
        "TRANSACTIONAL",
    ];
    if parser.one_of(&["DATA", "INDEX"]) && !parser.word("DIRECTORY") {
        return Err(parser.not_understood());
    }
    if parser.one_of(&["SECONDARY_LOAD", "SECONDARY_UNLOAD"]) {
        return Ok(());
    }
    let is_known = parser.is_symbol(b'=') || KNOWN.iter().any(|name| parser.is_word(name));
    if !parser.is_symbol(b'=') {
        parser.name()?;
    }
    if !is_known && !parser.is_symbol(b'=') {
        return Err(parser.not_understood());
    }
    parser.assigned();
    Ok(())
}

fn skip_rest(parser: &mut Parser<'_, '_>) {
    while !parser.is_at_end() {
        parser.skip();
    }
}

/// A clause that cannot be carried out on the table as it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Contradiction {
    #[error("it adds the column `{0}`, which is there already")]
    IsThere(String),
    #[error("it names the column `{0}`, which is not there")]
    IsNotThere(String),
    #[error("the table would have more columns than any server takes")]
    TooManyColumns,
}

/// Carries the clauses out as servers do (`mysql_prepare_alter_table`): old columns are dropped or
/// replaced where they are, all at once; then those that are new or get another place follow in the
/// order of the clauses. `AFTER` names a column as it is called afterwards.
pub(super) fn apply(table: &Table, actions: &[Action]) -> Result<Table, Contradiction> {
    let mut new = Table { columns: Vec::with_capacity(table.columns.len()), ..table.clone() };
    check_names(table, actions)?;
    // New columns take the table's new character set.
    for action in actions {
        if let Action::Default { charset, collation } | Action::Convert { charset, collation } =
            action
        {
            new.charset.clone_from(charset);
            new.collation.clone_from(collation);
        }
    }
    for column in &table.columns {
        keep_or_change(column, actions, &mut new);
    }
    for action in actions {
        put(action, table, &mut new)?;
    }
    rename_in_keys(actions, &mut new);
    for action in actions {
        change_keys(action, table, &mut new);
    }
    new.forbid_null_in_primary_key();
    if new.columns.len() > create::MAX_COLUMNS {
        return Err(Contradiction::TooManyColumns);
    }
    Ok(new)
}

/// Every column that is named must be there.
fn check_names(table: &Table, actions: &[Action]) -> Result<(), Contradiction> {
    for action in actions {
        let (name, may_be_missing) = match action {
            Action::Change { old, if_exists, .. } => (old, *if_exists),
            Action::RenameColumn { old, .. } => (old, false),
            Action::Drop { name, if_exists } => (name, *if_exists),
            Action::SetInvisible { column, .. } => (column, false),
            _ => continue,
        };
        if !may_be_missing && table.position(name).is_none() {
            return Err(Contradiction::IsNotThere(name.clone()));
        }
    }
    Ok(())
}

/// What becomes of a column that is there: dropped, changed where it is, or kept.
fn keep_or_change(column: &SchemaColumn, actions: &[Action], new: &mut Table) {
    let mut kept = column.clone();
    for action in actions {
        match action {
            Action::Drop { name, .. } if same(name, &column.name) => return,
            Action::DropRowVersions if column.generated == Some(Generated::RowVersion) => return,
            Action::Change { old, definition, place, .. } if same(old, &column.name) => {
                // Put in its place later.
                if *place != Place::Unsaid {
                    return;
                }
                kept = definition.column.clone();
            }
            Action::RenameColumn { old, new } if same(old, &column.name) => {
                kept.name.clone_from(new);
            }
            Action::SetInvisible { column: name, invisible } if same(name, &column.name) => {
                kept.invisible = *invisible;
            }
            Action::Convert { charset, collation } if has_characters(column) => {
                kept.charset.clone_from(charset);
                kept.collation.clone_from(collation);
                // Longer characters may take the next longer type.
                if matches!(kept.data_type, DataType::Text { .. }) {
                    kept.data_type = DataType::Text { width: None };
                }
            }
            _ => {}
        }
    }
    inherit_charset(&mut kept, new);
    new.columns.push(kept);
}

/// A definition without a character set takes the table's.
fn inherit_charset(column: &mut SchemaColumn, table: &Table) {
    if column.charset.is_none() && !column.is_binary {
        column.charset.clone_from(&table.charset);
        column.collation.clone_from(&table.collation);
    }
}

fn has_characters(column: &SchemaColumn) -> bool {
    let is_text = matches!(
        column.data_type,
        DataType::Char { .. }
            | DataType::VarChar { .. }
            | DataType::Text { .. }
            | DataType::Enum { .. }
            | DataType::Set { .. }
    );
    is_text && !column.is_binary
}

/// Puts new columns, and those that are moved, where they belong.
fn put(action: &Action, old: &Table, new: &mut Table) -> Result<(), Contradiction> {
    let (definition, place) = match action {
        Action::Add { definition, place, if_not_exists } => {
            let name = &definition.column.name;
            if new.position(name).is_some() {
                return if *if_not_exists {
                    Ok(())
                } else {
                    Err(Contradiction::IsThere(name.clone()))
                };
            }
            (definition, place)
        }
        Action::Change { old: name, definition, place, .. }
            if *place != Place::Unsaid && old.position(name).is_some() =>
        {
            (definition, place)
        }
        Action::AddRowVersions => {
            create::add_row_versions(new);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let mut column = definition.column.clone();
    inherit_charset(&mut column, new);
    let at = match place {
        Place::Unsaid => end_of_named(new),
        Place::First => 0,
        Place::After(name) => match new.position(name) {
            Some(position) => position.saturating_add(1),
            None => return Err(Contradiction::IsNotThere(name.clone())),
        },
    };
    new.columns.insert(at, column);
    Ok(())
}

/// MariaDB keeps the columns of a table's history, which it named itself, behind all others.
fn end_of_named(table: &Table) -> usize {
    let is_of_history = |column: &&SchemaColumn| {
        column.generated == Some(Generated::RowVersion) && column.invisible
    };
    let history = table.columns.iter().rev().take_while(is_of_history).count();
    table.columns.len().saturating_sub(history)
}

fn change_keys(action: &Action, old: &Table, new: &mut Table) {
    match action {
        Action::Add { definition, .. } if old.position(&definition.column.name).is_none() => {
            definition.add_keys(new);
        }
        Action::Change { old: name, definition, .. } if old.position(name).is_some() => {
            definition.add_keys(new);
        }
        Action::Drop { name, .. } => new.forget_in_keys(name),
        Action::AddKey(key) => key.clone().add(new),
        Action::DropPrimaryKey => new.primary_key = None,
        Action::DropNamed(name) => drop_named(new, name),
        Action::RenameKey { old, new: name } => {
            let keys = new.unique_keys.iter_mut();
            keys.filter(|key| create::is_named(key, old))
                .for_each(|key| key.name = Some(name.clone()));
        }
        _ => {}
    }
}

/// Gives columns their new names in all keys, at once: two columns may swap theirs.
fn rename_in_keys(actions: &[Action], table: &mut Table) {
    let renamed = |name: &String| {
        let mut each = actions.iter();
        each.find_map(|action| match action {
            Action::Change { old, definition, .. } if same(old, name) => {
                Some(definition.column.name.clone())
            }
            Action::RenameColumn { old, new } if same(old, name) => Some(new.clone()),
            _ => None,
        })
    };
    let rename = |key: &mut UniqueKey| {
        for column in &mut key.columns {
            if let Some(new) = renamed(column) {
                *column = new;
            }
        }
    };
    table.primary_key.iter_mut().for_each(rename);
    table.unique_keys.iter_mut().for_each(rename);
}

/// Drops the key or foreign key of a name.
pub(super) fn drop_named(table: &mut Table, name: &str) {
    // MySQL's way to name the primary key.
    if same(name, "PRIMARY") {
        table.primary_key = None;
    }
    table.unique_keys.retain(|key| !create::is_named(key, name));
    table.foreign_keys.retain(|key| !key.name.as_deref().is_some_and(|it| same(it, name)));
}
