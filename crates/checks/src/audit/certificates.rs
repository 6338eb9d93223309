//! Reads certificates and private keys (PEM), and holds them against each other.
//!
//! Source: RFC 5280 (certificates), RFC 8017 A.1.2, RFC 5915 and RFC 5958 (private keys).

use std::path::Path;

use x509_parser::asn1_rs::{Any, Class, FromDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};
use zeroize::Zeroize;

use super::facts::certificate::{Certificate, CertificateFacts, CertificateRole, PrivateKeyFacts};
use super::files;
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
pub(super) struct Bundle(Vec<Pem>);

impl Bundle {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let bytes = files::read(path, LARGEST_FILE).map_err(|error| describe(&error))?;
        let blocks: Vec<_> = Pem::iter_from_buffer(&bytes)
            .filter_map(Result::ok)
            .filter(|block| matches!(&*block.label, "CERTIFICATE" | "X509 CERTIFICATE"))
            .collect();
        if blocks.is_empty() {
            return Err("no certificate in PEM form in it".to_owned());
        }
        Ok(Self(blocks))
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = X509Certificate<'_>> {
        self.0.iter().filter_map(|block| block.parse_x509().ok())
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
        .map(|(block, position)| match block.parse_x509() {
            Err(_) => unread(position, "the certificate in it is damaged".to_owned()),
            Ok(certificate) => CertificateFacts {
                certificate: Some(facts(&certificate)),
                problem: None,
                ..unread(position, String::new())
            },
        })
        .collect();
    if let Some(first) = found.first_mut() {
        let own = bundle.0.first().and_then(|block| block.parse_x509().ok());
        let public_key = own.as_ref().map(|own| own.public_key());
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
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(facts(&certificate))
}

fn facts(certificate: &X509Certificate<'_>) -> Certificate {
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    let name = SIGNATURES.iter().find(|(id, _)| *id == algorithm);
    let self_signed = certificate.subject() == certificate.issuer();
    let (key_algorithm, key_bits) = match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => ("RSA".to_owned(), key.key_size()),
        Ok(PublicKey::EC(point)) => ("EC".to_owned(), point.key_size()),
        Ok(PublicKey::DSA(number)) => ("DSA".to_owned(), number.len().saturating_mul(8)),
        _ => (certificate.public_key().algorithm.algorithm.to_id_string(), 0),
    };
    let common_name = certificate
        .subject()
        .iter_common_name()
        .find_map(|name| name.as_str().ok().map(str::to_owned));
    Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        common_name,
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        key_algorithm,
        key_bits,
        weak_signature: WEAK_SIGNATURES.contains(&&*algorithm),
        signature: name.map_or(algorithm, |(_, name)| (*name).to_owned()),
        self_signed,
        is_authority: certificate.is_ca(),
        names: names(certificate),
        chain: None,
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

/// What may stand between a certificate and the authority that it is verified by.
struct Chain<'a> {
    trusted: Vec<X509Certificate<'a>>,
    between: Vec<X509Certificate<'a>>,
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
    fn verifies(&self, leaf: &X509Certificate<'_>) -> Option<bool> {
        let mut current = leaf;
        for below in 0..LONGEST_CHAIN {
            let is_current = |it: &&X509Certificate<'_>| it.as_raw() == current.as_raw();
            if current.subject() == current.issuer()
                && self.trusted.iter().any(|it| is_current(&it))
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
                match current.verify_signature(Some(issuer.public_key())) {
                    Ok(()) => true,
                    Err(error) => {
                        // A key shorter than the verifier takes says nothing about the signature.
                        unknown |= error == X509Error::SignatureUnsupportedAlgorithm
                            || is_short(issuer.public_key());
                        false
                    }
                }
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
    fn may_sign(&self, issuer: &X509Certificate<'_>, below: usize, is_trusted: bool) -> bool {
        let validity = issuer.validity();
        let is_valid =
            (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&self.now);
        let is_authority = match issuer.basic_constraints() {
            Ok(Some(constraints)) => {
                let longest = constraints.value.path_len_constraint;
                let longest = longest.map_or(usize::MAX, |it| it.try_into().unwrap_or(usize::MAX));
                constraints.value.ca && below <= longest
            }
            Ok(None) => {
                is_trusted
                    && issuer.version() == X509Version::V1
                    && issuer.subject() == issuer.issuer()
            }
            Err(_) => false,
        };
        let signs = match issuer.key_usage() {
            Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
            Err(_) => false,
        };
        is_valid && is_authority && signs
    }
}

fn is_short(key: &SubjectPublicKeyInfo<'_>) -> bool {
    matches!(key.parsed(), Ok(PublicKey::RSA(key)) if key.key_size() < 2048)
}

/// Reads a private key as far as it takes to tell whether it belongs to a public one.
pub(super) fn private_key(
    path: &Path,
    public_key: Option<&SubjectPublicKeyInfo<'_>>,
) -> PrivateKeyFacts {
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
            let mut blocks: Vec<_> = Pem::iter_from_buffer(&bytes).filter_map(Result::ok).collect();
            let key = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"));
            match key {
                None => facts.problem = Some("no private key in PEM form in it".to_owned()),
                Some(key) => {
                    facts.matches = public_key.and_then(|public| belongs(key, public));
                }
            }
            for block in &mut blocks {
                block.contents.zeroize();
            }
        }
    }
    facts
}

