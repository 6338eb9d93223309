//! Why a store gives no key. Nothing that a store answers is in a message: it may repeat what it
//! was asked with.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use binlogsec_core::file::TransferError;
use binlogsec_core::keyring::store_failure::StoreFailure;

/// Why a store gives no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address is by http, on which everybody sees the token and the keys.
    #[error(
        "its address {url} is not encrypted: token and keys would go over the network for everybody to see; use https, or say --allow-http"
    )]
    PlainHttp {
        /// The address.
        url: String,
    },
    /// No token.
    #[error(
        "there is no token to ask it with: the configuration names none, and the environment variable VAULT_TOKEN is not set"
    )]
    NoToken,
    /// No credentials of AWS.
    #[error(
        "there are no credentials to ask it with: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and profile {profile} in {} has none; where they come from elsewhere (single sign-on, a role): eval \"$(aws configure export-credentials --format env)\"", .file.display()
    )]
    NoCredentials {
        /// Where they were looked for.
        file: PathBuf,
        /// The profile.
        profile: String,
    },
    /// No region of AWS.
    #[error(
        "no region is named, or none that can be one: set AWS_REGION, or aws-key-management-region in the server's option file"
    )]
    NoRegion,
    /// A file of the store's cannot be read.
    #[error(transparent)]
    KeyFile(#[from] TransferError),
    /// The token has bytes that no header can have.
    #[error("the token, or the secret, has bytes that a request cannot carry: it is none")]
    BadToken,
    /// The file of the authority that is trusted cannot be used.
    #[error("{}: no certificate of an authority to trust{}", .path.display(), .problem)]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, from `: ` on, or nothing.
        problem: String,
    },
    /// No authority is named, and the system has none where it is looked for.
    #[error(
        "its configuration names no authority to trust (vault_ca), and neither VAULT_CACERT, SSL_CERT_FILE nor the system has one"
    )]
    NoAuthority,
    /// A host that no certificate can be for.
    #[error("its host {host:?} is no name and no address")]
    NoHost {
        /// What the configuration says.
        host: String,
    },
    /// No connection.
    #[error("it cannot be reached after {attempts} attempts")]
    Unreachable {
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt ended with.
        source: io::Error,
    },
    /// Connected, and no whole answer in time.
    #[error("no whole answer within {} s, {attempts} times", .limit.as_secs())]
    Late {
        /// How long an answer may take.
        limit: Duration,
        /// How often it was asked.
        attempts: u32,
    },
    /// TLS fails: the certificate, its name, its authority.
    #[error(
        "the connection is not trusted: its certificate must be for this host and from the authority that is configured"
    )]
    Tls {
        /// What is wrong.
        source: rustls::Error,
    },
    /// It ends the connection by an alert of TLS: the client's certificate is not taken, mostly.
    #[error(
        "it ends the connection by an alert of TLS: where it asks for a client's certificate, that is missing, expired, or from an authority that it does not know"
    )]
    ClientRefused {
        /// The alert.
        source: rustls::Error,
    },
    /// It does not let this client have what was asked for.
    #[error("it refuses {what}: {reason}")]
    Denied {
        /// What was asked for.
        what: String,
        /// Why.
        reason: &'static str,
    },
    /// A failure of KMIP.
    #[error("it fails for {what}, with the reason {reason:#x} of KMIP")]
    Failed {
        /// What was asked for.
        what: String,
        /// The reason's number (KMIP specification 1.0, section 9.1.3.2.28); 0 where it tells none.
        reason: u32,
    },
    /// No KMIP.
    #[error("what answers there does not speak KMIP, or not as a store does ({problem})")]
    NotKmip {
        /// What is wrong.
        problem: &'static str,
    },
    /// It answers, and the key that was asked for cannot be had.
    #[error("it does not give {what}: {reason}")]
    KeyGone {
        /// What was asked for.
        what: String,
        /// Why.
        reason: &'static str,
    },
    /// The client's certificate or its key cannot be used.
    #[error("{}: no certificate with its key, by which the store knows its client: {problem}", .path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It wants to be asked elsewhere.
    #[error(
        "it answers with a redirect (status {status}){}, which is not followed: the token is for this address alone; name the right one in its configuration", target(.to)
    )]
    Redirect {
        /// The status.
        status: u16,
        /// The host it names.
        to: Option<String>,
    },
    /// The token is not allowed to read.
    #[error(
        "it refuses the token for {what} (status {status}): the token has expired, was revoked, or has no policy for this path"
    )]
    Refused {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
    },
    /// There is no such mount.
    #[error("it has nothing mounted at {mount}: check the mount point in the configuration")]
    NoMount {
        /// Where it was looked for.
        mount: String,
    },
    /// A mount of another version of the engine than the configuration says.
    #[error(
        "no mount of the key-value engine, version 2, is on the way to {mount}, which the configuration demands"
    )]
    NotVersion2 {
        /// Where it was looked for.
        mount: String,
    },
    /// It says that it cannot answer now.
    #[error(
        "it is not able to answer (status {status}, {attempts} times){}", if *.status == 503 { ": it is sealed, or starting" } else { "" }
    )]
    Down {
        /// The status.
        status: u16,
        /// How often it was asked.
        attempts: u32,
    },
    /// Another status.
    #[error("it answers for {what} with the status {status}, which no store of this kind does")]
    Status {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
    },
    /// No HTTP.
    #[error("what answers there does not speak HTTP, or not as a store does ({problem})")]
    NotHttp {
        /// What is wrong.
        problem: &'static str,
    },
    /// More than any answer has.
    #[error("its answer goes on beyond {limit} bytes, and was not read to its end")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// An answer that is not what was asked for.
    #[error("its answer for {what} is no key as the server stores it: {problem}")]
    NotAKey {
        /// What was asked for.
        what: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The system has no memory or no thread, or the like.
    #[error("the request cannot be made")]
    Io(#[from] io::Error),
    /// It takes no keys from here.
    #[error("keys are read from it, not written: {why}")]
    ReadOnly {
        /// Why.
        why: &'static str,
    },
    /// An entry that would be written over.
    #[error("it has an entry {id} already, which was not written over")]
    Exists {
        /// The entry's key id.
        id: String,
    },
}

fn target(to: &Option<String>) -> String {
    to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default()
}

impl StoreError {
    /// Whether another try may end better.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Late { .. } | Self::Down { .. })
    }

    /// Whether every other question would fail alike.
    pub(crate) const fn is_of_store(&self) -> bool {
        !matches!(
            self,
            Self::NotAKey { .. }
                | Self::Refused { .. }
                | Self::Denied { .. }
                | Self::Failed { .. }
                | Self::KeyGone { .. }
                | Self::KeyFile(_)
                | Self::Status { .. }
                | Self::Exists { .. }
        )
    }
}

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        let is_of_store = error.is_of_store();
        let is_missing_key = matches!(error, StoreError::KeyGone { .. });
        let failure = Self::new(error, is_of_store);
        if is_missing_key { failure.of_missing_key() } else { failure }
    }
}
