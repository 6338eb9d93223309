//! MariaDB's layout of keys in HashiCorp Vault and OpenBao: the `hashicorp_key_management` plugin.
//!
//! A key is a secret of the key-value engine, version 2, under its number; the member `data` has it
//! in hexadecimal digits. The version of the key is that of the secret:
//! `GET <vault url>/data/<key id>?version=<version>`, where the URL ends in `/v1/<mount>`.
//!
//! Source: server source, `plugin/hashicorp_key_management/hashicorp_key_management_plugin.cc`;
//! confirmed with the plugin of MariaDB 10.11 and OpenBao.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use binlogsec_core::keyring::store::{
    KeyStore, LeftBehind, StoreFamily, StoreTransport, Stored, Wanted,
};
use binlogsec_core::keyring::store_failure::StoreFailure;
use binlogsec_core::keyring::{Entry, KeyType};
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::secret::SecretBytes;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::http::{Answer, Client, Transport};
use crate::json::Hex;
use crate::kv2::Document;
use crate::kv2::{self, Version};
use crate::url::Url;
use crate::vault::{self, Keys, has_errors, with_credentials};

/// What the options of the plugin say.
pub struct MariadbVaultSettings {
    /// The option file.
    pub path: PathBuf,
    /// `hashicorp-key-management-vault-url`.
    pub url: String,
    /// `hashicorp-key-management-token`; `None` where the file has none.
    pub token: Option<SecretBytes>,
    /// `hashicorp-key-management-vault-ca`.
    pub authority: Option<PathBuf>,
    /// `hashicorp-key-management-timeout`.
    pub timeout: Duration,
}

impl fmt::Debug for MariadbVaultSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MariadbVaultSettings")
            .field("path", &self.path)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A store of MariaDB's layout.
#[derive(Debug)]
pub struct MariadbVault {
    path: PathBuf,
    client: Client,
}

impl MariadbVault {
    /// The store that the options name. It is not asked yet.
    ///
    /// # Errors
    /// [`StoreError`]: http that is not allowed, no token, no authority, an address without
    /// `/v1/<mount>`.
    pub fn new(settings: MariadbVaultSettings, transport: &Transport) -> Result<Self, StoreError> {
        let url = Url::parse(&settings.url)
            .filter(|url| url.path.starts_with("v1/"))
            .ok_or(StoreError::NotHttp { problem: "no address that ends in /v1/ and a mount" })?;
        let client = Client::new(url, settings.timeout, settings.authority.as_deref(), transport)?;
        let client = with_credentials(client, settings.token, None, transport)?;
        Ok(Self { path: settings.path, client })
    }

