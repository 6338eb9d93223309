//! What settings show, of option files and of live servers alike.

use super::{Found, Judgement};
use crate::audit::facts::server::Flavour;
use crate::audit::facts::settings::{Origin, Settings, is_on, option_lines};
use crate::audit::versions;
use crate::finding::rules::Language;
use crate::finding::{Remedy, RuleId, Severity};
use binlogsec_core::text::path_text;

/// Names in a list of ciphers that make what they stand for worthless, each with OpenSSL's name of
/// all ciphers that share the fault (`openssl-ciphers(1)`): without that, nothing of it is left.
const WEAK_CIPHERS: [(&str, &str); 16] = [
    ("ANULL", "ANULL"),
    ("ANON", "ANULL"),
    ("ADH", "ANULL"),
    ("AECDH", "ANULL"),
    ("ALL", "ANULL"),
    ("COMPLEMENTOFDEFAULT", "ANULL"),
    ("ENULL", "ENULL"),
    ("NULL", "ENULL"),
    ("COMPLEMENTOFALL", "ENULL"),
    ("RC4", "RC4"),
    ("DES", "DES"),
    ("3DES", "3DES"),
    ("CBC3", "3DES"),
    ("MD5", "MD5"),
    ("EXP", "EXP"),
    ("LOW", "LOW"),
];
/// TLS versions that are retired (RFC 8996).
const OLD_TLS: [&str; 4] = ["SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"];
/// Keyring plugins are deprecated from here on.
const PLUGINS_DEPRECATED: (u16, u16, u16) = (8, 0, 34);
/// The first MariaDB that makes itself a certificate.
pub(in crate::audit) const MARIADB_MAKES_CERTIFICATES: (u16, u16, u16) = (11, 4, 0);

/// Judges the settings of one server.
pub(in crate::audit) fn judge(settings: &Settings, judgement: &mut Judgement) {
    refused(settings, judgement);
    log_encryption(settings, judgement);
    keyring_plugin(settings, judgement);
    log_contents(settings, judgement);
    transport(settings, judgement);
    cluster(settings, judgement);
}

/// The variable that encrypts logs.
pub(in crate::audit) fn encryption_variable(settings: &Settings) -> &'static str {
    let is_percona_57 = settings.product.is_some_and(|product| {
        product.flavour == Flavour::Percona && !versions::refuses(product, "encrypt_binlog")
    });
    if settings.is_mariadb() || is_percona_57 { "encrypt_binlog" } else { "binlog_encryption" }
}

/// Whether logs are to be encrypted; `None` where the version cannot.
pub(in crate::audit) fn encrypts_logs(settings: &Settings) -> Option<bool> {
    let variable = encryption_variable(settings);
    // With `loose-` in front, an option that the version does not have is passed over.
    let has_none = settings.product.is_some_and(|product| versions::refuses(product, variable));
    settings.is_on(variable).filter(|_| !has_none)
}

/// A finding about one setting.
fn about(settings: &Settings, name: &str, message: impl Into<String>) -> Found {
    Found::about(settings.subject_of(name), message).seen(settings.evidence(name))
}

/// BLR017: options that keep the server from starting.
fn refused(settings: &Settings, judgement: &mut Judgement) {
    let Some(product) = settings.product.filter(|_| !settings.is_live()) else {
        return;
    };
    judgement.applied.insert(RuleId::Blr017);
    for (name, setting) in &settings.values {
        let Origin::File { path, line } = &setting.origin else {
            continue;
        };
        if setting.is_loose || !versions::refuses(product, name) {
            continue;
        }
        judgement.report_unless(RuleId::Blr017, false, || {
            let message = format!("{product} does not know {name}, and does not start with it");
            let path = path_text::quoted(path);
            about(settings, name, message).remedied(Remedy {
                language: Language::Shell,
                text: format!("sed -i '{line}s/^/# /' {path}"),
            })
        });
    }
}

