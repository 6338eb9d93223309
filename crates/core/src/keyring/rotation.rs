//! What a keyring tells of the rotation of its binary log keys.
//!
//! Beside the keys `MySQLReplicationKey_<uuid>_<number>` the server keeps numbers: under
//! `MySQLReplicationKey_<uuid>` the generation in use, with `_last_purged` the newest one removed,
//! and during a rotation `_old` and `_new`. Each is 16 bytes of type AES: a `u32`, least
//! significant byte first, and zeros.
//!
//! A rotation stores `_old`, chooses the next number and stores `_new`, generates the key, removes
//! the number in use, stores the new one, re-encrypts the headers of existing logs, purges keys,
//! and removes `_old` and `_new`. What is left over tells where it stopped.
//!
//! Source: server source, `sql/rpl_log_encryption.cc` (`rotate_master_key` for the steps,
//! `recover_master_key` for the reading of the leftovers, which is followed here case by case);
//! checked on keyrings of MySQL 9.7.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Entry, KeyType};
use crate::mysql::key_id::{KeyId, PREFIX, is_uuid};

const NUMBER_BYTES: usize = 16;
const UUID_LENGTH: usize = 36;

/// What a keyring holds of one server's binary log keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerKeys {
    /// Which server.
    pub server_uuid: String,
    /// Sequence numbers of the keys that are there, ascending.
    pub generations: Vec<u32>,
    /// The one in use.
    pub current: Option<u32>,
    /// The newest one that was removed.
    pub last_purged: Option<u32>,
    /// Left over from a rotation: where it came from.
    pub old: Option<u32>,
    /// Left over from a rotation: where it goes to.
    pub new: Option<u32>,
    /// What this amounts to.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(with = "ReportedState"))]
    pub state: RotationState,
}

/// The judgement of one server's entries. Reports show two members: `clean`, and `state` in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "ReportedState")]
#[non_exhaustive]
pub enum RotationState {
    /// The key in use is there and nothing is left over.
    Clean,
    /// A rotation was interrupted.
    Interrupted(RotationStage),
    /// The number in use names a key that is not there.
    CurrentKeyMissing {
        /// The number in use.
        sequence_number: u32,
    },
    /// There are keys and no number says which is in use: no rotation leaves this, a keyring put
    /// together by hand does.
    NoCurrentNumber,
    /// The leftovers contradict each other: no interrupted rotation leaves them like this, and the
    /// server refuses to start with them.
    Contradictory,
    /// A number is not 16 bytes of type AES and cannot be read.
    UnreadableNumber {
        /// The entry's key id.
        id: KeyId,
    },
}

/// [`RotationState`] as reports show it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ReportedState {
    /// Whether this is as a finished rotation leaves it.
    clean: bool,
    /// What it is, in words.
    state: String,
}

impl From<RotationState> for ReportedState {
    fn from(state: RotationState) -> Self {
        Self { clean: state == RotationState::Clean, state: state.to_string() }
    }
}

/// Where a rotation was interrupted, in the order of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RotationStage {
    /// Started; the next number is not chosen.
    NextNumberNotChosen,
    /// The next number is chosen; its key is not generated.
    KeyNotGenerated,
    /// The key is generated; the number in use is the old one.
    NumberNotReplaced,
    /// The number in use is removed and the new one not stored.
    NumberNotStored,
    /// The new key is in use; logs may not all be re-encrypted under it, old keys not purged.
    LogsNotReencrypted,
    /// All is done but the last clean-up.
    MarkNotRemoved,
}

impl fmt::Display for RotationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("no rotation is under way"),
            Self::Interrupted(stage) => write!(f, "a key rotation was interrupted: {stage}"),
            Self::CurrentKeyMissing { sequence_number } => {
                write!(f, "the key in use, number {sequence_number}, is missing")
            }
            Self::NoCurrentNumber => f.write_str("no entry says which key is in use"),
            Self::Contradictory => f.write_str(
                "the numbers of the rotation contradict each other; the server would not start",
            ),
            Self::UnreadableNumber { id } => {
                write!(f, "the entry {id} is no sequence number (16 bytes of type AES)")
            }
        }
    }
}

