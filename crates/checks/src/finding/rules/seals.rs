//! What `binlogsec check --sealed` finds: BLS, too.

use super::controls::*;
use super::{Language, Rule, RuleId, Severity};

/// Every rule over seals, by its id.
pub(super) static RULES: [Rule; 3] = [
    Rule {
        id: RuleId::Bls015,
        code: "BLS015",
        name: "unsealed-log",
        title: "log not in the seal manifest",
        severity: Severity::Warning,
        meaning: "The log is there, and the manifest that --sealed names has no record of it. The \
                  last log of a series is a note, as its server may be writing it. A log that does \
                  not come after the sealed ones of its series, or is of another server, is an error: \
                  it was added.",
        risk: "Nothing tells when somebody changes or removes the log: the formats of logs have no \
               authentication, and a CRC-32 is mended without a key.",
        remedy: "binlogsec seal {directory} -o MANIFEST --hmac --keyring KEYRING",
        language: Language::Shell,
        advice: "Seal after each rotation, and store an anchor (`binlogsec seal anchor`) where nobody \
                 who can write the logs can write.",
        controls: SEALS,
    },
    Rule {
        id: RuleId::Bls016,
        code: "BLS016",
        name: "sealed-log-changed",
        title: "log is not as it was sealed",
        severity: Severity::Error,
        meaning: "Length, header or bytes of the log are others than the manifest has. Lengths and \
                  headers of all logs are compared, and samples of their bytes; \
                  `binlogsec seal verify` without --quick compares all.",
        risk: "Somebody changed, cut or replaced the log, or a disk did. What is replayed from it is \
               not what its server did.",
        remedy: "binlogsec seal verify MANIFEST {directory} --keyring KEYRING",
        language: Language::Shell,
        advice: "That shows which bytes changed. Keep the file as evidence, take the log from another \
                 copy, and find out who could write it.",
        controls: SEALS,
    },
    Rule {
        id: RuleId::Bls017,
        code: "BLS017",
        name: "sealed-log-missing",
        title: "sealed log is not there",
        severity: Severity::Error,
        meaning: "The manifest has a record of the log, and no file of that name is below the paths \
                  that were checked.",
        risk: "A gap: no recovery to a point in time goes beyond it, and what happened in it is \
               known to nobody.",
        remedy: "binlogsec seal verify MANIFEST {directory} --purged-to FIRST-LOG-THAT-IS-KEPT",
        language: Language::Shell,
        advice: "If the logs were purged on purpose, that says so; in a check, accept them in a \
                 baseline, or begin a new manifest. Otherwise restore the log from another copy.",
        controls: SEALS,
    },
];
