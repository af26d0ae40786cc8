//! `portcullis explain`: what it prints, on one page with what it was asked, and that it says what the gateway does.

#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails should say where")]
#![allow(dead_code, unreachable_pub, reason = "shared helpers")]

#[path = "explain/agreement.rs"]
mod agreement;
#[path = "support/client.rs"]
mod client;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "explain/keys.rs"]
mod keys;
#[path = "explain/pages.rs"]
mod pages;
#[path = "support/tokens.rs"]
mod tokens;