impl fmt::Display for RotationStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NextNumberNotChosen => "the next number was not chosen yet",
            Self::KeyNotGenerated => "the new key was not generated yet",
            Self::NumberNotReplaced => "the new key was generated and not taken into use",
            Self::NumberNotStored => "the number in use was removed and the new one not stored",
            Self::LogsNotReencrypted => {
                "the new key is in use, but older logs may still need the old one"
            }
            Self::MarkNotRemoved => "all was done but the last clean-up",
        })
    }
}

/// One entry's meaning.
enum Role {
    Key(u32),
    Current,
    LastPurged,
    Old,
    New,
}

#[derive(Default)]
struct Draft {
    generations: Vec<u32>,
    current: Option<u32>,
    last_purged: Option<u32>,
    old: Option<u32>,
    new: Option<u32>,
    unreadable: Option<KeyId>,
}

/// Gathers the entries of every server, by UUID ascending. Entries with a user and entries of
/// other names are passed over.
#[must_use]
pub fn survey<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<ServerKeys> {
    let mut servers: BTreeMap<&str, Draft> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| entry.is_of_the_server()) {
        if let Some((uuid, role)) = role(&entry.id) {
            servers.entry(uuid).or_default().add(&role, entry);
        }
    }
    servers.into_iter().map(|(uuid, draft)| draft.judged(uuid)).collect()
}

/// Whose entry it is and what for; `None` when it has nothing to do with binary log keys.
fn role(id: &KeyId) -> Option<(&str, Role)> {
    if let Some(parts) = id.parts() {
        return Some((parts.server_uuid, Role::Key(parts.sequence_number)));
    }
    let text = std::str::from_utf8(id.as_bytes()).ok()?.strip_prefix(PREFIX)?;
    let (uuid, suffix) = text.split_at_checked(UUID_LENGTH)?;
    let role = match suffix {
        "" => Role::Current,
        "_last_purged" => Role::LastPurged,
        "_old" => Role::Old,
        "_new" => Role::New,
        _ => return None,
    };
    is_uuid(uuid).then_some((uuid, role))
}

/// Whether an id is that of a binary log key, or of a number that the server keeps beside them.
#[must_use]
pub fn is_of_logs(id: &KeyId) -> bool {
    role(id).is_some()
}

/// The number in an entry that holds one: those that the server keeps beside its keys. `None` for
/// keys, and for everything that has nothing to do with binary logs.
#[must_use]
pub fn sequence_number(entry: &Entry) -> Option<u32> {
    match role(&entry.id)? {
        (_, Role::Key(_)) => None,
        _ => number(entry).filter(|_| entry.is_of_the_server()),
    }
}

/// The number in an entry; 0 means "none" to the server.
fn number(entry: &Entry) -> Option<u32> {
    if entry.key_type != KeyType::Aes || entry.data.len() != NUMBER_BYTES {
        return None;
    }
    crate::bytes::Cursor::new(entry.data.expose()).u32_le().ok()
}

impl Draft {
    fn add(&mut self, role: &Role, entry: &Entry) {
        let place = match role {
            Role::Key(sequence_number) => return self.generations.push(*sequence_number),
            Role::Current => &mut self.current,
            Role::LastPurged => &mut self.last_purged,
            Role::Old => &mut self.old,
            Role::New => &mut self.new,
        };
        match number(entry) {
            Some(number) => *place = Some(number),
            None => self.unreadable = self.unreadable.take().or_else(|| Some(entry.id.clone())),
        }
    }

    fn judged(mut self, server_uuid: &str) -> ServerKeys {
        self.generations.sort_unstable();
        self.generations.dedup();
        let state = self.state();
        ServerKeys {
            server_uuid: server_uuid.to_owned(),
            generations: self.generations,
            current: self.current,
            last_purged: self.last_purged,
            old: self.old,
            new: self.new,
            state,
        }
    }

    fn has_key(&self, sequence_number: u32) -> bool {
        self.generations.binary_search(&sequence_number).is_ok()
    }

