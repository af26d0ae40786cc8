use super::*;
use crate::{
    compile::{SecretData, SecretState, Secrets},
    secret::SecretBytes,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

/// Chain and key.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn data(values: &[(&str, &str)]) -> SecretState {
    SecretState::Known(SecretData::from_iter(
        values.iter().map(|(key, value)| ((*key).to_owned(), SecretBytes::from(value.as_bytes().to_vec()))),
    ))
}

/// The Secrets of `shop`: good and bad ones, and one that may not be read.
fn secrets() -> Secrets {
    let ((chain, key), (_, other)) = (pair(), pair());
    let remedy = "create a RoleBinding".into();
    let states = [
        ("good", data(&[("tls.crt", &chain), ("tls.key", &key)])),
        ("mismatch", data(&[("tls.crt", &chain), ("tls.key", &other)])),
        ("broken", data(&[("tls.crt", "x"), ("tls.key", &key)])),
        ("half", data(&[("tls.crt", &chain)])),
        ("missing", SecretState::Missing),
        ("forbidden", SecretState::NotPermitted { remedy }),
    ];
    let reference = |name: &str| SecretRef { namespace: "shop".into(), name: name.into() };
    Secrets::watched(states.into_iter().map(|(name, state)| (reference(name), state)).collect())
}

fn object(spec: Value) -> EndpointObject {
    EndpointObject {
        namespace: "shop".to_owned(),
        name: "a".to_owned(),
        uid: String::new(),
        generation: 1,
        created: 0,
        spec,
        claims: vec![],
        problems: vec![],
    }
}

/// Whether there is a certificate, whether an old one may be kept, and what is said of `ResolvedRefs`.
fn certificate_of(name: &str) -> (bool, bool, String) {
    let (secrets, mut report) = (secrets(), Report::default());
    let object = object(json!({"hosts": ["a.example"], "tls": {"secretRef": {"name": name}}}));
    let encryption = compile(&object, secrets.of("shop"), &mut report).unwrap();
    assert!(encryption.redirect, "the default");
    let HostCertificate::Own { certificate, keep, .. } = encryption.certificate else { panic!("its own") };
    (certificate.is_some(), keep, report.resolved_refs().message)
}

#[test]
fn a_certificate_that_cannot_be_served_says_why() {
    let rows = [
        (
            "mismatch",
            true,
            "spec.tls.secretRef: the key \"tls.key\" of Secret shop/mismatch must be the key of the first certificate in tls.crt",
        ),
        ("broken", true, "spec.tls.secretRef: the key \"tls.crt\" of Secret shop/broken must hold certificates in PEM"),
        ("half", true, "spec.tls.secretRef: Secret shop/half has no key \"tls.key\""),
        ("missing", true, "spec.tls.secretRef: there is no Secret shop/missing"),
        ("forbidden", false, "spec.tls.secretRef: Portcullis may not read Secret shop/forbidden; create a RoleBinding"),
        ("new", true, "spec.tls.secretRef: Secret shop/new is being read"),
    ];
    assert!(certificate_of("good").0);
    for (name, keeps, message) in rows {
        let (there, keep, said) = certificate_of(name);
        assert_eq!((there, keep), (false, keeps), "{name}");
        assert!(said.starts_with(message), "{name}: {said}");
    }
}

/// What is wrong elsewhere, or here, never opens clear text.
#[test]
fn tls_is_read_part_by_part() {
    let secrets = secrets();
    let rows = [
        ("nothing said", json!({"hosts": ["a"]}), None),
        ("null", json!({"hosts": ["a"], "tls": null}), None),
        ("everything by default", json!({"hosts": ["a"], "tls": {}}), Some((true, None, true))),
        ("Never", json!({"hosts": ["a"], "tls": {"redirect": "Never", "hsts": "8760h"}}), Some((false, Some("max-age=31536000"), true))),
        ("a spelling that nobody knows", json!({"hosts": ["a"], "tls": {"redirect": "never"}}), Some((true, None, true))),
        ("no object", json!({"hosts": ["a"], "tls": "x"}), Some((true, None, true))),
        ("too short", json!({"hosts": ["a"], "tls": {"hsts": "0s"}}), Some((true, None, false))),
        ("no duration", json!({"hosts": ["a"], "tls": {"hsts": "1 year"}}), Some((true, None, false))),
        ("a rule that nobody can read", json!({"hosts": ["a"], "rules": 7, "tls": {}}), Some((true, None, true))),
        ("without hosts", json!({"tls": {}}), None),
    ];
    for (name, spec, want) in rows {
        let mut report = Report::default();
        let encryption = compile(&object(spec), secrets.of("shop"), &mut report);
        let good = report.accepted("").good;
        let have = encryption.map(|it| (it.redirect, it.hsts.map(|value| value.to_str().unwrap().to_owned()), good));
        assert_eq!(have, want.map(|(redirect, hsts, good)| (redirect, hsts.map(str::to_owned), good)), "{name}");
    }
}

#[test]
fn the_default_certificate_is_the_installations() {
    let of = |name: &str| {
        let mut inputs = Inputs { secrets: secrets(), ..Inputs::default() };
        inputs.ownership.default_certificate = Some(SecretRef { namespace: "shop".into(), name: name.into() });
        default_certificate(&inputs)
    };
    assert!(matches!(of("good"), (HostCertificate::Own { certificate: Some(_), .. }, None)));
    let (certificate, complaint) = of("missing");
    assert!(matches!(certificate, HostCertificate::Own { certificate: None, .. }));
    assert_eq!(complaint.unwrap(), "--default-certificate: there is no Secret shop/missing; create it or name another");
    assert_eq!(default_certificate(&Inputs::default()), (HostCertificate::Default, None));
}
