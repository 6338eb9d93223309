//! Certificates, lists of revoked ones and public keys: what of them is judged here.
//!
//! `x509-cert` reads what they hold. Signatures are verified over the bytes as they stand in the
//! file, not as they would be encoded again.
//!
//! Source: RFC 5280 (certificates and lists), RFC 3279, RFC 4055 and RFC 5480 (algorithms).

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use der::asn1::{Any, AnyRef, BitStringRef, IntRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, ErrorKind, Result, Sequence, SliceReader, Tag, Tagged};
use ring::signature;
use x509_cert::certificate::{Raw, TbsCertificateInner};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::{rfc3280, rfc4519, rfc5280, rfc5912, rfc8410};
use x509_cert::ext::pkix::KeyUsage;
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierRef;
use x509_cert::time::Time;
use x509_cert::{SubjectPublicKeyInfo, Version};

/// RSA with SHA-1, as the standards of OSI's implementors number it.
const OIW_SHA1_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.29");

/// Short names of what distinguished names are made of; all others show their number.
const ATTRIBUTES: [(ObjectIdentifier, &str); 14] = [
    (rfc4519::COMMON_NAME, "CN"),
    (rfc4519::COUNTRY_NAME, "C"),
    (rfc4519::LOCALITY_NAME, "L"),
    (rfc4519::ST, "ST"),
    (rfc4519::ORGANIZATION_NAME, "O"),
    (rfc4519::ORGANIZATIONAL_UNIT_NAME, "OU"),
    (rfc4519::DOMAIN_COMPONENT, "DC"),
    (rfc3280::EMAIL_ADDRESS, "Email"),
    (rfc4519::UID, "UID"),
    (rfc4519::SURNAME, "surname"),
    (rfc4519::SERIAL_NUMBER, "serialNumber"),
    (rfc4519::TITLE, "title"),
    (rfc4519::NAME, "name"),
    (rfc4519::GIVEN_NAME, "givenName"),
];

/// A certificate.
#[derive(Debug, Clone)]
pub(super) struct X509<'a> {
    signed: Signed<'a>,
    /// The content. Serial numbers of any length are taken: servers take them, too.
    content: TbsCertificateInner<Raw>,
    /// First second in which it is valid, since 1970.
    pub(super) not_before: i64,
    /// The last one.
    pub(super) not_after: i64,
}

/// A list of revoked certificates.
#[derive(Debug)]
pub(super) struct RevocationList<'a> {
    pub(super) issuer: Name,
    /// When it was made, in seconds since 1970.
    pub(super) this_update: i64,
    /// When there is a newer one, if it says so.
    pub(super) next_update: Option<i64>,
    pub(super) revoked: Vec<Revoked<'a>>,
}

/// A certificate of a list: millions fit into one, so nothing is copied.
#[derive(Debug, Sequence)]
pub(super) struct Revoked<'a> {
    serial: IntRef<'a>,
    date: AnyRef<'a>,
    extensions: Option<AnyRef<'a>>,
}

/// The content of a list. `x509-cert` takes no list of version 1, which does not say its version:
/// `openssl ca -gencrl` makes such by default.
#[derive(Sequence)]
struct ListContent<'a> {
    version: Option<Version>,
    signature: AlgorithmIdentifierRef<'a>,
    issuer: Name,
    this_update: Time,
    next_update: Option<Time>,
    revoked: Option<Vec<Revoked<'a>>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<AnyRef<'a>>,
}

/// Content with its signature.
#[derive(Debug, Clone, Sequence)]
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    signature: BitStringRef<'a>,
}

/// What basic constraints say of an authority (RFC 5280, 4.2.1.9). Those of `x509-cert` count to
/// 255, where some authorities write the greatest number that they have for "any".
#[derive(Debug, Clone, Copy, Sequence)]
pub(super) struct BasicConstraints {
    /// Whether it is one.
    #[asn1(default = "Default::default")]
    pub(super) is_authority: bool,
    /// How many authorities may stand below it.
    pub(super) longest: Option<u32>,
}

