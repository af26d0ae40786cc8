//! J49, J101-J104: what is remembered of a token never makes a verdict milder.

use super::{support::Signer, *};
use crate::jwt::{CacheStats, Claims, TokenCache};
use proptest::prelude::*;
use std::{sync::Arc, thread};

const MIB: u64 = 1 << 20;
const OWNER: &str = "shop";

fn verify(cache: &TokenCache, checks: &Checks, token: &str, now: Duration) -> Verdict {
    cache.verify(OWNER, token, checks, keys(), now).map(drop)
}

fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| set(&jwks(issuer().signers())))
}

/// A cache that holds these tokens, and nothing counted yet but their misses.
fn holding(tokens: &[&str]) -> TokenCache {
    let cache = TokenCache::new(MIB);
    for token in tokens {
        let checks = checks_for(if token.starts_with(&good()[..20]) { "RS256" } else { "EdDSA" });
        verify(&cache, &checks, token, at(now())).expect("a good token");
    }
    cache
}

/// Many different tokens, cheaply made.
fn token_of(subject: usize, exp: u64) -> String {
    issuer().ed.mint(&claims_with(&json!({"sub": format!("user|{subject:08}"), "exp": exp})))
}

fn fill(cache: &TokenCache, owner: &str, subjects: std::ops::Range<usize>) {
    for subject in subjects {
        cache.verify(owner, &token_of(subject, now() + 600), &checks_for("EdDSA"), keys(), at(now())).expect("a good token");
    }
}

#[test]
fn a_token_is_verified_once_and_found_thereafter() {
    let (cache, token) = (TokenCache::new(MIB), good());
    let claims: Vec<Arc<Claims>> = (0..3).map(|_| cache.verify(OWNER, &token, &checks(), keys(), at(now())).unwrap()).collect();
    assert!(Arc::ptr_eq(&claims[0], &claims[1]) && Arc::ptr_eq(&claims[1], &claims[2]));
    assert_eq!(*claims[0], checks().verify(&token, keys(), at(now())).unwrap());
    let CacheStats { hits, misses, refused, tokens, bytes } = cache.stats();
    assert_eq!((hits, misses, refused, tokens), (2, 1, 0, 1));
    assert!((1000..4000).contains(&bytes), "{bytes}");
}

#[test]
fn j101_j103_times_are_looked_at_at_every_hit() {
    let token = issuer().rsa.mint(&claims_with(&json!({"nbf": now() - 20, "iat": now() - 30, "exp": now() + 10})));
    let cache = holding(&[&token]);
    let rows = [
        ("before exp and leeway", now() + 10 + LEEWAY - 1, Ok(())),
        ("J101 at exp and leeway", now() + 10 + LEEWAY, Err(TokenError::Expired)),
        ("J103 an hour ahead", now() + 3600, Err(TokenError::Expired)),
        ("J103 back again", now(), Ok(())),
        ("J103 before nbf", now() - 20 - LEEWAY - 1, Err(TokenError::NotYetValid)),
        ("J103 an hour back", now() - 3600, Err(TokenError::NotYetValid)),
        ("J103 back to 1970", 0, Err(TokenError::Expired)),
        ("J103 the end of time", u64::MAX, Err(TokenError::Expired)),
    ];
    for (name, time, verdict) in rows {
        assert_eq!(verify(&cache, &checks(), &token, at(time)), verdict, "{name}");
    }
    assert_eq!((cache.stats().hits, cache.stats().misses), (rows.len() as u64, 1), "all of them were hits");
}

