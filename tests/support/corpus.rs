//! The corpus: tokens made at run time under keys made at run time, each with the verdict it must get and the reason.
//!
//! It knows no verifier: the library and the binary are held to the same rows. J numbers are the project's requirements.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "only tests include it")]

use crate::tokens::{Signer, auth0_claims, base64, merge, unbase64};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt};

/// The reason a token is refused, as logs and metrics name it; `Ok` when it passes.
pub(crate) type Verdict = Result<(), &'static str>;

pub(crate) const LEEWAY: u64 = 5;
pub(crate) const ORGANIZATION: &str = "org_abc";
pub(crate) const LIFETIME: u64 = 3600;
pub(crate) const SECRET: &[u8] = b"only the tenant and we know these bytes";
const ASYMMETRIC: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// What the resource that gets a token asks for, besides issuer and audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    /// Exactly this algorithm.
    Algorithm(&'static str),
    /// RS256 and `typ: at+jwt`.
    AtJwt,
    /// RS256 and a life of at most [`LIFETIME`] seconds.
    Lifetime,
    /// RS256 and [`ORGANIZATION`].
    Organization,
    /// HS256 and [`SECRET`].
    Secret,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) category: &'static str,
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) token: String,
    pub(crate) expected: Verdict,
}

pub(crate) struct Corpus {
    issuer: String,
    audience: String,
    /// Where `jku` and `x5u` point.
    lure: String,
    /// Seconds since the Unix epoch.
    pub(crate) now: u64,
    rsa: Signer,
    next: Signer,
    ps: Signer,
    ec: Signer,
    ec384: Signer,
    ed: Signer,
    pub(crate) cases: Vec<Case>,
}

/// Right and wrong verdicts by category. Printed as one table.
#[derive(Debug, Default)]
pub(crate) struct Results {
    rows: BTreeMap<&'static str, Tally>,
    pub(crate) wrong: Vec<String>,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    wrong: usize,
    panics: usize,
}

// === impl Endpoint ===

impl Endpoint {
    pub(crate) fn algorithm(self) -> &'static str {
        match self {
            Self::Algorithm(name) => name,
            Self::AtJwt | Self::Lifetime | Self::Organization => "RS256",
            Self::Secret => "HS256",
        }
    }
}

// === impl Case ===

impl Case {
    /// Whether the token can be sent in a header at all: no control characters, nothing beyond ASCII.
    pub(crate) fn fits_a_header(&self) -> bool {
        self.token.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    }
}

// === impl Corpus ===

impl Corpus {
    pub(crate) fn new(issuer: &str, audience: &str, now: u64) -> Self {
        Self::luring(issuer, audience, now, "https://127.0.0.1:9")
    }

