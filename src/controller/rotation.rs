//! Which issuers have changed their keys, told at most every ten minutes each: an issuer that changes them all the time must not drown
//! what else there is to tell.

use crate::jwt::{KeySet, ProviderId};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Between two Events about one issuer.
const PAUSE: Duration = Duration::from_secs(600);
/// Key ids in one note; an issuer may have 64.
const MOST_NAMED: usize = 4;
/// Characters of each.
const MAX_SHOWN_KID: usize = 64;

/// One term's memory: what was there when it began is no news.
#[derive(Debug, Default)]
pub(super) struct Rotations(HashMap<ProviderId, Told>);

/// The keys that everybody knows of.
#[derive(Debug)]
struct Told {
    keys: Arc<KeySet>,
    at: Option<Instant>,
}

// === impl Rotations ===

impl Rotations {
    /// What there is to tell of an issuer that has these keys now, if anything. A change within the pause is told after it, with all that
    /// has changed since.
    pub(super) fn observe(&mut self, id: &ProviderId, keys: &Arc<KeySet>, now: Instant) -> Option<String> {
        let Some(told) = self.0.get_mut(id) else {
            self.0.insert(id.clone(), Told { keys: Arc::clone(keys), at: None });
            return None;
        };
        if told.keys.is_same(keys) || told.at.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
            return None;
        }
        let note = note(id, &told.keys, keys);
        *told = Told { keys: Arc::clone(keys), at: Some(now) };
        Some(note)
    }

    pub(super) fn retain(&mut self, in_use: impl Fn(&ProviderId) -> bool) {
        self.0.retain(|id, _| in_use(id));
    }
}

fn note(id: &ProviderId, before: &KeySet, after: &KeySet) -> String {
    let [before, after] = [before, after].map(|keys| keys.key_ids().into_iter().collect::<BTreeSet<_>>());
    let new = list(after.difference(&before));
    let gone = list(before.difference(&after));
    match (new, gone) {
        (None, None) => format!("the keys of {id} have changed under the same ids"),
        (new, gone) => {
            let part = |word: &str, kids: Option<String>| kids.map(|kids| format!("{word}: {kids}"));
            let parts: Vec<_> = [part("new", new), part("gone", gone)].into_iter().flatten().collect();
            format!("the keys of {id} have changed; {}", parts.join("; "))
        }
    }
}

/// The issuer's words, escaped and cut; `None` of none.
fn list<'a>(kids: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let kids: Vec<_> = kids.map(|kid| format!("{:?}", kid.chars().take(MAX_SHOWN_KID).collect::<String>())).collect();
    let more = kids.len().saturating_sub(MOST_NAMED);
    let named = kids.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match (kids.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(named),
        _ => Some(format!("{named} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    fn keys(kids: &[&str]) -> Arc<KeySet> {
        let jwk = |kid: &&str| {
            let x = URL_SAFE_NO_PAD.encode(Ed25519KeyPair::generate().unwrap().public_key());
            json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x})
        };
        let document = json!({"keys": kids.iter().map(jwk).collect::<Vec<_>>()}).to_string();
        Arc::new(KeySet::from_jwks(document.as_bytes()).unwrap().0)
    }

    #[test]
    fn a_change_is_told_once_and_not_again_within_the_pause() {
        let (id, mut rotations) = (ProviderId { jwks_url: "https://a/".into(), ca_bundle: None }, Rotations::default());
        let (first, second, third) = (keys(&["one"]), keys(&["one", "two"]), keys(&["two", "three"]));
        let start = Instant::now();
        let mut at = |keys: &Arc<KeySet>, seconds| rotations.observe(&id, keys, start + Duration::from_secs(seconds));
        assert_eq!(at(&first, 0), None, "what was there is no news");
        assert_eq!(at(&first, 1), None);
        assert_eq!(at(&second, 2).unwrap(), r#"the keys of https://a/ have changed; new: "two""#);
        assert_eq!(at(&second, 3), None);
        assert_eq!(at(&third, 4), None, "too soon");
        assert_eq!(at(&first, 300), None, "too soon");
        assert_eq!(at(&third, 602).unwrap(), r#"the keys of https://a/ have changed; new: "three"; gone: "one""#);
        assert_eq!(at(&keys(&["two", "three"]), 2000).unwrap(), "the keys of https://a/ have changed under the same ids");
    }

    #[test]
    fn the_issuers_words_are_escaped_and_cut() {
        let many: Vec<_> = (0..64).map(|n| format!("kid\n{n:03}{}", "x".repeat(300))).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let (id, mut rotations) = (ProviderId { jwks_url: "https://a/".into(), ca_bundle: None }, Rotations::default());
        rotations.observe(&id, &keys(&["one"]), Instant::now());
        let note = rotations.observe(&id, &keys(&many), Instant::now()).unwrap();
        assert!(note.len() < 512 && !note.contains('\n') && note.contains(r"kid\n000") && note.contains("and 60 more"), "{note}");
    }
}
