//! Where a token may come from, where it goes, and how long an answer may outlive it.

use crate::{
    gateway::{Gateway, Setup, manifest, start_echo, token, token_with},
    origin::Origin,
};
use portcullis::{clock, demo::Echo};
use serde_json::json;
use std::{sync::Arc, time::Duration};

async fn world(token: &str) -> (Gateway, Arc<Echo>) {
    let (echo, address) = start_echo().await;
    let rules = "  rules: [{path: /api}, {path: /open, access: Public}]";
    let gateway = Setup::new(&manifest(&format!("  token: {token}\n{rules}"))).behind("web", &[address]).start();
    (gateway, echo)
}

#[tokio::test]
async fn j93_a_token_in_the_query_is_taken_and_never_passed_on_or_logged() {
    let (gateway, _) = world("{query: access_token}").await;
    let token = token();
    for (row, path) in [("Token", "/api"), ("Public", "/open")] {
        for query in [format!("access_token={token}&a=1"), format!("a=1&%61ccess_token={token}")] {
            let answer = gateway.get(&format!("{path}?{query}"), &[]).await;
            assert_eq!(answer.status, 200, "{row}");
            assert!(answer.body.contains("a=1") && !answer.body.contains(&token), "{row}: {}", answer.body);
        }
    }
    gateway.logged("/open").await;
    let signature = token.rsplit('.').next().unwrap();
    assert!(gateway.log_lines().iter().all(|line| !line.contains(signature)));
}

#[tokio::test]
async fn j94_a_token_in_the_query_stands_alone() {
    let (gateway, echo) = world("{query: access_token}").await;
    let (token, bearer) = (token(), format!("Bearer {}", token()));
    let doubled = format!("/api?access_token={token}&access_token={token}");
    let rows = [
        ("beside a header", format!("/api?access_token={token}"), vec![("Authorization", bearer.as_str())], 400),
        ("twice", doubled, vec![], 400),
        ("forged", format!("/api?access_token={token}x"), vec![], 401),
        ("empty", "/api?access_token=".to_owned(), vec![], 401),
    ];
    for (row, path, headers, status) in rows {
        assert_eq!(gateway.get(&path, &headers).await.status, status, "{row}");
    }
    let (off, _) = world("{}").await;
    assert_eq!(off.get(&format!("/api?access_token={token}"), &[]).await.status, 401, "J92: not enabled");
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn the_verified_token_is_passed_on_in_a_header_that_clients_cannot_set() {
    let (gateway, _) = world("{cookie: t, forward: Strip, forwardAs: X-User-Token}").await;
    let token = token();
    let forged = [("Cookie", format!("t={token}")), ("X-User-Token", "forged".to_owned()), ("x_user_token", "forged".to_owned())];
    let forged: Vec<_> = forged.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = gateway.get("/api", &forged).await;
    assert_eq!(answer.body.matches(&token).count(), 1, "J105, J106: {}", answer.body);
    assert!(!answer.body.contains("forged"), "{}", answer.body);
    let public = gateway.get("/open", &forged).await;
    assert!(public.status == 200 && !public.body.contains("forged") && !public.body.contains(&token), "{}", public.body);
}

#[tokio::test]
async fn the_clients_own_authorization_reaches_the_backend_only_where_it_is_kept() {
    let token = token();
    for (setting, kept) in [("{header: X-Token}", false), ("{header: X-Token, keepAuthorization: true}", true)] {
        let (gateway, _) = world(setting).await;
        let answer = gateway.get("/api", &[("X-Token", &token), ("Authorization", "Basic dTpw")]).await;
        assert_eq!((answer.status, answer.body.contains("dTpw")), (200, kept), "{setting}");
    }
}

/// J99: an event stream, silent or not.
#[tokio::test]
async fn j99_a_stream_ends_when_its_token_does_unless_it_may_go_on() {
    for (row, speaks, setting, cut) in
        [("silent", false, "{}", true), ("speaking", true, "{}", true), ("kept", true, "{streamsAtExpiry: Keep}", false)]
    {
        let origin = Origin::start(move |mut conversation| async move {
            conversation.head().await;
            conversation.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            for _ in 0..40 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if speaks {
                    conversation.say("3\r\n:\n\n\r\n").await;
                }
            }
            conversation.say("0\r\n\r\n").await;
        })
        .await;
        let manifest = manifest(&format!("  token: {setting}\n  rules: [{{path: /}}]"));
        let manifest = manifest.replace("alg: RS256}", "alg: RS256, leeway: 0s}");
        let gateway = Setup::new(&manifest).behind("web", &[origin.address]).start();
        let expires = clock::unix_now().as_secs() + 2;
        let mut client = gateway.client().await;
        let authorization = format!("Bearer {}", token_with(&json!({"exp": expires})));
        client.send(crate::client::head("GET", "/", &[("Authorization", &authorization)])).await;
        assert_eq!(client.answer_head().await.status, 200, "{row}");
        let rest = client.rest().await;
        assert_eq!(!rest.ends_with("0\r\n\r\n"), cut, "{row}: {rest:?}");
        if cut {
            gateway.logged("token_expired").await;
        }
    }
}
