//! Holds servers against an earlier report: what a failover tool, or a hand, has dropped.

use serde::Deserialize;

use super::facts::server::{AccountFacts, ChannelFacts, ServerFacts, TlsRequirement};
use super::facts::settings::Settings;
use super::judge::server::sql_remedy;
use super::judge::words::{change, object};
use super::judge::{Found, Judgement};
use super::sql;
use crate::finding::{Evidence, RuleId, Severity, Subject};

/// The schema of reports that can be read.
const SCHEMA: &str = "binlogsec.audit/1";

/// The servers of an earlier report.
#[derive(Debug, Clone, Default)]
pub struct Before {
    servers: Vec<ServerFacts>,
}

/// A file that is no report of an audit.
#[derive(Debug, thiserror::Error)]
pub enum BeforeError {
    /// It cannot be understood.
    #[error("no JSON report of `binlogsec audit` (what --save writes)")]
    Json(#[from] serde_json::Error),
    /// It is of another kind or version.
    #[error("its schema is {found:?}, and {SCHEMA:?} is expected (what --save writes)")]
    Schema {
        /// What it says.
        found: String,
    },
}

#[derive(Deserialize)]
struct Report {
    schema: String,
    facts: Facts,
}

#[derive(Deserialize)]
struct Facts {
    servers: Vec<ServerFacts>,
}

impl Before {
    /// From the text of a JSON report.
    ///
    /// # Errors
    /// [`BeforeError`]: it is none.
    pub fn parse(text: &[u8]) -> Result<Self, BeforeError> {
        let report: Report = serde_json::from_slice(text)?;
        if report.schema != SCHEMA {
            return Err(BeforeError::Schema { found: report.schema });
        }
        Ok(Self { servers: report.facts.servers })
    }
}

/// The options of a channel that make it private, as CHANGE has them.
fn options(channel: &ChannelFacts) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| sql::quoted(value.as_deref().unwrap_or_default());
    let switch = |on: bool| u8::from(on).to_string();
    vec![
        ("SSL", switch(channel.ssl)),
        ("SSL_CA", text(&channel.ssl_ca)),
        ("SSL_CAPATH", text(&channel.ssl_ca_path)),
        ("SSL_CERT", text(&channel.ssl_cert)),
        ("SSL_KEY", text(&channel.ssl_key)),
        ("SSL_CIPHER", text(&channel.ssl_cipher)),
        ("SSL_CRL", text(&channel.ssl_crl)),
        ("SSL_CRLPATH", text(&channel.ssl_crl_path)),
        ("SSL_VERIFY_SERVER_CERT", switch(channel.verify_server_cert)),
        ("TLS_VERSION", text(&channel.tls_version)),
        (
            "TLS_CIPHERSUITES",
            channel
                .tls_ciphersuites
                .as_ref()
                .map_or_else(|| "NULL".to_owned(), |it| sql::quoted(it)),
        ),
    ]
}

/// BLR068 for each channel and account that is not as it was.
pub(super) fn judge(before: &Before, servers: &[ServerFacts], judgement: &mut Judgement) {
    judgement.applied.insert(RuleId::Blr068);
    for old in &before.servers {
        let is_same = |server: &&ServerFacts| {
            server.server_uuid.is_some() && server.server_uuid == old.server_uuid
                || server.address == old.address
        };
        let Some(server) = servers.iter().find(is_same) else {
            judgement.report_unless(RuleId::Blr068, false, || {
                let subject = Subject::Server { server: old.address.clone(), object: None };
                Found::about(subject, "was there before, and was not asked now")
                    .weighing(Severity::Note)
            });
            continue;
        };
        for channel in &server.channels {
            let was = old.channels.iter().find(|it| it.name == channel.name);
            if let Some(was) = was {
                judge_channel(server, was, channel, judgement);
            }
        }
        judge_accounts(old, server, judgement);
    }
}

fn judge_channel(
    server: &ServerFacts,
    was: &ChannelFacts,
    is: &ChannelFacts,
    judgement: &mut Judgement,
) {
    let settings = Settings::of_server(server);
    let has = |name: &str| !settings.is_mariadb() || !name.starts_with("TLS_");
    let before = options(was);
    let changed: Vec<_> = before
        .iter()
        .zip(options(is))
        .filter(|((name, old), (_, new))| old != new && has(name))
        .map(|((name, old), (_, new))| (*name, old.clone(), new))
        .collect();
    judgement.report_unless(RuleId::Blr068, changed.is_empty(), || {
        let lost = was.ssl && !is.ssl || was.verify_server_cert && !is.verify_server_cert;
        let names: Vec<_> =
            changed.iter().map(|(name, old, new)| format!("{name} {old} -> {new}")).collect();
        // All of them, as a tool that sets some may leave the others at another default.
        let whole: Vec<_> = before
            .iter()
            .filter(|(name, value)| {
                has(name)
                    && (!matches!(&**value, "''" | "NULL")
                        || changed.iter().any(|it| it.0 == *name))
            })
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let whole: Vec<_> = whole.iter().map(String::as_str).collect();
        let subject = Subject::Server { server: server.address.clone(), object: Some(object(is)) };
        Found::about(subject, format!("is not as it was: {}", names.join(", ")))
            .weighing(if lost { Severity::Error } else { Severity::Warning })
            .seen(Evidence::Value {
                name: "source".to_owned(),
                value: format!("{}:{}", is.source_host, is.source_port),
                source: format!("before: {}:{}", was.source_host, was.source_port),
            })
            .remedied(change(is, &settings, &whole))
    });
}

fn judge_accounts(old: &ServerFacts, server: &ServerFacts, judgement: &mut Judgement) {
    let (Some(before), Some(now)) = (&old.accounts, &server.accounts) else {
        return;
    };
    for was in before {
        let same = |it: &&AccountFacts| it.user == was.user && it.host == was.host;
        let Some(is) = now.iter().find(same) else {
            continue;
        };
        let less = strength(is.require) < strength(was.require);
        judgement.report_unless(RuleId::Blr068, !less, || {
            let name = sql::account(&was.user, &was.host);
            let demand = match was.require {
                TlsRequirement::X509 => "X509",
                TlsRequirement::Specified => {
                    "X509 /* PLACEHOLDER: SUBJECT, ISSUER or CIPHER, as before */"
                }
                _ => "SSL",
            };
            let subject =
                Subject::Server { server: server.address.clone(), object: Some(name.clone()) };
            Found::about(subject, format!("demanded {demand} before, and demands less now"))
                .weighing(Severity::Error)
                .remedied(sql_remedy(format!("ALTER USER IF EXISTS {name} REQUIRE {demand};")))
        });
    }
}

const fn strength(requirement: TlsRequirement) -> u8 {
    match requirement {
        TlsRequirement::None => 0,
        TlsRequirement::Ssl => 1,
        TlsRequirement::X509 => 2,
        TlsRequirement::Specified => 3,
    }
}