/// J102: one resource's verdict is nothing to another.
#[test]
fn j102_j104_another_or_a_changed_resource_decides_for_itself() {
    let token = issuer().rsa.mint(&claims_with(&json!({"org_id": "org_a", "iat": now() - 60, "exp": now() - 1})));
    let cache = holding(&[&token]);
    let usual = checks();
    let rows = [
        ("audience", Checks { audience: vec!["other".to_owned()], ..usual.clone() }, Err(TokenError::Audience)),
        ("no audience", Checks { audience: Vec::new(), ..usual.clone() }, Err(TokenError::Audience)),
        (
            "all audiences",
            Checks { audience: vec![AUDIENCE.to_owned(), "other".to_owned()], audience_match: AudienceMatch::All, ..usual.clone() },
            Err(TokenError::Audience),
        ),
        ("issuer", Checks { issuer: "https://other.eu.auth0.com/".to_owned(), ..usual.clone() }, Err(TokenError::Issuer)),
        ("algorithm", checks_for("PS256"), Err(TokenError::Algorithm)),
        ("leeway", Checks { leeway: Duration::ZERO, ..usual.clone() }, Err(TokenError::Expired)),
        ("type", Checks { require_at_jwt: true, ..usual.clone() }, Err(TokenError::Type)),
        ("lifetime", Checks { max_token_lifetime: Some(at(58)), ..usual.clone() }, Err(TokenError::Lifetime)),
        ("organization", Checks { organizations: vec!["org_b".to_owned()], ..usual.clone() }, Err(TokenError::Organization)),
        ("organization held", Checks { organizations: vec!["org_a".to_owned()], ..usual.clone() }, Ok(())),
        ("unchanged", usual, Ok(())),
    ];
    for (name, checks, verdict) in rows {
        assert_eq!(verify(&cache, &checks, &token, at(now())), verdict, "{name}");
        assert_eq!(checks.verify(&token, keys(), at(now())).map(drop), verdict, "{name}, without the cache");
    }
}

#[test]
fn j49_only_the_very_keys_that_verified_a_token_answer_for_it() {
    let (rsa, next) = (&issuer().rsa, &issuer().next);
    let token = good();
    let verify = |cache: &TokenCache, keys: &KeySet| cache.verify(OWNER, &token, &checks(), keys, at(now())).map(drop);
    let cache = TokenCache::new(MIB);
    assert_eq!(verify(&cache, &set(&jwks([rsa, next]))), Ok(()));
    assert_eq!(verify(&cache, &set(&jwks([next, rsa]))), Ok(()), "the same keys in another order");
    assert_eq!(cache.stats().hits, 1, "the same keys");
    let refused = [
        ("key removed", set(&jwks([next])), TokenError::UnknownKey),
        ("another key under its name", set(&jwks([&next.named("rsa")])), TokenError::Signature),
        ("its key for another algorithm", set(&jwks([&rsa.signing("PS256")])), TokenError::UnknownKey),
        ("its key under another name", set(&jwks([&rsa.named("other"), next])), TokenError::UnknownKey),
        ("no keys", KeySet::default(), TokenError::UnknownKey),
        ("a secret", KeySet::from_secret(&[7; 32]).unwrap(), TokenError::UnknownKey),
    ];
    for (name, keys, error) in refused {
        assert_eq!(verify(&cache, &keys), Err(error), "{name}");
    }
    assert_eq!(verify(&cache, &set(&jwks([rsa]))), Ok(()), "verified anew");
    assert_eq!(cache.stats().hits, 1);
}

/// J32: whose key a nameless token means depends on the keys, remembered or not.
#[test]
fn j32_a_nameless_token_is_refused_once_there_are_two_keys() {
    let (rsa, next) = (&issuer().rsa, &issuer().next);
    let token = rsa.mint_with(&json!({"kid": null}), &claims());
    let cache = TokenCache::new(MIB);
    assert_eq!(cache.verify(OWNER, &token, &checks(), &set(&jwks([rsa])), at(now())).map(drop), Ok(()));
    assert_eq!(cache.verify(OWNER, &token, &checks(), &set(&jwks([rsa, next])), at(now())).map(drop), Err(TokenError::UnknownKey));
}