/// BLR001, BLR002, BLR006, BLR009, BLR010.
fn log_encryption(settings: &Settings, judgement: &mut Judgement) {
    let variable = encryption_variable(settings);
    let encrypts = encrypts_logs(settings);
    if let Some(product) = settings.product {
        judgement.report_unless(RuleId::Blr002, encrypts.is_some(), || {
            let message = format!("{product} has no {variable}");
            Found::about(settings.subject.clone(), message)
        });
    }
    if let Some(encrypts) = encrypts {
        judgement.report_unless(RuleId::Blr001, encrypts, || {
            let message = "binary and relay logs are written in the clear";
            about(settings, variable, message).remedied(encrypt(settings))
        });
    }
    let rotation = "binlog_rotate_encryption_master_key_at_startup";
    if let (Some(true), Some(rotates)) = (encrypts, settings.is_on(rotation)) {
        judgement.report_unless(RuleId::Blr006, rotates, || {
            about(settings, rotation, "a restart keeps the key in use")
        });
    }
    let temporary = "encrypt_tmp_files";
    if let (Some(true), Some(plain)) = (encrypts, settings.is_on(temporary)) {
        judgement.report_unless(RuleId::Blr009, plain, || {
            let message = "large transactions pass through a plain temporary file";
            about(settings, temporary, message)
        });
    }
    if let Some(value) = settings.get("log_bin") {
        judgement.report_unless(RuleId::Blr010, !value.eq_ignore_ascii_case("OFF"), || {
            about(settings, "log_bin", "this server keeps no binary log")
        });
    }
}

/// What turns the encryption of logs on, once there is a keyring: without one, a server that runs
/// refuses the statement, and one that starts stops.
fn encrypt(settings: &Settings) -> Remedy {
    let variable = encryption_variable(settings);
    if settings.is_mariadb() {
        return option_lines(&[
            "# a key plugin must be loaded first (BLR003): without keys the server does not start",
            "encrypt_binlog = ON",
        ]);
    }
    let mut remedy = settings.set(variable, "ON");
    let note = "a keyring must be loaded first (BLR003): without one this fails";
    remedy.text = match remedy.language {
        Language::Sql => format!("-- {note}\n{}", remedy.text),
        _ => format!("# {note}\n{}", remedy.text),
    };
    remedy
}

/// BLR004 and BLR005: what options say of keyring plugins. A live server says it better.
fn keyring_plugin(settings: &Settings, judgement: &mut Judgement) {
    if settings.is_live() || settings.is_mariadb() {
        return;
    }
    let has_keyring = |name: &&str| settings.get(name).is_some_and(|it| it.contains("keyring_"));
    let late = ["plugin_load", "plugin_load_add"].into_iter().find(has_keyring);
    let early = Some("early_plugin_load").filter(has_keyring);
    let Some(name) = late.or(early) else {
        return;
    };
    let items = settings.get(name).unwrap_or_default();
    let named: Vec<_> = items.split([';', ',']).filter(|it| it.contains("keyring_")).collect();
    let missing = named.iter().find_map(|it| versions::plugin_is_missing(settings.product, it));
    if let Some(problem) = missing {
        judgement.report_unless(RuleId::Blr003, false, || {
            let first = named.first().map_or("", |it| versions::plugin_name(it));
            about(settings, name, problem).remedied(component(settings, first))
        });
        return;
    }
    judgement.report_unless(RuleId::Blr004, early.is_some(), || {
        let message = format!("{items} is loaded after the binary log starts");
        let remedy = option_lines(&[&format!("early-plugin-load = {items}")]);
        about(settings, name, message).remedied(remedy)
    });
    let old = settings.product.is_some_and(|it| it.version >= PLUGINS_DEPRECATED);
    judgement.report_unless(RuleId::Blr005, !old, || {
        let plugin = named.first().map_or("", |it| versions::plugin_name(it));
        let message = "this version wants a keyring component";
        about(settings, name, message).remedied(migration(settings, plugin))
    });
}

/// The component that takes the place of a plugin, with all its files.
fn component(settings: &Settings, plugin: &str) -> Remedy {
    let name = plugin.strip_prefix("component_").unwrap_or(plugin);
    let old = settings.given("keyring_file_data").filter(|_| name == "keyring_file");
    let mut lines = keyring_component(&format!("component_{name}"), settings.given("plugin_dir"));
    lines.push_str("\n# then take the plugin's options out of the option file");
    if let Some(old) = old {
        lines.push_str(&format!(
            "\n# its keys: binlogsec keyring convert {} --as component --output \
             /var/lib/mysql-keyring/component_keyring_file",
            path_text::quoted(std::path::Path::new(old))
        ));
    }
    Remedy { language: Language::Shell, text: lines }
}

