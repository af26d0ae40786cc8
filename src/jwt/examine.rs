//! Why a token is refused, for the operator who holds it: which checks it passes, and what the first that it fails expected.

use super::{
    AudienceMatch, Checks, KeySet, TokenError,
    checks::TEN_YEARS,
    token::{MAX_TOKEN, REFUSED_PARAMETERS, Token},
};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// One of the checks that [`Checks::verify`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Three parts of base64url.
    Shape,
    /// Strict JSON, without parameters that are never accepted.
    Header,
    Type,
    Algorithm,
    /// Strict JSON.
    Payload,
    /// Times are times, `exp` is among them, and `cnf` is not.
    Claims,
    Issuer,
    Audience,
    Expiry,
    /// `nbf` and `iat`.
    Start,
    Lifetime,
    Organization,
    Key,
    Signature,
}

/// What became of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// In the order in which they were made.
    pub passed: Vec<Check>,
    /// `None`: the token is good.
    pub failed: Option<Mismatch>,
}

/// The check that failed. Of the token it shows the one value that was looked at, and nothing when that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub check: Check,
    pub error: TokenError,
    /// The claim or header parameter that decided.
    pub member: Option<&'static str>,
    pub expected: String,
    /// As JSON, cut when it is long. `None`: absent, or nothing that could be shown.
    pub found: Option<String>,
}

/// Characters of a value that are shown.
const MAX_SHOWN: usize = 200;

// === impl Check ===

impl Check {
    /// A bounded label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Header => "header",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Payload => "payload",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expiry => "expiry",
            Self::Start => "not_before",
            Self::Lifetime => "lifetime",
            Self::Organization => "organization",
            Self::Key => "key",
            Self::Signature => "signature",
        }
    }
}

// === impl Checks ===

impl Checks {
    /// [`Self::verify`], for people: the same verdict, and how it came about.
    pub fn examine(&self, token: &str, keys: &KeySet, now: Duration) -> Examination {
        let mut begun: Vec<Check> = Vec::new();
        let verified = self.verify_watched(token, keys, now, &mut |check| begun.push(check));
        let last = begun.last().copied().unwrap_or(Check::Shape);
        let failed = verified.err().map(|error| self.mismatch(last, error, token, keys, now));
        let mut passed: Vec<Check> = Vec::new();
        for check in begun.into_iter().filter(|check| self.asks_for(*check) && (failed.is_none() || *check != last)) {
            if !passed.contains(&check) {
                passed.push(check);
            }
        }
        Examination { passed, failed }
    }

    /// What is not asked for has not been passed.
    fn asks_for(&self, check: Check) -> bool {
        match check {
            Check::Lifetime => self.max_token_lifetime.is_some(),
            Check::Organization => !self.organizations.is_empty(),
            _ => true,
        }
    }

    fn mismatch(&self, check: Check, error: TokenError, token: &str, keys: &KeySet, now: Duration) -> Mismatch {
        let found = Found::read(token);
        let member = member(check, error, &found);
        Mismatch { check, error, member, expected: self.expected(check, error, keys, now), found: found.shown(check, member, token) }
    }

    fn expected(&self, check: Check, error: TokenError, keys: &KeySet, now: Duration) -> String {
        match check {
            Check::Shape if error == TokenError::TooLong => format!("at most {MAX_TOKEN} bytes"),
            Check::Shape => "three parts of base64url without padding, divided by dots".to_owned(),
            Check::Header => format!("a JSON object without {}, and with a `kid` that is a string", REFUSED_PARAMETERS.join(", ")),
            Check::Type if self.require_at_jwt => "at+jwt".to_owned(),
            Check::Type => "JWT, at+jwt or nothing".to_owned(),
            Check::Algorithm => self.algorithm.to_string(),
            Check::Payload => "a JSON object without doubled members, in base64url without padding".to_owned(),
            Check::Claims if error == TokenError::Confirmation => {
                "no `cnf`: this version cannot check the key that such a token is bound to".to_owned()
            }
            Check::Claims => "`exp`, and times that are seconds since 1970".to_owned(),
            Check::Issuer => self.issuer.clone(),
            Check::Audience => self.expected_audience(),
            Check::Expiry => format!("a time after {}, and within ten years", date(now.saturating_sub(self.leeway).as_secs())),
            Check::Start => format!("a time up to {}", date(now.saturating_add(self.leeway).as_secs())),
            Check::Lifetime => format!("`iat`, and at most {:?} from it to `exp`", self.max_token_lifetime.unwrap_or(TEN_YEARS)),
            Check::Organization => one_of(&self.organizations),
            Check::Key => format!("the one key of the issuer for {} that `kid` names; known: {}", self.algorithm, known(keys)),
            Check::Signature => format!("a signature of this text by that key, by {}", self.algorithm),
        }
    }

