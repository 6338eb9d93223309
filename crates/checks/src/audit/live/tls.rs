//! TLS to a server: verified unless the user said otherwise.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};

use super::address::{ServerAddress, SslMode};
use super::error::Problem;
use super::wire::Timed;

/// An encrypted connection.
pub(super) type TlsStream = StreamOwned<ClientConnection, Timed>;

/// Negotiates, so that a certificate that is not good enough ends it here.
pub(super) fn negotiate(socket: Timed, address: &ServerAddress) -> Result<TlsStream, Problem> {
    let config = config(address)?;
    let name = ServerName::try_from(address.host.clone()).map_err(|_| Problem::Tls {
        advice: format!("{:?} is no host name that a certificate could be for", address.host),
        source: None,
    })?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failure(error, address))?;
    let mut socket = socket;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| handshake_failure(error, address))?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn config(address: &ServerAddress) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(address, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failure(error, address))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let (Some(certificate), Some(key)) = (&address.ssl_cert, &address.ssl_key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate, "client certificate")?;
    let key_file = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| pem_problem(error, key, "private key"))?;
    builder.with_client_auth_cert(chain, key_file).map_err(|error| Problem::Content {
        path: key.clone(),
        problem: format!("does not go with {}: {error}", certificate.display()),
    })
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(Problem::Content {
            path: path.to_owned(),
            problem: format!("no certificate in it (a {what} in PEM is expected)"),
        }),
        Ok(found) => Ok(found),
        Err(error) => Err(pem_problem(error, path, what)),
    }
}

fn pem_problem(error: pem::Error, path: &Path, what: &'static str) -> Problem {
    match error {
        pem::Error::Io(source) => Problem::file(path, what)(source),
        error => Problem::Content {
            path: path.to_owned(),
            problem: format!("no {what} in PEM: {error}"),
        },
    }
}

/// Verifies as much as the address asks for. Signatures of the handshake always count: without
/// them, a certificate would prove nothing.
#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(address: &ServerAddress, provider: &Arc<CryptoProvider>) -> Result<Self, Problem> {
        let authorities = match (address.ssl_mode, &address.ssl_ca) {
            (SslMode::Disabled | SslMode::Required, _) => None,
            (_, None) => return Err(Problem::NoAuthority),
            (_, Some(path)) => Some(authorities(path, provider)?),
        };
        Ok(Self { mode: address.ssl_mode, authorities, provider: Arc::clone(provider) })
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

fn authorities(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Problem> {
    let unusable = |problem: String| Problem::Content { path: path.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "CA certificate")? {
        roots
            .add(certificate)
            .map_err(|error| unusable(format!("no certificate of an authority: {error}")))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| unusable(format!("no authority can be trusted by it: {error}")))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is looked at last: everything else was in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == SslMode::VerifyCa => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

fn handshake_failure(error: std::io::Error, address: &ServerAddress) -> Problem {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => failure(inner.clone(), address),
        None => {
            Problem::io("negotiating TLS (a server of TLS 1.1 and older closes it there)")(error)
        }
    }
}

fn failure(error: rustls::Error, address: &ServerAddress) -> Problem {
    Problem::Tls { advice: advice(&error, address), source: Some(error) }
}

fn advice(error: &rustls::Error, address: &ServerAddress) -> String {
    let authority = || address.ssl_ca.as_deref().unwrap_or(Path::new("?")).display();
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the server's certificate was not signed by an authority of {}",
                authority()
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate, or its authority's, has expired: replace it and run ALTER \
                 INSTANCE RELOAD TLS there"
                    .to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: compare the clocks".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "the server's certificate is not for {:?}: connect by a name in its \
                     subjectAltName, make one with that name, or verify the authority alone \
                     (?ssl-mode=VERIFY_CA)",
                    address.host
                )
            }
            _ => "the server's certificate cannot be verified (certificates of version 1 and keys \
                  of less than 2048 bits are too weak to be)"
                .to_owned(),
        },
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
            "server and audit have no TLS version and cipher in common, or the server wants a \
             certificate of the client (?ssl-cert=FILE&ssl-key=FILE); TLS 1.2 is the least here"
                .to_owned()
        }
        _ => "the negotiation broke off".to_owned(),
    }
}
