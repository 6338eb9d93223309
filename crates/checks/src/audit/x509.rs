//! Certificates, lists of revoked ones and public keys: the parts that are judged here.
//!
//! Source: RFC 5280 (certificates and lists), RFC 3279, RFC 4055 and RFC 5480 (algorithms), RFC 5958
//! (private keys of any kind).

use std::fmt::{self, Write};

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, UintRef, UtcTime};
use der::{Decode, Encode, ErrorKind, Reader, Result, SliceReader, Tag};
use ring::signature;

const fn id(dotted: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(dotted)
}

const COMMON_NAME: ObjectIdentifier = id("2.5.4.3");
const ALTERNATIVE_NAMES: ObjectIdentifier = id("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = id("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = id("2.5.29.15");
const RSA: ObjectIdentifier = id("1.2.840.113549.1.1.1");
const DSA: ObjectIdentifier = id("1.2.840.10040.4.1");
const EC: ObjectIdentifier = id("1.2.840.10045.2.1");
const P256: ObjectIdentifier = id("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = id("1.3.132.0.34");

/// Short names of what distinguished names are made of; all others show their number.
const ATTRIBUTES: [(ObjectIdentifier, &str); 14] = [
    (COMMON_NAME, "CN"),
    (id("2.5.4.6"), "C"),
    (id("2.5.4.7"), "L"),
    (id("2.5.4.8"), "ST"),
    (id("2.5.4.10"), "O"),
    (id("2.5.4.11"), "OU"),
    (id("0.9.2342.19200300.100.1.25"), "DC"),
    (id("1.2.840.113549.1.9.1"), "Email"),
    (id("0.9.2342.19200300.100.1.1"), "UID"),
    (id("2.5.4.4"), "surname"),
    (id("2.5.4.5"), "serialNumber"),
    (id("2.5.4.12"), "title"),
    (id("2.5.4.41"), "name"),
    (id("2.5.4.42"), "givenName"),
];

/// A certificate.
#[derive(Debug, Clone)]
pub(super) struct X509<'a> {
    /// What is signed, and how it is.
    signed: Signed<'a>,
    /// Version as it is encoded: 0 for version 1.
    version: u8,
    /// Serial number, as it is encoded.
    pub(super) serial: &'a [u8],
    pub(super) issuer: Name<'a>,
    pub(super) subject: Name<'a>,
    /// First second in which it is valid, since 1970.
    pub(super) not_before: i64,
    /// The last one.
    pub(super) not_after: i64,
    pub(super) key: PublicKeyInfo<'a>,
    /// Extensions: which one, and its value in DER.
    extensions: Vec<(ObjectIdentifier, &'a [u8])>,
}

/// A list of revoked certificates.
#[derive(Debug)]
pub(super) struct RevocationList<'a> {
    pub(super) issuer: Name<'a>,
    /// When it was made, in seconds since 1970.
    pub(super) this_update: i64,
    /// When there is a newer one, if it says so.
    pub(super) next_update: Option<i64>,
    /// The serial numbers, as they are encoded.
    pub(super) revoked: Vec<&'a [u8]>,
}

/// A distinguished name. Two are the same if they are encoded alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a>(AnyRef<'a>);

/// A public key, and the algorithm that it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicKeyInfo<'a> {
    algorithm: Algorithm<'a>,
    /// The key as the algorithm encodes it.
    bits: &'a [u8],
}

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

/// An algorithm: which one, and what goes with it.
#[derive(Debug, Clone, Copy)]
struct Algorithm<'a> {
    id: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
}

/// Content with its signature.
#[derive(Debug, Clone, Copy)]
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: Algorithm<'a>,
    signature: &'a [u8],
}

/// What basic constraints say of an authority (RFC 5280, 4.2.1.9).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BasicConstraints {
    /// Whether it is one.
    pub(super) is_authority: bool,
    /// How many authorities may stand below it.
    pub(super) longest: Option<u32>,
}

/// The elements that a sequence or a set is made of.
pub(super) fn elements<'a>(of: &AnyRef<'a>) -> Result<Vec<AnyRef<'a>>> {
    let mut reader = SliceReader::new(of.value())?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.decode()?);
    }
    Ok(found)
}

/// The first element of some bytes. What stands behind it does not count.
pub(super) fn first(der: &[u8]) -> Result<AnyRef<'_>> {
    AnyRef::decode(&mut SliceReader::new(der)?)
}

