//! TLS as a client: whose certificate is good enough, and the negotiation, in which one that is not
//! ends the connection.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct,
    RootCertStore, SignatureScheme, StreamOwned,
};

use crate::timed::Timed;

/// An encrypted connection.
pub type TlsStream = StreamOwned<ClientConnection, Timed>;

/// Whose certificate is good enough.
#[derive(Debug)]
pub enum Trust {
    /// One that was signed by one of these authorities, is valid now, and is for the host that was
    /// asked.
    Host(RootCertStore),
    /// The same for whatever host.
    AnyHost(RootCertStore),
    /// Any. Whoever answers may be somebody in between.
    Anybody,
}

/// Why no connection can be negotiated that way.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The authorities are none that could be trusted.
    #[error(transparent)]
    Authorities(#[from] VerifierBuilderError),
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Why a negotiation failed.
#[derive(Debug, thiserror::Error)]
pub enum NegotiationError {
    /// The host's name is none that a certificate could be for.
    #[error("no host name that a certificate could be for")]
    Host,
    /// The negotiation, or the certificate.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The connection.
    #[error(transparent)]
    Io(io::Error),
}

/// How to speak TLS with such trust. What is missing is whether the client has a certificate.
///
/// # Errors
/// [`TrustError`].
pub fn client(trust: Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier::new(trust, &provider)?);
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// Negotiates TLS with a host over a connection to it.
///
/// # Errors
/// [`NegotiationError`].
pub fn negotiate(
    mut socket: Timed,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<TlsStream, NegotiationError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| NegotiationError::Host)?;
    let mut connection = ClientConnection::new(config, name)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| {
            match error.downcast::<rustls::Error>() {
                Ok(error) => NegotiationError::Tls(error),
                Err(error) => NegotiationError::Io(error),
            }
        })?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// Verifies as much as is asked for. Signatures of the handshake always count: without them, a
/// certificate would prove nothing.
#[derive(Debug)]
struct Verifier {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    any_host: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: Trust, provider: &Arc<CryptoProvider>) -> Result<Self, VerifierBuilderError> {
        let (roots, any_host) = match trust {
            Trust::Host(roots) => (Some(roots), false),
            Trust::AnyHost(roots) => (Some(roots), true),
            Trust::Anybody => (None, true),
        };
        let verifier = |roots| {
            let provider = Arc::clone(provider);
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()
        };
        let authorities = roots.map(verifier).transpose()?;
        Ok(Self { authorities, any_host, provider: Arc::clone(provider) })
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
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
            )) if self.any_host => Ok(ServerCertVerified::assertion()),
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
