//! Percona's layout of keys in HashiCorp Vault and OpenBao: `component_keyring_vault` and the
//! `keyring_vault` plugin.
//!
//! A key is a secret of the key-value engine. Its name is the base64 of
//! `<length of the key id>_<key id><length of the user>_<user>`; its members are `type` (`AES`) and
//! `value`, the base64 of the bytes.
//!
//! | | version 1 | version 2 |
//! |---|---|---|
//! | read, write | `v1/<mount point>/<name>` | `v1/<mount>/data/<directory>/<name>` |
//! | list | `v1/<mount point>?list=true` | `v1/<mount>/metadata/<directory>?list=true` |
//!
//! With version 2 the mount is the first part of the mount point whose `config` is that of such an
//! engine, the directory what follows.
//!
//! Source: server source, `components/keyrings/keyring_vault/backend/vault_curl.cc` and
//! `config/config.cc`; the layout was tried with OpenBao and a real keyring.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use binlogsec_core::keyring::store::{
    KeyStore, LeftBehind, StoreFamily, StoreTransport, Stored, Wanted,
};
use binlogsec_core::keyring::store_failure::StoreFailure;
use binlogsec_core::keyring::{Entry, KeyType};
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::secret::SecretBytes;
use binlogsec_core::text::path_text;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::http::{Answer, Client, Transport};
use crate::json::Base64;
use crate::kv2::{self, Document};
use crate::url::Url;

/// How long an answer may take where the configuration does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest that a configuration may allow, as in the server.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

/// The version of the key-value engine, as a configuration says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineVersion {
    /// Found out by asking.
    #[default]
    Auto,
    /// Version 1: a secret has one value.
    V1,
    /// Version 2: a secret has versions.
    V2,
}

/// What the configuration of such a store says.
pub struct VaultSettings {
    /// The file.
    pub path: PathBuf,
    /// `vault_url`; `None` where the file has none.
    pub url: Option<String>,
    /// `secret_mount_point`.
    pub mount_point: String,
    /// `secret_mount_point_version`.
    pub version: EngineVersion,
    /// `token`; `None` where the file has none.
    pub token: Option<SecretBytes>,
    /// `vault_namespace`.
    pub namespace: Option<String>,
    /// `vault_ca`.
    pub authority: Option<PathBuf>,
    /// `timeout`.
    pub timeout: Duration,
}

impl fmt::Debug for VaultSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultSettings")
            .field("path", &self.path)
            .field("url", &self.url)
            .field("mount_point", &self.mount_point)
            .finish_non_exhaustive()
    }
}

/// Where the keys are.
#[derive(Debug)]
enum Layout {
    V1,
    V2 { mount: String, directory: String },
}

/// A store of Percona's layout.
#[derive(Debug)]
pub struct Vault {
    path: PathBuf,
    client: Client,
    mount_point: String,
    version: EngineVersion,
    layout: OnceLock<Layout>,
}

impl Vault {
    /// The store of a configuration. It is not asked yet.
    ///
    /// # Errors
    /// [`StoreError`]: http that is not allowed, no token, no authority.
    pub fn new(settings: VaultSettings, transport: &Transport) -> Result<Self, StoreError> {
        let url = settings.url.as_deref().or(transport.address.as_deref()).unwrap_or_default();
        let url = Url::parse(url).ok_or(StoreError::NotHttp { problem: "no address" })?;
        let authority = settings.authority.as_deref();
        let client = Client::new(url, settings.timeout, authority, transport)?;
        let client = with_credentials(client, settings.token, settings.namespace, transport)?;
        Ok(Self {
            path: settings.path,
            client,
            mount_point: settings.mount_point,
            version: settings.version,
            layout: OnceLock::new(),
        })
    }

