//! One HTTPS request on a connection of its own, bounded in time and size. For key sets, and for token endpoints.

use super::{Connector, FetchError, TlsStream};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use std::{error::Error, time::Duration};

/// From the look-up of the name to the last byte of the answer (J44).
const DEADLINE: Duration = Duration::from_secs(5);
const MAX_HEAD: usize = 64 << 10;
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// Sends `request`, whose URI is absolute, and reads the answer. Redirects are answers like any other (J43).
///
/// The body is read only of a 200: what a stranger says beside that is never shown to anybody (P65).
///
/// # Errors
/// A bounded code; details go to the debug log.
pub async fn exchange<B>(
    connector: &Connector,
    request: Request<B>,
    ca_bundle: Option<&str>,
    max_body: usize,
) -> Result<Response<Bytes>, FetchError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let host = request.uri().host().unwrap_or_default().to_owned();
    let result = tokio::time::timeout(DEADLINE, async {
        let (request, host, port) = prepare(request)?;
        let stream = connector.connect(&host, port, ca_bundle).await?;
        send(stream, request, max_body).await
    });
    result.await.unwrap_or(Err(FetchError::Timeout)).inspect_err(|error| tracing::debug!(host, %error, "exchange failed"))
}

/// Origin form and the headers every request has.
fn prepare<B>(mut request: Request<B>) -> Result<(Request<B>, String, u16), FetchError> {
    let uri = request.uri();
    let authority = uri.authority().filter(|authority| uri.scheme_str() == Some("https") && !authority.as_str().contains('@'));
    let authority = authority.ok_or(FetchError::Forbidden)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(443);
    let host_header = HeaderValue::from_str(authority.as_str()).map_err(|_| FetchError::Dns)?;
    let target = uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    *request.uri_mut() = target;
    let headers = request.headers_mut();
    headers.insert(HOST, host_header);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok((request, host, port))
}

async fn send<B>(stream: TlsStream, request: Request<B>, max_body: usize) -> Result<Response<Bytes>, FetchError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let handshake = http1::Builder::new().max_header_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    // The connection lives as long as this future and no longer. It may end before the body it has delivered is read.
    let drive = async {
        let _ = connection.await;
        std::future::pending().await
    };
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        read(response, max_body).await
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        never = drive => never,
    }
}

async fn read(response: Response<Incoming>, max_body: usize) -> Result<Response<Bytes>, FetchError> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Ok(Response::from_parts(head, Bytes::new()));
    }
    if head.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(FetchError::Encoding);
    }
    let body = Limited::new(body, max_body)
        .collect()
        .await
        .map_err(|error| if error.is::<LengthLimitError>() { FetchError::TooLarge } else { broken(&*error) })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn broken(error: &(dyn Error + 'static)) -> FetchError {
    tracing::debug!(error, "the connection broke");
    FetchError::Connect
}
