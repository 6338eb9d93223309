//! Clients of the stores, one for each bucket, configured by the environment as the stores' own
//! tools are. Credentials stay within the crate that signs with them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};

use super::refused;
use crate::io::TransferError;
use crate::io::location::{ObjectUrl, Scheme};

/// The longest answer to one request, a window of a log for one, on a slow line.
const TIMEOUT: &str = "120 seconds";
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

fn connect(url: &ObjectUrl) -> Result<Store, object_store::Error> {
    // Of the two that there could be, the one that is compiled in. It may be set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The builders have no trait in common.
    macro_rules! client {
        ($builder:expr, $bucket:ident, $key:ident, $timeout:literal) => {{
            let mut builder = $builder
                .$bucket(&url.bucket)
                .with_retry(retry())
                .with_http_connector(Patient);
            if std::env::var_os($timeout).is_none() {
                builder = builder.with_config($key::Client(ClientConfigKey::Timeout), TIMEOUT);
            }
            both(builder.build()?)
        }};
    }
    Ok(match url.scheme {
        Scheme::S3 => client!(
            AmazonS3Builder::from_env(),
            with_bucket_name,
            AmazonS3ConfigKey,
            "AWS_TIMEOUT"
        ),
        Scheme::Gs => client!(
            GoogleCloudStorageBuilder::from_env(),
            with_bucket_name,
            GoogleConfigKey,
            "GOOGLE_TIMEOUT"
        ),
        Scheme::Az => client!(
            MicrosoftAzureBuilder::from_env(),
            with_container_name,
            AzureConfigKey,
            "AZURE_TIMEOUT"
        ),
    })
}

fn both<S: ObjectStore + MultipartStore>(store: S) -> Store {
    let store = Arc::new(store);
    Store {
        objects: Arc::clone(&store) as Arc<dyn ObjectStore>,
        multipart: store,
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

/// Makes clients that wait as long as a store asks them to, before they try again.
#[derive(Debug)]
struct Patient;

impl HttpConnector for Patient {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(PatientClient(client)))
    }
}

#[derive(Debug)]
struct PatientClient(HttpClient);

#[async_trait::async_trait]
impl HttpService for PatientClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
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