/// J59, J60: every byte of the token is part of its name.
#[test]
fn j60_no_other_text_passes_for_a_remembered_token() {
    let token = good();
    let cache = holding(&[&token]);
    for place in 0..token.len() {
        let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
        let mut changed = token.clone();
        changed.replace_range(place..=place, other);
        assert!(verify(&cache, &checks(), &changed, at(now())).is_err(), "{other} at {place}");
    }
    assert_eq!(cache.stats().hits, 0);
    for changed in [format!("{token}."), format!("{token}A"), token[..token.len() - 1].to_owned(), String::new(), "A".repeat(20_000)] {
        assert!(verify(&cache, &checks(), &changed, at(now())).is_err());
    }
}

#[test]
fn a_bad_signature_is_remembered_for_a_minute_and_cheap_failures_are_not() {
    let cache = TokenCache::new(MIB);
    let bad = issuer().next.named("rsa").mint(&claims());
    let refused = |time: u64| {
        assert_eq!(verify(&cache, &checks(), &bad, at(time)), Err(TokenError::Signature), "at {time}");
        cache.stats().refused
    };
    assert_eq!([refused(now()), refused(now()), refused(now() + 59)], [0, 1, 2]);
    assert_eq!([refused(now() + 60), refused(now() + 60)], [2, 3], "verified anew after a minute");
    assert_eq!(refused(now()), 3, "and after the clock was set back");

    let cheap = [
        issuer().rsa.mint(&claims_with(&json!({"exp": now() - 60}))),
        issuer().rsa.mint(&claims_with(&json!({"aud": "other"}))),
        issuer().rsa.mint_with(&json!({"crit": []}), &claims()),
        issuer().rsa.named("unknown").mint(&claims()),
        "a.b.c".to_owned(),
    ];
    let before = cache.stats();
    for token in cheap.iter().chain(&cheap) {
        assert!(verify(&cache, &checks(), token, at(now())).is_err());
    }
    assert_eq!(cache.stats(), CacheStats { misses: before.misses + 2 * cheap.len() as u64, ..before });
}

/// A token that came before its key is not bad for ever: other keys, another verdict.
#[test]
fn j48_a_bad_signature_is_bad_under_those_keys_and_that_algorithm_only() {
    let (cache, token) = (TokenCache::new(MIB), good());
    let impostor = set(&jwks([&issuer().next.named("rsa")]));
    for _ in 0..2 {
        assert_eq!(cache.verify(OWNER, &token, &checks(), &impostor, at(now())).map(drop), Err(TokenError::Signature));
    }
    assert_eq!(cache.stats().refused, 1);
    assert_eq!(cache.verify(OWNER, &token, &checks_for("PS256"), &impostor, at(now())).map(drop), Err(TokenError::Algorithm));
    assert_eq!(verify(&cache, &checks(), &token, at(now())), Ok(()));
}

#[test]
fn it_stays_within_its_bytes_and_a_flood_hurts_nobody_who_holds_an_equal_share() {
    let cache = TokenCache::new(MIB);
    fill(&cache, "small", 0..50);
    for round in 0..4 {
        fill(&cache, "large", 1000 * round..1000 * round + 700);
        assert!(cache.stats().bytes <= MIB, "{:?}", cache.stats());
    }
    let before = cache.stats();
    assert!(before.bytes > MIB / 2, "{before:?}");
    fill(&cache, "small", 0..50);
    assert_eq!(cache.stats().hits - before.hits, 50, "the small one lost nothing");
    fill(&cache, "third", 0..700);
    let before = cache.stats();
    fill(&cache, "small", 0..50);
    assert_eq!(cache.stats().hits - before.hits, 50, "nor to two large ones");
    assert!(cache.stats().bytes <= MIB, "{:?}", cache.stats());
}

