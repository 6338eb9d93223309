//! Accounts that may read the binary logs.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Problem;
use super::question::{Asker, Question, Record};
use super::secrets;
use crate::audit::facts::server::{AccountFacts, Area, Flavour, TableGrant, TlsRequirement};

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
    // Remote cloning wants it at the donor, as a member that recovers may be cloned: see `may_clone`.
    BACKUP_ADMIN,
];
const BACKUP_ADMIN: &str = "BACKUP_ADMIN";
/// MariaDB's role that everybody has.
const PUBLIC: &str = "PUBLIC";
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
    // Roles are among them: what they have is handed on below.
    let mut all: Vec<_> = rows().map(account).collect();
    let is_role = |row: &Record<'_>| row.flag(&["is_role"]);
    let mariadb_roles: BTreeSet<Name> = rows().filter(is_role).map(name).collect();
    if asker.flavour != Flavour::Mariadb && asker.since(8, 0, 0) {
        let dynamic = dynamic_privileges(asker)?;
        for account in &mut all {
            let more = dynamic.get(&(account.user.clone(), account.host.clone()));
            let more = || more.into_iter().flatten();
            account.may_clone = more().any(|privilege| privilege == BACKUP_ADMIN);
            let counted = more().filter(|privilege| !HARMLESS.contains(&&***privilege));
            account.other_privileges.extend(counted.cloned());
        }
    }
    passwords(asker, &mut all)?;
    system_tables(asker, &mut all)?;
    secrets::tables(asker, &mut all)?;
    hand_on(&role_edges(asker)?, &mut all);
    proxies(asker, &mut all)?;
    all.retain(|it| {
        it.user == PUBLIC && it.host.is_empty()
            || !mariadb_roles.contains(&(it.user.clone(), it.host.clone()))
    });
    let (readers, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|account| account.may_replicate && !is_public(account));
    let is_a_way = |account: &AccountFacts| {
        account.user.is_empty()
            || account.has_empty_password == Some(true)
            || !account.system_tables.is_empty()
            || !account.secret_tables.is_empty()
            || account.may_clone
            || !account.proxies.is_empty()
    };
    Ok((Some(readers), others.into_iter().filter(is_a_way).collect()))
}

fn name(row: Record<'_>) -> Name {
    (row.text(&["User"]), row.text(&["Host"]))
}

fn is_public(account: &AccountFacts) -> bool {
    account.user == PUBLIC && account.host.is_empty()
}

/// Which role was given to whom: the role first.
fn role_edges(asker: &mut Asker) -> Result<Vec<(Name, Name)>, Problem> {
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
        _ => return Ok(Vec::new()),
    };
    let answer = asker.ask_if_possible(Area::Accounts, &question)?.unwrap_or_default();
    let edge = |row: Record<'_>| {
        let from = (row.text(&["from_user"]), row.text(&["from_host"]));
        (from, (row.text(&["to_user"]), row.text(&["to_host"])))
    };
    Ok(answer.records().map(edge).collect())
}

/// Gives every account what its roles have, whether they are among its defaults or not: who was given a
/// role may take it on. MariaDB's PUBLIC was given to everybody.
fn hand_on(edges: &[(Name, Name)], all: &mut [AccountFacts]) {
    let of = |it: &AccountFacts| (it.user.clone(), it.host.clone());
    let holders: BTreeMap<Name, AccountFacts> = all.iter().map(|it| (of(it), it.clone())).collect();
    let public = holders.values().find(|it| is_public(it)).map(of);
    for account in all.iter_mut() {
        let mut pending = vec![of(account)];
        pending.extend(public.clone().filter(|_| !is_public(account)));
        let mut seen: BTreeSet<Name> = pending.iter().cloned().collect();
        while let Some(holder) = pending.pop() {
            if let Some(role) = holders.get(&holder).filter(|_| holder != of(account)) {
                take_over(account, role);
            }
            for (role, _) in edges.iter().filter(|(_, to)| *to == holder) {
                if seen.insert(role.clone()) {
                    pending.push(role.clone());
                }
            }
        }
    }
}

/// What a role has that matters here. What PUBLIC may do with tables is said once, of itself.
fn take_over(account: &mut AccountFacts, role: &AccountFacts) {
    if role.may_replicate && !account.may_replicate {
        account.may_replicate = true;
        account.by_role = Some(role.user.clone());
    }
    account.may_clone |= role.may_clone;
    if is_public(role) {
        return;
    }
    if !role.system_tables.is_empty() {
        account.secret_tables.push(TableGrant {
            table: "*".to_owned(),
            privileges: role.system_tables.join(", "),
            role: Some(role.user.clone()),
        });
    }
    let of_tables = role.secret_tables.iter().filter(|grant| grant.role.is_none());
    let taken =
        of_tables.map(|grant| TableGrant { role: Some(role.user.clone()), ..grant.clone() });
    account.secret_tables.extend(taken);
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
        let account = (row.text(&["USER"]), row.text(&["HOST"]));
        found.entry(account).or_default().push(row.text(&["PRIV"]));
    }
    Ok(found)
}
