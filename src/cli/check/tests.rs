use super::*;
use std::{fs, sync::atomic::AtomicUsize};

/// Files in a directory of their own, removed when dropped.
struct Files(PathBuf, Vec<PathBuf>);

impl Files {
    fn new(texts: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("portcullis-check-{}-{count}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let files = texts.iter().enumerate().map(|(index, text)| {
            let file = dir.join(format!("{index}.yaml"));
            fs::write(&file, text).unwrap();
            file
        });
        let files = files.collect();
        Self(dir, files)
    }

    fn check(&self) -> (bool, String) {
        let mut out = Vec::new();
        let good = run(&self.1, &mut out).unwrap();
        (good, String::from_utf8(out).unwrap().replace(&format!("{}/", self.0.display()), ""))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn check(texts: &[&str]) -> (bool, String) {
    Files::new(texts).check()
}

const ENDPOINT: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: ProtectedEndpoint
metadata: {name: messages, namespace: shop}
spec:
  hosts: [api.example.com]
  auth0: {domain: tenant.eu.auth0.com, audience: [https://api.example.com]}
  backend: {service: messages, port: 8080}
  rules: [{path: /api}]
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: messages, namespace: shop}
spec: {ports: [{port: 8080}]}
";

#[test]
fn sound_manifests_are_good() {
    let (good, text) = check(&[ENDPOINT, SERVICE]);
    assert!(good, "{text}");
    assert!(text.contains("ok: 0.yaml: ProtectedEndpoint shop/messages: Accepted=Accepted: "), "{text}");
    assert!(text.ends_with("1 ProtectedEndpoint(s) checked, 0 problem(s)\n"), "{text}");
}

#[test]
fn a_problem_names_file_object_field_and_what_would_be_right() {
    let text = format!("{SERVICE}---{}", ENDPOINT.replace("audience: [https", "alg: RSA256, audience: [https"));
    let (good, text) = check(&[&text]);
    assert!(!good);
    let line = "problem: 0.yaml: ProtectedEndpoint shop/messages: spec.auth0.alg: must be RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
                ES384, EdDSA or HS256; for RSA256 write RS256\n";
    assert_eq!(text, format!("{line}1 ProtectedEndpoint(s) checked, 1 problem(s)\n"));
}

/// What the files leave to the cluster is not wrong; what they say is.
#[test]
fn secrets_in_the_files_count_and_their_absence_does_not() {
    let endpoint = ENDPOINT.replace("audience: [", "alg: HS256, secretRef: {name: tenant}, audience: [");
    let secret = |metadata: &str, data: &str| format!("\napiVersion: v1\nkind: Secret\nmetadata: {metadata}\n{data}\n");
    let (shop, good) = ("{name: tenant, namespace: shop}", format!("stringData: {{secret: {}}}", "hunter22".repeat(4)));
    let cases = [
        ("none", String::new(), true, "note: ", "SecretNotFound"),
        ("one of another namespace", secret("{name: tenant}", &good), true, "note: ", "SecretNotFound"),
        ("the right one", secret(shop, &good), true, "ok: ", "Accepted"),
        ("another one", secret("{name: other, namespace: shop}", &good), false, "problem: ", "there is no Secret shop/tenant"),
        ("without the key", secret(shop, "stringData: {other: hunter2}"), false, "problem: ", "has no key \"secret\""),
        ("too short", secret(shop, "stringData: {secret: hunter2}"), false, "problem: ", "must have at least 32 bytes"),
        ("no base64", secret(shop, "data: {secret: hunter2!}"), false, "problem: ", "cannot be read as a Secret"),
        ("no text", secret(shop, "stringData: {secret: 48151623}"), false, "problem: ", "quote what looks like a number"),
    ];
    for (name, secret, want, severity, says) in cases {
        let (good, text) = check(&[&endpoint, SERVICE, &secret]);
        assert_eq!(good, want, "{name}: {text}");
        assert!(text.lines().any(|line| line.starts_with(severity) && line.contains(says)), "{name}: {text}");
        assert!(!text.contains("hunter2") && !text.contains("48151623"), "J53 {name}: {text}");
    }
}

#[test]
fn what_only_compile_knows_is_found() {
    for (name, endpoint, service, says) in [
        ("an absent Service", ENDPOINT.to_owned(), SERVICE.replace("name: messages", "name: other"), "there is no Service shop/messages"),
        ("an absent port", ENDPOINT.to_owned(), SERVICE.replace("8080", "80"), "has no TCP port 8080"),
        ("a Service elsewhere", ENDPOINT.to_owned(), SERVICE.replace("[{", "[{name: x, ") + "  type: ExternalName\n", "ExternalName"),
    ] {
        let service =
            service.replace("spec: {ports: [{name: x, port: 8080}]}\n  type: ExternalName", "spec: {type: ExternalName, externalName: x}");
        let (good, text) = check(&[&endpoint, &service]);
        assert!(
            !good && text.contains(says) && text.contains("problem: 0.yaml: ProtectedEndpoint shop/messages: ResolvedRefs="),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_host_of_another_namespace_is_found() {
    let (good, text) = check(&[ENDPOINT, &ENDPOINT.replace("namespace: shop", "namespace: thief")]);
    assert!(!good && text.contains("problem: 1.yaml: ProtectedEndpoint thief/messages: Accepted=HostOwned"), "{text}");
    let (good, text) =
        check(&[ENDPOINT, &ENDPOINT.replace("namespace: shop", "namespace: other").replace("spec:", "spec:\n  className: other")]);
    assert!(good, "another class is another installation: {text}");
}

#[test]
fn services_that_are_not_in_the_files_are_left_to_the_cluster() {
    let (good, text) = check(&[ENDPOINT]);
    assert!(good && text.contains("note: 0.yaml: ProtectedEndpoint shop/messages: ResolvedRefs=BackendNotFound"), "{text}");
}

#[test]
fn what_is_no_manifest_of_ours_is_told() {
    for (name, text, says) in [
        ("no file", "", "problem: no ProtectedEndpoint was found"),
        ("another kind", "{apiVersion: apps/v1, kind: Deployment}", "note: 0.yaml: document 1: kind Deployment is not looked at"),
        (
            "a misspelt kind",
            "{apiVersion: portcullis.dev/v1alpha1, kind: ProtectedEndpoints}",
            "problem: 0.yaml: document 1: kind: must be ProtectedEndpoint",
        ),
        ("no kind", "{apiVersion: v1}", "problem: 0.yaml: document 1: kind: is required"),
        ("no version", "{kind: Service}", "problem: 0.yaml: document 1: apiVersion: is required"),
        ("a list", "[1]", "problem: 0.yaml: document 1: apiVersion: is required"),
        ("broken YAML", "a: [", "problem: 0.yaml: is not YAML: "),
        (
            "a broken Service",
            "{apiVersion: v1, kind: Service, spec: {ports: [{port: x}]}}",
            "problem: 0.yaml: document 1: spec.ports[0].port: ",
        ),
        ("a broken slice", "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, ports: 1}", "problem: 0.yaml: document 1: ports: "),
        ("an endpoint of nothing", "{kind: ProtectedEndpoint}", "problem: 0.yaml: document 1: spec: is required"),
    ] {
        let (good, answer) = check(&[text]);
        assert!(!good && answer.contains(says), "{name}: {answer}");
    }
}

#[test]
fn a_missing_file_is_a_problem_and_the_others_are_read() {
    let mut files = Files::new(&[ENDPOINT]);
    files.1.push(files.0.join("absent.yaml"));
    let (good, text) = files.check();
    assert!(!good && text.contains("problem: absent.yaml: cannot be read: ") && text.contains("1 ProtectedEndpoint(s) checked"), "{text}");
}

#[test]
fn an_object_that_stands_twice_is_a_problem() {
    let (good, text) = check(&[ENDPOINT, ENDPOINT]);
    assert!(
        !good && text.contains("problem: 1.yaml: ProtectedEndpoint shop/messages: metadata.name: the same object stands in 0.yaml"),
        "{text}"
    );
}

#[test]
fn a_file_cannot_write_to_the_terminal() {
    let (_, text) = check(&[r#"{apiVersion: v1, kind: "a\e[2Jb\nok: c"}"#]);
    assert!(text.contains(r"kind a\u{1b}[2Jb\nok: c is not"), "{text}");
}

#[test]
fn findings_stand_in_the_order_of_files() {
    let renamed = ENDPOINT.replace("name: messages, namespace", "name: other, namespace").replace("/api", "/other");
    let (_, text) = check(&[ENDPOINT, "a: [", &renamed.replace("port: 8080", "port: 0"), SERVICE]);
    let files: Vec<_> = text.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(files, ["0.yaml", "1.yaml", "2.yaml"], "{text}");
}
