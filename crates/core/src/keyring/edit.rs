//! What a server does to its keyring, done without it: a first key, the next generation.
//!
//! Everything that is in a keyring stays in it, but for the number that says which key is in use.

use zeroize::Zeroizing;

use super::encrypted_file::{self, IV, SALT};
use super::plugin::{PluginVersion, Word};
use super::rotation::{self, RotationState, ServerKeys};
use super::{Entry, KeyType, KeyringFormat, component, plugin};
use crate::mysql::key_id::{KeyId, PREFIX, is_uuid};
use crate::secret::{Secret32, SecretBytes};

/// Length of an entry that holds a sequence number (server source: `rpl_log_encryption.cc` stores
/// 16 bytes, the number first, least significant byte first).
const NUMBER_BYTES: usize = 16;

/// The two kinds of keyring that servers have in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyringKind {
    /// `component_keyring_file`: MySQL 8.0.24 and later.
    Component,
    /// The `keyring_file` plugin: MySQL 5.7.11 to 8.x.
    Plugin,
}

/// Why a keyring is not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A key file of `MariaDB`: lines of text for an editor, and no keys of a MySQL server.
    #[error(
        "it is a MariaDB key file: its keys are of no use in a MySQL server's keyring, and its lines are changed with an editor"
    )]
    OfMariaDb,
    /// A file under a password, which is read and not written.
    #[error(
        "files of component_percona_keyring_encrypted_file are not changed, but made anew: let the server change it, or write another file by `binlogsec keyring convert`"
    )]
    Encrypted,
    /// A keyring of Percona Binlog Server, which has keys of that program alone.
    #[error(
        "it is a keyring of Percona Binlog Server: its keys are of no use in a MySQL server's keyring, and its JSON is changed with an editor"
    )]
    OfBinlogServer,
    /// The place has another key under the id of one that should go there.
    #[error("it has another key under {id}: nothing was written")]
    OtherKey {
        /// The id.
        id: KeyId,
    },
    /// Something else where a server UUID was expected.
    #[error("`{}` is no server UUID: it has 36 characters, see auto.cnf in the data directory", text.escape_debug())]
    NotAUuid {
        /// What was given.
        text: String,
    },
    /// Nothing says whose key it should be.
    #[error("it has no binary log key of any server yet: name the server by --server-uuid")]
    NoServer,
    /// Keys of several servers.
    #[error("it has keys of several servers: name one by --server-uuid: {}", .uuids.join(", "))]
    SeveralServers {
        /// The servers' UUIDs.
        uuids: Vec<String>,
    },
    /// A rotation must be brought to an end by the server itself.
    #[error("{state}; let the server start once, which sets this right")]
    RotationUnderWay {
        /// What the entries tell.
        state: RotationState,
    },
    /// The highest number that there is, is used up.
    #[error("no sequence number is left after {}", u32::MAX)]
    NoNumberLeft,
    /// An empty file is of either kind.
    #[error("it is empty, and so of no kind yet: say which by --as component or --as plugin")]
    KindUnknown,
    /// JSON has text only.
    #[error("the entry {id} has bytes that are not UTF-8, which JSON cannot say")]
    NotText {
        /// The entry.
        id: KeyId,
    },
    /// The other format has no room for an entry.
    #[error("an entry is too long for this format")]
    TooLong(#[source] plugin::PluginError),
    /// What was made does not read back as what it was made of.
    #[error("what would be written does not read back as the same keys; nothing was written")]
    NotTheSame,
}

/// Adds the next generation of a server's binary log key and says that it is in use. Without a
/// UUID the server is the one whose keys are there. Returns the id of the new key.
///
/// # Errors
/// [`EditError`]; the entries are then as they were.
pub fn add_generation(
    entries: &mut Vec<Entry>,
    server_uuid: Option<&str>,
    key: &Secret32,
) -> Result<KeyId, EditError> {
    let servers = rotation::survey(entries.iter());
    let uuid = which_server(&servers, server_uuid)?;
    let server = servers.iter().find(|server| server.server_uuid == uuid);
    let number = next_number(server)?;
    let id = KeyId::for_server(&uuid, number);
    let number_id = KeyId::new(format!("{PREFIX}{uuid}").as_bytes());
    entries.retain(|entry| !(entry.is_of_the_server() && entry.id == number_id));
    entries.push(server_entry(id.clone(), key.expose().to_vec()));
    let mut value = number.to_le_bytes().to_vec();
    value.resize(NUMBER_BYTES, 0);
    entries.push(server_entry(number_id, value));
    Ok(id)
}

