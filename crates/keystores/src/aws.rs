//! MariaDB's keys under a key of AWS KMS: the `aws_key_management` plugin.
//!
//! The data directory has a file `aws-kms-key.<key id>.<version>` of each key: what KMS encrypted.
//! Its operation Decrypt gives the 16 or 32 bytes; the answer is JSON, the request is signed.
//!
//! Source: server source, `plugin/aws_key_management/aws_key_management_plugin.cc`; AWS KMS API
//! reference, Decrypt. Tried with moto's server, which knows no plugin of MariaDB's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::keyring::store::{
    KeyStore, SecretFile, StoreFamily, StoreTransport, Stored, Wanted,
};
use binlogsec_core::keyring::store_failure::StoreFailure;
use binlogsec_core::keyring::{Entry, KeyType};
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::secret::SecretBytes;
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::http::{Answer, Client, Request, Transport};
use crate::json::Base64;
use crate::sigv4::{Credentials, Signing};
use crate::url::Url;
use crate::wire::with_retries;

/// What the names of such files start with.
const PREFIX: &str = "aws-kms-key.";
/// KMS takes no more.
const MAX_CIPHERTEXT: u64 = 6144;
/// More is no file of credentials.
const MAX_CREDENTIALS: u64 = 1 << 20;
/// How long an answer may take where the options do not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// What KMS speaks.
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// Key id and version in the name of a file, as the server reads it; `None` for another name.
#[must_use]
pub fn key_of_file(path: &Path) -> Option<(u32, u32)> {
    let (id, version) = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0_u32);
    Some((number(id)?, number(version)?))
}

/// The files of keys in a data directory.
///
/// # Errors
/// What the system says of the directory.
pub fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Vec<_> = std::fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    let paths = entries.iter().map(std::fs::DirEntry::path);
    Ok(paths.filter(|path| key_of_file(path).is_some()).collect())
}

/// What the options of the plugin say, and which files there are.
#[derive(Debug)]
pub struct KmsSettings {
    /// The file or the directory that was named.
    pub path: PathBuf,
    /// The files of keys.
    pub files: Vec<PathBuf>,
    /// `aws-key-management-region`.
    pub region: Option<String>,
    /// `aws-key-management-endpoint-url`.
    pub endpoint: Option<String>,
    /// `aws-key-management-request-timeout`.
    pub timeout: Duration,
}

/// What the environment and the files of AWS's own tools say.
pub struct AwsEnvironment {
    credentials: Option<Credentials>,
    region: Option<String>,
    endpoint: Option<String>,
    profile: String,
    credentials_file: PathBuf,
}

impl fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsEnvironment").field("region", &self.region).finish_non_exhaustive()
    }
}

impl AwsEnvironment {
    /// Reads variables by a function, and the files that they name.
    ///
    /// # Errors
    /// [`StoreError`] when a file of credentials is there and cannot be read.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name)?.into_string().ok();
        let profile = text("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
        let file = |name: &str, usual: &str| {
            variable(name).map_or_else(|| home.join(".aws").join(usual), PathBuf::from)
        };
        let credentials_file = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let mut found = Profile::default();
        found.read(&credentials_file, &profile)?;
        let section = match profile.as_str() {
            "default" => profile.clone(),
            other => format!("profile {other}"),
        };
        found.read(&file("AWS_CONFIG_FILE", "config"), &section)?;
        let secret = |name: &str| Some(SecretBytes::new(text(name)?.into_bytes()));
        let of_variables = || {
            Some(Credentials {
                id: text("AWS_ACCESS_KEY_ID")?,
                secret: secret("AWS_SECRET_ACCESS_KEY")?,
                session_token: secret("AWS_SESSION_TOKEN"),
            })
        };
        let region =
            text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")).or(found.region.take());
        Ok(Self {
            credentials: of_variables().or_else(|| found.credentials()),
            region,
            endpoint: text("AWS_ENDPOINT_URL_KMS").or_else(|| text("AWS_ENDPOINT_URL")),
            profile,
            credentials_file,
        })
    }
}

/// What a profile says.
#[derive(Default)]
struct Profile {
    id: Option<String>,
    secret: Option<SecretBytes>,
    session_token: Option<SecretBytes>,
    region: Option<String>,
}