/// The number of a tag that says by its place what it is: `[0]`, `[1]` …
pub(super) fn place(element: &AnyRef<'_>) -> Option<u32> {
    match der::Tagged::tag(element) {
        Tag::ContextSpecific { number, .. } => Some(number.value()),
        _ => None,
    }
}

/// What an element has that must be there.
fn needed<T>(element: Option<T>) -> Result<T> {
    element.ok_or_else(|| ErrorKind::Failed.into())
}

/// A time in seconds since 1970.
fn time(element: &AnyRef<'_>) -> Result<i64> {
    let since_1970 = match der::Tagged::tag(element) {
        Tag::UtcTime => element.decode_as::<UtcTime>()?.to_unix_duration(),
        _ => element.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    };
    needed(i64::try_from(since_1970.as_secs()).ok())
}

/// Whether an element is a time.
fn is_time(element: &AnyRef<'_>) -> bool {
    matches!(der::Tagged::tag(element), Tag::UtcTime | Tag::GeneralizedTime)
}

fn bits<'a>(element: &AnyRef<'a>) -> Result<BitStringRef<'a>> {
    element.decode_as()
}

impl<'a> Algorithm<'a> {
    fn new(element: &AnyRef<'a>) -> Result<Self> {
        let parts = elements(element)?;
        let id = needed(parts.first())?.decode_as()?;
        Ok(Self { id, parameters: parts.get(1).copied() })
    }
}

impl<'a> Signed<'a> {
    fn parse(der: &'a [u8]) -> Result<Self> {
        match &*elements(&first(der)?)? {
            [content, algorithm, signature, ..] => Ok(Self {
                content: *content,
                algorithm: Algorithm::new(algorithm)?,
                signature: bits(signature)?.raw_bytes(),
            }),
            _ => Err(ErrorKind::Failed.into()),
        }
    }
}

impl<'a> X509<'a> {
    /// Reads a certificate in DER.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self> {
        let signed = Signed::parse(der)?;
        let mut parts = elements(&signed.content)?.into_iter().peekable();
        let version = match parts.next_if(|part| place(part) == Some(0)) {
            Some(version) => first(version.value())?.decode_as()?,
            None => 0,
        };
        let serial = needed(parts.next())?.value();
        // The algorithm, which stands once more beside the signature.
        needed(parts.next())?;
        let issuer = Name(needed(parts.next())?);
        let validity = elements(&needed(parts.next())?)?;
        let [not_before, not_after] = &*validity else { return Err(ErrorKind::Failed.into()) };
        let subject = Name(needed(parts.next())?);
        let key = PublicKeyInfo::new(&needed(parts.next())?)?;
        let extensions = match parts.find(|part| place(part) == Some(3)) {
            Some(them) => extensions(&first(them.value())?)?,
            None => Vec::new(),
        };
        Ok(Self {
            signed,
            version,
            serial,
            issuer,
            subject,
            not_before: time(not_before)?,
            not_after: time(not_after)?,
            key,
            extensions,
        })
    }

    /// Whether it is the same certificate, byte for byte.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.signed.content == other.signed.content
            && self.signed.signature == other.signed.signature
    }

    /// Whether it is of the first version, which has no extensions.
    pub(super) const fn is_version_1(&self) -> bool {
        self.version == 0
    }

    /// The algorithm of its signature, as dotted numbers.
    pub(super) fn signature_algorithm(&self) -> String {
        self.signed.algorithm.id.to_string()
    }

    /// The value of an extension; an error where it is there twice.
    fn extension(&self, which: ObjectIdentifier) -> Result<Option<AnyRef<'a>>> {
        let mut values = self.extensions.iter().filter(|(id, _)| *id == which);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => first(value).map(Some),
            (Some(_), Some(_)) => Err(ErrorKind::Failed.into()),
        }
    }

    /// Whether it is an authority's, and of which; `None` where it does not say.
    pub(super) fn basic_constraints(&self) -> Result<Option<BasicConstraints>> {
        let Some(extension) = self.extension(BASIC_CONSTRAINTS)? else { return Ok(None) };
        let mut constraints = BasicConstraints::default();
        for part in elements(&extension)? {
            match der::Tagged::tag(&part) {
                Tag::Boolean => constraints.is_authority = part.decode_as()?,
                _ => constraints.longest = Some(part.decode_as()?),
            }
        }
        Ok(Some(constraints))
    }

    /// Whether it says that it is an authority's.
    pub(super) fn is_authority(&self) -> bool {
        matches!(self.basic_constraints(), Ok(Some(BasicConstraints { is_authority: true, .. })))
    }

    /// Whether it may sign certificates, as far as its key usage says.
    pub(super) fn may_sign(&self) -> Result<bool> {
        /// `keyCertSign`, counted from the left.
        const KEY_CERT_SIGN: usize = 5;
        let Some(usage) = self.extension(KEY_USAGE)? else { return Ok(true) };
        Ok(bits(&usage)?.get(KEY_CERT_SIGN) == Some(true))
    }

    /// The hosts and addresses that it is for besides its subject.
    pub(super) fn alternative_names(&self) -> Vec<String> {
        let names = self.extension(ALTERNATIVE_NAMES).ok().flatten();
        let names = names.and_then(|names| elements(&names).ok()).unwrap_or_default();
        let name = |name: &AnyRef<'_>| match place(name)? {
            2 => String::from_utf8(name.value().to_vec()).ok(),
            7 => address(name.value()),
            _ => None,
        };
        names.iter().filter_map(name).collect()
    }

    /// Whether another one's key made the signature; `None` where that cannot be told: nothing
    /// here verifies such signatures, or such keys.
    pub(super) fn is_signed_by(&self, issuer: &X509<'_>) -> Option<bool> {
        let verifier = verifier(&self.signed.algorithm, &issuer.key.algorithm)?;
        let content = self.signed.content.to_der().ok()?;
        let key = signature::UnparsedPublicKey::new(verifier, issuer.key.bits);
        match key.verify(&content, self.signed.signature) {
            Ok(()) => Some(true),
            // A key shorter than the verifier takes says nothing about the signature.
            Err(_) => (!issuer.key.is_short()).then_some(false),
        }
    }
}

