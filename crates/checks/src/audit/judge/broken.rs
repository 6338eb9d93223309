//! Channels that do not run, and what is the matter with them.

use super::server::sql_remedy;
use super::words::{change, object, status};
use super::{Judgement, Server, of_server, seen};
use crate::audit::facts::server::ChannelFacts;
use crate::audit::facts::settings::Settings;
use crate::finding::{Remedy, RuleId, Severity};
use binlogsec_core::bytes::beginning;

/// So much of the server's message is shown, in bytes.
const SHOWN: usize = 300;

/// What is the matter, and what helps.
struct Cause {
    what: String,
    remedy: Option<Remedy>,
}

/// BLR066: a channel that is not connected, or whose applier does not run.
pub(super) fn judge(server: &Server<'_>, channel: &ChannelFacts, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    // master.info says nothing of that.
    if channel.io_running.is_empty() {
        return;
    }
    let runs = channel.io_running == "Yes";
    judgement.report_unless(RuleId::Blr066, runs, || {
        let state = &channel.io_running;
        let place = format!("{}:{}", channel.source_host, channel.source_port);
        let Some(error) = &channel.last_io_error else {
            let severity = if state == "No" { Severity::Warning } else { Severity::Note };
            let message = format!("is not connected to {place} ({state}): its TLS is not in use");
            return of_server(facts, Some(object(channel)), message).weighing(severity).seen(seen(
                "IO_Running",
                state,
                status(settings),
            ));
        };
        let cause = cause(channel, settings, error);
        let message = format!("is not connected to {place} ({state}): {}", cause.what);
        let found = of_server(facts, Some(object(channel)), message).seen(seen(
            "Last_IO_Error",
            &beginning(error, SHOWN),
            status(settings),
        ));
        match cause.remedy {
            Some(remedy) => found.remedied(remedy),
            None => found.remedied(sql_remedy(format!("{};", status(settings)))),
        }
    });
}

