//! How a key set's document is got: a trait, so that tests can script it, and HTTPS.

use super::{Connector, FetchError, exchange};
use crate::jwt::ProviderId;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Empty;
use std::time::Duration;

/// More than sixty-four large keys with their certificates need (J41).
const MAX_DOCUMENT: usize = 512 << 10;

/// The bytes of a document that claims to be a JWKS.
pub type Document = Bytes;

/// Gets the document of a key source, once and in bounded time.
pub trait Fetch: Send + Sync + 'static {
    fn fetch(&self, id: &ProviderId) -> impl Future<Output = Result<Document, FetchFailure>> + Send;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchFailure {
    pub error: FetchError,
    /// The issuer's `Retry-After`, from now.
    pub retry_after: Option<Duration>,
}

/// Fetches over HTTPS.
#[derive(Debug)]
pub struct Fetcher {
    connector: Connector,
}

// === impl Fetcher ===

impl Fetcher {
    pub fn new(connector: Connector) -> Self {
        Self { connector }
    }
}

impl Fetch for Fetcher {
    async fn fetch(&self, id: &ProviderId) -> Result<Document, FetchFailure> {
        let request = Request::get(&*id.jwks_url).header(header::ACCEPT, "application/json").body(Empty::<Bytes>::new());
        let request = request.map_err(|_| FetchError::Forbidden)?;
        let response = exchange(&self.connector, request, id.ca_bundle.as_deref(), MAX_DOCUMENT).await?;
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        tracing::debug!(provider = %id, status = response.status().as_u16(), "the issuer refused its keys");
        Err(FetchFailure { error: FetchError::Status, retry_after: retry_after(response.headers()) })
    }
}

// === impl FetchFailure ===

impl From<FetchError> for FetchFailure {
    fn from(error: FetchError) -> Self {
        Self { error, retry_after: None }
    }
}

/// RFC 9110 §10.2.3: seconds, or a date, which is read against the answer's own `Date`, so that no clock of ours counts.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    let date = |value| httpdate::parse_http_date(value).ok();
    value.parse().map(Duration::from_secs).ok().or_else(|| date(value)?.duration_since(date(text(header::DATE)?)?).ok())
}
