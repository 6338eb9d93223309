//! Reads certificates and private keys (PEM), and holds them against each other.
//!
//! Source: RFC 5280 (certificates), RFC 8017 A.1.2, RFC 5915 and RFC 5958 (private keys).

use std::path::Path;

use der::asn1::{AnyRef, BitStringRef};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::facts::certificate::{Certificate, CertificateFacts, CertificateRole, PrivateKeyFacts};
use super::files;
use super::pem::{self, Block};
use super::x509::{self, PublicKey, PublicKeyInfo, X509};
use binlogsec_core::log::error::describe;

/// More is no file of certificates.
const LARGEST_FILE: u64 = 1 << 20;
/// More authorities than this do not stand above one another.
const LONGEST_CHAIN: usize = 10;
/// Signature algorithms with MD2, MD5 or SHA-1.
const WEAK_SIGNATURES: [&str; 6] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10045.4.1",
    "1.2.840.10040.4.3",
];
const SIGNATURES: [(&str, &str); 10] = [
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.3.101.112", "Ed25519"),
];

/// A certificate with its key and the authorities that should have signed it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) role: CertificateRole,
    pub(super) certificate: &'a Path,
    pub(super) key: Option<&'a Path>,
    pub(super) authorities: Option<&'a Path>,
}

/// The certificates of a PEM file, in DER.
pub(super) struct Bundle(Vec<Block>);

impl Bundle {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let bytes = files::read(path, LARGEST_FILE).map_err(|error| describe(&error))?;
        let mut blocks = pem::blocks(&bytes);
        blocks.retain(|block| matches!(&*block.label, "CERTIFICATE" | "X509 CERTIFICATE"));
        if blocks.is_empty() {
            return Err("no certificate in PEM form in it".to_owned());
        }
        Ok(Self(blocks))
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = X509<'_>> {
        self.0.iter().filter_map(|block| X509::parse(&block.der).ok())
    }
}

/// Reads the certificates of a file and what belongs to the first of them; the others are of
/// authorities. `now` is in seconds since 1970.
pub(super) fn read(files: Files<'_>, now: i64) -> Vec<CertificateFacts> {
    let unread = |position, problem| CertificateFacts {
        path: files.certificate.to_owned(),
        position,
        role: role(files.role, position),
        certificate: None,
        problem: Some(problem),
        key: None,
    };
    let bundle = match Bundle::open(files.certificate) {
        Ok(bundle) => bundle,
        Err(problem) => {
            let key = files.key.map(|key| private_key(key, None));
            return vec![CertificateFacts { key, ..unread(1, problem) }];
        }
    };
    let mut found: Vec<_> = bundle
        .0
        .iter()
        .zip(1..)
        .map(|(block, position)| match X509::parse(&block.der) {
            Err(_) => unread(position, "the certificate in it is damaged".to_owned()),
            Ok(certificate) => CertificateFacts {
                certificate: Some(facts(&certificate)),
                problem: None,
                ..unread(position, String::new())
            },
        })
        .collect();
    if let Some(first) = found.first_mut() {
        let own = bundle.0.first().and_then(|block| X509::parse(&block.der).ok());
        let public_key = own.as_ref().map(X509::key);
        first.key = files.key.map(|key| private_key(key, public_key));
        let authorities = files.authorities.and_then(|path| Bundle::open(path).ok());
        if let (Some(facts), Some(own), Some(authorities)) =
            (&mut first.certificate, &own, &authorities)
        {
            facts.chain = Chain::new(&bundle, authorities, now).verifies(own);
        }
    }
    found
}

/// Behind the first certificate of a file stand those of the authorities in between.
const fn role(of_file: CertificateRole, position: usize) -> CertificateRole {
    if position == 1 { of_file } else { CertificateRole::Authority }
}

/// What a certificate says that a server showed.
pub(super) fn of_der(der: &[u8]) -> Option<Certificate> {
    Some(facts(&X509::parse(der).ok()?))
}

fn facts(certificate: &X509<'_>) -> Certificate {
    let algorithm = certificate.signature_algorithm();
    let name = SIGNATURES.iter().find(|(id, _)| *id == algorithm);
    let (key_algorithm, key_bits) = certificate.key().described();
    Certificate {
        subject: x509::shown(certificate.subject()),
        issuer: x509::shown(certificate.issuer()),
        common_name: x509::common_name(certificate.subject()),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        key_algorithm,
        key_bits,
        weak_signature: WEAK_SIGNATURES.contains(&&*algorithm),
        signature: name.map_or(algorithm, |(_, name)| (*name).to_owned()),
        self_signed: certificate.subject() == certificate.issuer(),
        is_authority: certificate.is_authority(),
        names: certificate.alternative_names(),
        chain: None,
    }
}

/// What may stand between a certificate and the authority that it is verified by.
struct Chain<'a> {
    trusted: Vec<X509<'a>>,
    between: Vec<X509<'a>>,
    now: i64,
}

impl<'a> Chain<'a> {
    fn new(bundle: &'a Bundle, authorities: &'a Bundle, now: i64) -> Self {
        Self {
            trusted: authorities.certificates().collect(),
            between: bundle.certificates().skip(1).collect(),
            now,
        }
    }

