//! master.info: what a replica writes down about its source where it does not use tables.
//!
//! Source: MySQL's reference manual, "Replication Metadata Repositories"; MariaDB writes the same
//! lines up to `Ssl_verify_server_cert`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::server::ChannelFacts;

/// One such file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReplicaFileFacts {
    /// Which file.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Whether a password stands in it.
    pub has_password: bool,
    /// The channel.
    pub channel: ChannelFacts,
}

/// Lines that every version has: up to `Ssl_verify_server_cert`.
const LEAST_LINES: usize = 15;

impl ReplicaFileFacts {
    /// From the text of a file; `None` where it is none.
    #[must_use]
    pub fn parse(path: PathBuf, mode: u32, text: &str) -> Option<Self> {
        let lines: Vec<_> = text.lines().collect();
        let line = |number: usize| {
            let index = number.checked_sub(1)?;
            lines.get(index).copied().filter(|line| !line.is_empty())
        };
        let count: usize = line(1)?.trim().parse().ok()?;
        if count < LEAST_LINES || lines.len() < LEAST_LINES || line(4).is_none() {
            return None;
        }
        let owned = |number| line(number).map(str::to_owned);
        let is_one = |number| line(number) == Some("1");
        // MariaDB goes on with other lines, and with `name=value`.
        let is_mysql = !lines.iter().any(|line| line.starts_with("using_gtid="));
        let of_mysql = |number| owned(number).filter(|_| is_mysql && count >= number);
        let channel = ChannelFacts {
            name: of_mysql(24).unwrap_or_default(),
            source_host: owned(4)?,
            source_user: owned(5).unwrap_or_default(),
            source_port: line(7)?.parse().ok()?,
            ssl: is_one(9),
            ssl_ca: owned(10),
            ssl_ca_path: owned(11),
            ssl_cert: owned(12),
            ssl_cipher: owned(13),
            ssl_key: owned(14),
            verify_server_cert: is_one(15),
            source_uuid: of_mysql(19),
            // MariaDB keeps MySQL's places for these two.
            ssl_crl: owned(21).filter(|_| count >= 22),
            ssl_crl_path: owned(22).filter(|_| count >= 22),
            tls_version: of_mysql(25),
            ..ChannelFacts::default()
        };
        Some(Self { path, mode, has_password: line(6).is_some(), channel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: &str = "25\nbinlog.000004\n154\nsource.example\nrepl\nsecret\n3306\n60\n1\n\
        /etc/mysql/ca.pem\n\n\n\n\n1\n30.000\n\n0\n2bc92730-e533-11f1-b7bc-02fc00000001\n86400\n\
        \n\n1\neast\nTLSv1.2\n";

    #[test]
    fn lines_are_told_by_their_number() {
        let facts = ReplicaFileFacts::parse("master.info".into(), 0o640, MYSQL).unwrap();
        assert!(facts.has_password && facts.channel.ssl && facts.channel.verify_server_cert);
        assert_eq!(facts.channel.source_host, "source.example");
        assert_eq!(facts.channel.name, "east");
        assert_eq!(facts.channel.tls_version.as_deref(), Some("TLSv1.2"));
        assert!(!format!("{facts:?}").contains("secret"));
    }

    #[test]
    fn mariadb_and_old_servers_have_fewer_lines() {
        let text = "33\nb.000001\n4\n10.0.0.1\nrepl\n\n3306\n60\n0\n\n\n\n\n\n0\n60.000\n\n\n\n\
                    \n\n\n\n\n\n\n\n\n\n\n\nusing_gtid=0\ndo_domain_ids=0\nEND_MARKER\n";
        let facts = ReplicaFileFacts::parse("master.info".into(), 0o660, text).unwrap();
        assert!(!facts.has_password && !facts.channel.ssl);
        assert_eq!(facts.channel.name, "");
        assert!(ReplicaFileFacts::parse("x".into(), 0, "[mysqld]\n").is_none());
        assert!(ReplicaFileFacts::parse("x".into(), 0, "25\nb\n").is_none());
    }
}
