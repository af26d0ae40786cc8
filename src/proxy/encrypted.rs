//! What a host asks of its clients' connections, before anything else about a request is looked at: clear text is sent to https,
//! and who asked for one certificate is not served in the name of another (P41).

use super::{
    Gateway, Rejection,
    body::AnswerBody,
    connection::{Peer, Secured},
    target::Target,
    worker::Worker,
};
use crate::routing::Host;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header, request::Parts};

/// The port that https has without being named.
const HTTPS: u16 = 443;

/// What becomes of a request because of how it came.
pub(super) enum Encrypted {
    /// Served, with this header on the answer.
    Fine(Option<HeaderValue>),
    Redirect(Response<AnswerBody>),
}

/// # Errors
/// 421 when the table would choose another certificate for the host than this connection got; 400 when the address cannot be
/// written as a redirect.
pub(super) fn check(worker: &Worker, peer: &Peer, target: &Target<'_>, parts: &Parts) -> Result<Encrypted, Rejection> {
    let table = worker.gateway.live.table.load();
    let Some(table) = table.as_ref().as_ref() else { return Ok(Encrypted::Fine(None)) };
    let encryption = table.encryption(&target.host);
    match (&peer.secured, encryption) {
        (Some(secured), _) if secured.certificate.as_deref() != table.certificate(Some(&target.host)).map(|own| own.name()) => {
            Err(Rejection::Misdirected)
        }
        (Some(_), encryption) => Ok(Encrypted::Fine(encryption.and_then(|encryption| encryption.hsts.clone()))),
        (None, Some(encryption)) if encryption.redirect && !was_encrypted(&worker.gateway, peer, &parts.headers) => {
            redirect(&worker.gateway, target, parts).map(Encrypted::Redirect)
        }
        (None, _) => Ok(Encrypted::Fine(None)),
    }
}

/// How a client comes that asks for `uri` and checks the certificate: in clear text only where `uri` says so.
pub(super) fn as_asked(gateway: &Gateway, uri: &Uri) -> Option<Secured> {
    let table = gateway.live.table.load();
    let host = uri.authority().and_then(|authority| Host::parse(authority.as_str()).ok());
    let certificate = table.as_ref().as_ref().and_then(|table| table.certificate(host.as_ref()).map(|own| own.name().into()));
    (uri.scheme_str() == Some("https")).then_some(Secured { certificate })
}

/// Between the client and the first of the proxies that are believed. A client that lies here harms itself alone.
fn was_encrypted(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> bool {
    let lines = headers.get_all("x-forwarded-proto").iter();
    let mut said = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let is_https = said.next().is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
    is_https && gateway.settings.client_address.trusts(peer.address.ip())
}

fn redirect(gateway: &Gateway, target: &Target<'_>, parts: &Parts) -> Result<Response<AnswerBody>, Rejection> {
    let port = gateway.settings.https_public_port.filter(|port| *port != HTTPS).map(|port| format!(":{port}"));
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let location = format!("https://{}{}{path}", target.host.as_str(), port.unwrap_or_default());
    let mut response = Response::new(AnswerBody::Empty);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let location = HeaderValue::try_from(location).map_err(|_| Rejection::BadRequest("target"))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
