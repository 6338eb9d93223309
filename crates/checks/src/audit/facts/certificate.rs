//! What certificates and private keys say, and how they fit together. No key is kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use binlogsec_core::text::path_text;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CertificateRole {
    /// The server shows it (`ssl_cert`).
    Server,
    /// It verifies others (`ssl_ca`).
    Authority,
    /// A replica shows it to its source.
    Client,
}

/// A certificate in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateFacts {
    /// Which file.
    #[serde(serialize_with = "path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Which of the file's certificates, counted from 1.
    pub position: usize,
    /// What it is for.
    pub role: CertificateRole,
    /// What it says; `None` where it cannot be read.
    pub certificate: Option<Certificate>,
    /// Why it cannot.
    pub problem: Option<String>,
    /// Its private key, where one is named.
    pub key: Option<PrivateKeyFacts>,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Certificate {
    /// Whose it is, as a distinguished name.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its common name.
    pub common_name: Option<String>,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// `RSA`, `EC`, `DSA`, or an object identifier.
    pub key_algorithm: String,
    /// Length of its key in bits, 0 where that says nothing.
    pub key_bits: usize,
    /// What it is signed with.
    pub signature: String,
    /// Whether that is broken: MD2, MD5, SHA-1.
    pub weak_signature: bool,
    /// Whether it is its own issuer.
    pub self_signed: bool,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// The host names and addresses in its subjectAltName.
    pub names: Vec<String>,
    /// Whether the authorities at hand signed it, all of them authorities and valid; `None` where
    /// none is at hand, where the algorithm is not known here, and of all but a file's first.
    pub chain: Option<bool>,
}

/// A file with a private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrivateKeyFacts {
    /// Which file.
    #[serde(serialize_with = "path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Whether root owns it.
    pub owned_by_root: bool,
    /// Why it is no key, if it is none.
    pub problem: Option<String>,
    /// Whether it belongs to the certificate; `None` where that cannot be told (an encrypted key,
    /// another algorithm than RSA and EC).
    pub matches: Option<bool>,
}

/// A path as reports show it.
pub(super) fn path<S: Serializer>(
    path: &std::path::Path,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text::text(path))
}
