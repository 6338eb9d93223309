//! Accounts that may read the binary logs.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Problem;
use super::question::{Asker, Question, Record};
use crate::audit::facts::server::{AccountFacts, Area, Flavour, TlsRequirement};

/// Columns of `mysql.user` and what each stands for. `REPLICATION SLAVE` and `REPLICATION CLIENT`
/// are what a replica has.
const PRIVILEGES: &[(&str, &str)] = &[
    ("Select_priv", "SELECT"),
    ("Insert_priv", "INSERT"),
    ("Update_priv", "UPDATE"),
    ("Delete_priv", "DELETE"),
    ("Create_priv", "CREATE"),
    ("Drop_priv", "DROP"),
    ("Reload_priv", "RELOAD"),
    ("Shutdown_priv", "SHUTDOWN"),
    ("Process_priv", "PROCESS"),
    ("File_priv", "FILE"),
    ("References_priv", "REFERENCES"),
    ("Index_priv", "INDEX"),
    ("Alter_priv", "ALTER"),
    ("Show_db_priv", "SHOW DATABASES"),
    ("Super_priv", "SUPER"),
    ("Create_tmp_table_priv", "CREATE TEMPORARY TABLES"),
    ("Lock_tables_priv", "LOCK TABLES"),
    ("Execute_priv", "EXECUTE"),
    ("Create_view_priv", "CREATE VIEW"),
    ("Show_view_priv", "SHOW VIEW"),
    ("Create_routine_priv", "CREATE ROUTINE"),
    ("Alter_routine_priv", "ALTER ROUTINE"),
    ("Create_user_priv", "CREATE USER"),
    ("Event_priv", "EVENT"),
    ("Trigger_priv", "TRIGGER"),
    ("Create_tablespace_priv", "CREATE TABLESPACE"),
];
const ROLES: &[(&str, &str)] =
    &[("Create_role_priv", "CREATE ROLE"), ("Drop_role_priv", "DROP ROLE")];
/// Dynamic privileges that replicas need, or that do no harm.
const HARMLESS: &[&str] = &[
    "REPLICATION_APPLIER",
    "GROUP_REPLICATION_STREAM",
    "CONNECTION_ADMIN",
    // Remote cloning wants it at the donor, as a member that recovers may be cloned.
    "BACKUP_ADMIN",
];
/// Accounts that servers make for themselves, locked.
const INTERNAL: &[&str] = &["mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"];

type Name = (String, String);
/// Plugins that let in whoever has the password, which may be empty.
const PASSWORD_PLUGINS: &[&str] = &[
    "",
    "mysql_native_password",
    "caching_sha2_password",
    "sha256_password",
    "mysql_old_password",
    "ed25519",
    "parsec",
];
/// Privileges on the tables of `mysql` that show or change who may do what.
const TABLE_PRIVILEGES: &[(&str, &str)] = &[
    ("Select_priv", "SELECT"),
    ("Insert_priv", "INSERT"),
    ("Update_priv", "UPDATE"),
    ("Delete_priv", "DELETE"),
];

/// Accounts that may read the binary logs, themselves or by a role, and `None` if accounts cannot be
/// read; then those that are a way to them.
pub(super) fn accounts(
    asker: &mut Asker,
) -> Result<(Option<Vec<AccountFacts>>, Vec<AccountFacts>), Problem> {
    let columns = columns(asker);
    let list = columns.join(", ");
    // Not the whole table: that would show this account the others' password hashes.
    let answer = asker.ask(&Question {
        what: "the accounts that may replicate, and whether they must use TLS",
        privilege: &format!("SELECT ({list}) ON mysql.user"),
        statement: &format!("SELECT {list} FROM mysql.user"),
    })?;
    let Some(answer) = answer else {
        return Ok((None, Vec::new()));
    };
    let is_internal = |row: &Record<'_>| INTERNAL.contains(&&*row.text(&["User"]));
    let rows = || answer.records().filter(|row| !is_internal(row));
    let is_role = |row: &Record<'_>| row.flag(&["is_role"]);
    let name = |row: Record<'_>| (row.text(&["User"]), row.text(&["Host"]));
    // MySQL's roles are accounts as others are, mostly locked.
    let replicates = rows().filter(|row| row.flag(&["Repl_slave_priv"])).map(name);
    let roles = roles(asker, replicates.collect())?;
    let mut accounts: Vec<_> = rows().filter(|row| !is_role(row)).map(account).collect();
    if asker.flavour != Flavour::Mariadb && asker.since(8, 0, 0) {
        let dynamic = dynamic_privileges(asker)?;
        for account in &mut accounts {
            let more = dynamic.get(&(account.user.clone(), account.host.clone()));
            account.other_privileges.extend(more.into_iter().flatten().cloned());
        }
    }
    for account in &mut accounts {
        let of = (account.user.clone(), account.host.clone());
        account.by_role = roles.get(&of).cloned().filter(|_| !account.may_replicate);
        account.may_replicate |= account.by_role.is_some();
    }
    passwords(asker, &mut accounts)?;
    system_tables(asker, &mut accounts)?;
    proxies(asker, &mut accounts)?;
    let (readers, others): (Vec<_>, Vec<_>) =
        accounts.into_iter().partition(|account| account.may_replicate);
    let is_a_way = |account: &AccountFacts| {
        account.user.is_empty()
            || account.has_empty_password == Some(true)
            || !account.system_tables.is_empty()
            || !account.proxies.is_empty()
    };
    Ok((Some(readers), others.into_iter().filter(is_a_way).collect()))
}

