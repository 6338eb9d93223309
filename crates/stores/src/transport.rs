//! Requests to stores and their answers: no redirect is followed, and no answer is larger than what was
//! asked for.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};

/// An answer that lists: a store lists a thousand objects at once, or five thousand, with keys of up to
/// 1 KiB.
const LARGEST_LISTING: u64 = 16 << 20;
/// Any other answer, to a request for credentials for one.
const LARGEST_OTHER: u64 = 1 << 20;
/// So much of what a store says of an error is read and shown.
const LARGEST_ERROR: u64 = 1 << 10;

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the store gives more than the {most} bytes that the answer may have")]
    TooMuch { most: u64 },
    #[error(
        "the store sends us on to {to}, and nothing is sent there, signatures and tokens least of all: \
         name the right endpoint or region (AWS_ENDPOINT, AWS_REGION)"
    )]
    Elsewhere { to: String },
}

/// Sends a request, and reads the whole answer.
pub(super) async fn exchange(
    client: &dyn HttpService,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let most = largest_answer(&request);
    let is_read = matches!(request.method().as_str(), "GET" | "HEAD");
    let response = client.call(request).await?;
    if response.status().is_redirection()
        && let Some(to) = response.headers().get("location")
    {
        let to = place(&String::from_utf8_lossy(to.as_bytes()));
        return Err(HttpError::new(HttpErrorKind::Unknown, Refused::Elsewhere { to }));
    }
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let (head, body) = response.into_parts();
    let body = if is_error {
        beginning(body).await?
    } else {
        // The store has the request: what is no read is not to be taken for one that was never sent.
        let after_request = |error| match is_read {
            true => error,
            false => HttpError::new(HttpErrorKind::Interrupted, error),
        };
        whole(body, most).await.map_err(after_request)?
    };
    Ok(HttpResponse::from_parts(head, body))
}

/// What the answer to a request may have, in bytes.
fn largest_answer(request: &HttpRequest) -> u64 {
    let range = request.headers().get("range");
    if let Some(asked) = range.and_then(|range| length_of_range(range.to_str().ok()?)) {
        return asked;
    }
    let query = request.uri().query().unwrap_or_default();
    let lists = |parameter: &str| matches!(parameter, "list-type=2" | "comp=list");
    if request.method() == "GET" && query.split('&').any(lists) {
        LARGEST_LISTING
    } else {
        LARGEST_OTHER
    }
}