/// The commands that put a keyring component in place: the manifest beside the server, and the
/// configuration beside the plugins. What stands in the data directory counts only where these say so.
pub(in crate::audit) fn keyring_component(name: &str, plugin_directory: Option<&str>) -> String {
    let plugins = plugin_directory.unwrap_or("/usr/lib/mysql/plugin").trim_end_matches('/');
    if name != "component_keyring_file" {
        return format!(
            "# the component {name} has a configuration of its own: see its manual\n\
             echo '{{\"components\": \"file://{name}\"}}' > /usr/sbin/mysqld.my"
        );
    }
    format!(
        "install -d -m 0750 -o mysql -g mysql /var/lib/mysql-keyring\n\
         echo '{{\"path\": \"/var/lib/mysql-keyring/{name}\", \"read_only\": false}}' > {plugins}/{name}.cnf\n\
         echo '{{\"components\": \"file://{name}\"}}' > /usr/sbin/mysqld.my\n\
         # restart the server"
    )
}

/// How keys come from a plugin into its component. Keys of a store stay in the store.
pub(in crate::audit) fn migration(settings: &Settings, plugin: &str) -> Remedy {
    let text = match plugin {
        "keyring_file" => {
            let data = settings.given("keyring_file_data");
            let data = data.unwrap_or("/var/lib/mysql-keyring/keyring");
            format!(
                "binlogsec keyring convert {} --as component --output \
                 /var/lib/mysql-keyring/component_keyring_file\n\
                 # with the server stopped; the file belongs to the server's user\n{}",
                path_text::quoted(std::path::Path::new(data)),
                keyring_component("component_keyring_file", settings.given("plugin_dir"))
            )
        }
        "keyring_vault" => "# the keys stay in Vault: configure component_keyring_vault for the \
                            same server, mount point and token (Percona's manual, \"Vault \
                            component\"), name it in mysqld.my, and take the plugin out\n\
                            mysql -e \"SELECT * FROM performance_schema.keyring_component_status\""
            .to_owned(),
        other => format!(
            "# {other}: its component takes the same store; see its manual for the migration\n\
             mysql -e \"SELECT * FROM performance_schema.keyring_component_status\""
        ),
    };
    Remedy { language: Language::Shell, text }
}

/// BLR008, BLR011, BLR013, BLR014.
fn log_contents(settings: &Settings, judgement: &mut Judgement) {
    let is = |name: &str, value: &str| {
        let found = settings.get(name)?;
        Some(found.eq_ignore_ascii_case(value))
    };
    for (rule, name, value, good, message) in [
        (
            RuleId::Blr008,
            "binlog_format",
            "STATEMENT",
            "ROW",
            "files of LOAD DATA pass through plain temporary files of replicas",
        ),
        (
            RuleId::Blr014,
            "binlog_row_metadata",
            "FULL",
            "MINIMAL",
            "the log says which column is which",
        ),
    ] {
        if let Some(bad) = is(name, value) {
            judgement.report_unless(rule, !bad, || {
                about(settings, name, message).remedied(settings.set(name, good))
            });
        }
    }
    let compression = "binlog_transaction_compression";
    if let Some(on) = settings.is_on(compression) {
        judgement.report_unless(RuleId::Blr013, !on, || {
            let message = "the lengths of transactions depend on their contents";
            about(settings, compression, message).remedied(settings.set(compression, "OFF"))
        });
    }
    let repository = "master_info_repository";
    let is_set =
        settings.values.get(repository).is_some_and(|setting| setting.origin != Origin::Default);
    let known = !settings.product.is_some_and(|product| versions::refuses(product, repository));
    if let (true, true, Some(file)) = (is_set, known, is(repository, "FILE")) {
        judgement.report_unless(RuleId::Blr011, !file, || {
            let message = "master.info will hold the password for the source";
            about(settings, repository, message).remedied(settings.set(repository, "TABLE"))
        });
    }
}

/// BLR020, BLR021, BLR022, BLR024.
fn transport(settings: &Settings, judgement: &mut Judgement) {
    let off = tls_off(settings);
    judgement.report_unless(RuleId::Blr022, off.is_none(), || {
        let name = off.unwrap_or_default();
        let found = about(settings, name, "nothing this server sends is encrypted");
        match name {
            "tls_version" => found.remedied(option_lines(&["tls_version = TLSv1.2,TLSv1.3"])),
            _ => found,
        }
    });
    let required = "require_secure_transport";
    if let Some(on) = settings.is_on(required) {
        judgement.report_unless(RuleId::Blr020, on, || {
            let message = "whoever connects without TLS is let in";
            about(settings, required, message).remedied(settings.set(required, "ON"))
        });
    }
    tls_versions(settings, "tls_version", judgement);
    weak_cipher(settings, "ssl_cipher", judgement);
    // The interface for administrators has options of its own, where there is one.
    if settings.given("admin_address").is_some() {
        tls_versions(settings, "admin_tls_version", judgement);
        weak_cipher(settings, "admin_ssl_cipher", judgement);
    }
}

