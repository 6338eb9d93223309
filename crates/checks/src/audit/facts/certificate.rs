//! What certificates and private keys say, and how they fit together. No key is kept.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use binlogsec_core::text::path_text;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateFacts {
    /// Which file.
    #[serde(with = "super::certificate")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrivateKeyFacts {
    /// Which file.
    #[serde(with = "super::certificate")]
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

/// A list of revoked certificates (RFC 5280, section 5) in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevocationListFacts {
    /// Which file or directory.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// The option that names it: `ssl_crl`, `ssl_crlpath`, or a channel's.
    pub named_by: String,
    /// Who signed the list.
    pub issuer: Option<String>,
    /// From when it is valid, in seconds since 1970.
    pub this_update: Option<i64>,
    /// When the next list is due: from then on it is out of date.
    pub next_update: Option<i64>,
    /// How many certificates it has.
    pub revoked: usize,
    /// Whether the authorities at hand include the one that signed it; `None` where none is at hand.
    pub known_issuer: Option<bool>,
    /// The certificates at hand that it revokes, by their subjects.
    pub revokes: Vec<String>,
    /// Why it cannot be read, or counts for nothing.
    pub problem: Option<String>,
}

/// A path as reports show it.
pub(super) fn serialize<S: Serializer>(
    path: &std::path::Path,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text::text(path))
}

/// The path that a report shows.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(path_text::parse(&String::deserialize(deserializer)?))
}