    fn read(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreError> {
        #[derive(Deserialize)]
        struct Secret {
            data: Hex,
        }
        #[derive(Deserialize)]
        struct Metadata {
            version: u32,
        }
        #[derive(Deserialize)]
        struct Versioned {
            data: Secret,
            metadata: Metadata,
        }
        let query = wanted.version.map(|version| format!("?version={version}"));
        let query = query.unwrap_or_default();
        let answer = self.client.get(&format!("data/{}", wanted.id), &query)?;
        let what = match wanted.version {
            Some(version) => format!("key {}, version {version}", wanted.id),
            None => format!("key {}", wanted.id),
        };
        let Some(body) = self.found(answer, &what)? else { return Ok(None) };
        let refused = |problem| StoreError::NotAKey { what: what.clone(), problem };
        // What serde says may quote the key.
        let found: Document<Versioned> = serde_json::from_slice(&body).map_err(|_| {
            refused(
                "JSON with `data`, in hexadecimal digits, is expected, from an engine of version 2",
            )
        })?;
        if wanted.version.is_some_and(|version| version != found.data.metadata.version) {
            return Err(refused("it is of another version than was asked for"));
        }
        let Hex(data) = found.data.data.data;
        if !matches!(data.len(), 16 | 24 | 32) {
            return Err(refused("it has not 16, 24 or 32 bytes"));
        }
        let (id, user) = (wanted.id.clone(), Box::default());
        Ok(Some(Entry { id, user, key_type: KeyType::Aes, data }))
    }

    fn found(&self, answer: Answer, what: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (status, what) = (answer.status, what.to_owned());
        match status {
            200 => Ok(Some(answer.body)),
            404 if has_errors(&answer.body) => {
                Err(StoreError::NoMount { mount: self.client.url().to_string() })
            }
            404 => Ok(None),
            400 | 401 | 403 => Err(StoreError::Refused { what, status }),
            _ => Err(StoreError::Status { what, status }),
        }
    }

    fn names(&self) -> Result<Vec<Stored>, StoreError> {
        let what = "the list of its keys";
        let Some(body) = self.found(self.client.get("metadata", "?list=true")?, what)? else {
            return Ok(Vec::new());
        };
        let list: Document<Keys> = serde_json::from_slice(&body).map_err(|_| no_list(what))?;
        let is_number = |name: &&String| name.parse::<u32>().is_ok();
        let stored = |name: &String| {
            let versions = self.versions(name)?.into_iter().filter(Version::is_there);
            let versions = versions.map(|version| version.number).collect();
            Ok(Stored { id: KeyId::new(name.as_bytes()), user: Box::default(), versions })
        };
        list.data.keys.iter().filter(is_number).map(stored).collect()
    }

    /// All versions of a key, ascending.
    fn versions(&self, name: &str) -> Result<Vec<Version>, StoreError> {
        let what = format!("the versions of key {name}");
        let answer = self.client.get(&format!("metadata/{name}"), "")?;
        let Some(body) = self.found(answer, &what)? else { return Ok(Vec::new()) };
        kv2::versions(&body).ok_or_else(|| no_list(&what))
    }

    /// The versions that were deleted, and not destroyed.
    fn deleted(&self) -> Result<Vec<LeftBehind>, StoreError> {
        let mut found = Vec::new();
        for stored in self.names()? {
            let name = stored.id.to_string();
            let versions = self.versions(&name)?.into_iter();
            let versions = versions.filter(|it| it.is_deleted && !it.is_destroyed);
            let numbers: Vec<u32> = versions.map(|version| version.number).collect();
            if !numbers.is_empty() {
                let mount = self.client.url().path.trim_start_matches("v1/").to_owned();
                let command = vault::destroy(&mount, &name, Some(&numbers));
                found.push(LeftBehind { id: stored.id, versions: numbers, command });
            }
        }
        Ok(found)
    }
}

fn no_list(what: &str) -> StoreError {
    StoreError::NotAKey { what: what.to_owned(), problem: "JSON of another form is expected" }
}

impl KeyStore for MariadbVault {
    fn name(&self) -> String {
        format!("the Vault at {} ({})", self.client.url(), self.path.display())
    }

    fn configuration(&self) -> &Path {
        &self.path
    }

    fn family(&self) -> StoreFamily {
        StoreFamily::MariaDb
    }

    fn transport(&self) -> StoreTransport {
        self.client.transport()
    }

    fn stored_at(&self, wanted: &Wanted) -> Result<Option<String>, StoreFailure> {
        let versions = self.versions(&wanted.id.to_string())?;
        let newest = versions.into_iter().rev().find(Version::is_there);
        Ok(newest.map(|version| version.created))
    }

    fn left_behind(&self) -> Result<Option<Vec<LeftBehind>>, StoreFailure> {
        Ok(vault::unless_refused(self.deleted())?)
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreFailure> {
        Ok(self.read(wanted)?)
    }

    fn list(&self) -> Result<Vec<Stored>, StoreFailure> {
        Ok(self.names()?)
    }

    fn put(&self, _entry: &Entry, _replace: bool) -> Result<(), StoreFailure> {
        let why = "a new version of a key is made where the server's keys are made: \
                   vault kv put MOUNT/1 data=HEX";
        Err(StoreError::ReadOnly { why }.into())
    }
}