    fn layout(&self) -> Result<&Layout, StoreError> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout);
        }
        let found = match self.version {
            EngineVersion::V1 => Layout::V1,
            EngineVersion::Auto | EngineVersion::V2 => self.probe()?,
        };
        Ok(self.layout.get_or_init(|| found))
    }

    /// Asks each part of the mount point, the shortest first, whether an engine of version 2 is
    /// mounted there, as the server does.
    fn probe(&self) -> Result<Layout, StoreError> {
        let ends = self.mount_point.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([self.mount_point.len()]) {
            let (mount, rest) = self.mount_point.split_at_checked(end).unwrap_or_default();
            let answer = self.client.get(&format!("v1/{mount}/config"), "")?;
            if answer.status == 200 && is_config_of_version_2(&answer.body) {
                let directory = rest.trim_start_matches('/').to_owned();
                return Ok(Layout::V2 { mount: mount.to_owned(), directory });
            }
        }
        if self.version == EngineVersion::V2 {
            return Err(StoreError::NotVersion2 { mount: self.mount_point.clone() });
        }
        Ok(Layout::V1)
    }

    fn secret_path(&self, wanted: &Wanted) -> Result<String, StoreError> {
        let name = BASE64_STANDARD.encode(signature(wanted));
        Ok(match self.layout()? {
            Layout::V1 => format!("v1/{}/{name}", self.mount_point),
            Layout::V2 { mount, directory } if directory.is_empty() => {
                format!("v1/{mount}/data/{name}")
            }
            Layout::V2 { mount, directory } => format!("v1/{mount}/data/{directory}/{name}"),
        })
    }

    fn read(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreError> {
        let answer = self.client.get(&self.secret_path(wanted)?, "")?;
        let what = wanted.id.to_string();
        let Some(body) = self.found(answer, &what)? else { return Ok(None) };
        let refused = |problem| StoreError::NotAKey { what: what.clone(), problem };
        let secret = match self.layout()? {
            Layout::V1 => serde_json::from_slice::<Document<Secret>>(&body).map(|it| it.data),
            Layout::V2 { .. } => serde_json::from_slice::<Document<Document<Secret>>>(&body)
                .map(|document| document.data.data),
        };
        // What serde says may quote the value.
        let secret = secret.map_err(|_| {
            refused("JSON with `type` and `value`, the latter in base64, is expected")
        })?;
        Ok(Some(Entry {
            id: wanted.id.clone(),
            user: wanted.user.clone(),
            key_type: KeyType::from_bytes(secret.key_type.as_bytes()),
            data: secret.value.0,
        }))
    }

    /// When the newest version was stored; version 1 of the engine keeps no times.
    fn created(&self, wanted: &Wanted) -> Result<Option<String>, StoreError> {
        #[derive(Deserialize)]
        struct Times {
            created_time: String,
        }
        #[derive(Deserialize)]
        struct Dated {
            metadata: Times,
        }
        if matches!(self.layout()?, Layout::V1) {
            return Ok(None);
        }
        let answer = self.client.get(&self.secret_path(wanted)?, "")?;
        let what = wanted.id.to_string();
        let Some(body) = self.found(answer, &what)? else { return Ok(None) };
        let dated = serde_json::from_slice::<Document<Dated>>(&body);
        Ok(dated.ok().map(|document| document.data.metadata.created_time))
    }

    /// The body of a good answer; `None` where nothing is there.
    fn found(&self, answer: Answer, what: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let (status, what) = (answer.status, what.to_owned());
        match status {
            200 => Ok(Some(answer.body)),
            404 if has_errors(&answer.body) => {
                let mount = format!("{}/v1/{}", self.client.url(), self.mount_point);
                Err(StoreError::NoMount { mount })
            }
            404 => Ok(None),
            400 | 401 | 403 => Err(StoreError::Refused { what, status }),
            _ => Err(StoreError::Status { what, status }),
        }
    }

    fn names(&self) -> Result<Vec<Stored>, StoreError> {
        let path = match self.layout()? {
            Layout::V1 => format!("v1/{}", self.mount_point),
            Layout::V2 { mount, directory } => {
                format!("v1/{mount}/metadata/{directory}").trim_end_matches('/').to_owned()
            }
        };
        let what = "the list of its keys";
        let answer = self.client.get(&path, "?list=true")?;
        let Some(body) = self.found(answer, what)? else { return Ok(Vec::new()) };
        let refused = |_| StoreError::NotAKey {
            what: what.to_owned(),
            problem: "JSON with `keys` is expected",
        };
        let list: Document<Keys> = serde_json::from_slice(&body).map_err(refused)?;
        // Whatever else lies there has other names.
        Ok(list.data.keys.iter().filter_map(|name| parse_name(name)).collect())
    }

    /// The keys of logs that can still be had after the server deleted or replaced them: with version
    /// 2 it deletes the newest version, which can be brought back.
    fn deleted(&self) -> Result<Vec<LeftBehind>, StoreError> {
        let Layout::V2 { mount, directory } = self.layout()? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let is_key = |stored: &Stored| stored.user.is_empty() && stored.id.parts().is_some();
        for stored in self.names()?.into_iter().filter(is_key) {
            let name = BASE64_STANDARD.encode(signature(&Wanted::of_server(stored.id.clone())));
            let path = format!("{directory}/{name}").trim_start_matches('/').to_owned();
            let what = format!("the versions of {}", stored.id);
            let answer = self.client.get(&format!("v1/{mount}/metadata/{path}"), "")?;
            let Some(body) = self.found(answer, &what)? else { continue };
            let problem = "JSON of another form is expected";
            let mut versions = kv2::versions(&body).ok_or(StoreError::NotAKey { what, problem })?;
            let is_current = versions.pop_if(|newest| newest.is_there()).is_some();
            versions.retain(|version| !version.is_destroyed);
            if versions.is_empty() {
                continue;
            }
            let versions: Vec<u32> = versions.iter().map(|version| version.number).collect();
            let command = destroy(mount, &path, is_current.then_some(&versions));
            found.push(LeftBehind { id: stored.id, versions, command });
        }
        Ok(found)
    }

    fn write(&self, entry: &Entry, replace: bool) -> Result<(), StoreError> {
        let (id, user) = (entry.id.clone(), entry.user.clone());
        let wanted = Wanted { id, user, version: None };
        if !replace && self.read(&wanted)?.is_some() {
            return Err(StoreError::Exists { id: wanted.id.to_string() });
        }
        let value = Zeroizing::new(BASE64_STANDARD.encode(entry.data.expose()));
        let key_type = entry.key_type.to_string().replace(['"', '\\'], "");
        let (before, after) = match self.layout()? {
            Layout::V1 => ("{", "}"),
            Layout::V2 { .. } => ("{\"data\":{", "}}"),
        };
        let room = value.len().saturating_add(key_type.len()).saturating_add(64);
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        for part in [before, "\"type\":\"", &key_type, "\",\"value\":\"", &value, "\"", after] {
            body.extend_from_slice(part.as_bytes());
        }
        let answer = self.client.post(&self.secret_path(&wanted)?, &body)?;
        match answer.status {
            200 | 204 => Ok(()),
            status @ (400 | 401 | 403) => {
                Err(StoreError::Refused { what: format!("writing {}", wanted.id), status })
            }
            404 => Err(StoreError::NoMount { mount: self.name() }),
            status => Err(StoreError::Status { what: format!("writing {}", wanted.id), status }),
        }
    }
}