fn server_entry(id: KeyId, data: Vec<u8>) -> Entry {
    Entry { id, user: Box::default(), key_type: KeyType::Aes, data: SecretBytes::new(data) }
}

fn which_server(servers: &[ServerKeys], named: Option<&str>) -> Result<String, EditError> {
    match (named, servers) {
        (Some(uuid), _) if is_uuid(uuid) => Ok(uuid.to_owned()),
        (Some(text), _) => Err(EditError::NotAUuid { text: text.to_owned() }),
        (None, [server]) => Ok(server.server_uuid.clone()),
        (None, []) => Err(EditError::NoServer),
        (None, _) => Err(EditError::SeveralServers {
            uuids: servers.iter().map(|s| s.server_uuid.clone()).collect(),
        }),
    }
}

/// One more than any number that the server has used. 1 for a server without keys.
fn next_number(server: Option<&ServerKeys>) -> Result<u32, EditError> {
    let Some(server) = server else { return Ok(1) };
    match &server.state {
        // A key that is lost, or a number, is what a new generation is for.
        RotationState::Clean
        | RotationState::NoCurrentNumber
        | RotationState::CurrentKeyMissing { .. } => {}
        state => {
            return Err(EditError::RotationUnderWay { state: state.clone() });
        }
    }
    let used = [server.current, server.last_purged, server.old, server.new];
    let used = used.into_iter().flatten().chain(server.generations.clone());
    used.max().unwrap_or(0).checked_add(1).ok_or(EditError::NoNumberLeft)
}

impl KeyringFormat {
    /// The format in which servers of this machine kind write a keyring of this kind.
    #[must_use]
    pub const fn native(kind: KeyringKind) -> Self {
        match kind {
            KeyringKind::Component => {
                Self::Component { version: component::ComponentVersion::V1_0 }
            }
            KeyringKind::Plugin => {
                Self::Plugin { version: PluginVersion::V2_0, word: Some(Word::NATIVE) }
            }
        }
    }

    /// Writes a whole file in this format, and reads it back to be sure.
    ///
    /// # Errors
    /// [`EditError`] when the format cannot say what is in an entry.
    pub fn write(self, entries: &[Entry]) -> Result<Zeroizing<Vec<u8>>, EditError> {
        let (bytes, back) = match self {
            Self::Empty => return Err(EditError::KindUnknown),
            Self::MariaDb { .. } => return Err(EditError::OfMariaDb),
            Self::BinlogServer => return Err(EditError::OfBinlogServer),
            Self::EncryptedFile => return Err(EditError::Encrypted),
            Self::Component { .. } => {
                check_text(entries)?;
                let bytes = component::serialize(entries);
                let back = component::parse(&bytes).map(|keyring| keyring.entries);
                (bytes, back.ok())
            }
            Self::Plugin { version, word } => {
                let word = word.unwrap_or(Word::NATIVE);
                let bytes =
                    plugin::serialize(version, word, entries).map_err(EditError::TooLong)?;
                let back = plugin::parse(&bytes).map(|keyring| keyring.entries);
                (bytes, back.ok())
            }
        };
        if back.is_some_and(|back| back == entries) {
            Ok(bytes)
        } else {
            Err(EditError::NotTheSame)
        }
    }
}

/// Writes a whole file of `component_percona_keyring_encrypted_file` under a password, and reads it
/// back to be sure. Salt and IV must be new and random each time.
///
/// # Errors
/// [`EditError`] when the JSON cannot say what is in an entry.
pub fn write_encrypted(
    entries: &[Entry],
    password: &SecretBytes,
    fresh: ([u8; SALT], [u8; IV]),
) -> Result<Vec<u8>, EditError> {
    let text = KeyringFormat::native(KeyringKind::Component).write(entries)?;
    let file = encrypted_file::serialize(&text, password, fresh);
    let is_same = |file: &Vec<u8>| {
        let back = encrypted_file::parse(file, Some(password));
        back.is_ok_and(|back| back.entries == entries)
    };
    file.filter(is_same).ok_or(EditError::NotTheSame)
}

