//! TLS with clients: whose certificate they meet, what becomes of clear text, and who is misdirected (P41).

use crate::{
    client::{Answer, Client, PATIENCE},
    gateway::{AUDIENCE, DOMAIN, Gateway, SERVICE, Setup, bearer, endpoint},
    http2::{Polite, Raw},
    origin::Origin,
    stop::SHORT,
};
use portcullis::{compile::SecretRef, proxy::ClientAddress};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A certificate, and the Secret that holds it.
struct Made {
    der: Vec<u8>,
    document: String,
}

fn made(secret: &str, host: &str) -> Made {
    let key = KeyPair::generate().unwrap();
    let pem = CertificateParams::new(vec![host.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    Made { der, document: secret_of(secret, &pem, &key.serialize_pem()) }
}

fn secret_of(name: &str, chain: &str, key: &str) -> String {
    let data = serde_json::json!({"tls.crt": base64(chain), "tls.key": base64(key)});
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ndata: {data}")
}

fn base64(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

/// A resource for `host` with this `tls`, a public `/open` and a protected `/api`.
fn resource(name: &str, host: &str, tls: &str) -> String {
    let auth = format!("auth0: {{domain: {DOMAIN}, audience: [{AUDIENCE:?}]}}");
    let tls = if tls.is_empty() { String::new() } else { format!("\n  tls: {tls}") };
    let rules = "rules:\n  - {path: /open, access: Public}\n  - {path: /api}";
    endpoint(name, &format!("hosts: ['{host}']\n  {auth}{tls}\n  backend: {{service: web, port: 80}}\n  {rules}"))
}

fn manifests(documents: &[&str]) -> String {
    documents.iter().copied().chain([SERVICE]).collect::<Vec<_>>().join("\n---\n")
}

async fn world(documents: &[&str], more: impl FnOnce(&mut Setup)) -> (Gateway, Origin) {
    let origin = Origin::saying(OK).await;
    let mut setup = Setup::new(&manifests(documents)).behind("web", &[origin.address]);
    more(&mut setup);
    (setup.start(), origin)
}

/// Believes every certificate: who it is for is what the tests look at.
#[derive(Debug)]
struct Credulous(CryptoProvider);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn config(protocol: &str) -> Arc<ClientConfig> {
    let provider = aws_lc_rs::default_provider();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider.clone())).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous(provider))).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

async fn shake(gateway: &Gateway, config: &Arc<ClientConfig>, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(gateway.https).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::clone(config)).connect(name, socket)).await.unwrap()
}

/// The certificate that `name` meets; `None`: the handshake fails.
async fn met(gateway: &Gateway, name: &str) -> Option<Vec<u8>> {
    let stream = shake(gateway, &config("http/1.1"), name).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
}