    fn state(&self) -> RotationState {
        let [current, old, new] = [self.current, self.old, self.new].map(Option::unwrap_or_default);
        if let Some(id) = &self.unreadable {
            return RotationState::UnreadableNumber { id: id.clone() };
        }
        if current > 0 && !self.has_key(current) {
            return RotationState::CurrentKeyMissing { sequence_number: current };
        }
        if new > 0 {
            return self.leftover(current, old, new);
        }
        match (current, old) {
            (0, 0) => RotationState::NoCurrentNumber,
            (_, 0) => RotationState::Clean,
            (current, old) if current == old => {
                RotationState::Interrupted(RotationStage::NextNumberNotChosen)
            }
            _ => RotationState::Contradictory,
        }
    }

    /// The server's table for a rotation that has chosen its number; 0 stands for "none".
    fn leftover(&self, current: u32, old: u32, new: u32) -> RotationState {
        let stage = if !self.has_key(new) {
            (current == old && new > current).then_some(RotationStage::KeyNotGenerated)
        } else if new == current {
            match self.old {
                None => Some(RotationStage::MarkNotRemoved),
                Some(old) => (current > old).then_some(RotationStage::LogsNotReencrypted),
            }
        } else if new > current && new > old {
            match current {
                0 => Some(RotationStage::NumberNotStored),
                _ => (current == old).then_some(RotationStage::NumberNotReplaced),
            }
        } else {
            None
        };
        stage.map_or(RotationState::Contradictory, RotationState::Interrupted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::SecretBytes;

    const UUID: &str = "2bc92730-e533-11f1-b7bc-02fc00000001";

    fn entry(id: &str, data: Vec<u8>) -> Entry {
        Entry {
            id: KeyId::new(id.as_bytes()),
            user: Box::default(),
            key_type: KeyType::Aes,
            data: SecretBytes::new(data),
        }
    }

    fn value(suffix: &str, value: u32) -> Entry {
        let mut data = value.to_le_bytes().to_vec();
        data.resize(16, 0);
        entry(&format!("{PREFIX}{UUID}{suffix}"), data)
    }

    fn keyring(keys: &[u32], numbers: &[(&str, u32)]) -> Vec<Entry> {
        let keys = keys.iter().map(|n| entry(&format!("{PREFIX}{UUID}_{n}"), vec![7; 32]));
        keys.chain(numbers.iter().map(|(suffix, n)| value(suffix, *n))).collect()
    }

    fn state(keys: &[u32], numbers: &[(&str, u32)]) -> RotationState {
        let mut servers = survey(&keyring(keys, numbers));
        assert_eq!(servers.len(), 1);
        servers.remove(0).state
    }

    /// Every step of `rotate_master_key` in turn, the keyring as it is after each.
    #[test]
    fn every_stage_is_told_by_what_it_leaves() {
        use RotationStage::*;
        let interrupted = RotationState::Interrupted;
        assert_eq!(state(&[3], &[("", 3)]), RotationState::Clean);
        assert_eq!(state(&[3], &[("", 3), ("_old", 3)]), interrupted(NextNumberNotChosen));
        let numbers = [("", 3), ("_old", 3), ("_new", 4)];
        assert_eq!(state(&[3], &numbers), interrupted(KeyNotGenerated));
        assert_eq!(state(&[3, 4], &numbers), interrupted(NumberNotReplaced));
        let numbers = [("_old", 3), ("_new", 4)];
        assert_eq!(state(&[3, 4], &numbers), interrupted(NumberNotStored));
        let numbers = [("", 4), ("_old", 3), ("_new", 4)];
        assert_eq!(state(&[3, 4], &numbers), interrupted(LogsNotReencrypted));
        let numbers = [("", 4), ("_new", 4), ("_last_purged", 3)];
        assert_eq!(state(&[4], &numbers), interrupted(MarkNotRemoved));
        assert_eq!(state(&[4], &[("", 4), ("_last_purged", 3)]), RotationState::Clean);
    }

    /// The first key has no predecessor, so nothing is stored as old.
    #[test]
    fn the_first_rotation_leaves_less() {
        use RotationStage::*;
        let interrupted = RotationState::Interrupted;
        assert_eq!(state(&[], &[("_new", 1)]), interrupted(KeyNotGenerated));
        assert_eq!(state(&[1], &[("_new", 1)]), interrupted(NumberNotStored));
        assert_eq!(state(&[1], &[("", 1), ("_new", 1)]), interrupted(MarkNotRemoved));
    }

    #[test]
    fn what_no_rotation_leaves_is_told_apart() {
        let missing = RotationState::CurrentKeyMissing { sequence_number: 3 };
        assert_eq!(state(&[1, 2], &[("", 3)]), missing);
        assert_eq!(state(&[1, 2], &[]), RotationState::NoCurrentNumber);
        assert_eq!(state(&[3], &[("", 3), ("_old", 2)]), RotationState::Contradictory);
        let numbers = [("", 3), ("_old", 2), ("_new", 4)];
        assert_eq!(state(&[3], &numbers), RotationState::Contradictory);
        let numbers = [("", 3), ("_old", 3), ("_new", 3)];
        assert_eq!(state(&[3], &numbers), RotationState::Contradictory);
        let numbers = [("", 3), ("_old", 3), ("_new", 2)];
        assert_eq!(state(&[2, 3], &numbers), RotationState::Contradictory);
        let mut entries = keyring(&[3], &[("", 3)]);
        let id = format!("{PREFIX}{UUID}_old");
        entries.push(entry(&id, vec![3, 0, 0, 0]));
        let id = KeyId::new(id.as_bytes());
        assert_eq!(survey(&entries)[0].state, RotationState::UnreadableNumber { id });
    }

    #[test]
    fn a_number_that_does_not_grow_is_no_rotation() {
        for old in [4, 5] {
            let numbers = [("_old", old), ("_new", 4)];
            assert_eq!(state(&[4], &numbers), RotationState::Contradictory, "{old}");
        }
        for old in [4, 5] {
            let numbers = [("", 4), ("_old", old), ("_new", 4)];
            assert_eq!(state(&[4], &numbers), RotationState::Contradictory, "{old}");
        }
    }

    #[test]
    fn numbers_are_the_servers_own() {
        assert_eq!(sequence_number(&value("", 7)), Some(7));
        assert_eq!(sequence_number(&value("_old", 6)), Some(6));
        let mut of_a_user = value("", 7);
        of_a_user.user = b"root@%"[..].into();
        assert_eq!(sequence_number(&of_a_user), None);
        let key = entry(&format!("{PREFIX}{UUID}_7"), vec![7; 16]);
        assert_eq!(sequence_number(&key), None);
        assert_eq!(sequence_number(&value("_oldest", 7)), None);
    }

    #[test]
    fn servers_are_kept_apart_and_other_entries_passed_over() {
        let mut entries = keyring(&[12, 9], &[("", 12), ("_last_purged", 8)]);
        entries
            .push(entry(&format!("{PREFIX}11111111-e533-11f1-b7bc-02fc00000001_2"), vec![1; 32]));
        entries.push(entry("INNODBKey-2bc92730-e533-11f1-b7bc-02fc00000001-1", vec![1; 32]));
        entries.push(value("_oldest", 1));
        let mut with_user = value("_old", 1);
        with_user.user = b"root@%"[..].into();
        entries.push(with_user);
        let [other, server] = survey(&entries).try_into().unwrap();
        assert_eq!((other.generations, other.current), (vec![2], None));
        assert_eq!((server.generations, server.current), (vec![9, 12], Some(12)));
        assert_eq!((server.last_purged, server.old, server.new), (Some(8), None, None));
        assert_eq!(server.state, RotationState::Clean);
    }

    proptest! {
        #[test]
        fn no_combination_panics_or_hides_a_leftover(
            keys in prop::collection::vec(0_u32..5, 0..4),
            numbers in prop::collection::hash_map(
                prop::sample::select(vec!["", "_old", "_new", "_last_purged"]), 0_u32..5, 0..4,
            ),
        ) {
            let numbers: Vec<(&str, u32)> = numbers.into_iter().collect();
            for server in survey(&keyring(&keys, &numbers)) {
                if server.state == RotationState::Clean {
                    prop_assert_eq!(server.old.unwrap_or(0), 0);
                    prop_assert_eq!(server.new.unwrap_or(0), 0);
                    prop_assert!(server.generations.contains(&server.current.unwrap()));
                }
                prop_assert!(!server.state.to_string().is_empty());
            }
        }
    }
}
