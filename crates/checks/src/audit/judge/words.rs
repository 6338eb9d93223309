//! Replication in the words of a server's version: masters and slaves, or sources and replicas.

use super::server::sql_remedy;
use crate::audit::facts::server::ChannelFacts;
use crate::audit::facts::settings::Settings;
use crate::audit::sql;
use crate::finding::Remedy;

/// Where nobody says where the authority's certificate is.
pub(super) const USUAL_CA: &str = "/etc/mysql/ca.pem";
/// Before a remedy that names such a file.
pub(super) const PLACEHOLDER: &str = "-- PLACEHOLDER: the files below /etc/mysql stand for yours: the CA that \
                           signed the source's certificate (not one that a server made for itself), \
                           readable for this server's user. Without it the channel stops\n";

/// The channel's name, as findings have it.
pub(in crate::audit) fn object(channel: &ChannelFacts) -> String {
    match &*channel.name {
        "" => "default channel".to_owned(),
        name => format!("channel {name}"),
    }
}

/// The statement that shows a replica's channels.
pub(super) fn status(settings: &Settings) -> &'static str {
    if settings.is_mariadb() {
        "SHOW ALL SLAVES STATUS"
    } else if speaks_of_masters(settings) {
        "SHOW SLAVE STATUS"
    } else {
        "SHOW REPLICA STATUS"
    }
}

/// Whether a server has the words of before MySQL 8.0.22, as all of MariaDB's have.
pub(super) fn speaks_of_masters(settings: &Settings) -> bool {
    settings.is_mariadb() || !settings.since((8, 0, 22))
}

/// A column of what that statement shows, as the server calls it.
pub(super) fn column(settings: &Settings, name: &str) -> String {
    let prefix = if speaks_of_masters(settings) { "Master" } else { "Source" };
    format!("{prefix}_{name}")
}

/// The statements that change a channel, in the words of the server's version. Only the part that
/// connects is stopped, where that will do.
pub(in crate::audit) fn change(
    channel: &ChannelFacts,
    settings: &Settings,
    options: &[&str],
) -> Remedy {
    let old = settings.is_mariadb() || !settings.since((8, 0, 23));
    let (prefix, replica, statement) = if old {
        ("MASTER_", "SLAVE", "CHANGE MASTER")
    } else {
        ("SOURCE_", "REPLICA", "CHANGE REPLICATION SOURCE")
    };
    let options: Vec<_> = options.iter().map(|option| format!("{prefix}{option}")).collect();
    let options = options.join(", ");
    let name = sql::quoted(&channel.name);
    let mut remedy = sql_remedy(if settings.is_mariadb() {
        let name = if channel.name.is_empty() { String::new() } else { format!(" {name}") };
        format!("STOP SLAVE{name};\nCHANGE MASTER{name} TO {options};\nSTART SLAVE{name};")
    } else {
        let channel =
            if channel.name.is_empty() { String::new() } else { format!(" FOR CHANNEL {name}") };
        format!(
            "STOP {replica} IO_THREAD{channel};\n{statement} TO {options}{channel};\nSTART {replica} IO_THREAD{channel};"
        )
    });
    let placeholders = [USUAL_CA, "/etc/mysql/client-cert.pem"];
    if placeholders.iter().any(|it| options.contains(it)) {
        remedy.text.insert_str(0, PLACEHOLDER);
    }
    remedy
}
