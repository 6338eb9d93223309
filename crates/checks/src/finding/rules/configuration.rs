//! What configuration, files and certificates of a server show, and variables of the same meaning
//! of a live one: BLR001 to BLR049.

use super::controls::*;
use super::{Language, Rule, RuleId, Severity};

const CERTIFICATE_OPTIONS: &str = "[mysqld]\n\
    # PLACEHOLDER: these files stand for yours\n\
    ssl_ca = /etc/mysql/ca.pem\n\
    ssl_cert = /etc/mysql/server-cert.pem\n\
    ssl_key = /etc/mysql/server-key.pem";
const CERTIFICATE_DATES: &str = "openssl x509 -noout -dates -in {path}";
const RENEW_CERTIFICATE: &str = "Have it signed anew, put it in place and run `ALTER INSTANCE RELOAD \
    TLS` (MariaDB: `FLUSH SSL`).";

/// Every rule over configuration and certificates, by its id.
pub(super) static RULES: &[Rule] = &[
    Rule {
        id: RuleId::Blr001,
        code: "BLR001",
        name: "log-encryption-off",
        title: "binary and relay logs are not encrypted at rest",
        severity: Severity::Error,
        meaning: "`binlog_encryption` is OFF (its default), or on MariaDB `encrypt_binlog`. \
                  Read from the option files and mysqld-auto.cnf, or asked of the server.",
        risk: "Every row that changes is written to the binary log, and on a replica to the \
                  relay log, in the clear: on the disk, in snapshots, in backups.",
        remedy: "SET PERSIST binlog_encryption = ON;",
        language: Language::Sql,
        advice: "A keyring must be loaded first (BLR003). Only new logs are encrypted: purge \
                  the old ones once every replica has them. On MariaDB: `encrypt_binlog = ON` \
                  in the option file, and a restart.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Blr002,
        code: "BLR002",
        name: "log-encryption-unsupported",
        title: "this server version cannot encrypt its logs",
        severity: Severity::Error,
        meaning: "MySQL encrypts binary and relay logs since 8.0.14, MariaDB since 10.1.7. The \
                  version is that of the server, or of `--server-version`.",
        risk: "No option closes this: the logs are in the clear.",
        remedy: "[mysqld]\nlog_bin = /encrypted/volume/binlog\nrelay_log = /encrypted/volume/relay",
        language: Language::Options,
        advice: "Upgrade. Until then, put the logs onto an encrypted volume.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Blr003,
        code: "BLR003",
        name: "keyring-missing",
        title: "log encryption without a keyring",
        severity: Severity::Error,
        meaning: "Encryption of the logs is on, and nothing names a keyring: no \
                  `early-plugin-load`, no manifest mysqld.my with a keyring component; on \
                  MariaDB no encryption plugin.",
        risk: "The server does not start, or cannot make a key. What was encrypted cannot \
                  be read.",
        remedy: "echo '{\"components\": \"file://component_keyring_file\"}' > {directory}/mysqld.my",
        language: Language::Shell,
        advice: "The component reads component_keyring_file.cnf beside it. MySQL up to 8.3 \
                  may use `early-plugin-load = keyring_file.so`; MariaDB `plugin_load_add = \
                  file_key_management`.",
        controls: KEYRING,
    },
    Rule {
        id: RuleId::Blr004,
        code: "BLR004",
        name: "keyring-not-early",
        title: "the keyring plugin is not loaded early",
        severity: Severity::Error,
        meaning: "A keyring plugin is loaded by `plugin-load` or `plugin-load-add`, which is \
                  after InnoDB and the binary log start; only `early-plugin-load` is before.",
        risk: "Keys are not there when the server needs them: it refuses to start, or \
                  recovers without.",
        remedy: "[mysqld]\nearly-plugin-load = keyring_file.so",
        language: Language::Options,
        advice: "Components named in mysqld.my are always early, and so are MariaDB's \
                  plugins.",
        controls: KEYRING,
    },
    Rule {
        id: RuleId::Blr005,
        code: "BLR005",
        name: "keyring-plugin-outdated",
        title: "the keyring plugin is deprecated or gone",
        severity: Severity::Warning,
        meaning: "The plugins keyring_file, keyring_encrypted_file and keyring_oci are \
                  deprecated since MySQL 8.0.34 and are not part of 8.4.",
        risk: "After the next upgrade the server does not find its keys.",
        remedy: "mysql_migrate_keyring --component-dir=/usr/lib/mysql/plugin --source-keyring=keyring_file --destination-keyring=component_keyring_file",
        language: Language::Shell,
        advice: "Migrate to a component while the version at hand has both.",
        controls: KEYRING,
    },
    Rule {
        id: RuleId::Blr006,
        code: "BLR006",
        name: "key-rotation-by-hand",
        title: "the log encryption key is not rotated at startup",
        severity: Severity::Note,
        meaning: "`binlog_rotate_encryption_master_key_at_startup` is OFF, its default.",
        risk: "The key lives until somebody runs `ALTER INSTANCE ROTATE BINLOG MASTER KEY`.",
        remedy: "ALTER INSTANCE ROTATE BINLOG MASTER KEY;",
        language: Language::Sql,
        advice: "On a schedule, this statement is as good as the option; old logs are read \
                  with old keys until they are wrapped anew by it.",
        controls: ROTATION,
    },
    Rule {
        id: RuleId::Blr007,
        code: "BLR007",
        name: "keyring-secret-open",
        title: "a file that opens the keyring is open to group or others",
        severity: Severity::Warning,
        meaning: "The configuration of a keyring component or plugin that holds a password or the \
                  token of a key store, the private key of its client, or MariaDB's \
                  `file_key_management_filekey`, has a mode beyond 0600.",
        risk: "Who reads it decrypts the keyring, or has its keys from the store, and with them \
               reads the logs.",
        remedy: "chmod go-rwx {path}",
        language: Language::Shell,
        advice: "The server's user must keep the right to read it.",
        controls: KEYRING,
    },
    Rule {
        id: RuleId::Blr008,
        code: "BLR008",
        name: "statement-format",
        title: "statements, not rows, are logged",
        severity: Severity::Note,
        meaning: "`binlog_format` is STATEMENT.",
        risk: "LOAD DATA puts whole files into the log, and a replica writes them to \
                  `replica_load_tmpdir` as plain temporary files before it loads them: \
                  encryption of the logs does not reach them.",
        remedy: "SET PERSIST binlog_format = ROW;",
        language: Language::Sql,
        advice: "Or put `replica_load_tmpdir` onto an encrypted volume.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Blr009,
        code: "BLR009",
        name: "temporary-files-plain",
        title: "temporary files of the binary log are plain",
        severity: Severity::Warning,
        meaning: "MariaDB with `encrypt_binlog = ON` and `encrypt_tmp_files = OFF`: \
                  transactions larger than `binlog_cache_size` go through a temporary file.",
        risk: "What the log encrypts stands in the clear in `tmpdir`, if only for a while.",
        remedy: "[mysqld]\nencrypt_tmp_files = ON",
        language: Language::Options,
        advice: "MySQL encrypts these files together with its logs.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Blr010,
        code: "BLR010",
        name: "binary-log-off",
        title: "no binary log: relay logs are all there is",
        severity: Severity::Note,
        meaning: "`log_bin` is off. A replica still writes relay logs, which the same option \
                  encrypts.",
        risk: "No recovery to a point in time, and no replica of this server.",
        remedy: "[mysqld]\nlog_bin = binlog",
        language: Language::Options,
        advice: "Nothing to do where that is meant.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Blr011,
        code: "BLR011",
        name: "source-password-in-file",
        title: "the password for the source stands in a file",
        severity: Severity::Warning,
        meaning: "master.info holds the replication account's password in the clear: \
                  `master_info_repository` is FILE (default up to MySQL 8.0.1), or the file is \
                  there.",
        risk: "Whoever gets the data directory or its backup can log in to the source and \
                  read every log, decrypted.",
        remedy: "STOP SLAVE;\nSET GLOBAL master_info_repository = 'TABLE';\nSTART SLAVE;",
        language: Language::Sql,
        advice: "Or give user and password with START REPLICA and keep them out of the \
                  server. On MariaDB the file cannot be avoided: use an account that must show \
                  a certificate (REQUIRE X509).",
        controls: &[CIS_SOURCE_PASSWORD, NIST_ACCESS, PCI_ACCESS],
    },
    Rule {
        id: RuleId::Blr012,
        code: "BLR012",
        name: "password-in-open-file",
        title: "a password stands in a file that group or others may read",
        severity: Severity::Warning,
        meaning: "An option file has a `password` option, or master.info is there, with a mode \
                  beyond 0600 (0660 for master.info, which is what servers set).",
        risk: "Every account of the machine, or every one of the group, has that password.",
        remedy: "chmod go-rwx {path}",
        language: Language::Shell,
        advice: "`mysql_config_editor` keeps passwords out of plain text, and a socket \
                  account needs none.",
        controls: ACCESS,
    },
    Rule {
        id: RuleId::Blr013,
        code: "BLR013",
        name: "transactions-compressed",
        title: "transactions are compressed before they are encrypted",
        severity: Severity::Note,
        meaning: "`binlog_transaction_compression` is ON.",
        risk: "The length of a compressed transaction tells something of its contents to \
                  who can choose a part of them; encryption hides no lengths.",
        remedy: "SET PERSIST binlog_transaction_compression = OFF;",
        language: Language::Sql,
        advice: "Worth a thought only where strangers' data share transactions with secrets.",
        controls: &[NIST_REST],
    },
    Rule {
        id: RuleId::Blr014,
        code: "BLR014",
        name: "row-metadata-full",
        title: "row events carry the names of columns",
        severity: Severity::Note,
        meaning: "`binlog_row_metadata` is FULL.",
        risk: "A log that leaks needs no schema to be read.",
        remedy: "SET PERSIST binlog_row_metadata = MINIMAL;",
        language: Language::Sql,
        advice: "Readers of change data may need FULL.",
        controls: &[NIST_REST],
    },
    Rule {
        id: RuleId::Blr015,
        code: "BLR015",
        name: "configuration-not-read",
        title: "a part of the option files is not read",
        severity: Severity::Warning,
        meaning: "Everybody may write an option file: servers warn and ignore all of it. Or what \
                  `!include` names is no file, another word stands behind the `!`, or inclusions \
                  go too deep: servers pass over the line (notes). Or a path to include is \
                  relative: servers begin in the directory that they are started in, which is \
                  not known here, so the file was not read.",
        risk: "What was meant to protect the server is not in force, or what is in force was \
                  not audited.",
        remedy: "chmod o-w {path}",
        language: Language::Shell,
        advice: "Read a file that everybody could write before it counts. Give inclusions \
                  absolute paths. `mysqld --defaults-file=FILE --print-defaults` shows what a \
                  server makes of it.",
        controls: INVENTORY,
    },
    Rule {
        id: RuleId::Blr016,
        code: "BLR016",
        name: "data-directory-not-examined",
        title: "option files without their data directory",
        severity: Severity::Note,
        meaning: "No data directory is named and the option file is none of this machine's own \
                  (below /etc), or the one it names is not here. Logs, keyrings, \
                  mysqld-auto.cnf, master.info and files by paths relative to it were not \
                  looked at.",
        risk: "Plain logs and open keyrings go unseen, and what SET PERSIST wrote outweighs the \
                  option files.",
        remedy: "binlogsec audit --defaults-file {path} --datadir /var/lib/mysql",
        language: Language::Shell,
        advice: "On the server's own machine, or with a copy of the directory.",
        controls: INVENTORY,
    },
    Rule {
        id: RuleId::Blr017,
        code: "BLR017",
        name: "option-refused",
        title: "an option with which this version does not start",
        severity: Severity::Error,
        meaning: "An option file names an option that the server's version does not know, without `loose-`. The table of options and versions is crates/checks/src/audit/versions.rs; what is not in it is not judged.",
        risk: "The server stops at its next start. Whoever mends that in a hurry takes out more than the one line.",
        remedy: "mysqld --defaults-file={path} --validate-config",
        language: Language::Shell,
        advice: "Take the line out, or put `loose-` in front where the file is for several versions.",
        controls: INVENTORY,
    },
    Rule {
        id: RuleId::Blr018,
        code: "BLR018",
        name: "client-files-for-channels",
        title: "certificates of the group [client] are not read for channels",
        severity: Severity::Note,
        meaning: "`[client]` names `ssl-cert` or `ssl-key`. Programs such as mysql and \
                  mysqlbinlog read that group; a server that replicates does not.",
        risk: "Whoever set up the replica's certificate there believes that the channel shows it: an \
               account that says REQUIRE X509 lets it in no more, and somebody takes the demand away.",
        remedy: "STOP REPLICA IO_THREAD;\nCHANGE REPLICATION SOURCE TO SOURCE_SSL_CA = '/etc/mysql/ca.pem', SOURCE_SSL_CERT = '/etc/mysql/client-cert.pem', SOURCE_SSL_KEY = '/etc/mysql/client-key.pem';\nSTART REPLICA IO_THREAD;",
        language: Language::Sql,
        advice: "The channel's own options count (SOURCE_SSL_CERT, MASTER_SSL_CERT). Nothing to do where \
                 the group is for programs alone.",
        controls: CHANNEL,
    },
    Rule {
        id: RuleId::Blr020,
        code: "BLR020",
        name: "secure-transport-optional",
        title: "connections without TLS are let in",
        severity: Severity::Warning,
        meaning: "`require_secure_transport` is OFF, its default.",
        risk: "A replica that is set up without TLS, or whose TLS fails, gets the logs \
                  decrypted over the wire, unless its account demands TLS.",
        remedy: "SET PERSIST require_secure_transport = ON;",
        language: Language::Sql,
        advice: "Look at the accounts in use first: clients without TLS are refused from then \
                  on. Accounts with REQUIRE SSL or X509 are held to it either way.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr021,
        code: "BLR021",
        name: "old-tls-version",
        title: "outdated TLS versions are accepted",
        severity: Severity::Warning,
        meaning: "`tls_version` has TLSv1 or TLSv1.1 in it, or the version's default has \
                  (MySQL before 8.0.28, MariaDB before 11.4).",
        risk: "Both have been retired (RFC 8996): their ciphers and hashes are breakable.",
        remedy: "SET PERSIST tls_version = 'TLSv1.2,TLSv1.3';\nALTER INSTANCE RELOAD TLS;",
        language: Language::Sql,
        advice: "MariaDB and MySQL 5.7 take it from the option file alone; 5.7 knows TLSv1.2 \
                  at most.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr022,
        code: "BLR022",
        name: "tls-off",
        title: "the server has no TLS",
        severity: Severity::Error,
        meaning: "`ssl = OFF`, `skip-ssl`, `have_ssl = DISABLED`, an empty `tls_version`, or \
                  on MariaDB before 11.4 no `ssl_cert`.",
        risk: "Replicas read the binary log over the wire in the clear, whatever is \
                  encrypted on the disk.",
        remedy: CERTIFICATE_OPTIONS,
        language: Language::Options,
        advice: "Remove what turns TLS off, give the server a certificate that your authority \
                  signed, and restart.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr023,
        code: "BLR023",
        name: "certificate-by-chance",
        title: "no certificate is configured: the server makes its own",
        severity: Severity::Warning,
        meaning: "`ssl_ca`, `ssl_cert` and `ssl_key` are not set. MySQL then makes a \
                  certificate of its own in the data directory.",
        risk: "It names no host and no authority that replicas know: they can encrypt, but \
                  cannot verify whom they talk to.",
        remedy: CERTIFICATE_OPTIONS,
        language: Language::Options,
        advice: "The certificate needs the host name that replicas connect to as \
                  subjectAltName.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr024,
        code: "BLR024",
        name: "weak-cipher",
        title: "weak ciphers are allowed for TLS",
        severity: Severity::Warning,
        meaning: "`ssl_cipher` offers ciphers without encryption or authentication (`aNULL`, \
                  `eNULL`, `ALL` without `!aNULL`), or with RC4, DES, 3DES, MD5 or EXPORT in \
                  them. What `!` and `-` take out is not offered.",
        risk: "Who listens may read, or may put himself in between.",
        remedy: "SET PERSIST ssl_cipher = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384';\nALTER INSTANCE RELOAD TLS;",
        language: Language::Sql,
        advice: "TLS 1.3 has its own list (`tls_ciphersuites`), without weak ones.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr025,
        code: "BLR025",
        name: "cluster-interconnect",
        title: "the cluster's own interconnect is not held to TLS",
        severity: Severity::Note,
        meaning: "This is an SQL node of an NDB Cluster (`ndbcluster`), and `ndb-mgm-tls` is \
                  not `strict`. Of the cluster's own configuration (`--cluster-config`), a warning: \
                  data nodes or management servers without `RequireTls`.",
        risk: "Changes travel between data nodes and SQL nodes before they reach the binary \
                  log. Every SQL node that logs them has logs of its own: audit each.",
        remedy: "[mysqld]\nndb-mgm-tls = strict",
        language: Language::Options,
        advice: "NDB 8.3 and later; with certificates from `ndb_sign_keys` and `RequireTls` \
                  in the cluster's configuration. Before that, keep the interconnect on a \
                  network of its own.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr026,
        code: "BLR026",
        name: "group-plain",
        title: "a replication group talks without TLS, or takes any certificate",
        severity: Severity::Error,
        meaning: "`group_replication_ssl_mode` is DISABLED (its default) or REQUIRED, or `group_replication_recovery_use_ssl` is OFF, or `group_replication_recovery_ssl_verify_server_cert` is. Asked of live servers that have a group name.",
        risk: "Every change crosses the network between the members in the clear, or whoever poses as a member reads it.",
        remedy: "SET PERSIST group_replication_ssl_mode = 'VERIFY_CA';\nSET PERSIST group_replication_recovery_use_ssl = ON;",
        language: Language::Sql,
        advice: "The mode must be the same at all members: stop the whole group for it (STOP GROUP_REPLICATION), and start it anew.",
        controls: TRANSPORT,
    },
    Rule {
        id: RuleId::Blr030,
        code: "BLR030",
        name: "certificate-expired",
        title: "certificate outside its validity",
        severity: Severity::Error,
        meaning: "The certificate's notAfter is past, or its notBefore is to come.",
        risk: "Replicas that verify it cannot connect; those that do connect verify \
                  nothing.",
        remedy: CERTIFICATE_DATES,
        language: Language::Shell,
        advice: RENEW_CERTIFICATE,
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr031,
        code: "BLR031",
        name: "certificate-expires-soon",
        title: "certificate expires within 30 days",
        severity: Severity::Warning,
        meaning: "The certificate's notAfter is less than 30 days away.",
        risk: "Replication stops on that day, or somebody turns verification off to keep it \
                  going.",
        remedy: CERTIFICATE_DATES,
        language: Language::Shell,
        advice: RENEW_CERTIFICATE,
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr032,
        code: "BLR032",
        name: "weak-certificate-key",
        title: "certificate with a weak key",
        severity: Severity::Warning,
        meaning: "RSA or DSA below 2048 bits, elliptic curves below 224.",
        risk: "Such keys can be computed by who has the means; then the server can be \
                  impersonated.",
        remedy: "openssl req -newkey rsa:3072 -nodes -keyout server-key.pem -out server-req.pem -subj /CN=$(hostname -f)",
        language: Language::Shell,
        advice: "Have the request signed by your authority.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr033,
        code: "BLR033",
        name: "weak-certificate-signature",
        title: "certificate signed with MD5 or SHA-1",
        severity: Severity::Warning,
        meaning: "The signature algorithm of the certificate uses MD2, MD5 or SHA-1. A root's \
                  own signature plays no part.",
        risk: "Another certificate with the same signature can be made.",
        remedy: "openssl x509 -noout -text -in {path}",
        language: Language::Shell,
        advice: "Have it signed anew with SHA-256.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr034,
        code: "BLR034",
        name: "self-made-certificate",
        title: "certificate that the server made, or that signed itself",
        severity: Severity::Warning,
        meaning: "The common name is that of MySQL's own \
                  (`MySQL_Server_…_Auto_Generated_Server_Certificate`), or the certificate is \
                  its own issuer and no authority.",
        risk: "Replicas cannot verify it, so they verify nothing: whoever is in between can \
                  read the logs.",
        remedy: CERTIFICATE_OPTIONS,
        language: Language::Options,
        advice: "Use a certificate that your authority signed, with the host name as \
                  subjectAltName.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr035,
        code: "BLR035",
        name: "certificate-chain",
        title: "certificate that the authority at hand did not sign",
        severity: Severity::Error,
        meaning: "No chain of signatures leads from `ssl_cert` to a root in `ssl_ca` by \
                  certificates that are valid now and may sign (CA:TRUE). Those in between may be \
                  in either file.",
        risk: "Replicas with this authority refuse the server, or do not verify.",
        remedy: "openssl verify -CAfile CA.pem {path}",
        language: Language::Shell,
        advice: "Put the authority that signed it, with those in between, into `ssl_ca`.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr036,
        code: "BLR036",
        name: "certificate-host-name",
        title: "certificate without the server's host name",
        severity: Severity::Warning,
        meaning: "The certificate has no subjectAltName, or none that covers the name by which \
                  the server is reached (`report_host`, or the host of `--server`).",
        risk: "`SOURCE_SSL_VERIFY_SERVER_CERT=1` fails, and is turned off.",
        remedy: "openssl x509 -noout -ext subjectAltName -in {path}",
        language: Language::Shell,
        advice: "Have it signed anew with `subjectAltName=DNS:` and the name in SOURCE_HOST.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr037,
        code: "BLR037",
        name: "private-key-open",
        title: "private key open to group or others",
        severity: Severity::Error,
        meaning: "The file with a certificate's private key has a mode beyond 0600 (0640 with \
                  root as its owner).",
        risk: "Who reads it can pose as this server, and read the logs of every replica \
                  that trusts it.",
        remedy: "chmod go-rwx {path}",
        language: Language::Shell,
        advice: "The server's user must keep the right to read it. If others may have read \
                  it, replace key and certificate.",
        controls: PRIVATE_KEY,
    },
    Rule {
        id: RuleId::Blr038,
        code: "BLR038",
        name: "private-key-mismatch",
        title: "private key that does not belong to the certificate",
        severity: Severity::Error,
        meaning: "The public key of `ssl_cert` is not that of `ssl_key`.",
        risk: "The server starts without TLS, or not at all.",
        remedy: "openssl x509 -noout -pubkey -in {path}",
        language: Language::Shell,
        advice: "Put the two that belong together in place.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr039,
        code: "BLR039",
        name: "certificate-unreadable",
        title: "certificate or key that cannot be read",
        severity: Severity::Error,
        meaning: "An option names a certificate or key that is not there, cannot be opened, or \
                  holds no PEM of that kind.",
        risk: "The server starts without TLS, or not at all.",
        remedy: "ls -l {path}",
        language: Language::Shell,
        advice: "Correct the option, or put the file in place.",
        controls: CERTIFICATE,
    },
    Rule {
        id: RuleId::Blr040,
        code: "BLR040",
        name: "authority-key-at-hand",
        title: "the authority's private key lies on the server",
        severity: Severity::Warning,
        meaning: "A private key in the data directory, or beside `ssl_ca`, belongs to a \
                  certificate of an authority. MySQL leaves ca-key.pem there when it makes its \
                  own certificates.",
        risk: "Who gets the data directory can sign certificates that every replica trusts.",
        remedy: "shred -u {path}",
        language: Language::Shell,
        advice: "Keep a copy offline if the authority is to sign again.",
        controls: PRIVATE_KEY,
    },
    Rule {
        id: RuleId::Blr041,
        code: "BLR041",
        name: "revocation-list",
        title: "a list of revoked certificates that cannot be gone by",
        severity: Severity::Error,
        meaning: "`ssl_crl`, `ssl_crlpath` (of the server, of its interface for administrators, or of a \
                  channel in master.info) names a list that is not there, is none, is out of date \
                  (nextUpdate), or has a certificate in it that is in use here. A warning where none of \
                  the authorities at hand signed it.",
        risk: "With such a list no certificate is taken: TLS does not start, or no channel connects, \
               and verification is soon turned off. One that the wrong authority signed revokes nothing.",
        remedy: "openssl crl -noout -issuer -lastupdate -nextupdate -in {path}",
        language: Language::Shell,
        advice: "Get the current list from the authority, put it in place and run `ALTER INSTANCE RELOAD \
                 TLS` (MariaDB: `FLUSH SSL`). A directory wants names of hashes: `openssl rehash`.",
        controls: CERTIFICATE,
    },
];
