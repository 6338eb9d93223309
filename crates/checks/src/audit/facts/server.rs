//! What a live server says of itself, and what could not be asked for want of a privilege.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;

/// One live server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ServerFacts {
    /// How the user named it, without user and parameters: `host:port`, or a socket's path.
    pub address: String,
    /// Whose server it is.
    pub flavour: Flavour,
    /// Its version as it says it: `9.7.0`, `10.11.14-MariaDB-0+deb12u2`.
    pub version: String,
    /// `server_uuid`; MariaDB has none.
    pub server_uuid: Option<String>,
    /// `server_id`.
    pub server_id: Option<u32>,
    /// What it calls its own host (`hostname`), and where it listens (`port`).
    pub hostname: Option<String>,
    /// See `hostname`.
    pub port: Option<u16>,
    /// Whether this audit was let in as an account that must use TLS, and how.
    pub connection: ConnectionFacts,
    /// The variables of interest that it has, by name in lower case, values as it prints them. One
    /// that is not here does not exist in this version.
    pub variables: BTreeMap<String, String>,
    /// Its binary logs; `None` if it keeps none, or if they could not be listed.
    pub binary_logs: Option<Vec<BinaryLogFacts>>,
    /// Keyrings that are loaded.
    pub keyrings: Vec<KeyringFacts>,
    /// Ids of binary log keys in the keyring, as the server shows them: cut to 64 characters, which
    /// takes the end off a server UUID's key. `None` if it does not show them.
    pub binlog_keys: Option<Vec<String>>,
    /// What it replicates from.
    pub channels: Vec<ChannelFacts>,
    /// Replicas that are connected now.
    pub replicas: Vec<DumpConnection>,
    /// Accounts that may read the binary logs. `None` if accounts could not be read.
    pub accounts: Option<Vec<AccountFacts>>,
    /// Accounts that may not, and are a way to those that may: without a password, anonymous, with
    /// the tables of `mysql`.
    pub other_accounts: Vec<AccountFacts>,
    /// Whether it is an SQL node of an NDB Cluster (`ndbcluster` is active).
    pub ndb: bool,
    /// Whether others may copy it as a whole (the plugin `clone` is active).
    pub clones: bool,
    /// Where it listens with TLS, and whether that is on (performance_schema.tls_channel_status);
    /// empty where the version does not say.
    pub tls_listeners: Vec<TlsListenerFacts>,
    /// `Ssl_server_not_after`, in its words.
    pub certificate_end: Option<String>,
    /// Other sources that channels turn to by themselves.
    pub failover_sources: Vec<FailoverSource>,
    /// What could not be looked at, by area, for other reasons than a missing privilege of the guide.
    pub not_asked: Vec<NotAsked>,
    /// What could not be asked.
    pub missing_privileges: Vec<MissingPrivilege>,
}

/// A row of `performance_schema.tls_channel_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TlsListenerFacts {
    /// `mysql_main`, `mysql_admin`.
    pub name: String,
    /// Whether TLS is on there.
    pub enabled: bool,
}

/// A source that a channel may turn to (`asynchronous_connection_failover_add_source`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailoverSource {
    /// The channel's name.
    pub channel: String,
    /// Host and port.
    pub place: String,
}

/// What was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotAsked {
    /// Of which area.
    pub area: Area,
    /// What, and why.
    pub because: String,
}

/// A part of what makes a set-up private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// TLS of whoever connects to the server.
    Transit,
    /// Logs on the disk, relay logs among them.
    AtRest,
    /// Who may read the logs.
    Accounts,
    /// Where the keys of the logs are.
    Keys,
    /// Certificates and their keys.
    Certificates,
    /// What the server replicates from.
    Channels,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// MySQL, and its rebuilds.
    #[default]
    Mysql,
    /// Percona Server.
    Percona,
    /// MariaDB.
    Mariadb,
}

impl Flavour {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mysql => "MySQL",
            Self::Percona => "Percona Server",
            Self::Mariadb => "MariaDB",
        }
    }
}

/// The audit's own connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConnectionFacts {
    /// Through a socket, which nobody can listen on.
    pub socket: bool,
    /// `TLSv1.3`; `None` without TLS.
    pub tls_version: Option<String>,
    /// As the server names it.
    pub cipher: Option<String>,
    /// What of the server's certificate was verified.
    pub verified: Verification,
    /// The certificate that the server showed.
    pub certificate: Option<Certificate>,
}

/// What a client verifies of a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// Nothing.
    #[default]
    None,
    /// That a known authority signed it.
    Authority,
    /// That, and the host name.
    Identity,
}

/// A row of `SHOW BINARY LOGS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BinaryLogFacts {
    /// Its file name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// The column `Encrypted`; `None` where there is none (before 8.0.14, MariaDB).
    pub encrypted: Option<bool>,
}

/// A keyring that the server has loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyringFacts {
    /// `component_keyring_file`, `keyring_file`, `file_key_management` …
    pub name: String,
    /// How it is built in.
    pub kind: KeyringKind,
    /// `Active`, `ACTIVE`, `DISABLED` …, as the server says it.
    pub status: String,
    /// Whether it was there before the storage engines: components always, plugins if they were
    /// not installed by `INSTALL PLUGIN`. `None` if that could not be found out.
    pub early: Option<bool>,
    /// Where its data are, if it says so.
    pub location: Option<String>,
}