fn extensions<'a>(list: &AnyRef<'a>) -> Result<Vec<(ObjectIdentifier, &'a [u8])>> {
    let extension = |it: &AnyRef<'a>| {
        let parts = elements(it)?;
        // Between both may stand whether it is critical.
        Ok((needed(parts.first())?.decode_as()?, needed(parts.last())?.value()))
    };
    elements(list)?.iter().map(extension).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

/// What verifies signatures of an algorithm, made by a key of another.
fn verifier(
    of: &Algorithm<'_>,
    key: &Algorithm<'_>,
) -> Option<&'static dyn signature::VerificationAlgorithm> {
    let curve = || key.parameters?.decode_as::<ObjectIdentifier>().ok();
    Some(match &*of.id.to_string() {
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => {
            &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        "1.2.840.113549.1.1.11" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "1.2.840.113549.1.1.12" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "1.2.840.113549.1.1.13" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "1.2.840.113549.1.1.10" => match &*pss_digest(of)?.to_string() {
            "2.16.840.1.101.3.4.2.1" => &signature::RSA_PSS_2048_8192_SHA256,
            "2.16.840.1.101.3.4.2.2" => &signature::RSA_PSS_2048_8192_SHA384,
            "2.16.840.1.101.3.4.2.3" => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        },
        "1.2.840.10045.4.3.2" => match curve()? {
            P256 => &signature::ECDSA_P256_SHA256_ASN1,
            P384 => &signature::ECDSA_P384_SHA256_ASN1,
            _ => return None,
        },
        "1.2.840.10045.4.3.3" => match curve()? {
            P256 => &signature::ECDSA_P256_SHA384_ASN1,
            P384 => &signature::ECDSA_P384_SHA384_ASN1,
            _ => return None,
        },
        "1.3.101.112" => &signature::ED25519,
        _ => return None,
    })
}

/// The digest that RSASSA-PSS was made with: `[0]` of its parameters (RFC 4055, 3.1).
fn pss_digest(algorithm: &Algorithm<'_>) -> Option<ObjectIdentifier> {
    let parts = elements(&algorithm.parameters?).ok()?;
    let digest = parts.iter().find(|part| place(part) == Some(0))?;
    Some(Algorithm::new(&first(digest.value()).ok()?).ok()?.id)
}

impl<'a> PublicKeyInfo<'a> {
    fn new(element: &AnyRef<'a>) -> Result<Self> {
        match &*elements(element)? {
            [algorithm, key, ..] => {
                Ok(Self { algorithm: Algorithm::new(algorithm)?, bits: bits(key)?.raw_bytes() })
            }
            _ => Err(ErrorKind::Failed.into()),
        }
    }

