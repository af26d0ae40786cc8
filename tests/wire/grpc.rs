//! gRPC: calls over HTTP/2 on both sides, with the trailers that tell how they ended, and refused in their own words.

use crate::{
    client::PATIENCE,
    gateway::{Gateway, Setup, bearer, manifest},
    http2::Polite,
    modern::listen,
};
use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{task::JoinHandle, time::timeout};

const RULES: &str = "  timeout: 1s
  claimHeaders: [{header: X-User, claim: sub}]
  rules:
  - {path: /open, access: Public, backend: {service: web, port: 80, scheme: h2c}}
  - {path: /closed, backend: {service: web, port: 80, scheme: h2c}}
  - {path: /admin, backend: {service: web, port: 80, scheme: h2c}, require: {scopes: [admin]}}
  - {path: /gone, access: Public, backend: {service: gone, port: 80, scheme: h2c}}
---
apiVersion: v1
kind: Service
metadata: {name: gone}
spec: {ports: [{port: 80}]}";

type Calls = Arc<Mutex<Vec<(HeaderMap, Option<HeaderMap>)>>>;

fn gateway(origin: SocketAddr) -> Gateway {
    Setup::new(&manifest(RULES)).behind("web", &[origin]).start()
}

/// Sends back each message of a call as it comes, then says how it ended; keeps quiet about calls to `/open/silent`.
async fn start() -> (SocketAddr, Calls, JoinHandle<()>) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let (address, task) = listen(move |stream| {
        let seen = Arc::clone(&seen);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(echo(request, respond, Arc::clone(&seen)));
            }
        }
    })
    .await;
    (address, calls, task)
}

async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seen: Calls) {
    let (parts, mut body) = request.into_parts();
    if parts.uri.path() == "/open/silent" {
        return tokio::time::sleep(PATIENCE).await;
    }
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut answer = respond.send_response(head, false).unwrap();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        answer.send_data(data, false).unwrap();
    }
    let trailers = body.trailers().await.unwrap();
    seen.lock().unwrap().push((parts.headers, trailers));
    answer.send_trailers(headers(&[("grpc-status", "0"), ("grpc-message", "fine"), ("set-cookie", "a=b"), ("x-trace", "1")])).unwrap();
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

async fn call(client: &mut Polite, path: &str, lines: &[(&str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
    let request =
        Request::post(format!("http://api.example.com{path}")).header("content-type", "application/grpc").header("te", "trailers");
    let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap();
    let mut ready = timeout(PATIENCE, client.sender.clone().ready()).await.unwrap().unwrap();
    ready.send_request(request, false).unwrap()
}

async fn message(body: &mut RecvStream) -> Option<String> {
    let data = timeout(PATIENCE, body.data()).await.expect("a message in time")?.unwrap();
    body.flow_control().release_capacity(data.len()).unwrap();
    Some(String::from_utf8_lossy(&data).into_owned())
}

#[tokio::test]
async fn messages_cross_as_they_come_and_trailers_behind_them() {
    let (origin, calls, task) = start().await;
    let gateway = gateway(origin);
    let mut client = Polite::connect(gateway.h2c).await;
    let authorization = bearer();
    let (response, mut upload) = call(&mut client, "/closed/Say", &[("authorization", authorization.as_str()), ("x-user", "admin")]).await;
    upload.send_data("one".into(), false).unwrap();
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &HeaderValue::from_static("application/grpc")));
    let mut body = response.into_body();
    assert_eq!(message(&mut body).await.as_deref(), Some("one"), "before the next is sent");
    upload.send_data("two".into(), false).unwrap();
    assert_eq!(message(&mut body).await.as_deref(), Some("two"));
    let forged = [
        ("x-checksum", "7"),
        ("x-user", "admin"),
        ("x_user", "admin"),
        ("authorization", "Bearer x"),
        ("host", "b"),
        ("x-forwarded-for", "1.2.3.4"),
    ];
    upload.send_trailers(headers(&forged)).unwrap();
    assert_eq!(message(&mut body).await, None);
    let trailers = timeout(PATIENCE, body.trailers()).await.unwrap().unwrap().unwrap();
    assert_eq!(trailers, headers(&[("grpc-status", "0"), ("grpc-message", "fine"), ("x-trace", "1")]), "P52");
    let (head, theirs) = calls.lock().unwrap().remove(0);
    assert_eq!(theirs, Some(headers(&[("x-checksum", "7")])), "P52, J96");
    assert_eq!((&head["te"], &head["x-user"]), (&HeaderValue::from_static("trailers"), &HeaderValue::from_static("client@clients")), "P46");
    task.abort();
}

#[tokio::test]
async fn a_call_is_refused_in_its_own_words() {
    let (origin, _, task) = start().await;
    let gateway = gateway(origin);
    let mut client = Polite::connect(gateway.h2c).await;
    let authorization = bearer();
    let token = ("authorization", authorization.as_str());
    #[rustfmt::skip]
    let rows = [
        ("/closed/Say", vec![], "16", " 401 missing_token "),
        ("/closed/Say", vec![("authorization", "Bearer a.b.c")], "16", " 401 malformed "),
        ("/admin/Say", vec![token], "7", " 403 scope "),
        ("/none/Say", vec![], "12", " 404 no_route "),
        ("/gone/Say", vec![], "14", " 503 no_endpoint "),
        ("/open/silent", vec![], "4", " 504 upstream_timeout "),
    ];
    for (path, lines, want, logged) in rows {
        let (response, mut upload) = call(&mut client, path, &lines).await;
        let _ = upload.send_data("message".into(), true);
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &want.parse().unwrap()), "{path}");
        assert_eq!(response.headers()["content-type"], "application/grpc", "{path}");
        assert!(response.body().is_end_stream(), "{path}: trailers and nothing else");
        gateway.logged(logged).await;
    }
    // Whoever goes by the HTTP status must not take a refusal for success.
    let answer = gateway.request("POST", "/closed/Say", &[("Content-Type", "application/grpc"), ("Content-Length", "0")]).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (401, None));
    let reply = client.get("http://api.example.com/closed/Say", &[("content-type", "application/grpc")]).await;
    assert_eq!((reply.status.as_u16(), reply.header("grpc-status")), (401, None));
    task.abort();
}

#[tokio::test]
async fn trailers_of_what_is_no_call_are_dropped() {
    let (origin, calls, task) = start().await;
    let gateway = gateway(origin);
    let client = Polite::connect(gateway.h2c).await;
    let request = Request::post("http://api.example.com/open").header("te", "trailers").body(()).unwrap();
    let (response, mut upload) = client.sender.clone().ready().await.unwrap().send_request(request, false).unwrap();
    upload.send_data("one".into(), false).unwrap();
    upload.send_trailers(headers(&[("x-checksum", "7")])).unwrap();
    let mut body = timeout(PATIENCE, response).await.unwrap().unwrap().into_body();
    assert_eq!(message(&mut body).await.as_deref(), Some("one"));
    assert_eq!(message(&mut body).await.unwrap_or_default(), "", "the end");
    assert_eq!(timeout(PATIENCE, body.trailers()).await.unwrap().unwrap(), None);
    let (head, trailers) = calls.lock().unwrap().remove(0);
    assert_eq!((head.get("te"), trailers), (None, None));
    task.abort();
}