fn belongs(key: &Pem, public: &SubjectPublicKeyInfo<'_>) -> Option<bool> {
    match &*key.label {
        "RSA PRIVATE KEY" => rsa_belongs(&key.contents, public),
        "EC PRIVATE KEY" => ec_belongs(&key.contents, public),
        "PRIVATE KEY" => {
            let parts = parts(&key.contents)?;
            let [_, algorithm, inner, ..] = &*parts else {
                return None;
            };
            let (_, algorithm) = Any::from_der(algorithm.data).ok()?;
            let of_certificate = &public.algorithm.algorithm;
            if algorithm.data != of_certificate.as_bytes() {
                return Some(false);
            }
            match public.parsed().ok()? {
                PublicKey::RSA(_) => rsa_belongs(inner.data, public),
                PublicKey::EC(_) => ec_belongs(inner.data, public),
                _ => None,
            }
        }
        _ => None,
    }
}

/// RSAPrivateKey: version, modulus, …
fn rsa_belongs(der: &[u8], public: &SubjectPublicKeyInfo<'_>) -> Option<bool> {
    let PublicKey::RSA(public) = public.parsed().ok()? else {
        return Some(false);
    };
    let modulus = parts(der)?.get(1)?.data;
    Some(without_zeros(modulus) == without_zeros(public.modulus))
}

/// ECPrivateKey: version, the key, `[0]` parameters, `[1]` the public key, which may be left out.
fn ec_belongs(der: &[u8], public: &SubjectPublicKeyInfo<'_>) -> Option<bool> {
    let PublicKey::EC(_) = public.parsed().ok()? else {
        return Some(false);
    };
    let parts = parts(der)?;
    let is_public = |part: &&Any<'_>| part.class() == Class::ContextSpecific && part.tag().0 == 1;
    let (_, bits) = Any::from_der(parts.iter().find(is_public)?.data).ok()?;
    // A bit string begins with the number of bits left over: none.
    let point = bits.data.strip_prefix(&[0])?;
    Some(point == &*public.subject_public_key.data)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The elements of a DER sequence.
fn parts(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (_, sequence) = Any::from_der(der).ok()?;
    let mut rest = sequence.data;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (next, part) = Any::from_der(rest).ok()?;
        parts.push(part);
        rest = next;
    }
    Some(parts)
}

/// Whether a private key is that of an authority among certificates: MySQL leaves such behind.
pub(super) fn belongs_to_authority(key: &Path, certificate: &Path) -> Option<bool> {
    let bundle = Bundle::open(certificate).ok()?;
    let mut certificates = bundle.certificates();
    let authority = certificates.find(|it| it.is_ca())?;
    private_key(key, Some(authority.public_key())).matches
}