    /// The key, if it is of a kind that is known here.
    pub(super) fn parsed(&self) -> Option<PublicKey<'a>> {
        match self.algorithm.id {
            RSA => {
                let parts = elements(&first(self.bits).ok()?).ok()?;
                let modulus: UintRef<'_> = parts.first()?.decode_as().ok()?;
                Some(PublicKey::Rsa(modulus.as_bytes()))
            }
            EC => Some(PublicKey::Ec(self.bits)),
            DSA => {
                let number: UintRef<'_> = first(self.bits).ok()?.decode_as().ok()?;
                Some(PublicKey::Dsa(number.as_bytes()))
            }
            _ => None,
        }
    }

    /// Its algorithm in words and its size in bits, 0 where that is not known.
    pub(super) fn described(&self) -> (String, usize) {
        let bits = |bytes: &[u8]| bytes.len().saturating_mul(8);
        match self.parsed() {
            Some(PublicKey::Rsa(modulus)) => ("RSA".to_owned(), bits(modulus)),
            // Both coordinates behind a byte that says so, or one of them.
            Some(PublicKey::Ec([4, both @ ..])) => ("EC".to_owned(), bits(both) / 2),
            Some(PublicKey::Ec([2 | 3, one @ ..])) => ("EC".to_owned(), bits(one)),
            Some(PublicKey::Ec(_)) => ("EC".to_owned(), 0),
            Some(PublicKey::Dsa(number)) => ("DSA".to_owned(), bits(number)),
            None => (self.algorithm.id.to_string(), 0),
        }
    }

    /// Whether it is for the algorithm with this identifier, an element of its own.
    pub(super) fn is_for(&self, algorithm: &AnyRef<'_>) -> bool {
        algorithm.decode_as::<ObjectIdentifier>().is_ok_and(|id| id == self.algorithm.id)
    }

    fn is_short(&self) -> bool {
        const LEAST_BYTES: usize = 2048 / 8;
        matches!(self.parsed(), Some(PublicKey::Rsa(modulus)) if modulus.len() < LEAST_BYTES)
    }
}

impl<'a> RevocationList<'a> {
    /// Reads a list in DER, of either version.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self> {
        let signed = Signed::parse(der)?;
        let mut parts = elements(&signed.content)?.into_iter().peekable();
        // Lists of version 1 do not say so.
        parts.next_if(|part| der::Tagged::tag(part) == Tag::Integer);
        needed(parts.next())?;
        let issuer = Name(needed(parts.next())?);
        let this_update = time(&needed(parts.next())?)?;
        let next_update = parts.next_if(is_time).map(|it| time(&it)).transpose()?;
        let revoked = match parts.next_if(|part| der::Tagged::tag(part) == Tag::Sequence) {
            Some(them) => serials(&them)?,
            None => Vec::new(),
        };
        Ok(Self { issuer, this_update, next_update, revoked })
    }
}

/// The serial number of each entry; when it was revoked and why stands behind it.
fn serials<'a>(entries: &AnyRef<'a>) -> Result<Vec<&'a [u8]>> {
    let serial = |entry: &AnyRef<'a>| Ok(first(entry.value())?.value());
    elements(entries)?.iter().map(serial).collect()
}

impl<'a> Name<'a> {
    /// Its parts in order, each of one attribute or several.
    fn parts(&self) -> Result<Vec<Vec<(ObjectIdentifier, AnyRef<'a>)>>> {
        let attribute = |it: &AnyRef<'a>| match &*elements(it)? {
            [id, value, ..] => Ok((id.decode_as()?, *value)),
            _ => Err(ErrorKind::Failed.into()),
        };
        let part = |it: &AnyRef<'a>| elements(it)?.iter().map(attribute).collect();
        elements(&self.0)?.iter().map(part).collect()
    }

    /// The first common name.
    pub(super) fn common_name(&self) -> Option<String> {
        let parts = self.parts().ok()?;
        let (_, value) = parts.iter().flatten().find(|(id, _)| *id == COMMON_NAME)?;
        Some(text(value))
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(parts) = self.parts() else { return f.write_str("(a name that cannot be read)") };
        for (part, number) in parts.iter().zip(0_usize..) {
            f.write_str(if number == 0 { "" } else { ", " })?;
            for ((id, value), number) in part.iter().zip(0_usize..) {
                f.write_str(if number == 0 { "" } else { " + " })?;
                match ATTRIBUTES.iter().find(|(known, _)| known == id) {
                    Some((_, short)) => f.write_str(short)?,
                    None => write!(f, "{id}")?,
                }
                write!(f, "={}", text(value))?;
            }
        }
        Ok(())
    }
}

/// The text of an attribute; its bytes in hexadecimal where it is none.
fn text(value: &AnyRef<'_>) -> String {
    match der::Tagged::tag(value) {
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