/// BLR024.
fn weak_cipher(settings: &Settings, name: &str, judgement: &mut Judgement) {
    let Some(ciphers) = settings.given(name) else {
        return;
    };
    let weak = weak_ciphers(ciphers);
    judgement.report_unless(RuleId::Blr024, weak.is_empty(), || {
        const GOOD: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
        let found = about(settings, name, format!("allows {}", weak.join(", ")));
        found.remedied(set_tls(settings, name, GOOD))
    });
}

/// Sets an option of TLS. Before 8.0.16, and on MariaDB, that takes a restart.
fn set_tls(settings: &Settings, name: &str, value: &str) -> Remedy {
    if settings.is_mariadb() || !settings.since((8, 0, 16)) {
        return option_lines(&[&format!("{name} = {value}")]);
    }
    let mut remedy = settings.set(name, value);
    if remedy.language == Language::Sql {
        let channel = if name.starts_with("admin_") { " FOR CHANNEL mysql_admin" } else { "" };
        remedy.text.push_str(&format!("\nALTER INSTANCE RELOAD TLS{channel};"));
    }
    remedy
}

/// The TLS versions that nothing is wrong with, of those that a server knows.
pub(in crate::audit) fn good_tls(settings: &Settings) -> &'static str {
    // 5.7 refuses to start with a version it does not know.
    let has_13 = settings.is_mariadb() || settings.since((8, 0, 16));
    if has_13 { "TLSv1.2,TLSv1.3" } else { "TLSv1.2" }
}

/// Whether a version of TLS is none to be trusted any more, as servers name it.
pub(in crate::audit) fn is_old_tls(version: &str) -> bool {
    OLD_TLS.iter().any(|old| version.eq_ignore_ascii_case(old))
}

/// Turns old TLS versions off.
pub(in crate::audit) fn without_old_tls(settings: &Settings) -> Remedy {
    set_tls(settings, "tls_version", good_tls(settings))
}

/// The setting that turns TLS off, if one does.
fn tls_off(settings: &Settings) -> Option<&'static str> {
    let is_no = |value: &str| {
        ["OFF", "0", "FALSE", "NO", "DISABLED"].iter().any(|no| value.eq_ignore_ascii_case(no))
    };
    let switched =
        ["ssl", "have_ssl"].into_iter().find(|name| settings.get(name).is_some_and(is_no));
    let no_version = Some("tls_version").filter(|name| settings.get(name) == Some(""));
    let no_certificate = Some("ssl_cert").filter(|name| {
        settings.is_mariadb()
            && !settings.is_live()
            && settings.product.is_some_and(|product| product.version < MARIADB_MAKES_CERTIFICATES)
            && settings.given(name).is_none()
    });
    switched.or(no_version).or(no_certificate)
}

/// BLR021.
fn tls_versions(settings: &Settings, name: &str, judgement: &mut Judgement) {
    let Some(listed) = settings.given(name) else {
        return;
    };
    let old: Vec<_> = listed.split(',').map(str::trim).filter(|it| is_old_tls(it)).collect();
    let refused = if settings.is_live() {
        Vec::new()
    } else {
        versions::refused_tls_versions(settings, listed)
    };
    judgement.report_unless(RuleId::Blr021, old.is_empty() && refused.is_empty(), || {
        let remedy = set_tls(settings, name, good_tls(settings));
        if refused.is_empty() {
            return about(settings, name, format!("accepts {}", old.join(", "))).remedied(remedy);
        }
        let server = settings.product.map(|it| it.to_string()).unwrap_or_default();
        let message = format!(
            "{server} takes no {} here: with it, the server does not start",
            refused.join(", ")
        );
        about(settings, name, message).weighing(Severity::Error).remedied(remedy)
    });
}

