//! The demo's servers over real sockets on loopback.

use super::{Api, Behaviour, DISCOVERY_PATH, Echo, JWKS_PATH, SigningKey, TOKEN_PATH, Tenant};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpStream};

const DOMAIN: &str = "tenant.example.com";
const AUDIENCE: &str = "https://api.example.com";
const NOW: u64 = 1_700_000_000;

fn tenant() -> Arc<Tenant> {
    let claims = json!({"permissions": ["read:messages"], "https://demo.portcullis.dev/roles": ["admin"]});
    let api = Api {
        audience: AUDIENCE.to_owned(),
        scope: "read:messages write:messages".to_owned(),
        claims: claims.as_object().unwrap().clone(),
    };
    let plain = Api { audience: "plain".to_owned(), scope: String::new(), claims: serde_json::Map::new() };
    let tenant = Tenant::new(DOMAIN, || Duration::from_secs(NOW)).unwrap();
    Arc::new(tenant.with_client("client", "s3cret&+%").with_api(api).with_api(plain))
}

async fn start(tenant: &Arc<Tenant>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(tenant).serve(listener));
    address
}

async fn call(tenant: &Tenant, address: SocketAddr, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(tenant.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(DOMAIN).unwrap(), stream).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&body).unwrap())
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", DOMAIN).body(Full::default()).unwrap()
}

fn post(content_type: &str, authorization: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::post(TOKEN_PATH).header("host", DOMAIN).header("content-type", content_type);
    request.header("authorization", authorization).body(Full::from(body.to_owned())).unwrap()
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap()
}

/// Whether the token's signature verifies with the key its `kid` names in this set.
fn verifies(token: &str, jwks: &Value) -> bool {
    let parts: Vec<_> = token.split('.').collect();
    let kid = decode(parts[0])["kid"].clone();
    let Some(key) = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid) else { return false };
    let part = |name: &str| BASE64URL.decode(key[name].as_str().unwrap()).unwrap();
    let message = format!("{}.{}", parts[0], parts[1]);
    let signature = BASE64URL.decode(parts[2]).unwrap();
    RsaPublicKeyComponents { n: part("n"), e: part("e") }.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn a_granted_token_has_auth0s_shape_and_verifies_with_the_published_key() {
    let tenant = tenant();
    let address = start(&tenant).await;
    let body = json!({"client_id": "client", "client_secret": "s3cret&+%", "audience": AUDIENCE, "grant_type": "client_credentials"});
    let (status, answer) = call(&tenant, address, post("application/json; charset=utf-8", "", &body.to_string())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(
        (&answer["scope"], &answer["expires_in"], &answer["token_type"]),
        (&json!("read:messages write:messages"), &json!(86_400), &json!("Bearer"))
    );
    let (_, jwks) = call(&tenant, address, get(JWKS_PATH)).await;
    let token = answer["access_token"].as_str().unwrap();
    assert!(verifies(token, &jwks));
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(decode(parts[0]), json!({"alg": "RS256", "typ": "JWT", "kid": tenant.kid()}));
    let expected = json!({
        "iss": "https://tenant.example.com/", "sub": "client@clients", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 86_400, "azp": "client",
        "gty": "client-credentials", "scope": "read:messages write:messages", "permissions": ["read:messages"],
        "https://demo.portcullis.dev/roles": ["admin"],
    });
    assert_eq!(decode(parts[1]), expected);
    assert_eq!((tenant.requests(TOKEN_PATH), tenant.requests(JWKS_PATH), tenant.requests(DISCOVERY_PATH)), (1, 1, 0));
}

#[tokio::test]
async fn the_token_endpoint_answers_each_request_as_auth0_does() {
    let form = "application/x-www-form-urlencoded";
    let good = "grant_type=client_credentials&client_id=client&client_secret=s3cret%26%2B%25&audience=";
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("client:s3cret%26%2B%25"));
    let rows = [
        ("form", form, "", format!("{good}https%3A%2F%2Fapi.example.com"), 200, None),
        ("api without scopes", form, "", format!("{good}plain"), 200, None),
        ("basic", form, &*basic, "grant_type=client_credentials&audience=plain".to_owned(), 200, None),
        ("wrong secret", form, "", format!("{good}plain").replace("s3cret", "guess"), 401, Some("access_denied")),
        ("unknown client", form, "", format!("{good}plain").replace("=client&", "=other&"), 401, Some("access_denied")),
        ("unknown audience", form, "", format!("{good}elsewhere"), 403, Some("access_denied")),
        ("no audience", form, "", good.to_owned(), 400, Some("invalid_request")),
        ("no grant type", form, "", "client_id=client".to_owned(), 400, Some("invalid_request")),
        ("password grant", form, "", "grant_type=password".to_owned(), 400, Some("unsupported_grant_type")),
        ("not JSON", "application/json", "", "{".to_owned(), 400, Some("invalid_request")),
        ("JSON of another shape", "application/json", "", "[1]".to_owned(), 400, Some("invalid_request")),
        ("another type", "text/plain", "", format!("{good}plain"), 400, Some("invalid_request")),
    ];
    let tenant = tenant();
    let address = start(&tenant).await;
    for (name, content_type, authorization, body, status, error) in rows {
        let (actual, answer) = call(&tenant, address, post(content_type, authorization, &body)).await;
        assert_eq!((actual.as_u16(), answer["error"].as_str()), (status, error), "{name}: {answer}");
        assert_eq!(answer["access_token"].is_string(), status == 200, "{name}: {answer}");
    }
}

