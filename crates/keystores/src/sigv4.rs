//! Signatures of requests to AWS: version 4.
//!
//! Source: AWS, "Create a signed AWS API request"; held against what botocore signs.

use binlogsec_core::secret::SecretBytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// By whom requests are signed.
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: SecretBytes,
    /// The token of credentials that last for a time.
    pub(crate) session_token: Option<SecretBytes>,
}

impl Credentials {
    /// Whether a request can carry them.
    pub(crate) fn are_printable(&self) -> bool {
        let token = self.session_token.as_ref().map(SecretBytes::expose).unwrap_or(b"x");
        let texts = [self.id.as_bytes(), self.secret.expose(), token];
        texts.iter().all(|text| !text.is_empty() && text.iter().all(u8::is_ascii_graphic))
    }
}

/// What is signed, and for whom.
pub(crate) struct Signing<'a> {
    /// `YYYYMMDDTHHMMSSZ`.
    pub(crate) time: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    /// As it stands in the request, without a query.
    pub(crate) path: &'a str,
    /// Names in lower case, ascending, and values.
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    pub(crate) body: &'a [u8],
}

impl Signing<'_> {
    /// The value of the header `Authorization` of a POST.
    pub(crate) fn authorization(&self, credentials: &Credentials) -> String {
        let Self { time, region, service, path, headers, body } = self;
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = Sha256::new();
        canonical.update(format!("POST\n{path}\n\n"));
        for (name, value) in *headers {
            canonical.update(name);
            canonical.update(b":");
            canonical.update(value);
            canonical.update(b"\n");
        }
        canonical.update(format!("\n{names}\n{}", hex(&Sha256::digest(body))));
        let date = time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&canonical.finalize()));
        let secret = credentials.secret.expose();
        let mut start = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        start.extend_from_slice(b"AWS4");
        start.extend_from_slice(secret);
        let mut key = mac(&start, date.as_bytes());
        for part in [region, service, "aws4_request"] {
            key = mac(&*key, part.as_bytes());
        }
        let signature = hex(&*mac(&*key, text.as_bytes()));
        let id = &credentials.id;
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }
}

fn mac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Zeroizing::default() };
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_signed_as_botocore_signs_them() {
        let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        for (token, names, signature) in [
            (
                None,
                "content-type;host;x-amz-date;x-amz-target",
                "2dbd96e08284852a92520ae7e3f68d6849ea82e4624142b9ca8d6aa18a8e48eb",
            ),
            (
                Some(&b"FQoGZXIvYXdzEXAMPLETOKEN=="[..]),
                "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
                "6b24b9ddfbfbef0fda154e2ce201269f12de477c105d9fab78c3d719402fd682",
            ),
        ] {
            let credentials = Credentials {
                id: "AKIDEXAMPLE".to_owned(),
                secret: SecretBytes::new(secret.to_vec()),
                session_token: token.map(|token| SecretBytes::new(token.to_vec())),
            };
            assert!(credentials.are_printable());
            let mut headers: Vec<(&str, &[u8])> = vec![
                ("content-type", b"application/x-amz-json-1.1"),
                ("host", b"kms.eu-west-1.amazonaws.com"),
                ("x-amz-date", b"20261127T145001Z"),
            ];
            headers.extend(token.map(|token| ("x-amz-security-token", token)));
            headers.push(("x-amz-target", b"TrentService.Decrypt"));
            let signing = Signing {
                time: "20261127T145001Z",
                region: "eu-west-1",
                service: "kms",
                path: "/",
                headers: &headers,
                body: b"{\"CiphertextBlob\":\"AQIDAHgB\"}",
            };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/eu-west-1/kms/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(signing.authorization(&credentials), expected);
        }
    }
}