impl AssociatedOid for BasicConstraints {
    const OID: ObjectIdentifier = rfc5280::ID_CE_BASIC_CONSTRAINTS;
}

/// The parameters of RSASSA-PSS (RFC 4055, 3.1).
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    digest: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AnyRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_length: Option<AnyRef<'a>>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<AnyRef<'a>>,
}

/// A public key, and the algorithm that it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicKeyInfo<'a>(&'a SubjectPublicKeyInfo);

/// A public key of a kind that is known here.
#[derive(Debug, Clone, Copy)]
pub(super) enum PublicKey<'a> {
    /// The modulus, without zeros before it.
    Rsa(&'a [u8]),
    /// The point.
    Ec(&'a [u8]),
    /// The number.
    Dsa(&'a [u8]),
}

/// The structure at the start of some bytes. What stands behind it does not count.
pub(super) fn first<'a, T: Decode<'a, Error = der::Error>>(der: &'a [u8]) -> Result<T> {
    T::decode(&mut SliceReader::new(der)?)
}

/// The number of a tag that says by its place what it is: `[0]`, `[1]` …
pub(super) fn place(element: &AnyRef<'_>) -> Option<u32> {
    match element.tag() {
        Tag::ContextSpecific { number, .. } => Some(number.value()),
        _ => None,
    }
}

/// A time in seconds since 1970.
fn seconds(time: Time) -> Result<i64> {
    i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| ErrorKind::DateTime.into())
}

impl<'a> X509<'a> {
    /// Reads a certificate in DER.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self> {
        let signed: Signed<'_> = first(der)?;
        let content: TbsCertificateInner<Raw> = signed.content.decode_as()?;
        let validity = content.validity();
        let (not_before, not_after) = (seconds(validity.not_before)?, seconds(validity.not_after)?);
        Ok(Self { signed, content, not_before, not_after })
    }

    /// Whether it is the same certificate, byte for byte.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.signed.content == other.signed.content
            && self.signed.signature == other.signed.signature
    }

    /// The name of who signed it.
    pub(super) fn issuer(&self) -> &Name {
        self.content.issuer()
    }

    /// The name of whom it is for.
    pub(super) fn subject(&self) -> &Name {
        self.content.subject()
    }

    pub(super) fn key(&self) -> PublicKeyInfo<'_> {
        PublicKeyInfo(self.content.subject_public_key_info())
    }

    /// Whether it is of the first version, which has no extensions.
    pub(super) fn is_version_1(&self) -> bool {
        self.content.version() == Version::V1
    }

    /// The algorithm of its signature, as dotted numbers.
    pub(super) fn signature_algorithm(&self) -> String {
        self.signed.algorithm.oid.to_string()
    }

    /// Whether it is an authority's, and of which; `None` where it does not say.
    pub(super) fn basic_constraints(&self) -> Result<Option<BasicConstraints>> {
        Ok(self.content.get_extension()?.map(|(_, constraints)| constraints))
    }

    /// Whether it says that it is an authority's.
    pub(super) fn is_authority(&self) -> bool {
        matches!(self.basic_constraints(), Ok(Some(BasicConstraints { is_authority: true, .. })))
    }

    /// Whether it may sign certificates, as far as its key usage says.
    pub(super) fn may_sign(&self) -> Result<bool> {
        let usage = self.content.get_extension::<KeyUsage>()?;
        Ok(usage.is_none_or(|(_, usage)| usage.key_cert_sign()))
    }

    /// The hosts and addresses that it is for besides its subject. One that cannot be read does
    /// not hide the others, and hosts may be written in UTF-8, as OpenSSL lets them.
    pub(super) fn alternative_names(&self) -> Vec<String> {
        let extensions = self.content.extensions().into_iter().flatten();
        let mut found = extensions.filter(|it| it.extn_id == rfc5280::ID_CE_SUBJECT_ALT_NAME);
        // As with other extensions, two of them are none.
        let (Some(names), None) = (found.next(), found.next()) else { return Vec::new() };
        let names: Result<Vec<AnyRef<'_>>> = first(names.extn_value.as_bytes());
        names.unwrap_or_default().into_iter().filter_map(alternative_name).collect()
    }

    /// Whether another one's key made the signature; `None` where that cannot be told: nothing
    /// here verifies such signatures, or such keys.
    pub(super) fn is_signed_by(&self, issuer: &X509<'_>) -> Option<bool> {
        let verifier = verifier(&self.signed.algorithm, issuer.key())?;
        let content = self.signed.content.to_der().ok()?;
        let key = signature::UnparsedPublicKey::new(verifier, issuer.key().bytes());
        match key.verify(&content, self.signed.signature.raw_bytes()) {
            Ok(()) => Some(true),
            // A key shorter than the verifier takes says nothing about the signature.
            Err(_) => (!issuer.key().is_short()).then_some(false),
        }
    }
}