/// The accounts that have a privilege through a role, whether it is one of their defaults or not: who
/// was given a role may take it on.
fn roles(asker: &mut Asker, direct: BTreeSet<Name>) -> Result<BTreeMap<Name, String>, Problem> {
    let question = match asker.flavour {
        Flavour::Mariadb => Question {
            what: "which accounts replicate through a role",
            privilege: "SELECT ON mysql.roles_mapping",
            statement: "SELECT Role AS from_user, '' AS from_host, User AS to_user, \
                        Host AS to_host FROM mysql.roles_mapping",
        },
        _ if asker.since(8, 0, 0) => Question {
            what: "which accounts replicate through a role",
            privilege: "SELECT ON mysql.role_edges",
            statement: "SELECT FROM_USER AS from_user, FROM_HOST AS from_host, \
                        TO_USER AS to_user, TO_HOST AS to_host FROM mysql.role_edges",
        },
        _ => return Ok(BTreeMap::new()),
    };
    let answer = asker.ask_if_possible(Area::Accounts, &question)?.unwrap_or_default();
    let edges: Vec<(Name, Name)> = answer
        .records()
        .map(|row| {
            let from = (row.text(&["from_user"]), row.text(&["from_host"]));
            (from, (row.text(&["to_user"]), row.text(&["to_host"])))
        })
        .collect();
    let mut found: BTreeMap<Name, String> = BTreeMap::new();
    let mut pending: Vec<(Name, String)> =
        direct.into_iter().map(|name| (name.clone(), name.0)).collect();
    while let Some((role, first)) = pending.pop() {
        for (_, to) in edges.iter().filter(|(from, _)| *from == role) {
            if !found.contains_key(to) {
                found.insert(to.clone(), first.clone());
                pending.push((to.clone(), first.clone()));
            }
        }
    }
    Ok(found)
}

/// Which passwords are empty. The column has the hashes: not every audit's account is given it.
fn passwords(asker: &mut Asker, accounts: &mut [AccountFacts]) -> Result<(), Problem> {
    let answer = asker.ask_if_possible(
        Area::Accounts,
        &Question {
            what: "whether passwords are empty",
            privilege: "SELECT (User, Host, authentication_string) ON mysql.user",
            statement: "SELECT User, Host, LENGTH(authentication_string) = 0 FROM mysql.user",
        },
    )?;
    let Some(answer) = answer else {
        return Ok(());
    };
    let empty: BTreeSet<Name> = answer
        .records()
        .filter(|row| row.at(2) == Some("1"))
        .map(|row| (row.text(&["User"]), row.text(&["Host"])))
        .collect();
    for account in accounts {
        let name = (account.user.clone(), account.host.clone());
        let by_password = PASSWORD_PLUGINS.contains(&&*account.plugin);
        account.has_empty_password = Some(by_password && empty.contains(&name));
    }
    Ok(())
}

