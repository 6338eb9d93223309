//! Keyring files of both kinds.

use binlogsec_core::keyring::plugin::{PluginKeyring, PluginVersion, Word};
use binlogsec_core::keyring::{Entry, component, plugin, rotation};
use sha2::{Digest, Sha256};

/// As it is; and as the records of a file whose digest is right, which nobody could guess.
pub(crate) fn keyring_plugin(data: &[u8]) {
    check_plugin(data);
    let digest = Sha256::digest(data);
    check_plugin(&[b"Keyring file version:2.0", data, b"EOF", &digest].concat());
}

fn check_plugin(bytes: &[u8]) {
    let Ok(PluginKeyring { version, word, entries, .. }) = plugin::parse(bytes) else {
        return;
    };
    look_at(&entries);
    let kinds = match word {
        Some(word) => vec![word],
        None => vec![Word::Le64, Word::Le32, Word::Be64, Word::Be32],
    };
    for word in kinds {
        let written = plugin::serialize(PluginVersion::V2_0, word, &entries).unwrap();
        let again = plugin::parse(&written).expect("what was written can be read");
        assert_eq!(again.entries, entries);
        if version == PluginVersion::V1_0 {
            let written = plugin::serialize(version, word, &entries).unwrap();
            assert_eq!(plugin::parse(&written).unwrap().entries, entries);
        }
    }
}

pub(crate) fn keyring_component(data: &[u8]) {
    let Ok(keyring) = component::parse(data) else {
        return;
    };
    look_at(&keyring.entries);
    let written = component::serialize(&keyring.entries);
    let again = component::parse(&written).expect("what was written can be read");
    assert_eq!(again.entries, keyring.entries);
}

fn look_at(entries: &[Entry]) {
    let servers = rotation::survey(entries);
    assert!(servers.len() <= entries.len());
    for entry in entries {
        let _ = (rotation::sequence_number(entry), entry.id.parts());
        let shown = format!("{entry:?}");
        let secret = entry.data.expose();
        assert!(secret.len() < 16 || !shown.contains(&format!("{secret:?}")));
    }
}