#[tokio::test]
async fn discovery_names_the_issuer_and_the_keys() {
    let tenant = tenant();
    let address = start(&tenant).await;
    let (status, document) = call(&tenant, address, get(DISCOVERY_PATH)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document["issuer"], "https://tenant.example.com/");
    assert_eq!(document["jwks_uri"], tenant.jwks_url());
    assert_eq!(document["token_endpoint"], "https://tenant.example.com/oauth/token");
    assert_eq!(call(&tenant, address, get("/elsewhere")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(tenant.requests(""), 1);
}

#[test]
fn rotation_keeps_old_tokens_good_until_their_key_is_revoked() {
    let tenant = tenant();
    let old = tenant.mint(&tenant.claims("client", AUDIENCE));
    tenant.rotate().unwrap();
    let new = tenant.mint(&tenant.claims("client", AUDIENCE));
    assert!(verifies(&old, &tenant.jwks()) && verifies(&new, &tenant.jwks()));
    tenant.revoke_old_keys();
    assert!(!verifies(&old, &tenant.jwks()) && verifies(&new, &tenant.jwks()));
}

#[tokio::test]
async fn a_tenant_can_be_told_to_misbehave() {
    let tenant = tenant();
    let address = start(&tenant).await;
    tenant.behave(Behaviour::Fail(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(call(&tenant, address, get(JWKS_PATH)).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    tenant.behave(Behaviour::Slow(Duration::from_millis(100)));
    let start = Instant::now();
    assert_eq!(call(&tenant, address, get(JWKS_PATH)).await.0, StatusCode::OK);
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[test]
fn the_key_id_is_the_thumbprint_of_the_key() {
    let key = SigningKey::generate().unwrap();
    let jwk = key.jwk();
    assert_eq!((jwk["kid"].as_str(), jwk["e"].as_str(), key.kid().len()), (Some(key.kid()), Some("AQAB"), 43));
}

#[tokio::test]
async fn an_echo_tells_what_it_was_sent_and_remembers_it() {
    let echo = Arc::new(Echo::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(Arc::clone(&echo).serve(listener));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("/a/b?c=d").header("host", "echo").header("x-two", "1").header("x-two", "2");
    let answer = sender.send_request(request.body(Full::<Bytes>::from("hello")).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let expected = json!({
        "method": "POST", "path": "/a/b", "query": "c=d", "bodyLength": 5,
        "headers": {"host": "echo", "x-two": ["1", "2"], "content-length": "5"},
    });
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    assert_eq!((echo.count(), echo.last().unwrap().to_json(), echo.seen().len()), (1, expected, 1));
}
