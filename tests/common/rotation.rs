//! A server that rotates its binary log key, step by step: on its keyring file, its index and its
//! logs, as `ALTER INSTANCE ROTATE BINLOG MASTER KEY` does (server source, `rpl_log_encryption.cc`
//! and `binlog.cc`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use binlogsec_core::batch::transfer::{Input, Output};
use binlogsec_core::event;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::{Keyring, NamedKey};
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::mysql::password;
use binlogsec_core::secret::Secret32;
use binlogsec_core::write::encrypt::{EncryptOptions, encrypt};

use super::mixed;

const UUID: &str = "2bc92730-e533-11f1-b7bc-02fc00000001";
const PREFIX: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001";

/// A rotation under way. What the server has in memory is here, whatever becomes of its files.
pub(crate) struct Rotation {
    directory: PathBuf,
    keyring: PathBuf,
    entries: BTreeMap<String, Vec<u8>>,
    old: u32,
    done: usize,
    /// The logs that are still to be wrapped anew, the next one last.
    logs: Vec<PathBuf>,
    /// The log that has been read, with its header if it was encrypted at that time.
    open: Option<(PathBuf, Option<EncryptionHeader>)>,
}

impl Rotation {
    /// Takes over a data directory with `binlog.index` and a component's keyring, whose key number
    /// `old` is in use.
    pub(crate) fn new(directory: &Path, keyring: &Path, old: u32) -> Self {
        let text = std::fs::read(keyring).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let entries = json["elements"].as_array().unwrap().iter().map(|it| {
            let hex = it["data"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap();
            let data = (0..hex.len()).step_by(2).map(byte).collect();
            (it["data_id"].as_str().unwrap().to_owned(), data)
        });
        Self {
            directory: directory.to_owned(),
            keyring: keyring.to_owned(),
            entries: entries.collect(),
            old,
            done: 0,
            logs: Vec::new(),
            open: None,
        }
    }

    /// So many steps there are with so many logs in the index at first: the new log is one more.
    pub(crate) const fn steps(logs: usize) -> usize {
        7 + 2 * (logs + 1) + 3
    }

    /// Does so many steps more.
    pub(crate) fn go(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
    }

    /// Does what is left.
    pub(crate) fn finish(mut self) {
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let (old, new) = (self.old, self.old + 1);
        match self.done {
            0 => self.store("_old", number(old)),
            1 => self.store("_new", number(new)),
            2 => self.store(&format!("_{new}"), vec![0x5A; 32]),
            3 => self.remove(""),
            4 => self.store("", number(new)),
            5 => self.begin_log(),
            6 => self.read_index(),
            _ if self.open.is_some() => self.wrap_anew(),
            _ if !self.logs.is_empty() => self.open_next(),
            _ => return self.clean_up(),
        }
        self.done += 1;
        true
    }

    fn clean_up(&mut self) -> bool {
        let suffix = ["_old", "_new"];
        let left = suffix.iter().find(|it| self.entries.contains_key(&format!("{PREFIX}{it}")));
        let older = (1..=self.old).map(|it| format!("{PREFIX}_{it}"));
        let purged: Vec<_> = older.filter(|it| self.entries.remove(it).is_some()).collect();
        if !purged.is_empty() {
            self.store("_last_purged", number(self.old));
            true
        } else if let Some(suffix) = left {
            self.remove(suffix);
            true
        } else {
            false
        }
    }

    fn store(&mut self, suffix: &str, data: Vec<u8>) {
        self.entries.insert(format!("{PREFIX}{suffix}"), data);
        self.write();
    }

    fn remove(&mut self, suffix: &str) {
        self.entries.remove(&format!("{PREFIX}{suffix}"));
        self.write();
    }

    /// With a backup beside it for as long as it takes, as the component does.
    fn write(&self) {
        let element = |(id, data): (&String, &Vec<u8>)| {
            let mut hex = String::new();
            data.iter().for_each(|byte| write!(hex, "{byte:02X}").unwrap());
            serde_json::json!({"user": "", "data_id": id, "data_type": "AES", "data": hex, "extension": []})
        };
        let elements: Vec<_> = self.entries.iter().map(element).collect();
        let text = serde_json::json!({"version": "1.0", "elements": elements}).to_string();
        let backup = self.keyring.with_extension("backup");
        std::fs::write(&backup, &text).unwrap();
        std::fs::write(&self.keyring, &text).unwrap();
        std::fs::remove_file(backup).unwrap();
    }

    fn key(&self, id: &KeyId) -> Secret32 {
        let data = self.entries.get(&id.to_string());
        Secret32::from_slice(data.expect("the server has the key of every log")).unwrap()
    }

    fn new_key(&self) -> NamedKey {
        let id = KeyId::for_server(UUID, self.old + 1);
        let key = self.key(&id);
        NamedKey { id, key }
    }

    fn begin_log(&self) {
        let name = format!("binlog.{:06}", self.index().len() + 1);
        let plain = FileSource::open(&mixed().join("binlog.000001")).unwrap();
        let path = self.directory.join(&name);
        let output = Output::File(&path, SinkOptions::default());
        let options = EncryptOptions::default();
        encrypt(Input::File(plain), output, &self.new_key(), options, &NoProgress).unwrap();
        let index = self.directory.join("binlog.index");
        let text = std::fs::read_to_string(&index).unwrap();
        std::fs::write(index, format!("{text}./{name}\n")).unwrap();
    }

    fn index(&self) -> Vec<PathBuf> {
        let text = std::fs::read_to_string(self.directory.join("binlog.index")).unwrap();
        text.lines().map(|line| self.directory.join(line)).collect()
    }

    fn read_index(&mut self) {
        self.logs = self.index();
    }

    fn open_next(&mut self) {
        let log = self.logs.pop().unwrap();
        let mut start = vec![0; 512];
        let mut file = File::open(&log).unwrap();
        file.read_exact(&mut start).unwrap();
        let is_plain = start.starts_with(&event::MAGIC);
        let header = (!is_plain).then(|| EncryptionHeader::parse(&start).unwrap());
        self.open = Some((log, header));
    }

    /// The server opens the log once more, by its name: whatever has the name then is written over.
    fn wrap_anew(&mut self) {
        let (log, header) = self.open.take().unwrap();
        let Some(EncryptionHeader { key_id, wrapped_password, iv }) = header else {
            return;
        };
        let new = self.new_key();
        let password = password::unwrap(&self.key(&key_id), &iv, &wrapped_password);
        let iv = [0x77; 16];
        let header = EncryptionHeader {
            key_id: new.id,
            wrapped_password: password::wrap(&new.key, &iv, &password),
            iv,
        };
        let file = File::options().write(true).open(log).unwrap();
        file.write_all_at(&header.serialize().unwrap(), 0).unwrap();
    }

    /// The keys that the server has in the end.
    pub(crate) fn keys(keyring: &Path) -> Keyring {
        Keyring::open(keyring).unwrap()
    }
}

fn number(number: u32) -> Vec<u8> {
    let mut data = number.to_le_bytes().to_vec();
    data.resize(16, 0);
    data
}