    /// The same; what a header says about other keys leads to `lure`.
    pub(crate) fn luring(issuer: &str, audience: &str, now: u64, lure: &str) -> Self {
        let mut corpus = Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            lure: lure.to_owned(),
            now,
            rsa: Signer::generate("RS256", "rsa"),
            next: Signer::generate("RS256", "next"),
            ps: Signer::generate("PS256", "ps"),
            ec: Signer::generate("ES256", "ec"),
            ec384: Signer::generate("ES384", "ec384"),
            ed: Signer::generate("EdDSA", "ed"),
            cases: Vec::new(),
        };
        corpus.algorithms();
        corpus.no_algorithm();
        corpus.confusion();
        corpus.parameters();
        corpus.types();
        corpus.header_json();
        corpus.key_ids();
        corpus.keys_that_must_not_verify();
        corpus.shapes();
        corpus.spellings();
        corpus.signatures();
        corpus.payloads();
        corpus.audiences();
        corpus.issuers();
        corpus.expiry();
        corpus.starts();
        corpus.policies();
        corpus
    }

    /// What the issuer publishes: keys without `alg` serve every algorithm of their type; the last five must verify nothing.
    pub(crate) fn jwks(&self) -> String {
        let open = |signer: &Signer| merge(signer.jwk(), &json!({"alg": null}));
        let as_other = |kid: &str, members: &Value| merge(merge(self.rsa.jwk(), &json!({"kid": kid, "alg": null})), members);
        let keys = [
            open(&self.rsa),
            open(&self.next),
            self.ps.jwk(),
            open(&self.ec),
            open(&self.ec384),
            open(&self.ed),
            as_other("enc", &json!({"use": "enc"})),
            as_other("encrypt", &json!({"key_ops": ["encrypt"]})),
            merge(self.ec.jwk(), &json!({"kid": "crv", "crv": "P-384"})),
            as_other("twice", &json!({})),
            merge(open(&self.next), &json!({"kid": "twice"})),
            json!({"kty": "oct", "kid": "oct", "use": "sig", "alg": "HS256", "k": base64(SECRET)}),
        ];
        json!({ "keys": keys }).to_string()
    }

    pub(crate) fn claims(&self) -> Value {
        auth0_claims(&self.issuer, &self.audience, self.now)
    }

    fn claims_with(&self, members: &Value) -> Value {
        merge(self.claims(), members)
    }

    /// The usual claims with the JSON text of one of them written out, however odd.
    fn claims_text(&self, name: &str, text: &str) -> String {
        with_text(&self.claims(), name, text)
    }

    fn add(&mut self, category: &'static str, name: impl fmt::Display, token: String, expected: Verdict) {
        self.add_at(Endpoint::Algorithm("RS256"), category, name, token, expected);
    }

    fn add_at(&mut self, endpoint: Endpoint, category: &'static str, name: impl fmt::Display, token: String, expected: Verdict) {
        self.cases.push(Case { category, name: name.to_string(), endpoint, token, expected });
    }

    fn add_claims(&mut self, category: &'static str, name: impl fmt::Display, members: &Value, expected: Verdict) {
        let token = self.rsa.mint(&self.claims_with(members));
        self.add(category, name, token, expected);
    }

    fn add_claim_text(&mut self, category: &'static str, claim: &str, text: &str, expected: Verdict) {
        let token = self.rsa.compact(self.rsa.header().to_string(), self.claims_text(claim, text));
        self.add(category, format_args!("{claim}: {text}"), token, expected);
    }

    fn add_header_text(&mut self, category: &'static str, parameter: &str, text: &str, expected: Verdict) {
        let token = self.rsa.compact(with_text(&self.rsa.header(), parameter, text), self.claims().to_string());
        self.add(category, format_args!("{parameter}: {text}"), token, expected);
    }

    fn add_kid(&mut self, category: &'static str, kid: &str, expected: Verdict) {
        let token = self.rsa.named(kid).mint(&self.claims());
        self.add(category, format_args!("kid {:.40}", kid.escape_debug()), token, expected);
    }

    fn good(&self) -> String {
        self.rsa.mint(&self.claims())
    }

    fn signer(&self, algorithm: &'static str) -> Signer {
        match algorithm {
            "ES256" => self.ec.clone(),
            "ES384" => self.ec384.clone(),
            "EdDSA" => self.ed.clone(),
            rsa => self.rsa.signing(rsa),
        }
    }

    // --- A: algorithm and signature ---

    /// J06: every algorithm at every endpoint.
    fn algorithms(&mut self) {
        for signed in ASYMMETRIC {
            let token = self.signer(signed).mint(&self.claims());
            for asked in ASYMMETRIC {
                let expected = if signed == asked { Ok(()) } else { Err("algorithm") };
                self.add_at(Endpoint::Algorithm(asked), "A algorithm", format_args!("J06 {signed} at {asked}"), token.clone(), expected);
            }
        }
        for (claimed, actual) in [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS384"), ("PS384", "PS256"), ("RS512", "RS256")] {
            let token = self.rsa.signing(actual).mint_with(&json!({"alg": claimed}), &self.claims());
            let name = format_args!("J13 {actual} called {claimed}");
            self.add_at(Endpoint::Algorithm(claimed), "A algorithm", name, token, Err("signature"));
        }
        let unknown = Err("unknown_key");
        let token = self.ps.signing("RS256").mint(&self.claims());
        self.add("A algorithm", "J07 RS256 by a key that is for PS256", token, unknown);
        let token = self.rsa.named("ec").mint(&self.claims());
        self.add("A algorithm", "J08 RS256 naming an EC key", token, unknown);
        let token = self.ec.named("rsa").mint(&self.claims());
        self.add_at(Endpoint::Algorithm("ES256"), "A algorithm", "J08 ES256 naming an RSA key", token, unknown);
        let token = self.ec.named("ec384").mint(&self.claims());
        self.add_at(Endpoint::Algorithm("ES256"), "A algorithm", "J08 ES256 naming a P-384 key", token, unknown);
    }

    /// J01-J03.
    fn no_algorithm(&mut self) {
        let good = self.good();
        for alg in ["none", "None", "NONE", "nOnE", "none ", "\0none", ""] {
            let fitting = self.rsa.mint_with(&json!({"alg": alg}), &self.claims());
            let unsigned = format!("{}.", fitting.rsplit_once('.').unwrap().0);
            let name = alg.escape_debug();
            self.add("A none", format_args!("J01 {name:?}, no signature"), unsigned.clone(), Err("malformed"));
            let old = unsigned + good.rsplit('.').next().unwrap();
            self.add("A none", format_args!("J02 {name:?}, the old signature"), old, Err("algorithm"));
            self.add("A none", format_args!("J02 {name:?}, a signature that fits"), fitting, Err("algorithm"));
        }
        let absent = self.rsa.mint_with(&json!({"alg": null}), &self.claims());
        self.add("A none", "J03 no alg", absent, Err("algorithm"));
        for alg in ["null", "256", r#"["RS256"]"#, "{}", r#""rs256""#, r#""RS256 ""#, r#""RSA256""#, r#""RS384""#] {
            self.add_header_text("A none", "alg", alg, Err("algorithm"));
        }
    }

    /// J04, J05, and HS256 where it is asked for.
    fn confusion(&mut self) {
        let jwk = self.rsa.jwk();
        let modulus = jwk["n"].as_str().unwrap().to_owned();
        let secrets = [
            ("DER", self.rsa.public_spki()),
            ("DER of PKCS #1", self.rsa.public_pkcs1()),
            ("PEM", pem(&self.rsa.public_spki()).into_bytes()),
            ("PEM without its last newline", pem(&self.rsa.public_spki()).trim_end().into()),
            ("PEM behind a space", format!(" {}", pem(&self.rsa.public_spki())).into()),
            ("n", unbase64(&modulus)),
            ("n in base64url", modulus.into_bytes()),
            ("JWK", jwk.to_string().into_bytes()),
            ("empty", Vec::new()),
            ("published oct", SECRET.to_vec()),
        ];
        for (name, secret) in secrets {
            let hs = self.hmac(&json!({"alg": "HS256", "kid": "rsa"}), &secret);
            self.add("A confusion", format_args!("J04 HS256 keyed by {name}"), hs, Err("algorithm"));
            let rs = self.hmac(&json!({"alg": "RS256", "kid": "rsa"}), &secret);
            self.add("A confusion", format_args!("J04 HMAC called RS256, keyed by {name}"), rs, Err("signature"));
            let expected = if secret == SECRET { Ok(()) } else { Err("signature") };
            let hs = self.hmac(&json!({"alg": "HS256"}), &secret);
            self.add_at(Endpoint::Secret, "A confusion", format_args!("J05 HS256 keyed by {name}"), hs, expected);
        }
        let token = self.hmac(&json!({"alg": "HS256", "kid": "oct"}), SECRET);
        self.add_at(Endpoint::Algorithm("HS256"), "A confusion", "J39 HS256 by a published oct key", token, Err("unknown_key"));
        let token = self.good();
        self.add_at(Endpoint::Secret, "A confusion", "J04 RS256 where HS256 is asked for", token, Err("algorithm"));
        let token = self.rsa.mint_with(&json!({"alg": "HS256"}), &self.claims());
        self.add_at(Endpoint::Secret, "A confusion", "J04 an RSA signature called HS256", token, Err("signature"));
    }

    fn hmac(&self, header: &Value, secret: &[u8]) -> String {
        use aws_lc_rs::hmac;
        let message = format!("{}.{}", base64(header.to_string()), base64(self.claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", base64(tag))
    }

    // --- B: header ---

    /// J17-J24.
    fn parameters(&mut self) {
        let refused = Err("header");
        for crit in [r#"["x"]"#, "[]", r#""x""#, r#"["exp"]"#, r#"["alg"]"#, r#"["x","x"]"#, "null", "{}", "1"] {
            self.add_header_text("B header", "crit", crit, refused);
        }
        let texts = [("b64", "false"), ("b64", "true"), ("b64", "null"), ("zip", r#""DEF""#), ("zip", "null")];
        let more = [("cty", r#""JWT""#), ("cty", r#""json""#), ("cty", "null"), ("enc", r#""A128GCM""#), ("enc", "null")];
        for (name, text) in texts.into_iter().chain(more) {
            self.add_header_text("B header", name, text, refused);
        }
        let nested = self.rsa.compact(merge(self.rsa.header(), &json!({"cty": "JWT"})).to_string(), self.good());
        self.add("B header", "J24 nested", nested, refused);
        let detached = self.rsa.mint_with(&json!({"b64": false, "crit": ["b64"]}), &self.claims());
        self.add("B header", "J22 b64 and crit", detached, refused);
        let foreign = Signer::generate("RS256", "rsa");
        let keys = [
            ("J17 jwk", json!({"jwk": foreign.jwk()})),
            ("J18 jku", json!({"jku": format!("{}/jwks.json", self.lure)})),
            ("J18 x5u", json!({"x5u": format!("{}/chain.pem", self.lure)})),
            ("J19 x5c", json!({"x5c": ["MIIB"]})),
        ];
        for (name, members) in keys {
            let forged = foreign.mint_with(&members, &self.claims());
            self.add("B header", format_args!("{name}, signed by it"), forged, Err("signature"));
            let unknown = foreign.named("foreign").mint_with(&members, &self.claims());
            self.add("B header", format_args!("{name}, under its own kid"), unknown, Err("unknown_key"));
            let ours = self.rsa.mint_with(&members, &self.claims());
            self.add("B header", format_args!("J20 {name}, signed by ours"), ours, Ok(()));
        }
    }

    /// J25-J27.
    fn types(&mut self) {
        let absent = self.rsa.mint_with(&json!({"typ": null}), &self.claims());
        self.add("B type", "J25 absent", absent.clone(), Ok(()));
        self.add_at(Endpoint::AtJwt, "B type", "J27 absent where at+jwt is required", absent, Err("type"));
        for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"] {
            let token = self.rsa.mint_with(&json!({ "typ": typ }), &self.claims());
            self.add("B type", format_args!("J25 {typ}"), token.clone(), Ok(()));
            let expected = if typ.len() == 3 { Err("type") } else { Ok(()) };
            self.add_at(Endpoint::AtJwt, "B type", format_args!("J27 {typ} where at+jwt is required"), token, expected);
        }
        for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "id_token+jwt", "JOSE", "JWE", "", "JWT ", "at+jwt;v=1", "application/jwt"] {
            let token = self.rsa.mint_with(&json!({ "typ": typ }), &self.claims());
            self.add("B type", format_args!("J25 {typ:?}"), token, Err("type"));
        }
        for typ in ["null", "1", r#"["JWT"]"#, "{}", "true"] {
            self.add_header_text("B type", "typ", typ, Err("type"));
        }
    }

    /// J28-J30.
    fn header_json(&mut self) {
        let usual = self.rsa.header().to_string();
        let open = usual.strip_suffix('}').unwrap().to_owned();
        let deep = |levels: usize| format!("{open},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        let refused = Err("header");
        let rows: Vec<(&str, Vec<u8>, Verdict)> = vec![
            ("J28 alg twice", format!(r#"{open},"alg":"RS256"}}"#).into(), refused),
            ("J28 kid twice", format!(r#"{open},"kid":"rsa"}}"#).into(), refused),
            ("J28 kid twice, one escaped", format!(r#"{open},"\u006bid":"rsa"}}"#).into(), refused),
            ("J28 twice further in", format!(r#"{open},"x":{{"y":1,"y":2}}}}"#).into(), refused),
            ("J29 not JSON", b"alg=RS256".to_vec(), refused),
            ("J29 array", format!("[{usual}]").into(), refused),
            ("J29 string", b"\"RS256\"".to_vec(), refused),
            ("J29 byte order mark", format!("\u{feff}{usual}").into(), refused),
            ("J29 more after it", format!("{usual}{{}}").into(), refused),
            ("J29 comment", format!("{open}/**/}}").into(), refused),
            ("J29 NaN", format!("{open},\"x\":NaN}}").into(), refused),
            ("J29 not UTF-8", [open.as_bytes(), b",\"x\":\"\xff\"}"].concat(), refused),
            ("J29 300 bytes above 0x7f", vec![0x80; 300], refused),
            ("J29 eight levels", deep(7), Ok(())),
            ("J29 nine levels", deep(8), refused),
            ("J29 thousands of levels", deep(2_000), refused),
            ("J30 escaped name", r#"{"\u0061lg":"RS256","kid":"rsa"}"#.into(), Ok(())),
            ("J30 unknown members", format!(r#"{open},"x":1,"y":{{"z":[null]}}}}"#).into(), Ok(())),
            ("4 KiB", format!("{usual}{}", " ".repeat(4096 - usual.len())).into(), Ok(())),
            ("4 KiB and a byte", format!("{usual}{}", " ".repeat(4097 - usual.len())).into(), refused),
        ];
        for (name, header, expected) in rows {
            let token = self.rsa.compact(header, self.claims().to_string());
            self.add("B JSON", name, token, expected);
        }
    }

    // --- C and D: keys ---

    /// J31-J35.
    fn key_ids(&mut self) {
        let hostile = [
            "../../../../dev/null",
            "x' UNION SELECT 'k'--",
            "*)(uid=*",
            "rsa;curl 127.0.0.1",
            "http://169.254.169.254/",
            "rsa\r\nX-User: admin",
            "rsa\0",
            "__proto__",
            "",
            "RSA",
            "rsa ",
            " rsa",
            "rs",
            "rsaa",
            "\u{feff}rsa",
        ];
        for kid in hostile {
            self.add_kid("C kid", kid, Err("unknown_key"));
        }
        self.add_kid("C kid", "next", Err("signature"));
        for kid in ["null", "1", r#"["rsa"]"#, r#"{"rsa":1}"#, "true"] {
            self.add_header_text("C kid", "kid", kid, Err("header"));
        }
        self.add_kid("C kid", &"k".repeat(256), Err("unknown_key"));
        self.add_kid("C kid", &"k".repeat(257), Err("header"));
        self.add_kid("C kid", &"k".repeat(65_536), Err("too_long"));
        let nameless = self.rsa.mint_with(&json!({"kid": null}), &self.claims());
        self.add("C kid", "J32 none, of two keys", nameless, Err("unknown_key"));
        let nameless = self.ed.mint_with(&json!({"kid": null}), &self.claims());
        self.add_at(Endpoint::Algorithm("EdDSA"), "C kid", "J32 none, of one key", nameless, Ok(()));
    }

    /// J09, J36-J39: good signatures under keys that the loader leaves out.
    fn keys_that_must_not_verify(&mut self) {
        for kid in ["enc", "encrypt", "twice", "oct", "crv"] {
            self.add_kid("D keys", kid, Err("unknown_key"));
        }
        let token = self.next.named("twice").mint(&self.claims());
        self.add("D keys", "J36 the other of two with one kid", token, Err("unknown_key"));
        for algorithm in ["ES256", "ES384"] {
            let token = self.ec.named("crv").mint_with(&json!({"alg": algorithm}), &self.claims());
            self.add_at(
                Endpoint::Algorithm(algorithm),
                "D keys",
                format_args!("J09 {algorithm}, crv P-384 on P-256"),
                token,
                Err("unknown_key"),
            );
        }
        let token = self.next.mint(&self.claims());
        self.add("D keys", "the next key", token, Ok(()));
        let token = self.ps.mint(&self.claims());
        self.add_at(Endpoint::Algorithm("PS256"), "D keys", "a key for PS256 alone", token, Ok(()));
    }

    // --- E: structure ---

    /// J54-J57, J64-J66.
    fn shapes(&mut self) {
        let token = self.good();
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
        let json = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
        let rows = [
            ("J54 nothing", String::new()),
            ("J54 one part", header.to_owned()),
            ("J54 two parts", format!("{header}.{payload}")),
            ("J54 four parts", format!("{token}.{signature}")),
            ("J54 leading dot", format!(".{token}")),
            ("J54 trailing dot", format!("{token}.")),
            ("J54 no header", format!(".{payload}.{signature}")),
            ("J54 no payload", format!("{header}..{signature}")),
            ("J54 no signature", format!("{header}.{payload}.")),
            ("J54 dots alone", "..".to_owned()),
            ("J55 five parts", format!("{token}.{payload}.{signature}")),
            ("J55 JWE", format!("{}.a2V5.aXY.dGV4dA.dGFn", base64(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#))),
            ("J56 JSON serialisation", json),
            ("J57 16,384 dots", ".".repeat(16_384)),
            ("J64 bytes above ASCII", (0..300).map(|n| char::from(0x80 + (n % 0x80) as u8)).collect()),
        ];
        for (name, token) in rows {
            self.add("E shape", name, token, Err("malformed"));
        }
        self.add("E shape", "J57 65,536 dots", ".".repeat(65_536), Err("too_long"));
        for (name, bytes, expected) in [("8 KiB", 5_000, Ok(())), ("15 KiB", 10_500, Ok(())), ("64 KiB", 49_152, Err("too_long"))] {
            self.add_claims("E shape", format_args!("J65 J66 {name}"), &json!({"pad": "p".repeat(bytes)}), expected);
        }
        self.add_claims("E shape", "J66 1 MiB", &json!({"pad": "p".repeat(1 << 20)}), Err("too_long"));
    }

    /// J58, J59.
    fn spellings(&mut self) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let token = self.good();
        let ends = [token.find('.').unwrap(), token.rfind('.').unwrap(), token.len()];
        for foreign in ["=", "==", "+", "/", " ", "\n", "\r\n", "\t", "\0", "%2E", "\u{ff21}", "\u{200b}", "é"] {
            for (part, place) in ["header", "payload", "signature"].iter().zip(ends) {
                let mut changed = token.clone();
                changed.insert_str(place, foreign);
                self.add("E spelling", format_args!("J58 {:?} after the {part}", foreign), changed, Err("malformed"));
            }
        }
        self.add("E spelling", "J58 Bearer before it", format!("Bearer {token}"), Err("malformed"));
        let last = ALPHABET.iter().position(|letter| *letter == *token.as_bytes().last().unwrap()).unwrap();
        for letter in &ALPHABET[last + 1..last + 16] {
            let other = format!("{}{}", &token[..token.len() - 1], *letter as char);
            self.add("E spelling", format_args!("J59 last character {}", *letter as char), other, Err("malformed"));
        }
    }

    /// J60, J10, J11, J16.
    fn signatures(&mut self) {
        let token = self.good();
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
        let bytes = unbase64(signature);
        let signed = |signature: &[u8]| format!("{header}.{payload}.{}", base64(signature));
        let refused = Err("signature");
        for bit in (0..bytes.len() * 8).step_by(97) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            self.add("E signature", format_args!("J60 bit {bit}"), signed(&changed), refused);
        }
        let other = self.claims_with(&json!({"sub": "auth0|admin"})).to_string();
        let rows = [
            ("J60 payload swapped", format!("{header}.{}.{signature}", base64(other))),
            ("J60 cut", signed(&bytes[..255])),
            ("J60 longer", signed(&[&bytes[..], &[0]].concat())),
            ("J60 zero before it", signed(&[&[0], &bytes[..]].concat())),
            ("J60 all zero", signed(&[0; 256])),
            ("J60 all ones", signed(&[0xff; 256])),
            ("J60 one byte", signed(&[0])),
            ("J60 another key's", self.next.named("rsa").mint(&self.claims())),
        ];
        for (name, token) in rows {
            self.add("E signature", name, token, refused);
        }
        for (algorithm, length) in [("ES256", 64), ("ES384", 96), ("EdDSA", 64)] {
            let good = self.signer(algorithm).mint(&self.claims());
            let (message, signature) = good.rsplit_once('.').unwrap();
            let bytes = unbase64(signature);
            let rows = [
                ("J10 zero", vec![0; length]),
                ("J10 all ones", vec![0xff; length]),
                ("J10 r and s swapped", [&bytes[length / 2..], &bytes[..length / 2]].concat()),
                ("J10 cut", bytes[..length - 1].to_vec()),
                ("J10 trailing zero", [&bytes[..], &[0]].concat()),
                ("J10 r alone", bytes[..length / 2].to_vec()),
                ("J11 as DER", [&[0x30, length as u8][..], &bytes].concat()),
            ];
            for (name, changed) in rows {
                let token = format!("{message}.{}", base64(changed));
                self.add_at(Endpoint::Algorithm(algorithm), "E signature", format_args!("{name}, {algorithm}"), token, refused);
            }
        }
    }

    /// J61-J63.
    fn payloads(&mut self) {
        let refused = Err("payload");
        let usual = self.claims().to_string();
        let open = usual.strip_suffix('}').unwrap().to_owned();
        let deep = |levels: usize| format!("{open},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        let exp = self.now + 60;
        let rows: Vec<(&str, Vec<u8>, Verdict)> = vec![
            ("J61 not JSON", b"hello".to_vec(), refused),
            ("J61 array", format!("[{usual}]").into(), refused),
            ("J61 string", b"\"claims\"".to_vec(), refused),
            ("J61 null", b"null".to_vec(), refused),
            ("J61 no claims", b"{}".to_vec(), Err("expired")),
            ("J61 not UTF-8", [open.as_bytes(), b",\"x\":\"\xc3\"}"].concat(), refused),
            ("J61 more after it", format!("{usual}{usual}").into(), refused),
            ("J61 32 levels", deep(31), Ok(())),
            ("J61 33 levels", deep(32), refused),
            ("J61 thousands of levels", deep(5_000), refused),
            ("J62 exp twice", format!("{open},\"exp\":{exp}}}").into(), refused),
            ("J62 aud twice, evil last", format!("{open},\"aud\":\"evil\"}}").into(), refused),
            ("J62 aud twice, good last", format!("{{\"aud\":\"evil\",{}", &usual[1..]).into(), refused),
            ("J62 sub twice", format!("{open},\"sub\":\"admin\"}}").into(), refused),
            ("J62 sub twice, one escaped", format!("{open},\"s\\u0075b\":\"admin\"}}").into(), refused),
            ("J62 a custom claim twice", format!("{open},\"https://my.app/roles\":[],\"https://my.app/roles\":[1]}}").into(), refused),
            ("J62 twice further in", format!("{open},\"x\":[{{\"y\":1,\"y\":1}}]}}").into(), refused),
            ("J63 EXP", usual.replace("\"exp\"", "\"EXP\"").into(), Err("expired")),
            ("J63 AUD", usual.replace("\"aud\"", "\"AUD\"").into(), Err("audience")),
            ("J63 ISS", usual.replace("\"iss\"", "\"ISS\"").into(), Err("issuer")),
        ];
        for (name, payload, expected) in rows {
            let token = self.rsa.compact(self.rsa.header().to_string(), payload);
            self.add("E payload", name, token, expected);
        }
    }

    // --- F: claims ---

    /// J67-J70, J83.
    fn audiences(&mut self) {
        let refused = Err("audience");
        let ours = self.audience.clone();
        self.add_claims("F aud", "J67 missing", &json!({"aud": null}), refused);
        for text in ["null", "1", "true", "{}", "[null]", "[[]]"] {
            self.add_claim_text("F aud", "aud", text, refused);
        }
        let userinfo = format!("{}userinfo", self.issuer);
        let arrays = [
            ("J69 with /userinfo", json!([ours, userinfo]), Ok(())),
            ("J69 last", json!([userinfo, ours]), Ok(())),
            ("J69 alone in an array", json!([ours]), Ok(())),
            ("J69 twice", json!([ours, ours]), Ok(())),
            ("J67 array in an array", json!([[ours]]), refused),
            ("J70 number before", json!([1, ours]), refused),
            ("J70 null after", json!([ours, null]), refused),
            ("J70 array beside", json!([ours, ["x"]]), refused),
            ("J67 as a name", json!({ ours.as_str(): 1 }), refused),
            ("J68 none", json!([]), refused),
            ("J68 many", json!(vec!["e"; 2_500]), refused),
            ("J83 ID token", json!("AbCdEf0123456789"), refused),
        ];
        for (name, aud, expected) in arrays {
            self.add_claims("F aud", name, &json!({ "aud": aud }), expected);
        }
        let near = [
            String::new(),
            "evil".to_owned(),
            ours[..ours.len() - 1].to_owned(),
            format!("{ours}/"),
            ours[1..].to_owned(),
            ours.to_uppercase(),
            format!("{ours} "),
            format!(" {ours}"),
            format!("{ours}\0"),
            format!("{ours},evil"),
        ];
        for aud in near {
            self.add_claims("F aud", format_args!("J68 {aud:?}"), &json!({ "aud": aud }), refused);
            self.add_claims("F aud", format_args!("J68 [{aud:?}]"), &json!({ "aud": [aud] }), refused);
        }
    }

    /// J71-J74.
    fn issuers(&mut self) {
        let refused = Err("issuer");
        let ours = self.issuer.clone();
        self.add_claims("F iss", "J71 missing", &json!({"iss": null}), refused);
        for text in ["null", "1", "{}", "true", "[]", "\"\""] {
            self.add_claim_text("F iss", "iss", text, refused);
        }
        self.add_claims("F iss", "J72 array", &json!({"iss": [ours]}), refused);
        self.add_claims("F iss", "J72 array with an evil one", &json!({"iss": ["https://evil.com/", ours]}), refused);
        let host = ours.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let near = [
            ours.trim_end_matches('/').to_owned(),
            format!("{ours}/"),
            ours.replace("https:", "http:"),
            ours.to_uppercase(),
            format!("https://{host}:443/"),
            format!("{ours}.evil.com/"),
            format!("https://evil.{host}/"),
            format!("https://{host}@evil.com/"),
            ours.replace('a', "\u{430}"),
            format!("{ours}\0"),
            format!(" {ours}"),
            format!("{ours} "),
            "https://other.eu.auth0.com/".to_owned(),
        ];
        for iss in near {
            self.add_claims("F iss", format_args!("J73 J74 {iss:?}"), &json!({ "iss": iss }), refused);
        }
    }

    /// J75-J79, well away from the edge of the clock, so that a running gateway agrees.
    fn expiry(&mut self) {
        let (now, expired) = (self.now, Err("expired"));
        self.add_claims("F exp", "J75 missing", &json!({"exp": null}), expired);
        for text in ["0", "-0", "-0.0", "1", "1.5", "18446744073709551615", "9223372036854775808", "1e19", "253402300799"] {
            self.add_claim_text("F exp", "exp", text, expired);
        }
        for text in
            ["null", "\"never\"", "\"9999999999\"", "true", "[9999999999]", "{}", "\"\"", "-1", "-1.5", "1e30", "18446744073709551616"]
        {
            self.add_claim_text("F exp", "exp", text, Err("payload"));
        }
        for text in ["1e400", "0x7fffffff", "0189", "+9999999999", "9999999999.", ".5", "NaN", "1_000"] {
            self.add_claim_text("F exp", "exp", text, Err("payload"));
        }
        self.add_claims("F exp", "J77 a minute ago", &json!({"exp": now - 60}), expired);
        self.add_claims("F exp", "J77 61.5 s ago", &json!({"exp": now as f64 - 61.5}), expired);
        self.add_claims("F exp", "J79 eleven years", &json!({"exp": now + 11 * 31_557_600}), expired);
        self.add_claims("F exp", "J79 nine years", &json!({"exp": now + 9 * 31_557_600}), Ok(()));
        self.add_claims("F exp", "J78 a float", &json!({"exp": now as f64 + 600.5}), Ok(()));
    }

    /// J80, J81.
    fn starts(&mut self) {
        let now = self.now;
        for claim in ["nbf", "iat"] {
            self.add_claims("F nbf, iat", format_args!("{claim} missing"), &json!({ claim: null }), Ok(()));
            self.add_claims("F nbf, iat", format_args!("{claim} a minute ago"), &json!({ claim: now - 60 }), Ok(()));
            self.add_claims("F nbf, iat", format_args!("{claim} 1970"), &json!({ claim: 0 }), Ok(()));
            self.add_claims("F nbf, iat", format_args!("{claim} ahead"), &json!({ claim: now + 600 }), Err("not_yet_valid"));
            self.add_claims(
                "F nbf, iat",
                format_args!("{claim} ahead, a float"),
                &json!({ claim: now as f64 + 600.25 }),
                Err("not_yet_valid"),
            );
            for text in ["18446744073709551615", "1e18"] {
                self.add_claim_text("F nbf, iat", claim, text, Err("not_yet_valid"));
            }
            for text in ["null", "\"0\"", "\"\"", "true", "[0]", "{}", "-1", "-0.5", "1e30", "1e400", "18446744073709551616"] {
                self.add_claim_text("F nbf, iat", claim, text, Err("payload"));
            }
        }
    }

    /// `cnf`, organizations, lifetimes.
    fn policies(&mut self) {
        for text in ["null", "{}", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#, r#"{"x5t#S256":"x"}"#] {
            self.add_claim_text("F policy", "cnf", text, Err("confirmation"));
        }
        let refused = Err("organization");
        let rows = [
            (json!("org_abc"), Ok(())),
            (json!(null), refused),
            (json!("org_abcd"), refused),
            (json!("ORG_ABC"), refused),
            (json!(""), refused),
            (json!(["org_abc"]), refused),
            (json!(1), refused),
        ];
        for (id, expected) in rows {
            let token = self.rsa.mint(&self.claims_with(&json!({ "org_id": id })));
            self.add_at(Endpoint::Organization, "F policy", format_args!("org_id {id}"), token, expected);
        }
        let (now, refused) = (self.now, Err("lifetime"));
        let rows = [
            ("an hour", json!({"iat": now - 60, "exp": now - 60 + LIFETIME}), Ok(())),
            ("an hour and a second", json!({"iat": now - 60, "exp": now - 59 + LIFETIME}), refused),
            ("a day", json!({}), refused),
            ("without iat", json!({"iat": null, "exp": now + 60}), refused),
            ("nbf for iat", json!({"iat": null, "nbf": now, "exp": now + 60}), refused),
        ];
        for (name, members, expected) in rows {
            let token = self.rsa.mint(&self.claims_with(&members));
            self.add_at(Endpoint::Lifetime, "F policy", format_args!("lifetime {name}"), token, expected);
        }
    }
}

// === impl Results ===

impl Results {
    /// A row of tests/verdicts.sh: as listed, exceptions, wrong, panics, bytes forwarded.
    pub(crate) fn row(&self, name: &str, bytes: &str) -> String {
        let sum = |part: fn(&Tally) -> usize| self.rows.values().map(part).sum::<usize>();
        let right = sum(|tally| tally.accepted + tally.refused);
        format!("verdicts|{name}|{right}|0|{}|{}|{bytes}", sum(|tally| tally.wrong), sum(|tally| tally.panics))
    }

    /// `None`: it panicked.
    pub(crate) fn count(&mut self, case: &Case, road: &str, verdict: Option<Verdict>) {
        let tally = self.rows.entry(case.category).or_default();
        match verdict {
            None => tally.panics += 1,
            Some(verdict) if verdict != case.expected => tally.wrong += 1,
            Some(Ok(())) => tally.accepted += 1,
            Some(Err(_)) => tally.refused += 1,
        }
        if verdict != Some(case.expected) {
            let Case { category, name, endpoint, expected, .. } = case;
            self.wrong.push(format!("{category}: {name} at {endpoint:?}, {road}: expected {expected:?}, got {verdict:?}"));
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14}{:>10}{:>10}{:>10}{:>10}", "category", "accepted", "refused", "wrong", "panics")?;
        let mut total = Tally::default();
        for (category, Tally { accepted, refused, wrong, panics }) in &self.rows {
            writeln!(f, "{category:<14}{accepted:>10}{refused:>10}{wrong:>10}{panics:>10}")?;
            total = Tally {
                accepted: total.accepted + accepted,
                refused: total.refused + refused,
                wrong: total.wrong + wrong,
                panics: total.panics + panics,
            };
        }
        let Tally { accepted, refused, wrong, panics } = total;
        write!(f, "{:<14}{accepted:>10}{refused:>10}{wrong:>10}{panics:>10}", "all")
    }
}

/// `object` with the JSON text of one member written out before the others.
fn with_text(object: &Value, name: &str, text: &str) -> String {
    let rest = merge(object.clone(), &json!({ name: null })).to_string();
    format!("{{\"{name}\":{text},{}", &rest[1..])
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
