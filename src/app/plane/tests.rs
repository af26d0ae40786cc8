use super::*;
use crate::{
    jwks::{Document, Fetch, FetchError, FetchFailure},
    jwt::{Provider, ProviderId},
};
use clap::Parser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

/// An issuer that takes its time, and then has no keys.
struct Slow(Duration);

impl Fetch for Slow {
    async fn fetch(&self, _: &ProviderId) -> Result<Document, FetchFailure> {
        sleep(self.0).await;
        Err(FetchError::Status.into())
    }
}

#[test]
fn replicas_share_a_name_in_via_and_installations_do_not() {
    let name = |installation| via(installation).unwrap();
    assert_eq!(name(Some("edge/system/gate")), name(Some("edge/system/gate")));
    assert_ne!(name(Some("edge/system/gate")), name(Some("edge/other/gate")));
    assert_ne!(name(None), name(None));
}

/// The data plane with nothing in its table, and its address.
async fn plane() -> Plane {
    let line = "portcullis serve . --http 127.0.0.1:0 --admin 127.0.0.1:0 --inspect 127.0.0.1:0 --log-filter access=off";
    let Ok(args::Args { verb: args::Verb::Serve(args) }) = args::Args::try_parse_from(line.split(' ')) else { panic!("{line}") };
    let any = ([127, 0, 0, 1], 0).into();
    let defaults = Defaults { http: any, admin: any, https: None, installation: None };
    Plane::start(&args.gateway, &defaults, watch::channel(false).1, vec![]).await.unwrap()
}

#[tokio::test]
async fn k30_a_broken_control_plane_ends_the_process_after_the_requests_under_way() {
    let plane = plane().await;
    let mut client = TcpStream::connect(plane.address()).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let ended = tokio::spawn(plane.serve_until(async { Error::Other("broken".to_owned()) }));
    sleep(Duration::from_millis(100)).await;
    client.write_all(b"Host: a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert_eq!(ended.await.unwrap().unwrap_err().to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn ready_once_there_is_a_table_and_its_key_sources_were_tried() {
    for (row, issuer, expected) in [("an issuer that answers", 3, 3), ("an issuer that never does", 3600, 10)] {
        let live = Arc::new(Live::default());
        let mut refresher = Refresher::new(Handle::current(), Slow(Duration::from_secs(issuer)), 0);
        let id = ProviderId { jwks_url: "https://tenant.example/keys".into(), ca_bundle: None };
        refresher.assign(&live.keys, &[Provider { id, refresh: Duration::from_secs(900) }]);
        let (table, table_rx) = watch::channel(false);
        let mut ready = ready(table_rx, Arc::clone(&live));
        assert!(timeout(Duration::from_secs(60), ready.changed()).await.is_err(), "{row}: no table yet");

        let (began, id) = (Instant::now(), ProviderId { jwks_url: "https://another.example/keys".into(), ca_bundle: None });
        refresher.assign(&live.keys, &[Provider { id, refresh: Duration::from_secs(900) }]);
        table.send_replace(true);
        assert!(ready.wait_for(|ready| *ready).await.is_ok(), "{row}");
        assert_eq!(began.elapsed().as_secs(), expected, "{row}");
    }
}