    /// Whether signatures lead from a certificate to one of the authorities that signed itself, by
    /// certificates that are valid now and may sign. `None` where a signature cannot be verified.
    fn verifies(&self, leaf: &X509<'_>) -> Option<bool> {
        let mut current = leaf;
        for below in 0..LONGEST_CHAIN {
            if current.subject() == current.issuer() && self.trusted.iter().any(|it| it.is(current))
            {
                return Some(true);
            }
            let mut unknown = false;
            let trusted = self.trusted.iter().map(|it| (it, true));
            let issuers = trusted.chain(self.between.iter().map(|it| (it, false)));
            let mut named = issuers.filter(|(issuer, is_trusted)| {
                issuer.subject() == current.issuer() && self.may_sign(issuer, below, *is_trusted)
            });
            let signer = named.find(|(issuer, _)| {
                let is_signed = current.is_signed_by(issuer);
                unknown |= is_signed.is_none();
                is_signed == Some(true)
            });
            match signer {
                Some((signer, _)) => current = signer,
                None if unknown => return None,
                None => return Some(false),
            }
        }
        Some(false)
    }

    /// Whether this certificate may sign another one now, with so many authorities below it
    /// (RFC 5280, 4.2.1.3 and 4.2.1.9). Roots of version 1 cannot say that they may.
    fn may_sign(&self, issuer: &X509<'_>, below: usize, is_trusted: bool) -> bool {
        let is_valid = (issuer.not_before..=issuer.not_after).contains(&self.now);
        let is_authority = match issuer.basic_constraints() {
            Ok(Some(constraints)) => {
                let longest = constraints.longest;
                let longest = longest.map_or(usize::MAX, |it| it.try_into().unwrap_or(usize::MAX));
                constraints.is_authority && below <= longest
            }
            Ok(None) => is_trusted && issuer.is_version_1() && issuer.subject() == issuer.issuer(),
            Err(_) => false,
        };
        is_valid && is_authority && issuer.may_sign().unwrap_or(false)
    }
}

/// Reads a private key as far as it takes to tell whether it belongs to a public one.
pub(super) fn private_key(path: &Path, public_key: Option<PublicKeyInfo<'_>>) -> PrivateKeyFacts {
    let (mode, owned_by_root) = files::mode(path).unwrap_or_default();
    let mut facts = PrivateKeyFacts {
        path: path.to_owned(),
        mode,
        owned_by_root,
        problem: None,
        matches: None,
    };
    match files::read(path, LARGEST_FILE) {
        Err(error) => facts.problem = Some(describe(&error)),
        Ok(bytes) => {
            let blocks = pem::blocks(&bytes);
            let key = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"));
            match key {
                None => facts.problem = Some("no private key in PEM form in it".to_owned()),
                Some(key) => {
                    facts.matches = public_key.and_then(|public| belongs(key, public));
                }
            }
        }
    }
    facts
}

fn belongs(key: &Block, public: PublicKeyInfo<'_>) -> Option<bool> {
    match &*key.label {
        "RSA PRIVATE KEY" => rsa_belongs(&key.der, public),
        "EC PRIVATE KEY" => ec_belongs(&key.der, public),
        "PRIVATE KEY" => {
            let parts: Vec<AnyRef<'_>> = x509::first(&key.der).ok()?;
            let [_, algorithm, inner, ..] = &*parts else {
                return None;
            };
            let algorithm: AlgorithmIdentifierRef<'_> = algorithm.decode_as().ok()?;
            if !public.is_for(&algorithm) {
                return Some(false);
            }
            match public.parsed()? {
                PublicKey::Rsa(_) => rsa_belongs(inner.value(), public),
                PublicKey::Ec(_) => ec_belongs(inner.value(), public),
                PublicKey::Dsa(_) => None,
            }
        }
        _ => None,
    }
}

/// RSAPrivateKey: version, modulus, …
fn rsa_belongs(der: &[u8], public: PublicKeyInfo<'_>) -> Option<bool> {
    let PublicKey::Rsa(public) = public.parsed()? else {
        return Some(false);
    };
    let parts: Vec<AnyRef<'_>> = x509::first(der).ok()?;
    Some(without_zeros(parts.get(1)?.value()) == public)
}

/// ECPrivateKey: version, the key, `[0]` parameters, `[1]` the public key, which may be left out.
fn ec_belongs(der: &[u8], public: PublicKeyInfo<'_>) -> Option<bool> {
    let PublicKey::Ec(public) = public.parsed()? else {
        return Some(false);
    };
    let parts: Vec<AnyRef<'_>> = x509::first(der).ok()?;
    let of_key = parts.iter().find(|part| x509::place(part) == Some(1))?;
    let point: BitStringRef<'_> = x509::first(of_key.value()).ok()?;
    Some(point.as_bytes()? == public)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Whether a private key is that of an authority among certificates: MySQL leaves such behind.
pub(super) fn belongs_to_authority(key: &Path, certificate: &Path) -> Option<bool> {
    let bundle = Bundle::open(certificate).ok()?;
    let mut certificates = bundle.certificates();
    let authority = certificates.find(X509::is_authority)?;
    private_key(key, Some(authority.key())).matches
}
