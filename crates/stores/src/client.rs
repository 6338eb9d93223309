//! Clients of the stores, one for each bucket, configured by the environment as the stores' own
//! tools are. Credentials stay within the crate that signs with them.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{
    AzureAuthorizer, AzureConfigKey, AzureCredential, AzureCredentialProvider,
    MicrosoftAzureBuilder,
};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, HeaderValue, ObjectStore, RetryConfig,
};

use super::{refused, transport};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::location::{ObjectUrl, Scheme};

/// The longest answer to one request, a window of a log for one, on a slow line.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How often one request is sent again, and for how long: then the store is down.
const RETRIES: usize = 8;
const RETRY_TIME: Duration = Duration::from_secs(150);
/// The longest that a store may ask to wait before the next try.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// One bucket.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) multipart: Arc<dyn MultipartStore>,
    pub(super) pages: Arc<dyn PaginatedListStore>,
    /// How long one answer may take.
    pub(super) timeout: Duration,
    /// Whether the end of an upload in parts takes a condition. Google's documentation rules that
    /// out ("Preconditions are not supported in the requests").
    pub(super) ends_on_condition: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What stands in a client may be secret.
        f.write_str("Store")
    }
}

impl Store {
    /// The client of a URL's bucket, which all its objects share.
    pub(super) fn of(url: &ObjectUrl, path: &Path) -> Result<Self, TransferError> {
        static STORES: Mutex<Option<HashMap<(Scheme, String), Store>>> = Mutex::new(None);
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        let stores = stores.get_or_insert_default();
        let key = (url.scheme, url.bucket.clone());
        if let Some(store) = stores.get(&key) {
            return Ok(store.clone());
        }
        let store = connect(url).map_err(|error| refused(path, "reach the store of", error))?;
        stores.insert(key, store.clone());
        Ok(store)
    }
}

/// A variable of the environment that is no time.
#[derive(Debug, thiserror::Error)]
#[error(
    "{variable}={value:?} is no time: a number with its unit is expected, such as 8s, 500ms or 2m"
)]
struct BadTime {
    variable: String,
    value: String,
}

/// Looks at all times that the environment sets for a kind of store, and gives that of one answer.
fn timeout(prefix: &str) -> Result<Duration, object_store::Error> {
    let mut timeout = TIMEOUT;
    for (name, value) in std::env::vars_os() {
        let Some(setting) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else {
            continue;
        };
        if !["TIMEOUT", "_INTERVAL"].iter().any(|end| setting.ends_with(end)) {
            continue;
        }
        let value = value.to_string_lossy();
        let time = humantime::parse_duration(&value).ok();
        let Some(time) = time.filter(|time| !time.is_zero()) else {
            let bad = BadTime {
                variable: name.to_string_lossy().into_owned(),
                value: binlogsec_core::bytes::beginning(&value, 100).into_owned(),
            };
            return Err(object_store::Error::Generic {
                store: "environment",
                source: Box::new(bad),
            });
        };
        if setting == "TIMEOUT" {
            timeout = time;
        }
    }
    Ok(timeout)
}

fn connect(url: &ObjectUrl) -> Result<Store, object_store::Error> {
    // Of the two that there could be, the one that is compiled in. It may be set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timeout = timeout(match url.scheme {
        Scheme::S3 => "AWS_",
        Scheme::Gs => "GOOGLE_",
        Scheme::Az => "AZURE_",
    })?;
    let patient = Patient::default();
    // The builders have no trait in common.
    macro_rules! client {
        ($builder:expr, $bucket:ident, $key:ident) => {
            $builder
                .$bucket(&url.bucket)
                .with_retry(retry())
                .with_http_connector(patient.clone())
                .with_config(
                    $key::Client(ClientConfigKey::Timeout),
                    humantime::format_duration(timeout).to_string(),
                )
                .build()?
        };
    }
    let store = match url.scheme {
        Scheme::S3 => Store::new(
            client!(AmazonS3Builder::from_env(), with_bucket_name, AmazonS3ConfigKey),
            true,
        ),
        Scheme::Gs => Store::new(
            client!(GoogleCloudStorageBuilder::from_env(), with_bucket_name, GoogleConfigKey),
            false,
        ),
        Scheme::Az => {
            let store =
                client!(MicrosoftAzureBuilder::from_env(), with_container_name, AzureConfigKey);
            let _ = patient.azure.set(Arc::clone(store.credentials()));
            Store::new(store, true)
        }
    };
    Ok(Store { timeout, ..store })
}

