//! What `binlogsec check` finds: BLS.

use super::controls::*;
use super::{Language, Rule, RuleId, Severity};

/// Every rule over logs, by its id.
pub(super) static RULES: [Rule; 14] = [
    Rule {
        id: RuleId::Bls001,
        code: "BLS001",
        name: "plaintext-log",
        title: "plaintext binary or relay log",
        severity: Severity::Error,
        meaning: "The file is a binary or relay log that anybody who can read it can read: it \
                  starts with the magic of a plaintext log (fe 62 69 6e), or with a format \
                  description event behind a damaged magic. Its name plays no part.",
        risk: "Every row that was changed stands in it. `binlog_encryption = ON` encrypts new logs \
               only: logs from before, relay logs of a replica that was not restarted, and copies \
               in backups stay as they were.",
        remedy: "mysql -e \"SET PERSIST binlog_encryption = ON; FLUSH BINARY LOGS\" && binlogsec check {directory}",
        language: Language::Shell,
        advice: "That starts an encrypted log; the old ones go when they are purged (`PURGE BINARY \
                 LOGS TO 'first-encrypted-log'`, after every replica has read them), or are \
                 encrypted where they are (`binlogsec encrypt --in-place`). Encrypt or destroy \
                 copies that no server manages, too.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Bls002,
        code: "BLS002",
        name: "plaintext-log-compressed",
        title: "plaintext log inside a compressed copy",
        severity: Severity::Error,
        meaning: "The file is compressed (gzip, Zstandard, xz, bzip2 or LZ4, told by content), and \
                  what comes out of it first is the beginning of a plaintext log. Only that \
                  beginning is decompressed.",
        risk: "Compression hides the log from tools that look for its magic, and hides nothing \
               from a reader. Encrypted logs do not compress: a small copy is a plaintext one.",
        remedy: "shred -u {path}",
        language: Language::Shell,
        advice: "Destroy the copy, after a new one was made from encrypted logs, or encrypt it as \
                 your other backups are.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Bls003,
        code: "BLS003",
        name: "not-ciphertext",
        title: "header says encrypted, the body is not ciphertext of that key",
        severity: Severity::Error,
        meaning: "With a keyring: the key of the header's id is there, and the body does not \
                  decrypt with it to a log. Without: the body starts like a plaintext log, or with \
                  zeros. The server, which looks at the magic alone, lists such a log as encrypted.",
        risk: "The data may lie open under an encrypted log's header, or the log can be read by \
               nobody: its wrapped password is damaged, or another key has that name.",
        remedy: "binlogsec inspect {path}",
        language: Language::Shell,
        advice: "If the body is plaintext, treat it as BLS001. Otherwise look for another copy of \
                 the log, and for the keyring that it was written with.",
        controls: &[CIS_LOGS, NIST_REST, NIST_INTEGRITY, PCI_REST, HIPAA],
    },
    Rule {
        id: RuleId::Bls004,
        code: "BLS004",
        name: "key-missing",
        title: "key not in the keyring: the log can no longer be read",
        severity: Severity::Error,
        meaning: "None of the keys that were given has the id in the log's header, or what has it \
                  is no binary log key.",
        risk: "The log is as good as deleted: no recovery to a point in time, no new replica from \
               it. A rotation removes older keys, so copies from before it need a copy of the \
               keyring from before it.",
        remedy: "binlogsec inspect {path}",
        language: Language::Shell,
        advice: "That shows which key it takes; `binlogsec keyring FILE` tells whether an older copy \
                 of the keyring has it. Keep such a copy with each generation of backups, apart \
                 from them.",
        controls: KEYS,
    },
    Rule {
        id: RuleId::Bls005,
        code: "BLS005",
        name: "old-key-generation",
        title: "key generation older than the current one",
        severity: Severity::Note,
        meaning: "The sequence number in the log's key id is below the number in use (with a \
                  keyring), or below the highest one among the logs of that server. A policy can \
                  set how many generations are allowed (`max_generations_behind`); beyond that it \
                  is a warning.",
        risk: "A rotation re-encrypts the headers of all logs. One that was left out comes from \
               before it, or the rotation was interrupted, and a key that leaked still opens it.",
        remedy: "mysql -e \"ALTER INSTANCE ROTATE BINLOG MASTER KEY\"",
        language: Language::Shell,
        advice: "Several generations are normal where keys are rotated at startup \
                 (binlog_rotate_encryption_master_key_at_startup) and in backups.",
        controls: ROTATION,
    },
    Rule {
        id: RuleId::Bls006,
        code: "BLS006",
        name: "key-and-nonce-reuse",
        title: "two logs share file key and nonce: their XOR reveals both",
        severity: Severity::Error,
        meaning: "Two logs with different contents have the same wrapped password and IV in their \
                  headers or, with a keyring, the same file key and nonce behind different ones. \
                  Copies of one log are no finding.",
        risk: "Both are encrypted with the same key stream. Who has the two files has the XOR of \
               the plaintexts, and from there, without any key, most of both. No server does \
               this: a header was copied, or a tool is broken.",
        remedy: "binlogsec inspect {path}",
        language: Language::Shell,
        advice: "Find out which of the two the header belongs to and destroy the other, or encrypt \
                 it again under a key of its own.",
        controls: &[NIST_REST, NIST_KEYS, PCI_REST, HIPAA],
    },
    Rule {
        id: RuleId::Bls007,
        code: "BLS007",
        name: "indexed-log-missing",
        title: "the index names a log that is not there",
        severity: Severity::Warning,
        meaning: "An index file lists a log, and there is no file of that name, neither where the \
                  entry says nor beside the index.",
        risk: "Nobody can say whether it was encrypted, or where it is now. The server does not \
               start, or stops at the gap.",
        remedy: "mysql -e \"SHOW BINARY LOGS\"",
        language: Language::Shell,
        advice: "Find the log, or take its line out of the index with the server stopped.",
        controls: INVENTORY,
    },
    Rule {
        id: RuleId::Bls008,
        code: "BLS008",
        name: "log-not-indexed",
        title: "a log stands beside an index that does not name it",
        severity: Severity::Warning,
        meaning: "The log has the name of the index's series and lies in its directory; the index \
                  does not list it.",
        risk: "The server neither shows it, rotates its key, nor purges it: it stays for ever, \
               under whatever key it has.",
        remedy: "cat {directory}/*.index",
        language: Language::Shell,
        advice: "Remove the log if it is a leftover, or put it into the index with the server \
                 stopped.",
        controls: INVENTORY,
    },
    Rule {
        id: RuleId::Bls009,
        code: "BLS009",
        name: "undetermined",
        title: "cannot be determined: unreadable, empty, truncated, damaged, or of an unknown version",
        severity: Severity::Error,
        meaning: "The file was named, is listed in an index, is named like a log, or starts like \
                  one, and cannot be told to be encrypted. What cannot be read is never taken for \
                  encrypted.",
        risk: "It may be a plaintext log.",
        remedy: "binlogsec inspect {path}",
        language: Language::Shell,
        advice: "Give this user the right to read it, look at what it is, and remove what is no \
                 log.",
        controls: AT_REST,
    },
    Rule {
        id: RuleId::Bls010,
        code: "BLS010",
        name: "permissions",
        title: "log or keyring open to group or others",
        severity: Severity::Note,
        meaning: "The file's mode allows more than it should: for a log more than 0640, which is \
                  what servers set (MariaDB 0660), for a keyring, or the configuration of a key \
                  store with its token, more than 0600. A policy can set other modes \
                  (`max_log_mode`, `max_keyring_mode`).",
        risk: "Whoever can read a keyring and the logs can read everything in them. Whoever can \
               write them can put something else in their place.",
        remedy: "chmod go-rwx {path}",
        language: Language::Shell,
        advice: "The server's user must keep the right to read and write. For logs a report names \
                 the mode that is allowed and every log of the directory.",
        controls: ACCESS,
    },
    Rule {
        id: RuleId::Bls011,
        code: "BLS011",
        name: "keyring-beside-logs",
        title: "keyring inside the directory tree it protects",
        severity: Severity::Note,
        meaning: "A keyring lies in a directory tree that was checked, or beside a log that was, \
                  so that one copy of the tree has both. Keyrings are told by content.",
        risk: "A stolen disk, backup or volume snapshot comes with its key.",
        remedy: "ls -l {path}",
        language: Language::Shell,
        advice: "Move it to another volume, out of the reach of the backup, and set \
                 keyring_file_data, or path in component_keyring_file.cnf, to it.",
        controls: KEYS,
    },
    Rule {
        id: RuleId::Bls012,
        code: "BLS012",
        name: "foreign-server",
        title: "log under the key of another server",
        severity: Severity::Warning,
        meaning: "The server UUID in the log's key id is not that of this server (auto.cnf beside \
                  the logs or in the data directory), or differs from that of most logs in the \
                  directory, or is not one that the policy allows (`allowed_server_uuids`).",
        risk: "Its key is in another server's keyring, which may be gone tomorrow; a log of \
               another server that gets into the index changes this one's history.",
        remedy: "binlogsec inspect {path}",
        language: Language::Shell,
        advice: "Normal after a clone or a changed server_uuid: allow the old UUID in the policy. \
                 A replica's relay logs are under its own key.",
        controls: &[NIST_KEYS, NIST_INVENTORY],
    },
    Rule {
        id: RuleId::Bls013,
        code: "BLS013",
        name: "file-keyring",
        title: "a file keyring is no compliance-grade key store",
        severity: Severity::Note,
        meaning: "The keys were read from a file of the keyring_file plugin, of \
                  component_keyring_file or of MariaDB's file_key_management, where they lie in \
                  the clear or, of MariaDB, under a password that is in another file.",
        risk: "Who can read the file has the keys. Auditors ask for keys that are kept apart and \
               protected themselves.",
        remedy: "mysql -e \"SELECT * FROM performance_schema.keyring_component_status\"",
        language: Language::Shell,
        advice: "Use a keyring component for a key management service or for an encrypted file, \
                 where your edition has one; on MariaDB, hashicorp_key_management or \
                 aws_key_management.",
        controls: KEYS,
    },
    Rule {
        id: RuleId::Bls014,
        code: "BLS014",
        name: "rotation-interrupted",
        title: "keyring shows an unfinished key rotation",
        severity: Severity::Note,
        meaning: "The keyring has the marks that a rotation leaves when it does not come to its \
                  end, or its numbers contradict each other (then it is a warning: the server \
                  would not start).",
        risk: "Some logs may still be under the old key, which was to be retired.",
        remedy: "mysql -e \"ALTER INSTANCE ROTATE BINLOG MASTER KEY\"",
        language: Language::Shell,
        advice: "A restart removes the marks, but only the next rotation re-encrypts the headers \
                 that are left.",
        controls: ROTATION,
    },
];