/// The names in a list of ciphers that offer weak ones. `!` takes out for good, `-` what was named
/// before it, and `+` only puts at the end.
pub(in crate::audit) fn weak_ciphers(list: &str) -> Vec<&str> {
    let names: Vec<_> = list.split([':', ',', ' ']).filter(|name| !name.is_empty()).collect();
    let offers = |(at, name): &(usize, &&str)| {
        let faults = faults(name);
        let takes_out = |(place, other): (usize, &&str)| {
            let later = other.strip_prefix('-').filter(|_| place > *at);
            let taken = other.strip_prefix('!').or(later);
            taken.is_some_and(|taken| takes_out(taken, name, &faults))
        };
        !name.starts_with(['!', '-', '+'])
            && !faults.is_empty()
            && !names.iter().enumerate().any(takes_out)
    };
    let offered = names.iter().enumerate().filter(offers);
    offered.map(|(_, name)| *name).collect()
}

/// Whether a name that is taken out of a list takes another one with it.
fn takes_out(taken: &str, name: &str, faults: &[(String, &str)]) -> bool {
    let taken = taken.to_ascii_uppercase();
    let is_partial = ["ADH", "AECDH"].contains(&&*taken);
    let whole = fault(&taken).filter(|_| !is_partial);
    let shares = |(part, all): &(String, &str)| *part == taken || whole == Some(*all);
    name.eq_ignore_ascii_case(&taken) || faults.iter().any(shares)
}

/// What is weak of a cipher or of what stands for many, each with the name of its fault.
fn faults(name: &str) -> Vec<(String, &'static str)> {
    let upper = name.to_ascii_uppercase();
    let parts = upper.split(['-', '+', '_', '@']);
    let mut faults: Vec<_> =
        parts.filter_map(|part| Some((part.to_owned(), fault(part)?))).collect();
    // `DES-CBC3-SHA` is 3DES.
    if faults.iter().any(|(_, fault)| *fault == "3DES") {
        faults.retain(|(_, fault)| *fault != "DES");
    }
    faults
}

fn fault(part: &str) -> Option<&'static str> {
    let is_one =
        |(weak, _): &&(&str, &str)| part == *weak || *weak == "EXP" && part.starts_with("EXP");
    WEAK_CIPHERS.iter().find(is_one).map(|(_, fault)| *fault)
}

/// BLR025.
fn cluster(settings: &Settings, judgement: &mut Judgement) {
    if !settings.get("ndbcluster").is_some_and(is_on) {
        return;
    }
    interconnect(settings, judgement);
}

/// BLR025 of a server that is an SQL node of a cluster.
pub(in crate::audit) fn interconnect(settings: &Settings, judgement: &mut Judgement) {
    let tls = settings.get("ndb_mgm_tls").unwrap_or_default();
    judgement.report_unless(RuleId::Blr025, tls.eq_ignore_ascii_case("strict"), || {
        let message = "an SQL node takes changes from data nodes over a way that need not be TLS; \
                       every SQL node keeps a log of its own";
        let remedy = if settings.since((8, 3, 0)) {
            option_lines(&["ndb-mgm-tls = strict"])
        } else {
            Remedy { language: Language::Shell, text: "ndb_mgm -e show".to_owned() }
        };
        Found::about(settings.subject_of("ndbcluster"), message)
            .seen(settings.evidence("ndb_mgm_tls"))
            .remedied(remedy)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_ciphers_are_told_from_those_taken_out() {
        for (list, weak) in [
            ("ECDHE-RSA-AES256-GCM-SHA384:!NULL:!aNULL:-RC4", &[][..]),
            ("AES128-SHA:RC4-MD5:DES-CBC3-SHA", &["RC4-MD5", "DES-CBC3-SHA"]),
            ("EXP-RC2-CBC-MD5 NULL-SHA256", &["EXP-RC2-CBC-MD5", "NULL-SHA256"]),
            ("ADH-AES256-SHA", &["ADH-AES256-SHA"]),
            ("aNULL:eNULL", &["aNULL", "eNULL"]),
            ("ALL,COMPLEMENTOFALL,ALL@SECLEVEL=0", &["ALL", "COMPLEMENTOFALL", "ALL@SECLEVEL=0"]),
            ("ALL:!aNULL:+RC4", &[]),
            ("ALL:!ADH", &["ALL"]),
            ("ALL:!eNULL", &["ALL"]),
            ("COMPLEMENTOFALL:!NULL", &[]),
            ("aNULL:-aNULL", &[]),
            ("-aNULL:aNULL", &["aNULL"]),
            ("RC4-MD5:!MD5", &[]),
            ("DES-CBC3-SHA:!DES", &["DES-CBC3-SHA"]),
            ("DES-CBC3-SHA:!3DES", &[]),
        ] {
            assert_eq!(weak_ciphers(list), weak, "{list}");
        }
    }
}
