//! What certificates and private keys show.

use jiff::Timestamp;

use super::options::MARIADB_MAKES_CERTIFICATES;
use super::{Found, Judgement};
use crate::audit::facts::certificate::{
    Certificate, CertificateFacts, CertificateRole, PrivateKeyFacts,
};
use crate::audit::facts::server::{Flavour, ServerFacts};
use crate::audit::facts::settings::Settings;
use crate::finding::rules::Language;
use crate::finding::{Evidence, Remedy, RuleId, Subject};
use binlogsec_core::text::path_text;

/// Shorter ones are computed by who has the means.
const LEAST_RSA_BITS: usize = 2048;
const LEAST_EC_BITS: usize = 224;
/// Notice that a certificate's end needs.
const SOON_DAYS: i64 = 30;
const SECONDS_OF_A_DAY: i64 = 86_400;
/// In the common name of what MySQL makes itself.
const AUTO_GENERATED: &str = "_Auto_Generated_";

/// A certificate that is judged.
struct Judged<'a> {
    facts: &'a CertificateFacts,
    certificate: &'a Certificate,
    subject: Subject,
}

impl Judged<'_> {
    /// A finding; behind the first certificate of a file, it says which one is meant.
    fn about(&self, message: impl Into<String>) -> Found {
        let mut message = message.into();
        if self.facts.position > 1 {
            let name = &self.certificate.subject;
            message = format!("{message} (certificate {}: {name})", self.facts.position);
        }
        Found::about(self.subject.clone(), message)
    }
}

/// Judges a certificate; `hosts` are the names by which its server is reached, as far as known.
pub(in crate::audit) fn judge(
    facts: &CertificateFacts,
    hosts: &[String],
    now: Timestamp,
    judgement: &mut Judgement,
) {
    let subject = Subject::file(&facts.path);
    judgement.report_unless(RuleId::Blr039, facts.problem.is_none(), || {
        let problem = facts.problem.clone().unwrap_or_default();
        let which = match facts.position {
            1 => problem,
            position => format!("{problem} (certificate {position})"),
        };
        Found::about(subject.clone(), which)
    });
    if let Some(certificate) = &facts.certificate {
        let judged = Judged { facts, certificate, subject: subject.clone() };
        validity(&judged, now, judgement);
        strength(&judged, judgement);
        if facts.role != CertificateRole::Authority {
            identity(&judged, hosts, judgement);
        }
    }
    if let Some(key) = &facts.key {
        private_key(&subject, key, judgement);
    }
}

/// Judges the certificate that a live server showed, by the same rules as one in a file.
pub(in crate::audit) fn judge_shown(
    server: &ServerFacts,
    now: Timestamp,
    judgement: &mut Judgement,
) {
    let subject = Subject::Server { server: server.address.clone(), object: None };
    if let Some(certificate) = &server.connection.certificate {
        let facts = CertificateFacts {
            path: std::path::PathBuf::new(),
            position: 1,
            role: CertificateRole::Server,
            certificate: None,
            problem: None,
            key: None,
        };
        let judged = Judged { facts: &facts, certificate, subject };
        let begin = judgement.findings.len();
        validity(&judged, now, judgement);
        strength(&judged, judgement);
        // A name counts that the address has: what verified it has held it against that.
        let host = server.address.rsplit_once(':').map_or(&*server.address, |(host, _)| host);
        identity(&judged, &[host.trim_matches(['[', ']']).to_owned()], judgement);
        // The rules' own commands are for a file.
        let address = path_text::quoted(std::path::Path::new(&server.address));
        for finding in judgement.findings.iter_mut().skip(begin) {
            if finding.rule().language == Language::Shell {
                finding.own_remedy = Some(Remedy {
                    language: Language::Shell,
                    text: format!(
                        "openssl s_client -starttls mysql -connect {address} </dev/null 2>/dev/null | \
                         openssl x509 -noout -subject -issuer -dates -ext subjectAltName"
                    ),
                });
            }
        }
        return;
    }
    // Through a socket no certificate is shown: the server says how long its own is valid.
    let end = server.certificate_end.as_deref().and_then(openssl_time);
    if let Some(end) = end {
        let now = now.as_second();
        let days = end.saturating_sub(now) / SECONDS_OF_A_DAY;
        let seen = || value("Ssl_server_not_after", &time(end), &subject);
        judgement.report_unless(RuleId::Blr030, now <= end, || {
            let message = format!("the certificate in use expired on {}", time(end));
            Found::about(subject.clone(), message).seen(seen()).remedied(reload(server))
        });
        if now <= end {
            judgement.report_unless(RuleId::Blr031, days >= SOON_DAYS, || {
                let message =
                    format!("the certificate in use expires in {days} days, on {}", time(end));
                Found::about(subject.clone(), message).seen(seen()).remedied(reload(server))
            });
        }
    }
}