/// One answer's head, over HTTP/1.1 within TLS.
async fn get(stream: &mut TlsStream<TcpStream>, host: &str, path: &str, headers: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while !read.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let count = timeout(PATIENCE, stream.read_buf(&mut read)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended: {:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8_lossy(&read).into_owned()
}

async fn clear(gateway: &Gateway, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = headers.iter().copied().chain([("Host", host)]).collect();
    Client::connect(gateway.address).await.request("GET", path, &headers).await
}

#[tokio::test]
async fn each_host_has_its_own_certificate_and_both_protocols() {
    let (a, wild, default) = (made("a", "a.example.com"), made("wild", "*.shop.example.com"), made("default", "default.example.com"));
    let documents = [
        &*resource("a", "a.example.com", "{secretRef: {name: a}}"),
        &*resource("wild", "*.shop.example.com", "{secretRef: {name: wild}}"),
        &*resource("plain", "plain.example.com", ""),
        &*resource("mine", "mine.example.com", "{}"),
        &a.document,
        &wild.document,
        &default.document,
    ];
    let default_certificate = SecretRef { namespace: "default".into(), name: "default".into() };
    let (gateway, origin) = world(&documents, |setup| setup.default_certificate = Some(default_certificate)).await;
    let rows = [
        ("a.example.com", &a),
        ("A.Example.com", &a),
        ("x.shop.example.com", &wild),
        ("x.y.shop.example.com", &default),
        ("shop.example.com", &default),
        ("plain.example.com", &default),
        ("mine.example.com", &default),
        ("nobody.example.com", &default),
        ("127.0.0.1", &default),
    ];
    for (name, want) in rows {
        assert_eq!(met(&gateway, name).await.as_ref(), Some(&want.der), "{name}");
    }
    let mut h1 = shake(&gateway, &config("http/1.1"), "a.example.com").await.unwrap();
    let connection = h1.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(connection.negotiated_key_exchange_group().map(|group| group.name()), Some(NamedGroup::X25519MLKEM768));
    let answer = get(&mut h1, "a.example.com", "/api", &format!("Authorization: {}\r\n", bearer())).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let h2 = shake(&gateway, &config("h2"), "a.example.com").await.unwrap();
    assert_eq!(h2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut h2 = Polite::over(h2).await;
    assert_eq!(h2.get("https://a.example.com/api", &[("authorization", &bearer())]).await.status, 200);
    let sent = origin.text().to_ascii_lowercase();
    assert_eq!((sent.matches("x-forwarded-proto: https\r\n").count(), sent.matches(";proto=https").count()), (2, 2), "{sent}");
}

#[tokio::test]
async fn p41_a_connection_serves_no_host_that_has_another_certificate() {
    let (a, b) = (made("a", "a.example.com"), made("b", "b.example.com"));
    let documents = [
        &*resource("a", "a.example.com", "{secretRef: {name: a}}"),
        &*resource("too", "too.example.com", "{secretRef: {name: a}}"),
        &*resource("b", "b.example.com", "{secretRef: {name: b}}"),
        &*resource("plain", "plain.example.com", ""),
        &a.document,
        &b.document,
    ];
    let (gateway, origin) = world(&documents, |_| ()).await;
    let rows =
        [("a.example.com", 200), ("too.example.com", 200), ("b.example.com", 421), ("plain.example.com", 421), ("none.example.com", 421)];
    let mut h2 = Polite::over(shake(&gateway, &config("h2"), "a.example.com").await.unwrap()).await;
    for (host, status) in rows {
        let before = origin.bytes().len();
        let mut h1 = shake(&gateway, &config("http/1.1"), "a.example.com").await.unwrap();
        let answer = get(&mut h1, host, "/open", "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
        assert_eq!(h2.get(&format!("https://{host}/open"), &[]).await.status, status, "{host}");
        assert_eq!(origin.bytes().len() > before, status == 200, "{host}");
    }
    assert_eq!(clear(&gateway, "plain.example.com", "/open", &[]).await.status, 200, "it has no certificate, and asks for none");
}

#[tokio::test]
async fn clear_text_is_sent_to_https_before_any_token_is_looked_at() {
    let a = made("a", "a.example.com");
    let documents = [
        &*resource("a", "a.example.com", "{secretRef: {name: a}, hsts: 8760h}"),
        &*resource("never", "never.example.com", "{secretRef: {name: a}, redirect: Never}"),
        &*resource("broken", "broken.example.com", "{secretRef: {name: nothing}}"),
        &a.document,
    ];
    let (gateway, origin) = world(&documents, |setup| setup.client_address = ClientAddress::TrustedProxies(vec![])).await;
    let token = bearer();
    for host in ["a.example.com", "broken.example.com"] {
        for (path, headers) in [
            ("/open", vec![]),
            ("/api", vec![("Authorization", token.as_str())]),
            ("/nothing/%41?q=1&r", vec![]),
            ("/api", vec![("X-Forwarded-Proto", "https")]),
        ] {
            let answer = clear(&gateway, &format!("{host}:8080"), path, &headers).await;
            let want = format!("https://{host}{path}");
            assert_eq!((answer.status, answer.header("location"), answer.body.as_str()), (308, Some(&*want), ""), "{host} {path}");
            assert_eq!(answer.header("strict-transport-security"), None, "never in clear text (RFC 6797 §7.2)");
        }
    }
    let mut h2c = Polite::connect(gateway.h2c).await;
    assert_eq!(h2c.get("http://a.example.com/open", &[]).await.status, 308);
    assert_eq!(origin.connections(), 0, "nothing went further");
    assert!(met(&gateway, "broken.example.com").await.is_none(), "a certificate that is not there fails the handshake");
    assert_eq!(clear(&gateway, "never.example.com", "/open", &[]).await.status, 200);
    let mut tls = shake(&gateway, &config("http/1.1"), "a.example.com").await.unwrap();
    for (path, status) in [("/open", 200), ("/api", 401), ("/nothing", 404)] {
        let answer = get(&mut tls, "a.example.com", path, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_redirect_names_the_public_port_and_believes_trusted_proxies_alone() {
    let a = made("a", "a.example.com");
    let documents = [&*resource("a", "a.example.com", "{secretRef: {name: a}}"), &*a.document];
    let (gateway, _origin) = world(&documents, |setup| {
        setup.https_public_port = Some(8443);
        setup.client_address = ClientAddress::TrustedProxies(vec!["127.0.0.0/8".parse().unwrap()]);
    })
    .await;
    let answer = clear(&gateway, "a.example.com", "/open?x", &[("X-Forwarded-Proto", "http")]).await;
    assert_eq!((answer.status, answer.header("location")), (308, Some("https://a.example.com:8443/open?x")));
    assert_eq!(clear(&gateway, "a.example.com", "/open", &[("X-Forwarded-Proto", "HTTPS")]).await.status, 200);
}

#[tokio::test]
async fn a_new_certificate_is_met_at_once_and_a_bad_one_keeps_the_old() {
    let (first, second) = (made("a", "a.example.com"), made("a", "a.example.com"));
    let object = resource("a", "a.example.com", "{secretRef: {name: a}}");
    let (gateway, origin) = world(&[&object, &first.document], |_| ()).await;
    let endpoints = [("web".to_owned(), vec![origin.address])];
    let mut old = shake(&gateway, &config("http/1.1"), "a.example.com").await.unwrap();
    assert_eq!(met(&gateway, "a.example.com").await.as_ref(), Some(&first.der));
    gateway.publish(&manifests(&[&object, &second.document]), &endpoints);
    assert_eq!(met(&gateway, "a.example.com").await.as_ref(), Some(&second.der));
    assert!(get(&mut old, "a.example.com", "/open", "").await.starts_with("HTTP/1.1 200 "), "who is there stays");
    let bad = [("no certificate", secret_of("a", "x", "y")), ("no Secret", String::new())];
    for (name, bad) in bad {
        let documents: Vec<_> = [object.as_str(), bad.as_str()].into_iter().filter(|document| !document.is_empty()).collect();
        let compiled = gateway.publish(&manifests(&documents), &endpoints);
        assert_eq!(met(&gateway, "a.example.com").await.as_ref(), Some(&second.der), "{name}");
        let verdict = &compiled.outcomes.values().next().unwrap().verdicts[1];
        assert!(!verdict.good && verdict.message.contains("default/a"), "{name}: {verdict:?}");
    }
    gateway.publish(&manifests(&[&resource("a", "a.example.com", "{secretRef: {name: b}}")]), &endpoints);
    assert!(met(&gateway, "a.example.com").await.is_none(), "another Secret is another certificate");
}

#[tokio::test]
async fn sessions_are_resumed() {
    let a = made("a", "a.example.com");
    let (gateway, _origin) = world(&[&resource("a", "a.example.com", "{secretRef: {name: a}}"), &a.document], |_| ()).await;
    let config = config("http/1.1");
    for (round, kind) in [HandshakeKind::Full, HandshakeKind::Resumed].into_iter().enumerate() {
        let mut stream = shake(&gateway, &config, "a.example.com").await.unwrap();
        assert!(get(&mut stream, "a.example.com", "/open", "").await.starts_with("HTTP/1.1 200 "), "still the certificate's host");
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind), "{round}");
    }
}

#[tokio::test]
async fn p56_slow_handshakes_keep_nobody_out_and_do_not_last() {
    let a = made("a", "a.example.com");
    let (gateway, _origin) =
        world(&[&resource("a", "a.example.com", "{secretRef: {name: a}}"), &a.document], |setup| setup.timeouts = SHORT).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(Raw::bare(gateway.https).await);
    }
    for raw in &mut silent[..10] {
        raw.send(b"\x16\x03\x01\x02").await;
    }
    let start = Instant::now();
    assert!(met(&gateway, "a.example.com").await.is_some(), "others get through");
    while !silent.iter().all(Raw::is_closed) {
        assert!(start.elapsed() < SHORT.header + Duration::from_secs(2), "still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut plain = Raw::bare(gateway.https).await;
    plain.send(b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n").await;
    plain.goodbye(Duration::from_secs(3)).await;
    assert!(gateway.metrics.failed_handshakes.get() >= 1);
}