#[test]
fn an_owner_alone_may_use_it_all_again_when_the_others_have_gone() {
    let cache = TokenCache::new(MIB);
    fill(&cache, "large", 0..700);
    fill(&cache, "other", 0..700);
    cache.tidy(|owner| owner == "large", at(now()));
    let left = cache.stats().bytes;
    assert!(left < MIB * 6 / 10, "{left}");
    fill(&cache, "large", 0..700);
    assert!(cache.stats().bytes > MIB * 8 / 10, "{:?}", cache.stats());
}

#[test]
fn tidying_forgets_what_expired_and_nothing_else() {
    let cache = TokenCache::new(MIB);
    for (subject, exp) in [(1, now() + 10), (2, now() + 600)] {
        cache.verify(OWNER, &token_of(subject, exp), &checks_for("EdDSA"), keys(), at(now())).unwrap();
    }
    for (time, left) in [(now() + 69, 2), (now() + 70, 1), (now() + 660, 0)] {
        cache.tidy(|owner| owner == OWNER, at(time));
        assert_eq!(cache.stats().tokens, left);
    }
    assert_eq!(cache.stats().bytes, 0);
}

#[test]
fn without_capacity_nothing_is_remembered() {
    let cache = TokenCache::new(0);
    for _ in 0..2 {
        assert_eq!(verify(&cache, &checks(), &good(), at(now())), Ok(()));
        assert_eq!(verify(&cache, &checks(), "a.b.c", at(now())), Err(TokenError::Malformed));
    }
    cache.tidy(|_| true, at(now()));
    assert_eq!(cache.stats(), CacheStats { hits: 0, misses: 0, refused: 0, tokens: 0, bytes: 0 });
}

#[test]
fn many_threads_and_owners_stay_within_the_bytes() {
    let cache = TokenCache::new(MIB);
    thread::scope(|scope| {
        for worker in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for owner in 0..6 {
                    fill(cache, &format!("owner-{}", (owner + worker) % 6), 0..100);
                    cache.tidy(|owner| owner != "owner-5", at(now()));
                }
            });
        }
    });
    cache.tidy(|_| true, at(now()));
    assert!(cache.stats().bytes <= MIB, "{:?}", cache.stats());
}

proptest! {
    /// First seen or remembered, under these checks or after others: the verdict is that of `Checks::verify`.
    #[test]
    fn the_cache_never_changes_a_verdict(
        exp in -20_i64..20, iat in -20_i64..20, aud in 0_usize..3, typ in 0_usize..3, org in 0_usize..3, forged in any::<bool>(),
        policies in prop::collection::vec((0_u64..8, 0_usize..3, any::<bool>(), any::<bool>(), 0_u64..30, -20_i64..20), 1..6),
    ) {
        let (audiences, types, organizations) = ([AUDIENCE, "other", "third"], ["JWT", "at+jwt", "logout+jwt"], [json!(null), json!("org_a"), json!("org_b")]);
        let time = |offset: i64| now().saturating_add_signed(offset);
        let claims = claims_with(&json!({"exp": time(exp), "iat": time(iat), "aud": audiences[aud], "org_id": organizations[org]}));
        let signer: Signer = if forged { Signer::generate("EdDSA", "ed") } else { issuer().ed.clone() };
        let token = signer.mint_with(&json!({"typ": types[typ]}), &claims);
        let cache = TokenCache::new(MIB);
        for (leeway, aud, at_jwt, organization, lifetime, clock) in policies {
            let checks = Checks {
                leeway: at(leeway),
                audience: vec![audiences[aud].to_owned()],
                require_at_jwt: at_jwt,
                organizations: if organization { vec!["org_a".to_owned()] } else { Vec::new() },
                max_token_lifetime: (lifetime > 10).then(|| at(lifetime)),
                ..checks_for("EdDSA")
            };
            let (cached, plain) = (verify(&cache, &checks, &token, at(time(clock))), checks.verify(&token, keys(), at(time(clock))).map(drop));
            prop_assert!(cached == plain || (plain.is_err() && cached == Err(TokenError::Signature)), "{cached:?}, not {plain:?}");
        }
    }
}