/// A host or an address of a certificate (RFC 5280, 4.2.1.6).
fn alternative_name(name: AnyRef<'_>) -> Option<String> {
    match (place(&name)?, name.value()) {
        (2, host) => String::from_utf8(host.to_vec()).ok(),
        (7, address) => <[u8; 4]>::try_from(address)
            .map(|four| Ipv4Addr::from(four).to_string())
            .or_else(|_| <[u8; 16]>::try_from(address).map(|it| Ipv6Addr::from(it).to_string()))
            .ok(),
        _ => None,
    }
}

/// What verifies signatures of an algorithm, made by a key of another.
fn verifier(
    of: &AlgorithmIdentifierRef<'_>,
    key: PublicKeyInfo<'_>,
) -> Option<&'static dyn signature::VerificationAlgorithm> {
    Some(match of.oid {
        rfc5912::SHA_1_WITH_RSA_ENCRYPTION | OIW_SHA1_WITH_RSA => {
            &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => &signature::RSA_PKCS1_2048_8192_SHA256,
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => &signature::RSA_PKCS1_2048_8192_SHA384,
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => &signature::RSA_PKCS1_2048_8192_SHA512,
        rfc5912::ID_RSASSA_PSS => {
            match of.parameters?.decode_as::<PssParameters<'_>>().ok()?.digest?.oid {
                rfc5912::ID_SHA_256 => &signature::RSA_PSS_2048_8192_SHA256,
                rfc5912::ID_SHA_384 => &signature::RSA_PSS_2048_8192_SHA384,
                rfc5912::ID_SHA_512 => &signature::RSA_PSS_2048_8192_SHA512,
                _ => return None,
            }
        }
        rfc5912::ECDSA_WITH_SHA_256 => match key.curve()? {
            rfc5912::SECP_256_R_1 => &signature::ECDSA_P256_SHA256_ASN1,
            rfc5912::SECP_384_R_1 => &signature::ECDSA_P384_SHA256_ASN1,
            _ => return None,
        },
        rfc5912::ECDSA_WITH_SHA_384 => match key.curve()? {
            rfc5912::SECP_256_R_1 => &signature::ECDSA_P256_SHA384_ASN1,
            rfc5912::SECP_384_R_1 => &signature::ECDSA_P384_SHA384_ASN1,
            _ => return None,
        },
        rfc8410::ID_ED_25519 => &signature::ED25519,
        _ => return None,
    })
}

