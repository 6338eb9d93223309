//! Who may read or change single tables and columns of `mysql` that hold secrets or privileges.

use super::error::Problem;
use super::question::{Asker, Question};
use crate::audit::facts::server::{AccountFacts, Area, TableGrant};
use crate::audit::sql;

/// Tables that hold hashes, passwords of channels and of other servers, or who may do what; each with its
/// columns that hold a secret.
const TABLES: [(&str, &[&str]); 14] = [
    ("user", &["authentication_string", "Password"]),
    ("global_priv", &["Priv"]),
    ("password_history", &["Password"]),
    ("slave_master_info", &["User_password"]),
    ("servers", &["Password"]),
    ("db", &[]),
    ("tables_priv", &[]),
    ("columns_priv", &[]),
    ("proxies_priv", &[]),
    ("role_edges", &[]),
    ("default_roles", &[]),
    ("roles_mapping", &[]),
    ("global_grants", &[]),
    ("plugin", &[]),
];
/// Privileges that change a table.
const WRITES: [&str; 4] = ["Insert", "Update", "Delete", "Drop"];

/// Adds what each account may do. The account of the audit is passed over: it was given what it has for
/// this.
pub(super) fn tables(asker: &mut Asker, accounts: &mut [AccountFacts]) -> Result<(), Problem> {
    let of_tables = asker.ask_if_possible(
        Area::Accounts,
        &Question {
            what: "who may read and change single tables of mysql",
            privilege: "SELECT ON mysql.tables_priv",
            statement: "SELECT User, Host, Table_name, Table_priv FROM mysql.tables_priv \
                        WHERE Db = 'mysql'",
        },
    )?;
    let of_columns = asker.ask_if_possible(
        Area::Accounts,
        &Question {
            what: "who may read and change single columns of mysql",
            privilege: "SELECT ON mysql.columns_priv",
            statement: "SELECT User, Host, Table_name, Column_name, Column_priv \
                        FROM mysql.columns_priv WHERE Db = 'mysql'",
        },
    )?;
    let mut add = |user: &str, host: &str, grant: TableGrant| {
        let is_own = asker.is_own(&sql::account(user, host));
        let of = accounts.iter_mut().find(|it| it.user == user && it.host == host);
        if let Some(account) = of.filter(|_| !is_own) {
            account.secret_tables.push(grant);
        }
    };
    for row in of_tables.unwrap_or_default().records() {
        let table = row.text(&["Table_name"]);
        let Some((_, columns)) = TABLES.iter().find(|(name, _)| *name == table) else {
            continue;
        };
        let listed = row.text(&["Table_priv"]);
        // Who may do what may be read by whoever is to watch over it; hashes may not.
        let reads = |privilege: &str| privilege == "Select" && !columns.is_empty();
        let held: Vec<_> = listed
            .split(',')
            .filter(|it| reads(it) || WRITES.contains(it))
            .map(str::to_uppercase)
            .collect();
        if !held.is_empty() {
            let privileges = held.join(", ");
            add(
                &row.text(&["User"]),
                &row.text(&["Host"]),
                TableGrant { table, privileges, role: None },
            );
        }
    }
    for row in of_columns.unwrap_or_default().records() {
        let (table, column) = (row.text(&["Table_name"]), row.text(&["Column_name"]));
        let Some((_, columns)) = TABLES.iter().find(|(name, _)| *name == table) else {
            continue;
        };
        let is_secret = columns.iter().any(|it| it.eq_ignore_ascii_case(&column));
        let listed = row.text(&["Column_priv"]);
        for privilege in listed.split(',') {
            if privilege == "Select" && is_secret || WRITES.contains(&privilege) {
                let privileges = format!("{} ({column})", privilege.to_uppercase());
                let grant = TableGrant { table: table.clone(), privileges, role: None };
                add(&row.text(&["User"]), &row.text(&["Host"]), grant);
            }
        }
    }
    Ok(())
}