/// What takes a renewed certificate into use.
fn reload(server: &ServerFacts) -> Remedy {
    let statement = match server.flavour {
        Flavour::Mariadb => "FLUSH SSL;",
        _ => "ALTER INSTANCE RELOAD TLS;",
    };
    let text = format!("-- once the renewed certificate is in its place\n{statement}");
    Remedy { language: Language::Sql, text }
}

/// `Nov 27 11:00:00 2026 GMT`, as OpenSSL prints times.
fn openssl_time(text: &str) -> Option<i64> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.strip_suffix(" GMT").unwrap_or(&text);
    let time = jiff::civil::DateTime::strptime("%b %d %H:%M:%S %Y", text).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// BLR023: nothing is configured, and nothing is there to look at.
pub(in crate::audit) fn judge_absence(
    settings: &Settings,
    has_certificate: bool,
    judgement: &mut Judgement,
) {
    let tls_is_off = settings.get("ssl").is_some_and(|it| it.eq_ignore_ascii_case("OFF"));
    // MariaDB makes one since 11.4; before, it has no TLS without (BLR022).
    let makes_none = settings.is_mariadb()
        && settings.product.is_none_or(|it| it.version < MARIADB_MAKES_CERTIFICATES);
    if settings.is_live() || makes_none || tls_is_off {
        return;
    }
    let configured = settings.given("ssl_cert").is_some();
    // MySQL leaves its own in the data directory, where it is judged; MariaDB's is nowhere.
    let is_seen = has_certificate && !settings.is_mariadb();
    judgement.report_unless(RuleId::Blr023, configured || is_seen, || {
        let message = "the server makes a certificate of its own where it finds none";
        Found::about(settings.subject.clone(), message).seen(settings.evidence("ssl_cert"))
    });
}