impl Profile {
    /// Takes what a section of a file says; what is known already stays.
    fn read(&mut self, path: &Path, section: &str) -> Result<(), StoreError> {
        if !path.is_file() {
            return Ok(());
        }
        let bytes = small::read(path, MAX_CREDENTIALS, Pipes::Refused)?;
        let mut is_it = false;
        for line in bytes.split(|&byte| byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line.trim_ascii()) else { continue };
            if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                is_it = name.trim() == section;
                continue;
            }
            let Some((name, value)) = line.split_once('=').filter(|_| is_it) else { continue };
            let (name, value) = (name.trim(), value.trim());
            let secret = || Some(SecretBytes::new(value.as_bytes().to_vec()));
            match name {
                _ if value.is_empty() => {}
                "aws_access_key_id" if self.id.is_none() => self.id = Some(value.to_owned()),
                "aws_secret_access_key" if self.secret.is_none() => self.secret = secret(),
                "aws_session_token" if self.session_token.is_none() => {
                    self.session_token = secret();
                }
                "region" if self.region.is_none() => self.region = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    fn credentials(self) -> Option<Credentials> {
        Some(Credentials { id: self.id?, secret: self.secret?, session_token: self.session_token })
    }
}

/// KMS, and the files that it decrypts.
pub struct Kms {
    path: PathBuf,
    files: BTreeMap<(u32, u32), PathBuf>,
    client: Client,
    credentials: Credentials,
    region: String,
}

impl fmt::Debug for Kms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kms")
            .field("path", &self.path)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Kms {
    /// The store of these files. It is not asked yet.
    ///
    /// # Errors
    /// [`StoreError`]: no credentials, no region, http that is not allowed, no authority.
    pub fn new(
        settings: KmsSettings,
        environment: AwsEnvironment,
        transport: &Transport,
    ) -> Result<Self, StoreError> {
        let region = settings.region.or(environment.region).ok_or(StoreError::NoRegion)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if region.is_empty() || !region.chars().all(is_name) {
            return Err(StoreError::NoRegion);
        }
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let usual = format!("https://kms.{region}.amazonaws.com{suffix}");
        let url = settings.endpoint.or(environment.endpoint).unwrap_or(usual);
        let url = Url::parse(&url).ok_or(StoreError::NotHttp { problem: "no address" })?;
        let credentials = environment.credentials.ok_or(StoreError::NoCredentials {
            file: environment.credentials_file,
            profile: environment.profile,
        })?;
        if !credentials.are_printable() {
            return Err(StoreError::BadToken);
        }
        let client = Client::new(url, settings.timeout, None, transport)?;
        let numbered = settings.files.into_iter();
        let files = numbered.filter_map(|path| Some((key_of_file(&path)?, path))).collect();
        Ok(Self { path: settings.path, files, client, credentials, region })
    }

    /// The file of a key in the version that is wanted, else in its newest one.
    fn file(&self, wanted: &Wanted) -> Option<(u32, u32)> {
        let id = std::str::from_utf8(wanted.id.as_bytes()).ok()?.parse().ok()?;
        let (oldest, newest) = match wanted.version {
            Some(version) => (version, version),
            None => (0, u32::MAX),
        };
        self.files.range((id, oldest)..=(id, newest)).next_back().map(|(key, _)| *key)
    }

    fn read(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreError> {
        let Some(path) = self.file(wanted).and_then(|key| self.files.get(&key)) else {
            return Ok(None);
        };
        let what = path.display().to_string();
        let ciphertext = small::read(path, MAX_CIPHERTEXT, Pipes::Refused)?;
        if ciphertext.is_empty() {
            return Err(StoreError::KeyGone { what, reason: "the file is empty" });
        }
        let encoded = BASE64_STANDARD.encode(&*ciphertext);
        let body = format!("{{\"CiphertextBlob\":\"{encoded}\"}}");
        let answer = with_retries(|attempt| self.decrypt(body.as_bytes(), &what, attempt))?;
        let refused = |problem| StoreError::NotAKey { what: what.clone(), problem };
        #[derive(Deserialize)]
        struct Decrypted {
            #[serde(rename = "Plaintext")]
            plaintext: Base64,
        }
        // What serde says may quote the key.
        let Decrypted { plaintext: Base64(data) } = serde_json::from_slice(&answer)
            .map_err(|_| refused("JSON with `Plaintext`, in base64, is expected"))?;
        if !matches!(data.len(), 16 | 24 | 32) {
            return Err(refused("it has not 16, 24 or 32 bytes"));
        }
        let (id, user) = (wanted.id.clone(), Box::default());
        Ok(Some(Entry { id, user, key_type: KeyType::Aes, data }))
    }

    fn decrypt(
        &self,
        body: &[u8],
        what: &str,
        attempts: u32,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        const TARGET: &str = "TrentService.Decrypt";
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let (url, token) = (self.client.url(), self.credentials.session_token.as_ref());
        let host = url.authority();
        let mut signed: Vec<(&str, &[u8])> = vec![
            ("content-type", CONTENT_TYPE.as_bytes()),
            ("host", host.as_bytes()),
            ("x-amz-date", time.as_bytes()),
        ];
        signed.extend(token.map(|token| ("x-amz-security-token", token.expose())));
        signed.push(("x-amz-target", TARGET.as_bytes()));
        let path = if url.path.is_empty() { "/".to_owned() } else { format!("/{}/", url.path) };
        let signing = Signing {
            time: &time,
            region: &self.region,
            service: "kms",
            path: &path,
            headers: &signed,
            body,
        };
        let authorization = signing.authorization(&self.credentials);
        let value = |text: &[u8]| SecretBytes::new(text.to_vec());
        let mut headers = vec![
            ("X-Amz-Date", value(time.as_bytes())),
            ("X-Amz-Target", value(TARGET.as_bytes())),
            ("Authorization", value(authorization.as_bytes())),
        ];
        headers.extend(token.map(|token| ("X-Amz-Security-Token", value(token.expose()))));
        let body = Some((CONTENT_TYPE, body));
        let request = Request { method: "POST", path: "", query: "", headers: &headers, body };
        match self.client.ask(&request, attempts)? {
            Answer { status: 200, body } => Ok(body),
            Answer { status, body } => Err(failure(status, &body, what, attempts)),
        }
    }
}

/// What an error of KMS means, by its type alone: its message may repeat what it was asked with.
fn failure(status: u16, body: &[u8], what: &str, attempts: u32) -> StoreError {
    #[derive(Deserialize)]
    struct Failure {
        #[serde(rename = "__type")]
        kind: String,
    }
    let what = what.to_owned();
    let kind = serde_json::from_slice::<Failure>(body).map(|failure| failure.kind);
    let kind = kind.unwrap_or_default();
    let gone = |reason| StoreError::KeyGone { what: what.clone(), reason };
    let denied = |reason| StoreError::Denied { what: what.clone(), reason };
    match kind.rsplit('#').next().unwrap_or_default() {
        "InvalidCiphertextException" | "IncorrectKeyException" => {
            gone("it is not what KMS encrypted for this account in this region, or it is damaged")
        }
        "NotFoundException" => {
            gone("the KMS key that encrypted it is not in this account and region")
        }
        "DisabledException" => gone("the KMS key that encrypted it is disabled"),
        "KMSInvalidStateException" => {
            gone("the KMS key that encrypted it is to be deleted, or not usable now")
        }
        "AccessDeniedException" => {
            denied("these credentials have no right kms:Decrypt for the KMS key that encrypted it")
        }
        "ExpiredTokenException" => denied("the credentials have expired"),
        "UnrecognizedClientException" | "InvalidClientTokenId" | "MissingAuthenticationToken" => {
            denied("it does not know these credentials")
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "IncompleteSignature" => denied(
            "the secret does not belong to the id of the credentials, or the clock of this machine is wrong",
        ),
        "ThrottlingException" | "KeyUnavailableException" => StoreError::Down { status, attempts },
        _ if matches!(status, 401 | 403) => denied("these credentials are not allowed to"),
        _ => StoreError::Status { what, status },
    }
}

impl KeyStore for Kms {
    fn name(&self) -> String {
        format!("AWS KMS at {} ({})", self.client.url(), self.path.display())
    }

    fn configuration(&self) -> &Path {
        &self.path
    }

    /// The files are ciphertext, and the credentials are those of whoever runs this.
    fn secret_files(&self) -> Vec<SecretFile<'_>> {
        Vec::new()
    }

    fn family(&self) -> StoreFamily {
        StoreFamily::MariaDb
    }

    fn transport(&self) -> StoreTransport {
        self.client.transport()
    }

    /// The server writes each file once.
    fn stored_at(&self, wanted: &Wanted) -> Result<Option<String>, StoreFailure> {
        let file = self.file(wanted).and_then(|key| self.files.get(&key));
        let changed = file.and_then(|path| path.metadata().ok()?.modified().ok());
        let time =
            changed.map(|time: SystemTime| Timestamp::try_from(time).map(|it| it.to_string()));
        Ok(time.and_then(Result::ok))
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreFailure> {
        Ok(self.read(wanted)?)
    }

    fn list(&self) -> Result<Vec<Stored>, StoreFailure> {
        let mut versions: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &(id, version) in self.files.keys() {
            versions.entry(id).or_default().push(version);
        }
        let stored = |(id, versions): (u32, Vec<u32>)| Stored {
            id: KeyId::new(id.to_string().as_bytes()),
            user: Box::default(),
            versions,
        };
        Ok(versions.into_iter().map(stored).collect())
    }

    fn put(&self, _entry: &Entry, _replace: bool) -> Result<(), StoreFailure> {
        let why = "the server makes its keys by KMS: SET GLOBAL aws_key_management_rotate_key";
        Err(StoreError::ReadOnly { why }.into())
    }
}
