//! Key stores that option files and components' configurations name.

use crate::audit::machine::{MARIADB, Machine, SOURCE, machine};
use crate::common::openssl;

fn messages(machine: &Machine, id: &str) -> Vec<(String, String, bool)> {
    let report = machine.report();
    let findings = report["findings"].as_array().unwrap().iter().filter(|it| it["id"] == id);
    let text =
        |it: &serde_json::Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
    findings.map(|it| (text(it, "message"), text(it, "severity"), it["counts"] == true)).collect()
}

/// Of a component: its configuration's mode, and the way to the store. The remedy closes the one.
#[test]
fn a_token_that_others_can_read_and_a_store_by_http_are_found() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    let cnf = "data/component_keyring_vault.cnf";
    let members = "{\"vault_url\": \"http://vault.example:8200\", \"secret_mount_point\": \"kv/a\", \
                   \"token\": \"s3cret-token\"}";
    machine.write(cnf, members);
    machine.set_mode(cnf, 0o644);
    let open = messages(&machine, "BLR007");
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(open[0].0.contains("token of a key store in a file of mode 0644"), "{open:?}");
    let plain = messages(&machine, "BLS018");
    assert_eq!(plain.len(), 1, "{plain:?}");
    assert!(plain[0].0.contains("http://vault.example:8200 is asked by http"), "{plain:?}");
    assert!(plain[0].2, "a way that others see counts: {plain:?}");
    for format in ["json", "text", "html", "sarif"] {
        let (_, report, stderr) = machine.run(format, &[]);
        assert!(!report.contains("s3cret") && !stderr.contains("s3cret"), "{format}: {report}");
    }
    machine.apply(&machine.report(), "BLR007");
    assert!(messages(&machine, "BLR007").is_empty());
    // Within one machine it is told, and does not count.
    machine.replace(cnf, "vault.example", "127.0.0.1");
    let plain = messages(&machine, "BLS018");
    assert_eq!((plain.len(), plain[0].2), (1, false), "{plain:?}");
    machine.replace(cnf, "http://127.0.0.1", "https://vault.example");
    assert!(messages(&machine, "BLS018").is_empty());
}

/// A KMIP server is asked by the client's key.
#[test]
fn the_private_key_of_a_kmip_client_is_its_owners_alone() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.write(
        "data/component_keyring_kmip.cnf",
        "{\"server_addr\": \"kmip.example\", \"server_port\": \"5696\", \"client_key\": \"kmip.key\"}",
    );
    machine.write("data/kmip.key", "a key");
    assert!(messages(&machine, "BLR007").is_empty());
    machine.set_mode("data/kmip.key", 0o640);
    let open = messages(&machine, "BLR007");
    assert!(open[0].0.contains("private key of a key store in a file of mode 0640"), "{open:?}");
    machine.apply(&machine.report(), "BLR007");
    assert!(messages(&machine, "BLR007").is_empty());
}

/// Options of MariaDB's plugin, and the file that the older plugin of Percona's reads.
#[test]
fn stores_of_option_files_are_found() {
    if !openssl::is_here() {
        return;
    }
    let maria = machine(MARIADB);
    maria.add_option(
        "hashicorp-key-management-vault-url=http://me:s3cret@vault.example/v1/kv\n\
         hashicorp-key-management-token=s3cret-token",
    );
    maria.set_mode("my.cnf", 0o644);
    assert!(messages(&maria, "BLR007")[0].0.contains("token of a key store"));
    let plain = messages(&maria, "BLS018");
    assert!(plain[0].0.contains("store http://vault.example/v1/kv is asked"), "{plain:?}");
    let (_, report, _) = maria.run("json", &[]);
    assert!(!report.contains("s3cret"), "{report}");
    let old = machine(SOURCE);
    old.write("keys/vault.conf", "vault_url = http://vault.example\ntoken = s3cret\n");
    old.set_mode("keys/vault.conf", 0o604);
    let path = old.path("keys/vault.conf");
    old.add_option(&format!("keyring_vault_config={}", path.display()));
    assert_eq!((messages(&old, "BLR007").len(), messages(&old, "BLS018").len()), (1, 1));
}
