//! What lists of revoked certificates show.

use jiff::Timestamp;

use super::{Found, Judgement};
use crate::audit::facts::certificate::RevocationListFacts;
use crate::finding::{Evidence, RuleId, Severity, Subject};

/// BLR041: with a list that is not there or out of date, no certificate is taken; one that nobody at
/// hand signed, or that has the own certificate in it, refuses what it should not.
pub(in crate::audit) fn judge(
    facts: &RevocationListFacts,
    now: Timestamp,
    judgement: &mut Judgement,
) {
    let by = &facts.named_by;
    let about =
        |message: String| Found::about(Subject::file(&facts.path), format!("{message} ({by})"));
    let seen = |name: &str, value: String| Evidence::Value {
        name: name.to_owned(),
        value,
        source: facts.named_by.clone(),
    };
    judgement.report_unless(RuleId::Blr041, facts.problem.is_none(), || {
        about(facts.problem.clone().unwrap_or_default())
    });
    if facts.problem.is_some() {
        return;
    }
    let time = |seconds: i64| {
        Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |it| it.to_string())
    };
    let is_early = facts.this_update.is_some_and(|it| now.as_second() < it);
    let late = facts.next_update.filter(|it| now.as_second() > *it);
    judgement.report_unless(RuleId::Blr041, late.is_none() && !is_early, || match late {
        Some(end) => about(format!(
            "out of date since {}: every certificate of this authority is refused",
            time(end)
        ))
        .seen(seen("nextUpdate", time(end))),
        None => {
            let begin = facts.this_update.unwrap_or_default();
            about(format!(
                "valid from {} on: until then every certificate of this authority is refused",
                time(begin)
            ))
            .seen(seen("thisUpdate", time(begin)))
        }
    });
    let issuer = facts.issuer.clone().unwrap_or_default();
    judgement.report_unless(RuleId::Blr041, facts.known_issuer != Some(false), || {
        about(format!(
            "signed by {issuer}, which is none of the authorities at hand: it revokes nothing"
        ))
        .weighing(Severity::Warning)
        .seen(seen("issuer", issuer.clone()))
    });
    judgement.report_unless(RuleId::Blr041, facts.revokes.is_empty(), || {
        about(format!("revokes {}, which is in use here", facts.revokes.join(", ")))
            .seen(seen("revokedCertificates", facts.revoked.to_string()))
    });
}