fn value(name: &str, value: &dyn std::fmt::Display, subject: &Subject) -> Evidence {
    Evidence::Value { name: name.to_owned(), value: value.to_string(), source: subject.name() }
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// BLR030, BLR031.
fn validity(judged: &Judged<'_>, now: Timestamp, judgement: &mut Judgement) {
    let now = now.as_second();
    let certificate = judged.certificate;
    let (begin, end) = (certificate.not_before, certificate.not_after);
    let (name, message, seconds) = if now < begin {
        ("notBefore", format!("valid from {} on", time(begin)), begin)
    } else {
        ("notAfter", format!("expired on {}", time(end)), end)
    };
    let seen = |name, seconds| value(name, &time(seconds), &judged.subject);
    let is_valid = (begin..=end).contains(&now);
    judgement.report_unless(RuleId::Blr030, is_valid, || {
        judged.about(message).seen(seen(name, seconds))
    });
    if is_valid {
        let days = end.saturating_sub(now) / SECONDS_OF_A_DAY;
        judgement.report_unless(RuleId::Blr031, days >= SOON_DAYS, || {
            let message = format!("expires in {days} days, on {}", time(end));
            judged.about(message).seen(seen("notAfter", end))
        });
    }
}

/// BLR032, BLR033.
fn strength(judged: &Judged<'_>, judgement: &mut Judgement) {
    let certificate = judged.certificate;
    let (algorithm, bits) = (&certificate.key_algorithm, certificate.key_bits);
    let least = match &**algorithm {
        "RSA" | "DSA" => LEAST_RSA_BITS,
        "EC" => LEAST_EC_BITS,
        _ => 0,
    };
    judgement.report_unless(RuleId::Blr032, bits >= least, || {
        let message = format!("a key of {bits} bits ({algorithm}); {least} are the least");
        judged.about(message).seen(value("key", &bits, &judged.subject))
    });
    // Nobody relies on the signature of a root: it is trusted as it is.
    let is_root = judged.facts.role == CertificateRole::Authority && certificate.self_signed;
    let fits = is_root || !certificate.weak_signature;
    judgement.report_unless(RuleId::Blr033, fits, || {
        let algorithm = &certificate.signature;
        judged.about(format!("signed by {algorithm}")).seen(value(
            "signatureAlgorithm",
            algorithm,
            &judged.subject,
        ))
    });
}

/// BLR034, BLR035, BLR036.
fn identity(judged: &Judged<'_>, hosts: &[String], judgement: &mut Judgement) {
    let certificate = judged.certificate;
    let is_generated =
        certificate.common_name.as_ref().is_some_and(|name| name.contains(AUTO_GENERATED));
    let is_self_made = is_generated || certificate.self_signed;
    judgement.report_unless(RuleId::Blr034, !is_self_made, || {
        let message = if is_generated {
            "the server made it for itself"
        } else {
            "it signed itself: no authority vouches for it"
        };
        let subject = value("subject", &certificate.subject, &judged.subject);
        judged.about(message).seen(subject)
    });
    // What nobody can verify needs no names.
    if is_self_made {
        return;
    }
    if let Some(verified) = certificate.chain {
        judgement.report_unless(RuleId::Blr035, verified, || {
            let issuer = &certificate.issuer;
            let message = format!(
                "no authority at hand that is valid and may sign stands behind it; its issuer is \
                 {issuer}"
            );
            judged.about(message).seen(value("issuer", issuer, &judged.subject))
        });
    }
    if judged.facts.role == CertificateRole::Server {
        host_names(judged, hosts, judgement);
    }
}

/// BLR036.
fn host_names(judged: &Judged<'_>, hosts: &[String], judgement: &mut Judgement) {
    let names = &judged.certificate.names;
    let missing: Vec<_> = hosts
        .iter()
        .filter(|host| !names.iter().any(|name| covers(name, host)))
        .map(String::as_str)
        .collect();
    let fits = !names.is_empty() && missing.is_empty();
    judgement.report_unless(RuleId::Blr036, fits, || {
        let message = if names.is_empty() {
            "it names no host (no subjectAltName)".to_owned()
        } else {
            format!("it does not name {}", missing.join(", "))
        };
        let names = value("subjectAltName", &names.join(", "), &judged.subject);
        judged.about(message).seen(names)
    });
}

/// Whether a name of a certificate is for a host; `*` stands for one label (RFC 6125).
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    match name.strip_prefix("*.") {
        Some(parent) => {
            host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
        }
        None => name == host,
    }
}

/// BLR037, BLR038, BLR039.
fn private_key(certificate: &Subject, key: &PrivateKeyFacts, judgement: &mut Judgement) {
    let subject = Subject::file(&key.path);
    judgement.report_unless(RuleId::Blr039, key.problem.is_none(), || {
        Found::about(subject.clone(), key.problem.clone().unwrap_or_default())
    });
    if key.problem.is_some() {
        return;
    }
    // Packages give the server's group the right to read what root owns.
    let allowed = if key.owned_by_root { 0o640 } else { 0o600 };
    let mode = key.mode & 0o777;
    judgement.report_unless(RuleId::Blr037, mode & !allowed & 0o077 == 0, || {
        let message = format!("a private key of mode {mode:04o}; at most {allowed:04o} is allowed");
        let found = Found::about(subject.clone(), message);
        let found = found.seen(value("mode", &format!("{mode:04o}"), &subject));
        // Taken from all but root, a server that runs as another user starts without TLS.
        if !key.owned_by_root {
            return found;
        }
        let file = path_text::quoted(&key.path);
        found.remedied(Remedy {
            language: Language::Shell,
            text: format!(
                "# the server's user must be able to read it: mysql stands for its group\n\
                 chown root:\"$(getent group mysql >/dev/null && echo mysql || echo root)\" {file}\n\
                 chmod 0640 {file}"
            ),
        })
    });
    if let Some(matches) = key.matches {
        judgement.report_unless(RuleId::Blr038, matches, || {
            let file = certificate.path().map(path_text::text).unwrap_or_default();
            Found::about(subject.clone(), format!("not the key of {file}"))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (name, host, fits) in [
            ("db.example", "DB.example", true),
            ("*.example", "db.example", true),
            ("*.example", "a.db.example", false),
            ("*.example", "example", false),
            ("10.0.0.1", "10.0.0.1", true),
        ] {
            assert_eq!(covers(name, host), fits, "{name} {host}");
        }
    }
}