/// Of `bytes=10-19`: 10.
fn length_of_range(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

async fn whole(body: HttpResponseBody, most: u64) -> Result<HttpResponseBody, HttpError> {
    let mut pieces = body.bytes_stream();
    let mut bytes = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let length = bytes.len().saturating_add(piece.len());
        if u64::try_from(length).unwrap_or(u64::MAX) > most {
            return Err(HttpError::new(HttpErrorKind::Unknown, Refused::TooMuch { most }));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze().into())
}

/// Of an error, what fits.
async fn beginning(body: HttpResponseBody) -> Result<HttpResponseBody, HttpError> {
    let most = usize::try_from(LARGEST_ERROR).unwrap_or(usize::MAX);
    let mut pieces = body.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let left = most.saturating_sub(bytes.len());
        bytes.extend(piece.iter().take(left));
        if piece.len() > left {
            let text = String::from_utf8_lossy(&bytes);
            return Ok(format!("{text}…").into());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

/// Scheme and host of a URL: what stands behind may be a signature.
fn place(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at.saturating_add(3));
    let host = url.get(end..).unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let place = format!("{}{host}", url.get(..end).unwrap_or_default());
    binlogsec_core::bytes::beginning(&place, 256).into_owned()
}

/// A client as the environment wants it, that follows no redirect: the crate's own does, and takes all
/// headers but one along. All else is as there.
pub(super) fn client(options: &ClientOptions) -> Result<reqwest::Client, object_store::Error> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    let value = |key| options.get_config_value(&key);
    let is_on = |key| value(key).is_some_and(|value| is_true(&value));
    let agent = value(ClientConfigKey::UserAgent);
    let own = concat!("binlogsec/", env!("CARGO_PKG_VERSION"));
    builder = builder.user_agent(agent.as_deref().unwrap_or(own));
    builder = through_proxy(builder, options)?;
    if is_on(ClientConfigKey::NoSystemCertificates) {
        builder = builder.tls_certs_only([]);
    }
    if let Some(timeout) = duration(options, ClientConfigKey::Timeout)? {
        builder = builder.timeout(timeout);
    }
    if let Some(timeout) = duration(options, ClientConfigKey::ConnectTimeout)? {
        builder = builder.connect_timeout(timeout);
    }
    if let Some(timeout) = duration(options, ClientConfigKey::ReadTimeout)? {
        builder = builder.read_timeout(timeout);
    }
    if let Some(timeout) = duration(options, ClientConfigKey::PoolIdleTimeout)? {
        builder = builder.pool_idle_timeout(timeout);
    }
    if let Some(most) = number(options, ClientConfigKey::PoolMaxIdlePerHost)? {
        builder = builder.pool_max_idle_per_host(most);
    }
    builder = over_http2(builder, options)?;
    if is_on(ClientConfigKey::AllowInvalidCertificates) {
        builder = builder.danger_accept_invalid_certs(true);
    }
    if is_on(ClientConfigKey::RandomizeAddresses) {
        builder = builder.dns_resolver(Arc::new(Rotated));
    }
    builder.https_only(!is_on(ClientConfigKey::AllowHttp)).build().map_err(|error| {
        let text = super::whole(&error);
        if text.contains("No CA certificates") {
            let remedy = "install the package ca-certificates, or name a file of authorities by SSL_CERT_FILE";
            return unusable(std::io::Error::other(format!("{text}: {remedy}")));
        }
        unusable(error)
    })
}

fn through_proxy(
    builder: reqwest::ClientBuilder,
    options: &ClientOptions,
) -> Result<reqwest::ClientBuilder, object_store::Error> {
    let value = |key| options.get_config_value(&key);
    let Some(url) = value(ClientConfigKey::ProxyUrl) else {
        return Ok(builder);
    };
    let mut builder = builder;
    let mut proxy = reqwest::Proxy::all(url).map_err(unusable)?;
    if let Some(certificate) = value(ClientConfigKey::ProxyCaCertificate) {
        let certificate = reqwest::Certificate::from_pem(certificate.as_bytes());
        builder = builder.tls_certs_merge([certificate.map_err(unusable)?]);
    }
    if let Some(excluded) = value(ClientConfigKey::ProxyExcludes) {
        proxy = proxy.no_proxy(reqwest::NoProxy::from_string(&excluded));
    }
    Ok(builder.proxy(proxy))
}

fn over_http2(
    builder: reqwest::ClientBuilder,
    options: &ClientOptions,
) -> Result<reqwest::ClientBuilder, object_store::Error> {
    let mut builder = builder;
    let is_on = |key| options.get_config_value(&key).is_some_and(|it| is_true(&it));
    if let Some(interval) = duration(options, ClientConfigKey::Http2KeepAliveInterval)? {
        builder = builder.http2_keep_alive_interval(interval);
    }
    if let Some(timeout) = duration(options, ClientConfigKey::Http2KeepAliveTimeout)? {
        builder = builder.http2_keep_alive_timeout(timeout);
    }
    if is_on(ClientConfigKey::Http2KeepAliveWhileIdle) {
        builder = builder.http2_keep_alive_while_idle(true);
    }
    if let Some(size) = number(options, ClientConfigKey::Http2MaxFrameSize)? {
        builder = builder.http2_max_frame_size(u32::try_from(size).unwrap_or(u32::MAX));
    }
    if is_on(ClientConfigKey::Http1Only) {
        builder = builder.http1_only();
    }
    if is_on(ClientConfigKey::Http2Only) {
        builder = builder.http2_prior_knowledge();
    }
    Ok(builder)
}

/// As the crate reads switches.
fn is_true(value: &str) -> bool {
    matches!(&*value.to_ascii_lowercase(), "1" | "true" | "on" | "yes" | "y")
}

fn duration(
    options: &ClientOptions,
    key: ClientConfigKey,
) -> Result<Option<Duration>, object_store::Error> {
    let value = options.get_config_value(&key);
    value.map(|value| humantime::parse_duration(&value).map_err(unusable)).transpose()
}

fn number(
    options: &ClientOptions,
    key: ClientConfigKey,
) -> Result<Option<usize>, object_store::Error> {
    let value = options.get_config_value(&key);
    value.map(|value| value.parse().map_err(unusable)).transpose()
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "client", source: Box::new(error) }
}

/// A name's addresses, from any of them on: not all connections go to the first.
#[derive(Debug)]
struct Rotated;

impl reqwest::dns::Resolve for Rotated {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let looked_up = tokio::task::spawn_blocking(move || {
                // The port is the URL's.
                let mut found: Vec<SocketAddr> = (host.as_str(), 0).to_socket_addrs()?.collect();
                let mut random = [0];
                let _ = getrandom::fill(&mut random);
                let by = usize::from(random[0]).checked_rem(found.len()).unwrap_or(0);
                found.rotate_left(by);
                Ok::<_, std::io::Error>(found)
            });
            let found = looked_up.await??;
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
