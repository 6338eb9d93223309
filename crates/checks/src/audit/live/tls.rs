//! TLS to a server: verified unless the user said otherwise.

use std::path::Path;
use std::sync::Arc;

use binlogsec_wire::Timed;
use binlogsec_wire::trust::{self, NegotiationError, TlsStream, Trust, TrustError};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::address::{ServerAddress, SslMode};
use super::error::Problem;

/// Negotiates, so that a certificate that is not good enough ends it here.
pub(super) fn negotiate(socket: Timed, address: &ServerAddress) -> Result<TlsStream, Problem> {
    let config = Arc::new(config(address)?);
    trust::negotiate(socket, &address.host, config).map_err(|error| match error {
        NegotiationError::Host => Problem::Tls {
            advice: format!("{:?} is no host name that a certificate could be for", address.host),
            source: None,
        },
        NegotiationError::Tls(error) => failure(error, address),
        NegotiationError::Io(error) => {
            Problem::io("negotiating TLS (a server of TLS 1.1 and older closes it there)")(error)
        }
    })
}

fn config(address: &ServerAddress) -> Result<ClientConfig, Problem> {
    let builder =
        trust::client(trusted(address)?).map_err(|error| match (error, &address.ssl_ca) {
            (TrustError::Authorities(error), Some(path)) => Problem::Content {
                path: path.clone(),
                problem: format!("no authority can be trusted by it: {error}"),
            },
            (TrustError::Authorities(_), None) => Problem::NoAuthority,
            (TrustError::Tls(error), _) => failure(error, address),
        })?;
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

/// As much as the address asks for.
fn trusted(address: &ServerAddress) -> Result<Trust, Problem> {
    let trust = match address.ssl_mode {
        SslMode::Disabled | SslMode::Required => return Ok(Trust::Anybody),
        SslMode::VerifyCa => Trust::AnyHost,
        SslMode::VerifyIdentity => Trust::Host,
    };
    let path = address.ssl_ca.as_ref().ok_or(Problem::NoAuthority)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "CA certificate")? {
        roots.add(certificate).map_err(|error| Problem::Content {
            path: path.clone(),
            problem: format!("no certificate of an authority: {error}"),
        })?;
    }
    Ok(trust(roots))
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
