//! What the guard makes of names that lead somewhere else than they did, or into the cluster.

use super::https::{KEYS, NAME, Server, failed, response};
use crate::{
    jwks::{Connector, Fetch, FetchError, FetchFailure, Fetcher},
    jwt::ProviderId,
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{net::TcpListener, time::timeout};

async fn fetch(connector: Connector, server: &Server) -> Result<String, FetchFailure> {
    let url = format!("https://{NAME}:{}/keys", server.address.port());
    let id = ProviderId { jwks_url: url.into(), ca_bundle: Some(server.ca.as_str().into()) };
    Fetcher::new(connector).fetch(&id).await.map(|document| String::from_utf8(document.to_vec()).unwrap())
}

fn connector(private: &str) -> Connector {
    Connector::new(vec![], private.parse().unwrap()).unwrap()
}

fn addresses(list: &str) -> Vec<IpAddr> {
    list.split(' ').map(|address| address.parse().unwrap()).collect()
}

/// J43, P64: the name is asked for once, so that no second answer can take the place of the one that was judged; and each fetch judges
/// anew. Only 127.0.0.1 is allowed here, as though it were public.
#[tokio::test]
async fn a_name_that_is_rebound_is_judged_again_and_never_followed_inside() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    let inside = TcpListener::bind(("127.0.0.2", server.address.port())).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Every second answer leads inside.
    let connector = connector("127.0.0.1").resolving(move |_| match count.fetch_add(1, SeqCst) % 2 {
        0 => addresses("127.0.0.1"),
        _ => addresses("127.0.0.2"),
    });
    for (round, expected) in [(1, Ok(KEYS.to_owned())), (2, failed(FetchError::Forbidden)), (3, Ok(KEYS.to_owned()))] {
        assert_eq!(fetch(connector.clone(), &server).await, expected, "{round}");
        assert_eq!(asked.load(SeqCst), round, "once a fetch");
    }
    assert!(timeout(Duration::from_millis(50), inside.accept()).await.is_err(), "somebody connected");
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_tried() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    let inside = TcpListener::bind(("127.0.0.2", server.address.port())).await.unwrap();
    let connector = connector("127.0.0.1").resolving(|_| addresses("127.0.0.2 ::1 ::ffff:127.0.0.2 127.0.0.1"));
    assert_eq!(fetch(connector, &server).await, Ok(KEYS.to_owned()));
    assert!(timeout(Duration::from_millis(50), inside.accept()).await.is_err(), "somebody connected");
}

/// `--cluster-cidrs`.
#[tokio::test]
async fn an_address_of_the_cluster_is_refused_before_connecting_unless_it_is_named() {
    let server = Server::answering(response("200 OK", KEYS)).await;
    for (row, private, cluster, served) in [
        ("no cluster", "127.0.0.0/8", "", true),
        ("in the cluster", "0.0.0.0/0", "127.0.0.0/8", false),
        ("beside the cluster", "0.0.0.0/0", "127.128.0.0/16", true),
        ("named by network", "127.0.0.0/8", "127.0.0.0/8", true),
        ("named by host", NAME, "127.0.0.0/8", true),
    ] {
        let cluster = cluster.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap()).collect();
        let connector = connector(private).outside_of(cluster).resolving(|_| addresses("127.0.0.1"));
        let before = server.connections();
        let expected = if served { Ok(KEYS.to_owned()) } else { failed(FetchError::Forbidden) };
        assert_eq!((fetch(connector, &server).await, server.connections() - before), (expected, usize::from(served)), "{row}");
    }
}
