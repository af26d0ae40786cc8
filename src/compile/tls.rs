//! `spec.tls`: the certificate of an object's hosts, and what becomes of clear text.
//!
//! It is read part by part from the stored object, whatever else is wrong with that: a fault in a rule must not end TLS for the
//! other resources of its host, and a fault here must not open clear text.

use super::{
    inputs::{EndpointObject, Inputs},
    report::{Problem, Report},
    secrets::{SecretRef, SecretsOf},
};
use crate::{
    api::Duration,
    routing::{Certificate, Encryption, HostCertificate},
};
use http::HeaderValue;
use serde_json::Value;
use std::{fmt::Display, ops::RangeInclusive, time};

const FIELD: &str = "spec.tls.secretRef";
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
const HSTS: RangeInclusive<time::Duration> = time::Duration::from_secs(1)..=time::Duration::from_secs(26_280 * 3600);

/// `None`: the object says nothing about TLS.
pub(super) fn compile(object: &EndpointObject, secrets: SecretsOf<'_>, report: &mut Report) -> Option<Encryption> {
    let tls = object.spec.get("tls").filter(|tls| !tls.is_null())?;
    if object.spec.get("hosts").is_none_or(Value::is_null) {
        report.invalid(Problem::invalid(&"spec.tls", "needs hosts: a certificate is one of names"));
        return None;
    }
    let name = tls.get("secretRef").map(|reference| reference.get("name").and_then(Value::as_str).unwrap_or_default());
    let certificate = name.map_or(HostCertificate::Default, |name| certificate(&FIELD, name, secrets, report));
    let redirect = tls.get("redirect").and_then(Value::as_str) != Some("Never");
    let hsts = tls.get("hsts").and_then(Value::as_str).and_then(|text| report.keep(hsts(text)));
    Some(Encryption { certificate, redirect, hsts })
}

/// That of the installation, and the sentence about what is wrong with it.
pub(super) fn default_certificate(inputs: &Inputs) -> (HostCertificate, Option<String>) {
    let Some(SecretRef { namespace, name }) = &inputs.ownership.default_certificate else { return (HostCertificate::Default, None) };
    let mut report = Report::default();
    let certificate = certificate(&"--default-certificate", name, inputs.secrets.of(namespace), &mut report);
    let said = report.resolved_refs();
    (certificate, (!said.good).then_some(said.message))
}

fn certificate(field: &dyn Display, name: &str, secrets: SecretsOf<'_>, report: &mut Report) -> HostCertificate {
    let (secret, keep) = (secrets.full_name(name), !secrets.forbids(name));
    HostCertificate::Own { certificate: read(field, name, &secret, secrets, report), secret: secret.into(), keep }
}

fn read(field: &dyn Display, name: &str, full_name: &str, secrets: SecretsOf<'_>, report: &mut Report) -> Option<Certificate> {
    let secret = secrets.find(field, name, report)?;
    let (chain, key) = (secret.value(CHAIN, report), secret.value(KEY, report));
    let read = Certificate::from_pem(full_name, chain?.expose(), key?.expose());
    read.map_err(|error| secret.refuse(if error.is_about_key() { KEY } else { CHAIN }, &error, report)).ok()
}

fn hsts(text: &str) -> Result<HeaderValue, Problem> {
    let want = "must be a duration from 1s to 26280h, such as 8760h";
    let age = Duration::from(text).parse().ok().filter(|age| HSTS.contains(age));
    let age = age.ok_or_else(|| Problem::invalid(&"spec.tls.hsts", want))?;
    HeaderValue::try_from(format!("max-age={}", age.as_secs())).map_err(|_| Problem::invalid(&"spec.tls.hsts", want))
}

#[cfg(test)]
mod tests;
