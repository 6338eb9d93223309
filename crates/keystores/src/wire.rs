//! Connections to stores: one that is trusted, and on which no wait goes on for ever.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::keyring::store::StoreTransport;
use binlogsec_core::log::error::describe;
use binlogsec_wire::Timed;
use binlogsec_wire::trust::{self, NegotiationError, TlsStream, Trust, TrustError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::{Zeroize, Zeroizing};

use crate::error::StoreError;

/// How often a question is asked that may be answered the next time.
pub(crate) const ATTEMPTS: u32 = 3;
/// Before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);
/// Where systems keep the authorities they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// More is no private key.
const LARGEST_KEY: u64 = 256 << 10;

/// What an answer is that is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("{0}")]
    Form(&'static str),
    #[error("{0}")]
    Kmip(&'static str),
    #[error("longer than {0} bytes")]
    TooLong(usize),
}

/// A certificate of the client's own, and its key.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// File with the certificate, and those between it and its authority (PEM).
    pub certificate: PathBuf,
    /// File with its private key (PEM).
    pub key: PathBuf,
}

/// Asks, and again where that may help; the question is told which attempt it is.
pub(crate) fn with_retries<T>(
    mut ask: impl FnMut(u32) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        match ask(attempt) {
            Err(error) if error.is_passing() && attempt < ATTEMPTS => {
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2);
                attempt = attempt.saturating_add(1);
            }
            other => return other,
        }
    }
}

/// What stands between a store at this host and who listens on the way to it.
pub(crate) fn transport(host: &str, is_encrypted: bool) -> StoreTransport {
    let address = host.parse::<IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match (is_encrypted, is_loopback) {
        (true, _) => StoreTransport::Tls,
        (false, true) => StoreTransport::Loopback,
        (false, false) => StoreTransport::Clear,
    }
}

/// Which host is asked, and how long one question may take.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) timeout: Duration,
}

impl Peer {
    /// By when a question must be answered that is asked now.
    pub(crate) fn deadline(&self) -> Instant {
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        let now = Instant::now();
        now.checked_add(self.timeout.min(YEAR)).unwrap_or(now)
    }

    /// Connects; from now on the time runs.
    pub(crate) fn connect(&self, attempts: u32) -> Result<Timed, StoreError> {
        Timed::to_host(&self.host, self.port, self.deadline())
            .map_err(|source| StoreError::Unreachable { attempts, source })
    }

    /// Negotiates TLS, so that a certificate that is not trusted ends it here.
    pub(crate) fn negotiate(
        &self,
        socket: Timed,
        config: &Arc<ClientConfig>,
        attempts: u32,
    ) -> Result<TlsStream, StoreError> {
        trust::negotiate(socket, &self.host, Arc::clone(config)).map_err(|error| match error {
            NegotiationError::Host => StoreError::NoHost { host: self.host.clone() },
            NegotiationError::Tls(error) => self.failure(io::Error::other(error), attempts),
            NegotiationError::Io(error) => self.failure(error, attempts),
        })
    }

    /// What an error of a connection means.
    pub(crate) fn failure(&self, error: io::Error, attempts: u32) -> StoreError {
        let error = match error.downcast::<rustls::Error>() {
            Ok(source @ rustls::Error::AlertReceived(_)) => {
                return StoreError::ClientRefused { source };
            }
            Ok(source) => return StoreError::Tls { source },
            Err(error) => error,
        };
        let error = match error.downcast::<Malformed>() {
            Ok(Malformed::TooLong(limit)) => return StoreError::TooLong { limit },
            Ok(Malformed::Form(problem)) => return StoreError::NotHttp { problem },
            Ok(Malformed::Kmip(problem)) => return StoreError::NotKmip { problem },
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                StoreError::Late { limit: self.timeout, attempts }
            }
            _ => StoreError::Unreachable { attempts, source: error },
        }
    }
}

/// The file of the authorities that are trusted: the configured one, that of the environment, or
/// the system's.
pub(crate) fn authority<'a>(
    configured: Option<&'a Path>,
    of_environment: Option<&'a Path>,
) -> Result<&'a Path, StoreError> {
    let system = || SYSTEM_AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    configured.or(of_environment).or_else(system).ok_or(StoreError::NoAuthority)
}

/// How to speak TLS to a store whose certificate is from an authority of this file. `any_name` takes
/// a certificate for another host, too.
pub(crate) fn tls_config(
    authority: &Path,
    any_name: bool,
    identity: Option<&ClientIdentity>,
) -> Result<Arc<ClientConfig>, StoreError> {
    let roots = roots(authority)?;
    let trust = if any_name { Trust::AnyHost(roots) } else { Trust::Host(roots) };
    let builder = trust::client(trust).map_err(|error| match error {
        TrustError::Authorities(error) => unusable(authority, &error.to_string()),
        TrustError::Tls(source) => StoreError::Tls { source },
    })?;
    let Some(ClientIdentity { certificate, key }) = identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| no_identity(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(no_identity(certificate, "no certificate in PEM is in it".to_owned()));
    }
    let text = small::read(key, LARGEST_KEY, Pipes::Refused)
        .map_err(|error| no_identity(key, describe(&error)))?;
    let private = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| no_identity(key, error.to_string()))?;
    let config = builder.with_client_auth_cert(chain, private).map_err(|error| {
        no_identity(key, format!("it does not go with the certificate: {error}"))
    })?;
    Ok(Arc::new(config))
}

fn no_identity(path: &Path, problem: String) -> StoreError {
    StoreError::Identity { path: path.to_owned(), problem }
}

fn unusable(path: &Path, problem: &str) -> StoreError {
    StoreError::Authority { path: path.to_owned(), problem: format!(": {problem}") }
}

fn roots(path: &Path) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    let found =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| unusable(path, &error.to_string()))?;
        // A bundle of a system may have one that is not understood; the others count.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(StoreError::Authority { path: path.to_owned(), problem: String::new() });
    }
    Ok(roots)
}

/// Makes room; what the vector was in before is wiped.
pub(crate) fn grow(out: &mut Zeroizing<Vec<u8>>, more: usize) {
    if out.capacity().saturating_sub(out.len()) >= more {
        return;
    }
    let room = out.len().saturating_add(more).max(out.capacity().saturating_mul(2));
    let mut larger = Vec::with_capacity(room);
    larger.extend_from_slice(out);
    out.zeroize();
    **out = larger;
}