/// Adds the token, and the namespace where there is one.
pub(crate) fn with_credentials(
    client: Client,
    token: Option<SecretBytes>,
    namespace: Option<String>,
    transport: &Transport,
) -> Result<Client, StoreError> {
    let copy = |token: &SecretBytes| SecretBytes::new(token.expose().to_vec());
    let token = token.filter(|token| !token.is_empty());
    let token = token.or_else(|| transport.token.as_ref().map(copy)).ok_or(StoreError::NoToken)?;
    let client = client.with_header("X-Vault-Token", token)?;
    let client = client.with_header("X-Vault-Request", SecretBytes::new(b"true".to_vec()))?;
    match namespace.filter(|it| !it.is_empty()).or_else(|| transport.namespace.clone()) {
        Some(namespace) => {
            client.with_header("X-Vault-Namespace", SecretBytes::new(namespace.into_bytes()))
        }
        None => Ok(client),
    }
}

/// The command that destroys versions of a secret, or all of it.
pub(crate) fn destroy(mount: &str, path: &str, versions: Option<&Vec<u32>>) -> String {
    let quoted = |text: &str| path_text::quoted(Path::new(text));
    let (mount, path) = (quoted(mount), quoted(path));
    match versions {
        Some(versions) => {
            let numbers: Vec<_> = versions.iter().map(u32::to_string).collect();
            format!("vault kv destroy -mount={mount} -versions={} {path}", numbers.join(","))
        }
        None => format!("vault kv metadata delete -mount={mount} {path}"),
    }
}