/// Who may read or change the tables of `mysql`: hashes, privileges, the channels' passwords.
fn system_tables(asker: &mut Asker, accounts: &mut [AccountFacts]) -> Result<(), Problem> {
    let answer = asker.ask_if_possible(
        Area::Accounts,
        &Question {
            what: "who may read and change the tables of mysql",
            privilege: "SELECT ON mysql.db",
            statement: "SELECT User, Host, Db, Select_priv, Insert_priv, Update_priv, Delete_priv \
                        FROM mysql.db",
        },
    )?;
    for row in answer.unwrap_or_default().records() {
        let database = row.text(&["Db"]).replace('\\', "");
        if !matches!(&*database, "mysql" | "%" | "mysql%" | "my%") {
            continue;
        }
        let (user, host) = (row.text(&["User"]), row.text(&["Host"]));
        let of = accounts.iter_mut().find(|it| it.user == user && it.host == host);
        if let Some(account) = of {
            let has = TABLE_PRIVILEGES.iter().filter(|(column, _)| row.flag(&[column]));
            account.system_tables.extend(has.map(|(_, privilege)| (*privilege).to_owned()));
        }
    }
    Ok(())
}

/// Who may pose as whom.
fn proxies(asker: &mut Asker, accounts: &mut [AccountFacts]) -> Result<(), Problem> {
    let answer = asker.ask_if_possible(
        Area::Accounts,
        &Question {
            what: "who may pose as another account",
            privilege: "SELECT ON mysql.proxies_priv",
            statement: "SELECT User, Host, Proxied_user, Proxied_host FROM mysql.proxies_priv",
        },
    )?;
    let readers: Vec<Name> = accounts
        .iter()
        .filter(|account| account.may_replicate)
        .map(|account| (account.user.clone(), account.host.clone()))
        .collect();
    for row in answer.unwrap_or_default().records() {
        let proxied = (row.text(&["Proxied_user"]), row.text(&["Proxied_host"]));
        let (user, host) = (row.text(&["User"]), row.text(&["Host"]));
        let of = accounts.iter_mut().find(|it| it.user == user && it.host == host);
        if let (Some(account), true) = (of, readers.contains(&proxied)) {
            account.proxies.push(crate::audit::sql::account(&proxied.0, &proxied.1));
        }
    }
    Ok(())
}

fn columns(asker: &Asker) -> Vec<&'static str> {
    let mut columns = vec!["User", "Host", "ssl_type", "plugin"];
    columns.push(match asker.flavour {
        Flavour::Mariadb => "is_role",
        _ => "account_locked",
    });
    columns.extend(["Repl_slave_priv", "Repl_client_priv", "Grant_priv"]);
    columns.extend(PRIVILEGES.iter().map(|(column, _)| *column));
    if asker.flavour != Flavour::Mariadb && asker.since(8, 0, 0) {
        columns.extend(ROLES.iter().map(|(column, _)| *column));
    }
    columns
}

fn account(row: Record<'_>) -> AccountFacts {
    let others = PRIVILEGES.iter().chain(ROLES);
    AccountFacts {
        user: row.text(&["User"]),
        host: row.text(&["Host"]),
        require: match row.get(&["ssl_type"]) {
            Some("ANY") => TlsRequirement::Ssl,
            Some("X509") => TlsRequirement::X509,
            Some("SPECIFIED") => TlsRequirement::Specified,
            _ => TlsRequirement::None,
        },
        plugin: row.text(&["plugin"]),
        locked: row.flag(&["account_locked"]),
        other_privileges: others
            .filter(|(column, _)| row.flag(&[column]))
            .map(|(_, privilege)| (*privilege).to_owned())
            .collect(),
        grant_option: row.flag(&["Grant_priv"]),
        may_replicate: row.flag(&["Repl_slave_priv"]),
        ..AccountFacts::default()
    }
}

fn dynamic_privileges(asker: &mut Asker) -> Result<BTreeMap<Name, Vec<String>>, Problem> {
    let answer = asker.ask(&Question {
        what: "the dynamic privileges of accounts that may replicate",
        privilege: "SELECT ON mysql.global_grants",
        statement: "SELECT USER, HOST, PRIV FROM mysql.global_grants",
    })?;
    let mut found: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for row in answer.unwrap_or_default().records() {
        let privilege = row.text(&["PRIV"]);
        if !HARMLESS.contains(&&*privilege) {
            let account = (row.text(&["USER"]), row.text(&["HOST"]));
            found.entry(account).or_default().push(privilege);
        }
    }
    Ok(found)
}