/// How a keyring is built into a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum KeyringKind {
    /// Named by the manifest `mysqld.my`.
    Component,
    /// `early-plugin-load`, or MariaDB's `plugin_load_add`.
    Plugin,
}

impl KeyringFacts {
    /// Whether it works.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status.eq_ignore_ascii_case("active")
    }
}

/// A replication channel, from its replica's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ChannelFacts {
    /// Its name; empty for the default one.
    pub name: String,
    /// Where it connects to.
    pub source_host: String,
    /// See `source_host`.
    pub source_port: u16,
    /// As whom.
    pub source_user: String,
    /// The source's `server_uuid`, once it has been connected.
    pub source_uuid: Option<String>,
    /// The source's `server_id`, once it has been connected.
    pub source_server_id: Option<u32>,
    /// Whether it is connected: `Yes`, `Connecting`, `No`.
    pub io_running: String,
    /// Whether the applier runs.
    pub sql_running: String,
    /// `Source_SSL_Allowed`: TLS is used, and no connection is made without it.
    pub ssl: bool,
    /// `Source_SSL_CA_File`
    pub ssl_ca: Option<String>,
    /// `Source_SSL_CA_Path`
    pub ssl_ca_path: Option<String>,
    /// `Source_SSL_Cert`
    pub ssl_cert: Option<String>,
    /// `Source_SSL_Key`, the file's name.
    pub ssl_key: Option<String>,
    /// `Source_SSL_Cipher`
    pub ssl_cipher: Option<String>,
    /// `Source_SSL_Verify_Server_Cert`: authority and host name.
    pub verify_server_cert: bool,
    /// `Source_TLS_Version`; empty means whatever the server's own client code allows.
    pub tls_version: Option<String>,
    /// The last error of the connection, if it has one.
    pub last_io_error: Option<String>,
    /// Its number.
    pub last_io_errno: Option<u32>,
    /// `Source_SSL_Crl`: a file of revoked certificates.
    pub ssl_crl: Option<String>,
    /// `Source_SSL_Crlpath`: a directory of such files.
    pub ssl_crl_path: Option<String>,
    /// `TLS_CIPHERSUITES`, of TLS 1.3; `Some("")` allows none, `None` is the library's own list, or
    /// not known.
    pub tls_ciphersuites: Option<String>,
    /// `GET_SOURCE_PUBLIC_KEY`: without TLS, the password goes wrapped under whatever key comes.
    pub gets_public_key: bool,
}

/// A connection that reads the binary logs now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DumpConnection {
    /// Its id in the process list.
    pub id: u64,
    /// As whom.
    pub user: String,
    /// From where, without the port.
    pub host: String,
    /// The replica's `server_uuid`, which it tells the source.
    pub replica_uuid: Option<String>,
    /// The TLS version in use. `Some("")` is a connection without TLS, `None` is not known.
    pub tls_version: Option<String>,
    /// The cipher in use, with `tls_version`.
    pub cipher: Option<String>,
}

impl DumpConnection {
    /// Whether it is encrypted, if that is known.
    #[must_use]
    pub fn encrypted(&self) -> Option<bool> {
        self.tls_version.as_ref().map(|version| !version.is_empty())
    }
}

/// An account that may read the binary logs (`REPLICATION SLAVE`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccountFacts {
    /// Its name.
    pub user: String,
    /// Where it may come from.
    pub host: String,
    /// What `REQUIRE` says.
    pub require: TlsRequirement,
    /// How it proves who it is.
    pub plugin: String,
    /// Nobody can use it.
    pub locked: bool,
    /// Global privileges it has besides `REPLICATION SLAVE`, `REPLICATION CLIENT` and `USAGE`.
    pub other_privileges: Vec<String>,
    /// Whether it may hand its privileges on.
    pub grant_option: bool,
    /// Whether it may read the binary logs, itself or by a role.
    pub may_replicate: bool,
    /// The role that lets it, where it has no such privilege itself.
    pub by_role: Option<String>,
    /// Whether it has an empty password; `None` where that could not be asked.
    pub has_empty_password: Option<bool>,
    /// What it may do with all tables of `mysql`.
    pub system_tables: Vec<String>,
    /// What it may do with single tables and columns of `mysql` that hold secrets or privileges.
    pub secret_tables: Vec<TableGrant>,
    /// Whether it may copy the server by the plugin `clone` (`BACKUP_ADMIN`).
    pub may_clone: bool,
    /// Accounts that it may pose as (GRANT PROXY).
    pub proxies: Vec<String>,
}

/// A privilege on one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TableGrant {
    /// The table's name, without `mysql.`.
    pub table: String,
    /// As REVOKE has it: `SELECT, UPDATE`, `SELECT (authentication_string)`.
    pub privileges: String,
    /// The role that it comes by; `None` for a grant of its own.
    pub role: Option<String>,
}

/// What an account must show (`REQUIRE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TlsRequirement {
    /// Nothing: it may connect without TLS.
    #[default]
    None,
    /// `REQUIRE SSL`
    Ssl,
    /// `REQUIRE X509`: any certificate that the server's authority signed.
    X509,
    /// `REQUIRE SUBJECT`, `ISSUER` or `CIPHER`
    Specified,
}

/// Something that was not looked at, and what would allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MissingPrivilege {
    /// What could not be asked.
    pub what: String,
    /// Which privilege does that.
    pub privilege: String,
    /// The statement that gives it to the account of this audit.
    pub grant: String,
}