/// The same in the words of the server's version.
fn words(settings: &Settings, text: &str) -> String {
    let old = settings.is_mariadb() || !settings.since((8, 0, 23));
    if old {
        text.replace("SOURCE_", "MASTER_").replace("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
    } else {
        text.to_owned()
    }
}

/// The number of the client's error within the message, or that of the column.
fn number(channel: &ChannelFacts, error: &str) -> u32 {
    const EXPLAINED: [(u32, &str); 4] =
        [(2026, "2026"), (2061, "2061"), (1045, "1045"), (1236, "1236")];
    let within = EXPLAINED.iter().find(|(_, text)| {
        error.contains(&format!("Error_code: MY-00{text}"))
            || error.contains(&format!("error {text}"))
            || error.contains(&format!("Error: {text}"))
            || error.contains(&format!("({text})"))
    });
    match (channel.last_io_errno, within) {
        (Some(known), _) if EXPLAINED.iter().any(|(it, _)| *it == known) => known,
        (_, Some((number, _))) => *number,
        (known, None) if error.contains("SSL connection error") => known.map_or(2026, |_| 2026),
        (known, None) => known.unwrap_or(0),
    }
}

fn cause(channel: &ChannelFacts, settings: &Settings, error: &str) -> Cause {
    let plain = |what| Cause { what: words(settings, what), remedy: None };
    match number(channel, error) {
        2026 => tls(channel, settings, error),
        2061 => Cause {
            what: words(
                settings,
                "2061, the password would cross the network in the clear: the channel has no TLS, and \
                   the account's plugin wants it (on the replica: SOURCE_SSL)",
            ),
            remedy: Some(change(
                channel,
                settings,
                &["SSL = 1", "SSL_CA = '/etc/mysql/ca.pem'", "SSL_VERIFY_SERVER_CERT = 1"],
            )),
        },
        1045 => Cause {
            what: words(
                settings,
                "1045, the source lets this account not in: a wrong password, another host than the \
                   account's, or REQUIRE (SSL, X509) that the channel does not meet (on the source: the \
                   account; on the replica: user, password, SOURCE_SSL, SOURCE_SSL_CERT)",
            ),
            remedy: Some(sql_remedy(
                "-- on the source: what does the account demand, and whence may it come?\n\
                 SELECT User, Host, ssl_type, plugin, account_locked FROM mysql.user;"
                    .to_owned(),
            )),
        },
        1236 if error.contains("ecrypt") || error.contains("keyring") => plain(
            "1236, the source cannot read its own log: its keyring lacks the key (on the source: bring \
             the keyring back)",
        ),
        1236 => plain(
            "1236, the source no longer has, or cannot read, the log that the replica asks for: purged, or \
             damaged (on the source: SHOW BINARY LOGS; the replica must be made anew, or the logs \
             brought back from the archive)",
        ),
        2003 | 2005 | 2002 => plain("nobody answers there: host, port, or a firewall in between"),
        _ => plain("the server's words say why"),
    }
}

/// Messages of OpenSSL and of the servers, and what is behind each.
const TLS_CAUSES: [(&[&str], &str, &[&str]); 9] = [
    (
        &["CA certificate is required"],
        "2026, it is to verify the source and has no authority for that (on the replica: SOURCE_SSL_CA)",
        &["SSL_CA = '/etc/mysql/ca.pem'"],
    ),
    (
        &["SSL_CTX_set_default_verify_paths", "SSL_CTX_load_verify_locations"],
        "2026, the CA file is not there, or the replica's server cannot read it (on the replica: \
         SOURCE_SSL_CA)",
        &["SSL_CA = '/etc/mysql/ca.pem'"],
    ),
    (
        &["no ciphers available"],
        "2026, the channel allows no cipher (on the replica: SOURCE_TLS_CIPHERSUITES, SOURCE_SSL_CIPHER)",
        &["TLS_CIPHERSUITES = NULL", "SSL_CIPHER = ''"],
    ),
    (
        &["CRL", "crl"],
        "2026, the list of revoked certificates is not there, or out of date (on the replica: \
         SOURCE_SSL_CRL, SOURCE_SSL_CRLPATH)",
        &[],
    ),
    (
        &["private key", "get certificate"],
        "2026, the certificate or key that the channel shows cannot be read (on the replica: \
         SOURCE_SSL_CERT, SOURCE_SSL_KEY)",
        &[],
    ),
    (
        &["SSL is required", "doesn't support it", "does not support SSL"],
        "2026, the source has no TLS (on the source: ssl_cert and ssl_key, and what its error log says)",
        &[],
    ),
    (
        &[
            "certificate verify failed",
            "verify the server certificate",
            "Validation of SSL server certificate",
        ],
        "2026, the source's certificate cannot be verified: it has expired, names another host than \
         SOURCE_HOST, or another authority signed it than that of SOURCE_SSL_CA",
        &[],
    ),
    (
        &["protocol version", "unsupported protocol", "version too low"],
        "2026, no TLS version in common (on the replica: SOURCE_TLS_VERSION; on the source: tls_version)",
        &["TLS_VERSION = 'TLSv1.2,TLSv1.3'"],
    ),
    (
        &["handshake failure", "no shared cipher", "cipher"],
        "2026, no cipher in common (on the replica: SOURCE_SSL_CIPHER and SOURCE_TLS_CIPHERSUITES; on the \
         source: ssl_cipher and tls_ciphersuites)",
        &[],
    ),
];

fn tls(channel: &ChannelFacts, settings: &Settings, error: &str) -> Cause {
    let known = TLS_CAUSES.iter().find(|(texts, _, _)| texts.iter().any(|it| error.contains(it)));
    let Some((_, what, options)) = known else {
        return Cause {
            what: "2026, TLS could not be negotiated: the server's words say why".to_owned(),
            remedy: None,
        };
    };
    // Its own lists, where it has some, are what keeps it from agreeing with the source.
    let is_of_ciphers = what.starts_with("2026, no cipher in common");
    let lists = [
        channel.ssl_cipher.as_ref().map(|_| "SSL_CIPHER = ''"),
        channel.tls_ciphersuites.as_ref().map(|_| "TLS_CIPHERSUITES = NULL"),
    ];
    // The suites are an option of MySQL alone.
    let options: Vec<_> = options
        .iter()
        .copied()
        .chain(lists.into_iter().flatten().filter(|_| is_of_ciphers))
        .filter(|it| !settings.is_mariadb() || !it.starts_with("TLS_"))
        .collect();
    let remedy = (!options.is_empty()).then(|| change(channel, settings, &options));
    Cause { what: words(settings, what), remedy }
}
