//! What `check` and `audit` find of key stores: BLS, too.

use super::controls::*;
use super::{Language, Rule, RuleId, Severity};

/// Every rule over key stores, by its id.
pub(super) static RULES: [Rule; 4] = [
    Rule {
        id: RuleId::Bls018,
        code: "BLS018",
        name: "store-by-http",
        title: "key store asked without encryption",
        severity: Severity::Warning,
        meaning: "The configuration of the key store names an address by http. Server and \
                  binlogsec send the store's token over it, and get keys.",
        risk: "Who sees the network has the token, and with it every key of the store.",
        remedy: "ls -l {path}",
        language: Language::Shell,
        advice: "Give the store a certificate, and name it by https with its authority: vault_url \
                 and vault_ca, or hashicorp-key-management-vault-url and -vault-ca. Then have a new \
                 token made: this one has been on the network. On a loopback address the way is \
                 within one machine.",
        controls: KEYS,
    },
    Rule {
        id: RuleId::Bls019,
        code: "BLS019",
        name: "old-key",
        title: "key in use for longer than allowed",
        severity: Severity::Warning,
        meaning: "The key that new logs are encrypted under is older than --max-key-age or the \
                  policy's `max_key_age_days`. A store of the key-value engine, version 2, says when it \
                  was made; of a keyring file the last change is known, and the key is at least as \
                  old. Other stores do not tell, and are not judged.",
        risk: "Whoever got hold of the key reads every log since, and the next one.",
        remedy: "mysql -e \"ALTER INSTANCE ROTATE BINLOG MASTER KEY\"",
        language: Language::Shell,
        advice: "It rewrites the headers of the server's logs and then deletes older keys: copies of \
                 logs from before need a copy of the keyring from before, so make one. MariaDB takes \
                 a new version of its key from its store.",
        controls: ROTATION,
    },
    Rule {
        id: RuleId::Bls020,
        code: "BLS020",
        name: "shared-store",
        title: "key store shared by several servers",
        severity: Severity::Note,
        meaning: "There are binary log keys of several servers under one mount point and directory, \
                  or servers of one audit have their keys in the same place.",
        risk: "Each server reads, and may change or delete, the keys of the others; Percona calls \
               the outcome unpredictable. One server's token opens the logs of all.",
        remedy: "binlogsec keyring list {path}",
        language: Language::Shell,
        advice: "Give each server a directory, or a mount, and a token of its own. Normal for the old \
                 UUID of a server that got a new one.",
        controls: KEYS,
    },
    Rule {
        id: RuleId::Bls021,
        code: "BLS021",
        name: "keys-left-behind",
        title: "deleted keys can be brought back from the key store",
        severity: Severity::Note,
        meaning: "The key-value engine, version 2, keeps what was deleted or replaced until it is \
                  destroyed. Percona Server deletes older keys when it rotates: they can be brought \
                  back by `vault kv undelete`. So can versions of MariaDB's keys that were deleted.",
        risk: "Copies of old logs can be read by whoever may undelete: a rotation did not take these \
               keys out of the world.",
        remedy: "vault kv metadata get -mount=MOUNT PATH",
        language: Language::Shell,
        advice: "It may be what saves an old backup: see first which logs need the keys (binlogsec \
                 keyring coverage). Then destroy them, or let the engine do it after a time \
                 (delete_version_after).",
        controls: KEYS,
    },
];
