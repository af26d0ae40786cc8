//! The data plane over real sockets: the real server, real backends, raw bytes.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "support/client.rs"]
mod client;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "support/http2.rs"]
mod http2;
#[path = "support/modern.rs"]
mod modern;
#[path = "support/origin.rs"]
mod origin;

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/backends.rs"]
mod backends;
#[path = "wire/bodies.rs"]
mod bodies;
#[path = "wire/cors.rs"]
mod cors;
#[path = "wire/framing.rs"]
mod framing;
#[path = "wire/grpc.rs"]
mod grpc;
#[path = "wire/headers.rs"]
mod headers;
#[path = "wire/http2_hostile.rs"]
mod http2_hostile;
#[path = "wire/http2_spec.rs"]
mod http2_spec;
#[path = "wire/keys.rs"]
mod keys;
#[path = "wire/http2.rs"]
mod over_http2;
#[path = "wire/proxied.rs"]
mod proxied;
#[path = "wire/remembered.rs"]
mod remembered;
#[path = "wire/routes.rs"]
mod routes;
#[path = "wire/secrets.rs"]
mod secrets;
#[path = "wire/standing.rs"]
mod standing;
#[path = "wire/stop.rs"]
mod stop;
#[path = "wire/tls.rs"]
mod tls;
#[path = "wire/tokens.rs"]
mod tokens;
#[path = "wire/transports.rs"]
mod transports;
#[path = "wire/upstream.rs"]
mod upstream;
#[path = "wire/websocket.rs"]
mod websocket;