    fn expected_audience(&self) -> String {
        match self.audience_match {
            AudienceMatch::Any => one_of(&self.audience),
            AudienceMatch::All => format!("all of {}", self.audience.join(", ")),
        }
    }
}

/// What a token says of itself, whoever wrote it.
struct Found {
    header: Vec<(String, Value)>,
    payload: Vec<(String, Value)>,
}

// === impl Found ===

impl Found {
    fn read(token: &str) -> Self {
        let token = Token::split(token).ok();
        let header = token.and_then(|token| token.header_members().ok()).unwrap_or_default();
        let payload = token.and_then(|token| token.payload().ok()).unwrap_or_default();
        Self {
            header: header.into_iter().collect(),
            payload: payload.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
        }
    }

    fn header(&self, name: &str) -> Option<&Value> {
        self.header.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn claim(&self, name: &str) -> Option<&Value> {
        self.payload.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn shown(&self, check: Check, member: Option<&'static str>, token: &str) -> Option<String> {
        let value = match (check, member) {
            (Check::Shape, _) => return Some(format!("{} parts, {} bytes", token.split('.').count(), token.len())),
            (Check::Lifetime, _) => {
                return self.claim("iat").map(|iat| cut(format!("iat {iat}, exp {}", self.claim("exp").unwrap_or(&Value::Null))));
            }
            (Check::Header | Check::Type | Check::Algorithm | Check::Key, Some(name)) => self.header(name),
            (Check::Expiry | Check::Start, Some(name)) => {
                return self.claim(name).map(|time| cut(time.as_u64().map_or_else(|| time.to_string(), date)));
            }
            (_, Some(name)) => self.claim(name),
            (_, None) => None,
        };
        value.map(|value| cut(value.to_string()))
    }
}

/// The claim or header parameter that a failed check was about.
fn member(check: Check, error: TokenError, found: &Found) -> Option<&'static str> {
    let is_no_time = |name: &&&str| found.claim(name).is_some_and(|value| value.as_f64().is_none_or(|seconds| seconds < 0.0));
    let time = |name: &str| found.claim(name).and_then(Value::as_f64).unwrap_or_default();
    match check {
        Check::Header => REFUSED_PARAMETERS.iter().find(|name| found.header(name).is_some()).copied().or(Some("kid")),
        Check::Type => Some("typ"),
        Check::Algorithm => Some("alg"),
        Check::Key => Some("kid"),
        Check::Claims if error == TokenError::Confirmation => Some("cnf"),
        Check::Claims => ["exp", "nbf", "iat"].iter().find(is_no_time).copied().or(Some("exp")),
        Check::Issuer => Some("iss"),
        Check::Audience => Some("aud"),
        Check::Expiry => Some("exp"),
        Check::Start if time("iat") > time("nbf") => Some("iat"),
        Check::Start => Some("nbf"),
        Check::Lifetime => Some("iat"),
        Check::Organization => Some("org_id"),
        Check::Shape | Check::Payload | Check::Signature => None,
    }
}

/// Seconds, and what a person reads; a date ends with the year 9999.
fn date(seconds: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds <= LAST);
    time.map_or_else(|| seconds.to_string(), |time| format!("{seconds} ({})", humantime::format_rfc3339_seconds(time)))
}

fn one_of(known: &[String]) -> String {
    match known {
        [only] => only.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

fn known(keys: &KeySet) -> String {
    let ids = keys.key_ids();
    if ids.is_empty() { "none that has a name".to_owned() } else { ids.join(", ") }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