/// What could be asked; `None` where the token may not.
pub(crate) fn unless_refused<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Err(StoreError::Refused { status: 403, .. }) => Ok(None),
        other => other.map(Some),
    }
}

impl KeyStore for Vault {
    fn name(&self) -> String {
        let (url, mount, path) = (self.client.url(), &self.mount_point, self.path.display());
        format!("the Vault at {url}, {mount} ({path})")
    }

    fn configuration(&self) -> &Path {
        &self.path
    }

    fn family(&self) -> StoreFamily {
        StoreFamily::MySql
    }

    fn transport(&self) -> StoreTransport {
        self.client.transport()
    }

    fn stored_at(&self, wanted: &Wanted) -> Result<Option<String>, StoreFailure> {
        Ok(self.created(wanted)?)
    }

    fn left_behind(&self) -> Result<Option<Vec<LeftBehind>>, StoreFailure> {
        Ok(unless_refused(self.deleted())?)
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreFailure> {
        Ok(self.read(wanted)?)
    }

    fn list(&self) -> Result<Vec<Stored>, StoreFailure> {
        Ok(self.names()?)
    }

    fn put(&self, entry: &Entry, replace: bool) -> Result<(), StoreFailure> {
        Ok(self.write(entry, replace)?)
    }
}

#[derive(Deserialize)]
pub(crate) struct Keys {
    pub(crate) keys: Vec<String>,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(rename = "type")]
    key_type: String,
    value: Base64,
}

fn is_config_of_version_2(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "max_versions")]
        _max_versions: IgnoredAny,
        #[serde(rename = "cas_required")]
        _cas_required: IgnoredAny,
    }
    serde_json::from_slice::<Document<Config>>(body).is_ok()
}

/// Whether an answer says what is wrong. One for a secret that is not there says nothing.
pub(crate) fn has_errors(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<IgnoredAny>,
    }
    serde_json::from_slice::<Errors>(body).is_ok_and(|it| !it.errors.is_empty())
}

/// `<length>_<key id><length>_<user>`.
fn signature(wanted: &Wanted) -> Vec<u8> {
    let (id, user) = (wanted.id.as_bytes(), &wanted.user);
    let (id_length, user_length) = (format!("{}_", id.len()), format!("{}_", user.len()));
    [id_length.as_bytes(), id, user_length.as_bytes(), user].concat()
}

fn parse_name(name: &str) -> Option<Stored> {
    let text = BASE64_STANDARD.decode(name).ok()?;
    let (id, rest) = counted(&text)?;
    let (user, rest) = counted(rest)?;
    let stored = Stored { id: KeyId::new(id), user: user.into(), versions: Vec::new() };
    rest.is_empty().then_some(stored)
}

fn counted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == b'_')?;
    let (digits, rest) = text.split_at_checked(at)?;
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    rest.get(1..)?.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_server_makes_of_a_key_id() {
        let id = KeyId::for_server("2bc92730-e533-11f1-b7bc-02fc00000001", 1);
        let wanted = Wanted::of_server(id.clone());
        let text = "58_MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_10_";
        assert_eq!(signature(&wanted), text.as_bytes());
        let stored = parse_name(&BASE64_STANDARD.encode(text));
        assert_eq!(stored, Some(Stored { id, user: Box::default(), versions: Vec::new() }));
        for text in ["", "5_a", "1_a1_", "x_a0_", "1_a0_b", "99999999999999999999_a0_"] {
            assert_eq!(parse_name(&BASE64_STANDARD.encode(text)), None, "{text}");
        }
        assert_eq!(parse_name("not base64!"), None);
    }
}