impl<'a> PublicKeyInfo<'a> {
    /// The key as the algorithm encodes it.
    fn bytes(self) -> &'a [u8] {
        self.0.subject_public_key.raw_bytes()
    }

    /// The curve of its points, if it says so.
    fn curve(self) -> Option<ObjectIdentifier> {
        self.0.algorithm.parameters.as_ref()?.decode_as().ok()
    }

    /// The key, if it is of a kind that is known here.
    pub(super) fn parsed(self) -> Option<PublicKey<'a>> {
        match self.0.algorithm.oid {
            rfc5912::RSA_ENCRYPTION => {
                let parts: Vec<AnyRef<'a>> = first(self.bytes()).ok()?;
                let modulus: UintRef<'_> = parts.first()?.decode_as().ok()?;
                Some(PublicKey::Rsa(modulus.as_bytes()))
            }
            rfc5912::ID_EC_PUBLIC_KEY => Some(PublicKey::Ec(self.bytes())),
            rfc5912::ID_DSA => {
                Some(PublicKey::Dsa(first::<UintRef<'a>>(self.bytes()).ok()?.as_bytes()))
            }
            _ => None,
        }
    }

    /// Its algorithm in words and its size in bits, 0 where that is not known.
    pub(super) fn described(self) -> (String, usize) {
        let bits = |bytes: &[u8]| bytes.len().saturating_mul(8);
        match self.parsed() {
            Some(PublicKey::Rsa(modulus)) => ("RSA".to_owned(), bits(modulus)),
            // Both coordinates behind a byte that says so, or one of them.
            Some(PublicKey::Ec([4, both @ ..])) => ("EC".to_owned(), bits(both) / 2),
            Some(PublicKey::Ec([2 | 3, one @ ..])) => ("EC".to_owned(), bits(one)),
            Some(PublicKey::Ec(_)) => ("EC".to_owned(), 0),
            Some(PublicKey::Dsa(number)) => ("DSA".to_owned(), bits(number)),
            None => (self.0.algorithm.oid.to_string(), 0),
        }
    }

    /// Whether it is for this algorithm.
    pub(super) fn is_for(self, algorithm: &AlgorithmIdentifierRef<'_>) -> bool {
        algorithm.oid == self.0.algorithm.oid
    }

    fn is_short(self) -> bool {
        const LEAST_BYTES: usize = 2048 / 8;
        matches!(self.parsed(), Some(PublicKey::Rsa(modulus)) if modulus.len() < LEAST_BYTES)
    }
}

impl<'a> RevocationList<'a> {
    /// Reads a list in DER, of either version.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self> {
        let content: ListContent<'_> = first::<Signed<'_>>(der)?.content.decode_as()?;
        Ok(Self {
            issuer: content.issuer,
            this_update: seconds(content.this_update)?,
            next_update: content.next_update.map(seconds).transpose()?,
            revoked: content.revoked.unwrap_or_default(),
        })
    }

    /// Whether a certificate is in it.
    pub(super) fn revokes(&self, certificate: &X509<'_>) -> bool {
        let serial = certificate.content.serial_number().as_bytes();
        *certificate.issuer() == self.issuer
            && self.revoked.iter().any(|revoked| revoked.serial.as_bytes() == serial)
    }
}

/// The first common name.
pub(super) fn common_name(name: &Name) -> Option<String> {
    name.iter().find(|part| part.oid == rfc4519::COMMON_NAME).map(|part| text(&part.value))
}

/// A distinguished name in words, in the order in which it stands.
pub(super) fn shown(name: &Name) -> String {
    let attribute = |part: &x509_cert::attr::AttributeTypeAndValue| {
        let known = ATTRIBUTES.iter().find(|(id, _)| *id == part.oid);
        let id = known.map_or_else(|| part.oid.to_string(), |(_, short)| (*short).to_owned());
        format!("{id}={}", text(&part.value))
    };
    let parts = name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>());
    parts.map(|part| part.join(" + ")).collect::<Vec<_>>().join(", ")
}

/// The text of an attribute; its bytes in hexadecimal where it is none.
fn text(value: &Any) -> String {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::Ia5String
        | Tag::VisibleString
        | Tag::GeneralString
        | Tag::TeletexString
        | Tag::VideotexString => String::from_utf8_lossy(value.value()).into_owned(),
        Tag::BmpString => {
            let units = value.value().chunks_exact(2);
            let units =
                units.map(|pair| pair.iter().fold(0, |all, byte| all << 8 | u16::from(*byte)));
            char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => value.value().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02X}");
            hex
        }),
    }
}