impl Store {
    fn new<S>(store: S, ends_on_condition: bool) -> Self
    where
        S: ObjectStore + MultipartStore + PaginatedListStore,
    {
        let store = Arc::new(store);
        Self {
            objects: Arc::clone(&store) as Arc<dyn ObjectStore>,
            multipart: Arc::clone(&store) as Arc<dyn MultipartStore>,
            pages: store,
            timeout: TIMEOUT,
            ends_on_condition,
        }
    }

    /// One that gives these answers, one after another, without a network.
    pub(super) fn answering(answers: Vec<Vec<u8>>) -> Result<Self, object_store::Error> {
        let mut answers = answers;
        answers.reverse();
        let store = AmazonS3Builder::new()
            .with_bucket_name("bucket")
            .with_region("region")
            .with_access_key_id("nobody")
            .with_secret_access_key("nothing")
            .with_retry(RetryConfig { max_retries: 0, ..retry() })
            .with_http_connector(Prepared { answers: Arc::new(Mutex::new(answers)) })
            .build()?;
        Ok(Self::new(store, true))
    }
}

/// Answers that are there already.
#[derive(Debug, Clone)]
struct Prepared {
    /// The next one last.
    answers: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl HttpConnector for Prepared {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(PatientClient { client: Box::new(self.clone()), azure: Arc::default() }))
    }
}

#[async_trait::async_trait]
impl HttpService for Prepared {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(HttpResponse::new(answers.pop().unwrap_or_default().into()))
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(15),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIME,
    }
}

/// A header that makes a request succeed only if something is true of the object.
pub(super) type Precondition = (&'static str, HeaderValue);

tokio::task_local! {
    /// What the end of the upload that is being ended depends on.
    static PRECONDITION: Precondition;
}

/// Lets an upload in parts end on a condition: the stores take one, and the crate, which has no
/// parameter for it, sends its requests through [`PatientClient`].
pub(super) async fn ending_on<T>(
    precondition: Option<Precondition>,
    end: impl Future<Output = T>,
) -> T {
    match precondition {
        Some(precondition) => PRECONDITION.scope(precondition, end).await,
        None => end.await,
    }
}

/// Makes clients that wait as long as a store asks them to, before they try again.
#[derive(Debug, Clone, Default)]
struct Patient {
    /// Who signs requests to Azure, once it is known.
    azure: Arc<OnceLock<AzureCredentialProvider>>,
}

impl HttpConnector for Patient {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(PatientClient {
            client: Box::new(transport::client(options)?),
            azure: Arc::clone(&self.azure),
        }))
    }
}

#[derive(Debug)]
struct PatientClient {
    client: Box<dyn HttpService>,
    azure: Arc<OnceLock<AzureCredentialProvider>>,
}

impl PatientClient {
    /// Signatures of AWS cover the headers that they list, and the crate itself adds conditions
    /// behind them. One by Azure's account key covers this header: it is made anew.
    async fn add(
        &self,
        (name, value): Precondition,
        request: &mut HttpRequest,
    ) -> object_store::Result<()> {
        request.headers_mut().insert(name, value);
        let signed_by = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("SharedKey "))
            .and_then(|rest| Some(rest.split_once(':')?.0.to_owned()));
        let (Some(account), Some(credentials)) = (signed_by, self.azure.get()) else {
            return Ok(());
        };
        let credential = credentials.get_credential().await?;
        if matches!(*credential, AzureCredential::AccessKey(_)) {
            request.headers_mut().remove(AUTHORIZATION);
            AzureAuthorizer::new(&credential, &account).try_authorize(request)?;
        }
        Ok(())
    }
}

const AUTHORIZATION: &str = "authorization";

/// Whether a request makes an object of an upload's parts, in the protocols of S3 and Azure.
fn ends_upload(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let has = |parameter: &str| query.split('&').any(|it| it.starts_with(parameter));
    match request.method().as_str() {
        "POST" => has("uploadId="),
        "PUT" => has("comp=blocklist"),
        _ => false,
    }
}

#[async_trait::async_trait]
impl HttpService for PatientClient {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if ends_upload(&request)
            && let Ok(precondition) = PRECONDITION.try_with(Clone::clone)
        {
            let added = self.add(precondition, &mut request).await;
            added.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        }
        let response = transport::exchange(&*self.client, request).await?;
        if matches!(response.status().as_u16(), 429 | 503)
            && let Some(wait) = asked_wait(&response)
        {
            tokio::time::sleep(wait).await;
        }
        Ok(response)
    }
}

/// `Retry-After` in seconds, which stores send; a date is not waited for.
fn asked_wait(response: &HttpResponse) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?;
    let wait = Duration::from_secs(text.trim().parse().ok()?);
    Some(wait.min(LONGEST_WAIT))
}