fn check_text(entries: &[Entry]) -> Result<(), EditError> {
    let is_text = |bytes| std::str::from_utf8(bytes).is_ok();
    let odd = entries.iter().find(|entry| {
        let parts = [entry.id.as_bytes(), &*entry.user, entry.key_type.as_bytes()];
        !parts.into_iter().all(is_text)
    });
    match odd {
        Some(entry) => Err(EditError::NotText { id: entry.id.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "2bc92730-e533-11f1-b7bc-02fc00000001";
    const OTHER: &str = "11111111-e533-11f1-b7bc-02fc00000001";

    fn key() -> Secret32 {
        Secret32::from_slice(&[9; 32]).unwrap()
    }

    fn number(suffix: &str, value: u32) -> Entry {
        let mut data = value.to_le_bytes().to_vec();
        data.resize(16, 0);
        server_entry(KeyId::new(format!("{PREFIX}{UUID}{suffix}").as_bytes()), data)
    }

    fn generation(number: u32) -> Entry {
        server_entry(KeyId::for_server(UUID, number), vec![7; 32])
    }

    #[test]
    fn the_first_key_has_number_1() {
        let mut entries = Vec::new();
        assert!(matches!(add_generation(&mut entries, None, &key()), Err(EditError::NoServer)));
        let id = add_generation(&mut entries, Some(UUID), &key()).unwrap();
        assert_eq!(id, KeyId::for_server(UUID, 1));
        let [server] = rotation::survey(&entries).try_into().unwrap();
        assert_eq!((server.current, server.generations), (Some(1), vec![1]));
        assert_eq!(server.state, RotationState::Clean);
    }

    #[test]
    fn the_next_key_is_above_all_that_were() {
        let mut entries = vec![generation(2), number("", 2), number("_last_purged", 1)];
        let id = add_generation(&mut entries, None, &key()).unwrap();
        assert_eq!(id, KeyId::for_server(UUID, 3));
        let [server] = rotation::survey(&entries).try_into().unwrap();
        assert_eq!((server.current, server.generations), (Some(3), vec![2, 3]));
        assert_eq!(server.last_purged, Some(1));
        let mut lost = vec![number("", 7), number("_last_purged", 6)];
        let id = add_generation(&mut lost, None, &key()).unwrap();
        assert_eq!(id, KeyId::for_server(UUID, 8));
        let mut without_number = vec![generation(4)];
        let id = add_generation(&mut without_number, None, &key()).unwrap();
        assert_eq!(id, KeyId::for_server(UUID, 5));
    }

    #[test]
    fn what_cannot_be_decided_is_refused_and_changes_nothing() {
        let mut rotating = vec![generation(2), number("", 2), number("_old", 2)];
        let error = add_generation(&mut rotating, None, &key()).unwrap_err();
        assert!(matches!(error, EditError::RotationUnderWay { .. }), "{error}");
        let mut last = vec![generation(u32::MAX), number("", u32::MAX)];
        let error = add_generation(&mut last, None, &key()).unwrap_err();
        assert!(matches!(error, EditError::NoNumberLeft), "{error}");
        assert_eq!(last.len(), 2);
        let other = server_entry(KeyId::for_server(OTHER, 1), vec![7; 32]);
        let mut two = vec![generation(1), other];
        let error = add_generation(&mut two, None, &key()).unwrap_err();
        assert!(matches!(error, EditError::SeveralServers { .. }), "{error}");
        let error = add_generation(&mut two, Some("nonsense"), &key()).unwrap_err();
        assert!(matches!(error, EditError::NotAUuid { .. }), "{error}");
    }

    #[test]
    fn json_refuses_what_it_cannot_say() {
        let odd = [server_entry(KeyId::new(b"\xff"), vec![1; 32])];
        let component = KeyringFormat::native(KeyringKind::Component);
        assert!(matches!(component.write(&odd), Err(EditError::NotText { .. })));
        assert!(KeyringFormat::native(KeyringKind::Plugin).write(&odd).is_ok());
    }

    proptest! {
        #[test]
        fn every_format_keeps_every_entry(
            names in prop::collection::btree_set("[ -~]{1,60}", 0..6),
            user in "[ -~]{0,20}",
            data in prop::collection::vec(any::<u8>(), 1..80),
        ) {
            let entry = |id: &String| Entry {
                id: KeyId::new(id.as_bytes()),
                user: user.as_bytes().into(),
                key_type: KeyType::Secret,
                data: SecretBytes::new(data.clone()),
            };
            let entries: Vec<Entry> = names.iter().map(entry).collect();
            for kind in [KeyringKind::Component, KeyringKind::Plugin] {
                prop_assert!(KeyringFormat::native(kind).write(&entries).is_ok());
            }
        }
    }
}
