//! What live servers show: accounts, channels, connections, and who replicates from whom: BLR050 on.

use super::controls::*;
use super::{Language, Rule, RuleId, Severity};

/// Every rule over live servers, by its id.
pub(super) static RULES: &[Rule] = &[
    Rule {
        id: RuleId::Blr050,
        code: "BLR050",
        name: "account-tls-optional",
        title: "a replication account need not use TLS",
        severity: Severity::Error,
        meaning: "An account with REPLICATION SLAVE that may come from the network has no REQUIRE \
                  (`ssl_type` in mysql.user is empty). Accounts of `localhost` and locked ones are \
                  passed over.",
        risk: "Who has its password reads every change without encryption, and so does everybody on \
               the way. A replica whose TLS was switched off by mistake goes on replicating.",
        remedy: "ALTER USER 'repl'@'replica.example' REQUIRE SSL;",
        language: Language::Sql,
        advice: "REQUIRE X509 asks for a certificate besides the password. The account's channels \
                 must use TLS first (BLR060).",
        controls: ACCOUNT_TLS,
    },
    Rule {
        id: RuleId::Blr051,
        code: "BLR051",
        name: "account-without-certificate",
        title: "a replication account must use TLS, and needs no certificate",
        severity: Severity::Note,
        meaning: "The account says REQUIRE SSL: the connection is encrypted, and the password alone \
                  tells who is at its other end. REQUIRE X509, SUBJECT or ISSUER ask for a \
                  certificate as well.",
        risk: "Whoever learns the password can replicate from any machine that the account's host \
               allows.",
        remedy: "ALTER USER 'repl'@'replica.example' REQUIRE X509;",
        language: Language::Sql,
        advice: "Each replica needs SOURCE_SSL_CERT and SOURCE_SSL_KEY (MASTER_SSL_CERT and \
                 MASTER_SSL_KEY) first.",
        controls: ACCOUNT_TLS,
    },
    Rule {
        id: RuleId::Blr052,
        code: "BLR052",
        name: "account-any-host",
        title: "a replication account may come from any host",
        severity: Severity::Warning,
        meaning: "The host part of an account with REPLICATION SLAVE is `%`, empty, or a pattern \
                  that leaves open more than a subnet.",
        risk: "A password that leaked works from everywhere.",
        remedy: "RENAME USER 'repl'@'%' TO 'repl'@'replica.example';",
        language: Language::Sql,
        advice: "One account for each replica, or a host like 10.1.2.0/255.255.255.0.",
        controls: ACCESS,
    },
    Rule {
        id: RuleId::Blr053,
        code: "BLR053",
        name: "account-excess-privileges",
        title: "a replication account may do more than replicate",
        severity: Severity::Warning,
        meaning: "A replica needs REPLICATION SLAVE, and REPLICATION CLIENT at most. Administrators \
                  are passed over unless a replica is connected as one.",
        risk: "Its password lies on every replica; there, it opens more than the binary log.",
        remedy: "REVOKE SELECT ON *.* FROM 'repl'@'replica.example';",
        language: Language::Sql,
        advice: "Use an account that is for replication alone.",
        controls: ACCESS,
    },
    Rule {
        id: RuleId::Blr054,
        code: "BLR054",
        name: "account-old-authentication",
        title: "a replication account uses an outdated authentication plugin",
        severity: Severity::Warning,
        meaning: "The plugin is mysql_old_password, or on MySQL mysql_native_password or \
                  sha256_password, which current versions no longer have.",
        risk: "What such plugins store and send is soon turned back into the password.",
        remedy: "ALTER USER 'repl'@'replica.example' IDENTIFIED WITH caching_sha2_password BY RANDOM PASSWORD;",
        language: Language::Sql,
        advice: "The statement shows the new password once; tell it to the replica (SOURCE_PASSWORD).",
        controls: ACCESS,
    },
    Rule {
        id: RuleId::Blr060,
        code: "BLR060",
        name: "channel-plain",
        title: "a replication channel does not use TLS",
        severity: Severity::Error,
        meaning: "SHOW REPLICA STATUS says Source_SSL_Allowed: No (Master_SSL_Allowed).",
        risk: "The source decrypts its log before it sends it: every change crosses the network in \
               the clear, however well both ends encrypt their disks.",
        remedy: "STOP REPLICA IO_THREAD;\nCHANGE REPLICATION SOURCE TO SOURCE_SSL = 1, SOURCE_SSL_CA = '/etc/mysql/ca.pem', SOURCE_SSL_VERIFY_SERVER_CERT = 1;\nSTART REPLICA IO_THREAD;",
        language: Language::Sql,
        advice: "The CA file is the one that signed the source's certificate.",
        controls: CHANNEL,
    },
    Rule {
        id: RuleId::Blr061,
        code: "BLR061",
        name: "channel-unverified",
        title: "a replication channel does not verify its source",
        severity: Severity::Error,
        meaning: "The channel uses TLS, and Source_SSL_Verify_Server_Cert is No: any certificate \
                  will do.",
        risk: "Who sits between the two ends decrypts, reads, changes and encrypts again, and learns \
               the replication password.",
        remedy: "STOP REPLICA IO_THREAD;\nCHANGE REPLICATION SOURCE TO SOURCE_SSL_CA = '/etc/mysql/ca.pem', SOURCE_SSL_VERIFY_SERVER_CERT = 1;\nSTART REPLICA IO_THREAD;",
        language: Language::Sql,
        advice: "The source's certificate must name SOURCE_HOST in its subjectAltName.",
        controls: CHANNEL_VERIFIED,
    },
    Rule {
        id: RuleId::Blr062,
        code: "BLR062",
        name: "channel-old-tls",
        title: "a replication channel accepts outdated TLS versions",
        severity: Severity::Warning,
        meaning: "Source_TLS_Version has TLSv1 or TLSv1.1. Where it is empty, the versions of the \
                  server's own library apply.",
        risk: "Who sits between can press the connection down to a version with known weaknesses.",
        remedy: "STOP REPLICA IO_THREAD;\nCHANGE REPLICATION SOURCE TO SOURCE_TLS_VERSION = 'TLSv1.2,TLSv1.3';\nSTART REPLICA IO_THREAD;",
        language: Language::Sql,
        advice: "MySQL 8.0.28 and later refuse these versions anyway.",
        controls: CHANNEL,
    },
    Rule {
        id: RuleId::Blr063,
        code: "BLR063",
        name: "connection-plain",
        title: "a replica reads the binary log without TLS now",
        severity: Severity::Error,
        meaning: "A Binlog Dump thread's connection has no TLS version \
                  (performance_schema.status_by_thread).",
        risk: "What it was sent so far has crossed the network in the clear.",
        remedy: "ALTER USER 'repl'@'replica.example' REQUIRE SSL;",
        language: Language::Sql,
        advice: "Whatever reads the log like a replica is among them: backups by mysqlbinlog, change \
                 data capture. Switch TLS on at its side, or it cannot come back.",
        controls: CHANNEL,
    },
    Rule {
        id: RuleId::Blr064,
        code: "BLR064",
        name: "connection-old-tls",
        title: "a replica reads the binary log over an outdated TLS version",
        severity: Severity::Warning,
        meaning: "A Binlog Dump thread's connection uses TLS 1.1 or older.",
        risk: "These versions have known weaknesses, and are retired (RFC 8996).",
        remedy: "SET PERSIST tls_version = 'TLSv1.2,TLSv1.3';\nALTER INSTANCE RELOAD TLS;",
        language: Language::Sql,
        advice: "The statement ends no connection: restart the replica's I/O thread.",
        controls: CHANNEL,
    },
    Rule {
        id: RuleId::Blr065,
        code: "BLR065",
        name: "audit-unverified",
        title: "this audit did not verify whom it asked",
        severity: Severity::Note,
        meaning: "The connection to the server is not a socket, and its certificate was not verified \
                  (`ssl-mode=REQUIRED` or `DISABLED`).",
        risk: "The answers may be somebody else's.",
        remedy: "binlogsec audit --server 'mysql://user@host/?ssl-ca=ca.pem'",
        language: Language::Shell,
        advice: "Name the authority that signed the server's certificate.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr070,
        code: "BLR070",
        name: "end-not-audited",
        title: "an end of a replication channel was not audited",
        severity: Severity::Note,
        meaning: "A channel's source, or a replica that is connected, is none of the servers that \
                  were named.",
        risk: "Whether that end encrypts what it stores is not known: the wall may end there.",
        remedy: "binlogsec audit --server mysql://user@source/ --server mysql://user@replica/",
        language: Language::Shell,
        advice: "Name all servers of a set-up at once.",
        controls: INVENTORY,
    },
    Rule {
        id: RuleId::Blr071,
        code: "BLR071",
        name: "privilege-missing",
        title: "something was not looked at: a privilege is missing",
        severity: Severity::Warning,
        meaning: "The account of this audit may not ask for it. What was not looked at is never taken \
                  to be in order.",
        risk: "A hole may be there.",
        remedy: "GRANT REPLICATION CLIENT ON *.* TO 'audit'@'monitor.example';",
        language: Language::Sql,
        advice: "All these privileges allow to read only, and none shows a password or its hash.",
        controls: INVENTORY,
    },
];
