//! One request, from its head to its answer's head. The order is the policy; the reason for each place stands beside it.

use super::{
    Gateway, Rejection,
    activity::Activity,
    body::{AnswerBody, ResponseBody},
    connection::Peer,
    cors,
    credentials::{self, Presented},
    encrypted::{self, Encrypted},
    forward::forward,
    grpc::{self, Trailers},
    headers::{self, X_REQUEST_ID},
    identity,
    onward::{Asked, authority, upstream_request, upstream_uri},
    record::Record,
    reject::Context,
    standing::Standing,
    target::Target,
    trail::{Step, Trail},
    upload::Upload,
    websocket::{self, Handshake},
    worker::Worker,
};
use crate::{
    authz::Permit,
    jwks::Keys,
    jwt::{Claims, KeySet, TokenError},
    routing::{Access, CanonicalPath, Cors, Found, KeySource, Route, Serve, TokenPolicy},
    telemetry,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header, request::Parts};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const HEALTHY: &str = r#"{"status":"ok"}"#;

/// What becomes of a request, once everything about it is decided.
pub(super) enum Decision {
    /// By the gateway itself, under this label.
    Answer(Response<AnswerBody>, &'static str),
    Forward(Passage),
}

/// What goes to a backend, and the permit for it.
pub(super) struct Passage {
    pub(super) route: Arc<Route>,
    pub(super) permit: Permit,
    pub(super) request: Request<Upload>,
    /// When the answer has to end.
    until: Option<Instant>,
    standing: Box<Standing>,
}

/// Answers every request, whatever comes. What was found wrong before comes as `admitted`.
pub(super) async fn handle(
    worker: Arc<Worker>,
    peer: Peer,
    activity: Arc<Activity>,
    admitted: Result<(), Rejection>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (mut parts, body) = request.into_parts();
    let client = worker.gateway.settings.client_address.client(peer.address.ip(), &parts.headers);
    let mut record = Record::begin(&worker.gateway, &activity, client, parts.method.clone(), parts.version);
    record.request_id = request_id(&worker, &mut parts.headers);
    let body = Upload::new(body, &activity);
    let unread = !http_body::Body::is_end_stream(&body);
    let accept = accept_lines(&parts);
    let origin = cors::origin(&parts.headers);
    let served = match admitted {
        Err(rejection) => Err(rejection),
        Ok(()) => serve(&worker, &peer, parts, body, &mut record).await,
    };
    let mut response = match served {
        Ok(response) => response,
        Err(rejection) => {
            record.rejected(&rejection);
            let context = Context { request: &accept, realm: &record.host, request_id: &record.request_id };
            let mut response = rejection.answer(&context);
            // A body that nobody read would be taken for the next request (P15, P53).
            if unread {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    if let Some(cors) = &record.cors {
        cors::grant(cors, origin.as_ref(), response.headers_mut());
    }
    if let Ok(id) = HeaderValue::from_str(&record.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    if let Some(hsts) = record.hsts.take() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    let switches = matches!(response.body(), AnswerBody::Tunnel(_));
    if !switches && (worker.is_draining() || activity.ambiguous.is_lost()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    activity.answer_began();
    response.map(|body| ResponseBody::new(body, record))
}

async fn serve(worker: &Worker, peer: &Peer, parts: Parts, body: Upload, record: &mut Record) -> Result<Response<AnswerBody>, Rejection> {
    let Passage { route, permit, mut request, until, standing } = match decide(worker, peer, parts, body, record).await? {
        Decision::Answer(response, label) => {
            record.served(response.status(), label);
            return Ok(response);
        }
        Decision::Forward(passage) => passage,
    };
    // 6. Forward, with the permit, and for as long as the token lasts and would be taken again.
    let upstream = &route.plan.sound().map_err(Rejection::Refused)?.upstream;
    let wait = request.body().wait();
    let handshake = request.extensions_mut().remove::<Handshake>();
    let response = forward(worker, permit, request, upstream, handshake.as_ref(), &mut record.upstream).await;
    let mut response = response.map_err(|rejection| wait.explain(rejection))?;
    if record.cors.is_some() {
        cors::silence(response.headers_mut());
    }
    record.served(response.status(), "forwarded");
    Ok(response.map(|body| body.ending(until, standing)))
}

/// Everything that is decided before a backend hears of the request; `explain` asks the same.
pub(super) async fn decide(
    worker: &Worker,
    peer: &Peer,
    mut parts: Parts,
    body: Upload,
    record: &mut Record,
) -> Result<Decision, Rejection> {
    // 1. One reading of what is asked for, or none: everything below decides on it, and it alone is forwarded.
    let target = Target::read(&parts)?;
    target.host.as_str().clone_into(&mut record.host);
    record.path = telemetry::cut(target.path.as_sent(), telemetry::MAX_PATH).to_owned();
    record.trail.pass(Step::Target);
    // Clear text where none is served gets no further: whatever it carries has been seen by others already.
    match encrypted::check(worker, peer, &target, &parts)? {
        Encrypted::Fine(hsts) => record.hsts = hsts,
        Encrypted::Redirect(response) => return Ok(Decision::Answer(response, "redirected")),
    }
    // 2. The route. Final: nothing below looks for another. A preflight goes by the method it asks for, and no further.
    if let Some(answer) = preflight(worker, &parts, &target, record) {
        return Ok(answer);
    }
    let found = find(&worker.gateway, &parts.method, &target);
    if let Err(Rejection::MethodNotAllowed(allow)) = &found {
        record.cors = cors_of_the_path(worker, allow, &target);
    }
    let Some(route) = found? else {
        return Ok(Decision::Answer(health(), "health"));
    };
    record.rule = Some(route.id.clone());
    record.cors.clone_from(&route.cors);
    record.trail.pass_route(&route);
    let serve = route.plan.sound().map_err(Rejection::Refused)?;
    record.trail.pass(Step::Plan);
    let query = credentials::remove_from_query(&serve.credentials, parts.uri.query());
    let (authority, uri) = (authority(&target), upstream_uri(&serve.upstream, &target.path, query.as_deref())?);
    record.trail.pass(Step::Rewrite);
    let mut standing = Box::new(Standing::new(&worker.gateway, &parts));
    // 3. What only the gateway may say is removed before anything else can look at it, on Public rules too.
    headers::remove_managed(&mut parts.headers, &route.managed);
    // 4. Who asks, and whether that is enough. Only this makes a permit.
    let (permit, identity) = authorise(worker, &route, serve, &mut parts, &authority, &mut record.trail).await?;
    let is_call = grpc::content_type(&parts).is_some();
    let trailers = || Trailers { managed: Arc::clone(&route.managed), credential: serve.credentials.header.clone() };
    let body = body.limited(serve.max_request_body)?.with_trailers(is_call.then(trailers));
    let handshake = websocket::asked(&parts, !http_body::Body::is_end_stream(&body), &serve.upstream.transport)?;
    // 5. What the backend sees: cleaned of the client's connection and of its word about itself, then ours.
    headers::check_loop(&parts.headers, &worker.gateway.settings.via)?;
    record.trail.pass(Step::Loop);
    let verified = identity.as_ref().map(|_| &serve.credentials.header);
    let mut request = upstream_request(worker, peer, parts, body, Asked { authority: &authority, uri, verified });
    if let Some(Identity { policy, claims, token }) = &identity {
        credentials::pass_on(&serve.credentials, token, request.headers_mut())?;
        identity::set(&policy.claim_headers, claims, request.headers_mut())?;
        record.trail.pass(Step::Identity);
    }
    if let Some(handshake) = handshake {
        handshake.ask(request.headers_mut());
        request.extensions_mut().insert(handshake);
    }
    let until = identity.and_then(|identity| {
        let now = worker.gateway.clock.now();
        let until = serve.credentials.end_with_token.then(|| identity.until(now));
        standing.verified(identity.token, now);
        until
    });
    Ok(Decision::Forward(Passage { route, permit, request, until, standing }))
}

/// The answer to a preflight (J97); `None`: the request is none, or the rule leaves it to the backend.
fn preflight(worker: &Worker, parts: &Parts, target: &Target<'_>, record: &mut Record) -> Option<Decision> {
    let method = cors::asked_method(parts)?;
    let route = find(&worker.gateway, &method, target).ok().flatten()?;
    let cors = route.cors.as_ref()?;
    record.rule = Some(route.id.clone());
    record.cors = Some(Arc::clone(cors));
    record.trail.pass_route(&route);
    Some(Decision::Answer(cors::preflight(cors, cors::origin(&parts.headers).as_ref(), &method), "preflight"))
}

/// Of a path whose methods are others: those of a method that it has.
fn cors_of_the_path(worker: &Worker, allow: &HeaderValue, target: &Target<'_>) -> Option<Arc<Cors>> {
    let method = allow.to_str().ok()?.split(", ").next()?.parse().ok()?;
    find(&worker.gateway, &method, target).ok().flatten()?.cors.clone()
}

/// Who asks, verified.
struct Identity<'a> {
    policy: &'a TokenPolicy,
    claims: Arc<Claims>,
    token: String,
}

impl Identity<'_> {
    /// When the token is no longer taken: as late as for a new request.
    fn until(&self, now: Duration) -> Instant {
        Instant::now() + self.claims.expires().saturating_add(self.policy.checks.leeway).saturating_sub(now)
    }
}

/// `None`: the health answer, which stands only where no rule matches.
pub(super) fn find(gateway: &Gateway, method: &Method, target: &Target<'_>) -> Result<Option<Arc<Route>>, Rejection> {
    let table = gateway.live.table.load();
    let snapshot = table.as_ref().as_ref().ok_or(Rejection::NotReady)?;
    let found = snapshot.find(&target.host, &target.path, method);
    if target.path.has_escaped_slashes() && !keeps_escaped_slashes(&found) {
        return Err(Rejection::BadRequest("path"));
    }
    // Reserved characters and slashes: some backends decode them, some do not, and the decision must hold for all.
    let mut readings = target.path.readings();
    if readings.any(|reading| !is_same(&found, &snapshot.find(&target.host, &reading, method))) {
        return Err(Rejection::BadRequest("escapes"));
    }
    match found {
        Found::Route(route) => Ok(Some(Arc::clone(route))),
        Found::MethodNotAllowed(allow) => Err(Rejection::MethodNotAllowed(allow.clone())),
        Found::Ambiguous(reading) => Err(Rejection::BadRequest(reading)),
        Found::NoRoute if is_health(gateway, method, &target.path) => Ok(None),
        Found::NoRoute => Err(Rejection::NoRoute),
    }
}

/// P29: `escapedSlashes: Keep`.
fn keeps_escaped_slashes(found: &Found<'_>) -> bool {
    matches!(found, Found::Route(route) if route.plan.sound().is_ok_and(|serve| serve.keep_escaped_slashes))
}

fn is_same(one: &Found<'_>, other: &Found<'_>) -> bool {
    match (one, other) {
        (Found::Route(one), Found::Route(other)) => Arc::ptr_eq(one, other),
        (Found::MethodNotAllowed(one), Found::MethodNotAllowed(other)) => one == other,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Nobody in particular asks on a Public rule.
async fn authorise<'a>(
    worker: &Worker,
    route: &Route,
    serve: &'a Serve,
    parts: &mut Parts,
    authority: &str,
    trail: &mut Trail,
) -> Result<(Permit, Option<Identity<'a>>), Rejection> {
    let policy = match &serve.access {
        Access::Public(public) => {
            credentials::remove_on_public(&serve.credentials, &mut parts.headers);
            trail.pass(Step::Public);
            return Ok((public.permit(), None));
        }
        Access::Token(policy) => policy,
    };
    let presented = credentials::find(&serve.credentials, &parts.headers, parts.uri.query())?;
    trail.pass_credentials(&presented);
    let Presented { token, place } = presented;
    credentials::check_origin(&serve.credentials, place, parts, authority, route.cors.as_deref())?;
    trail.pass(Step::Origin);
    let claims = verify(worker, &route.id.namespace, policy, &token).await?;
    trail.pass(Step::Token);
    let permit = policy.requirement.check(&claims).map_err(Rejection::Denied)?;
    trail.pass(Step::Permission);
    credentials::remove(&serve.credentials, Some(place), &mut parts.headers);
    Ok((permit, Some(Identity { policy, claims, token })))
}

/// Once more with fresh keys when everything but the key is right: the issuer may have rotated (J48).
async fn verify(worker: &Worker, namespace: &str, policy: &TokenPolicy, token: &str) -> Result<Arc<Claims>, Rejection> {
    let verify = |keys: &KeySet| worker.gateway.tokens.verify(namespace, token, &policy.checks, keys, worker.gateway.clock.now());
    let (provider, max_staleness) = match &policy.keys {
        KeySource::Published { provider, max_staleness } => (provider, *max_staleness),
        KeySource::Secret(key) => return verify(key).map_err(Rejection::InvalidToken),
    };
    let provider = worker.gateway.live.keys.find(provider).ok_or(Rejection::KeysUnavailable)?;
    let keys = || match provider.at(Instant::now(), max_staleness) {
        Keys::Known(keys) => Ok(keys),
        Keys::Unavailable => Err(Rejection::KeysUnavailable),
    };
    let known = keys()?;
    let verified = match verify(&known) {
        Err(TokenError::UnknownKey) if provider.refresh_for_unknown_key(&known).await => verify(&*keys()?),
        verified => verified,
    };
    verified.map_err(Rejection::InvalidToken)
}

fn is_health(gateway: &Gateway, method: &Method, path: &CanonicalPath<'_>) -> bool {
    let readable = matches!(*method, Method::GET | Method::HEAD);
    readable && gateway.settings.health_path.as_deref() == Some(path.as_str())
}

fn health() -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::text(HEALTHY.to_owned()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// The client's id when it is harmless, else a new one; the backend and every answer get it.
fn request_id(worker: &Worker, headers: &mut HeaderMap) -> String {
    let harmless = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let mut lines = headers.get_all(X_REQUEST_ID).iter();
    let theirs = match (lines.next().and_then(|id| id.to_str().ok()).filter(harmless), lines.next()) {
        (Some(id), None) => Some(id.to_owned()),
        _ => None,
    };
    let id = theirs.unwrap_or_else(|| format!("{:016x}{:016x}", worker.random(), worker.random()));
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(X_REQUEST_ID, value);
    }
    id
}

/// All that an error answer needs of a request whose head has been taken apart: what it accepts and, of a gRPC call, its type.
pub(super) fn accept_lines(parts: &Parts) -> HeaderMap {
    let accepted = parts.headers.get_all(header::ACCEPT).iter().map(|line| (header::ACCEPT, line.clone()));
    accepted.chain(grpc::content_type(parts).map(|kind| (header::CONTENT_TYPE, kind.clone()))).collect()
}
