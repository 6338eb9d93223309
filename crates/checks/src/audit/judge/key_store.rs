//! Key stores: who can ask them, who listens on the way, and who shares one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Found, Judgement, of_server, seen};
use crate::audit::facts::key_store::KeyStoreFacts;
use crate::audit::facts::server::ServerFacts;
use crate::finding::rules::Language;
use crate::finding::{Remedy, RuleId, Severity, Subject};
use binlogsec_core::text::path_text;

/// Its owner alone.
const SECRET_MODE: u32 = 0o600;
/// Plugins and components whose location is a store on the network.
const STORES: [&str; 3] =
    ["component_keyring_vault", "component_keyring_kmip", "hashicorp_key_management"];

/// Judges a store that a configuration names.
pub(in crate::audit) fn judge(store: &KeyStoreFacts, judgement: &mut Judgement) {
    for secret in &store.secrets {
        let Some(mode) = secret.mode.map(|mode| mode & 0o777) else { continue };
        judgement.report_unless(RuleId::Blr007, mode & !SECRET_MODE & 0o077 == 0, || {
            let holds = &secret.holds;
            let message = format!(
                "the {holds} of a key store in a file of mode {mode:04o}; at most \
                 {SECRET_MODE:04o} is allowed"
            );
            Found::about(Subject::file(&secret.path), message)
        });
    }
    judgement.report_unless(RuleId::Bls018, !is_plain(&store.address), || {
        let subject = Subject::File { path: store.path.clone(), line: store.line };
        let found = Found::about(subject, by_http(&store.address));
        let text = format!("ls -l {}", path_text::quoted(&store.path));
        weigh(found.remedied(Remedy { language: Language::Shell, text }), &store.address)
    });
}

/// Judges the stores of live servers.
pub(in crate::audit) fn judge_servers(servers: &[ServerFacts], judgement: &mut Judgement) {
    let mut users: BTreeMap<&str, Vec<&ServerFacts>> = BTreeMap::new();
    for server in servers {
        for (name, location) in stores(server) {
            judgement.report_unless(RuleId::Bls018, !is_plain(location), || {
                let found = of_server(server, None, by_http(location)).seen(seen(
                    name,
                    location,
                    "the server",
                ));
                weigh(found.remedied(status()), location)
            });
            users.entry(location).or_default().push(server);
        }
    }
    for (location, servers) in users {
        judgement.report_unless(RuleId::Bls020, servers.len() < 2, || {
            let addresses: Vec<_> = servers.iter().map(|server| server.address.as_str()).collect();
            let message = format!(
                "{} servers have their keys at {location}: {}",
                servers.len(),
                addresses.join(", ")
            );
            let first = servers.first().copied();
            let server = first.map(|server| server.address.clone()).unwrap_or_default();
            Found::about(Subject::Server { server, object: None }, message).remedied(status())
        });
    }
}

/// The stores on the network that a server has its keys in, and where.
fn stores(server: &ServerFacts) -> impl Iterator<Item = (&str, &str)> {
    let on_network = server.keyrings.iter().filter(|it| STORES.contains(&it.name.as_str()));
    on_network.filter_map(|keyring| Some((keyring.name.as_str(), keyring.location.as_deref()?)))
}

/// What a server says of its keyring.
fn status() -> Remedy {
    let text = "SELECT * FROM performance_schema.keyring_component_status;\n\
                SHOW GLOBAL VARIABLES LIKE 'hashicorp_key_management%';";
    Remedy { language: Language::Sql, text: text.to_owned() }
}

fn by_http(address: &str) -> String {
    format!("the key store {address} is asked by http")
}

fn is_plain(address: &str) -> bool {
    address.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

/// Within one machine nobody else listens.
fn weigh(found: Found, address: &str) -> Found {
    let host = address.split('/').nth(2).unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback { found.weighing(Severity::Note) } else { found }
}
