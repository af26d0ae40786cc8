//! The life of keys, in paused time, with a scripted issuer.

use super::script::{DAY, HOUR, MINUTE, Stage, capture_logs, document, fails, id, jwk, keys, settle, try_again_in};
use crate::{
    jwks::{FetchError, Freshness, KeyRing, Keys, Refresher},
    jwt::{KeySet, Provider},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, advance, sleep, timeout},
};

const QUARTER: Duration = Duration::from_secs(15 * 60);
const SECOND: Duration = Duration::from_secs(1);

fn known(ids: &[&str]) -> Option<Vec<String>> {
    Some(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn the_first_fetch_is_not_delayed_and_until_it_ends_there_are_no_keys() {
    let start = Instant::now();
    let mut stage = Stage::new(keys(&["one"]));
    stage.assign(QUARTER);
    assert_eq!((stage.key_ids(), stage.keys().state().freshness()), (None, Freshness::NeverFetched));
    settle().await;
    assert_eq!((stage.key_ids(), stage.keys().state().freshness()), (known(&["one"]), Freshness::Fresh));
    assert_eq!(stage.script.asked(&stage.id), [start]);
}

/// J46.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_the_start_becomes_good_by_itself_and_harms_no_other() {
    let mut stage = Stage::new(fails(FetchError::Connect));
    let other = id("b");
    stage.script.answer(&other, keys(&["other"]));
    let provider = |id: &_| Provider { id: Clone::clone(id), refresh: QUARTER };
    stage.refresher.assign(&stage.ring, &[provider(&stage.id), provider(&other)]);
    sleep(MINUTE).await;
    assert_eq!((stage.key_ids(), stage.keys().state().freshness()), (None, Freshness::FetchFailed));
    assert_eq!(stage.keys().state().failure, Some(FetchError::Connect));
    assert!(matches!(stage.ring.find(&other).unwrap().at(Instant::now(), DAY), Keys::Known(_)));
    stage.script.answer(&stage.id, keys(&["one"]));
    sleep(MINUTE).await;
    assert_eq!((stage.key_ids(), stage.keys().state().freshness()), (known(&["one"]), Freshness::Fresh));
}

/// J47.
#[tokio::test(start_paused = true)]
async fn keys_serve_while_the_issuer_is_down_up_to_the_staleness_the_route_allows() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    let fetched = Instant::now();
    stage.script.answer(&stage.id, fails(FetchError::Timeout));
    for (name, age, served) in [
        ("10 min", 10 * MINUTE, true),
        ("1 h", HOUR, true),
        ("a day", DAY, true),
        ("a day and a bit", DAY + SECOND, false),
        ("25 h", 25 * HOUR, false),
    ] {
        sleep(fetched + age - Instant::now()).await;
        // Paused time stands at most a millisecond past what was slept for.
        let now = fetched + age;
        assert_eq!(matches!(stage.keys().at(now, DAY), Keys::Known(_)), served, "{name}");
    }
    assert_eq!(stage.keys().state().freshness(), Freshness::Stale);
    assert!(matches!(stage.keys().at(Instant::now(), HOUR), Keys::Unavailable), "each route has its own bound");
    stage.script.answer(&stage.id, keys(&["two"]));
    sleep(MINUTE).await;
    assert_eq!((stage.key_ids(), stage.keys().state().freshness()), (known(&["two"]), Freshness::Fresh));
}

/// J49: also when the fetch takes as long as a fetch may.
#[tokio::test(start_paused = true)]
async fn a_removed_key_is_gone_within_the_refresh_interval_whatever_the_jitter() {
    for (interval, seed) in [MINUTE, QUARTER, DAY].into_iter().flat_map(|interval| (0..20).map(move |seed| (interval, seed))) {
        let mut stage = Stage::new(keys(&["one", "removed"]));
        stage.refresher = Refresher::new(Handle::current(), Arc::clone(&stage.script), seed);
        stage.assign(interval);
        settle().await;
        stage.script.answer_after(&stage.id, Duration::from_millis(4900), keys(&["one"]));
        sleep(interval).await;
        assert_eq!(stage.key_ids(), known(&["one"]), "{interval:?}, seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_are_spread_over_time_and_never_much_too_early() {
    let mut stage = Stage::new(keys(&["one"]));
    let ids: Vec<_> = (0..20).map(|number| id(&number.to_string())).collect();
    let providers: Vec<_> = ids.iter().map(|id| Provider { id: id.clone(), refresh: QUARTER }).collect();
    ids.iter().for_each(|id| stage.script.answer(id, keys(&["one"])));
    stage.refresher.assign(&stage.ring, &providers);
    sleep(QUARTER).await;
    let mut gaps: Vec<_> = ids.iter().map(|id| stage.script.asked(id)).map(|asked| asked[1] - asked[0]).collect();
    gaps.sort_unstable();
    assert!(gaps[0] >= QUARTER.mul_f64(0.75), "{gaps:?}");
    assert!(gaps[19] - gaps[0] > MINUTE, "{gaps:?}");
}

/// J40, J41.
#[tokio::test(start_paused = true)]
async fn an_unusable_document_keeps_the_last_good_keys() {
    let many: Vec<_> = (0..65).map(|number| jwk(&number.to_string())).collect();
    let rows = [
        ("empty set", document(r#"{"keys":[]}"#), FetchError::NoUsableKey),
        ("only a secret key", document(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"one"}]}"#), FetchError::NoUsableKey),
        ("HTML", document("<!doctype html><title>Maintenance</title>"), FetchError::NotJwks),
        ("truncated", document(r#"{"keys":[{"kty":"RSA","n":"#), FetchError::NotJwks),
        ("nothing", document(""), FetchError::NotJwks),
        ("wrong type", document(r#"{"keys":"none"}"#), FetchError::NotJwks),
        ("an array", document("[]"), FetchError::NotJwks),
        ("too many keys", document(json!({"keys": many}).to_string()), FetchError::NotJwks),
        ("10,000 keys", document(json!({"keys": vec![jwk("one"); 10_000]}).to_string()), FetchError::NotJwks),
        ("too large", fails(FetchError::TooLarge), FetchError::TooLarge),
    ];
    for (name, answer, error) in rows {
        let stage = Stage::started(keys(&["one"]), QUARTER).await;
        let before = stage.set();
        stage.script.answer(&stage.id, answer);
        sleep(QUARTER).await;
        assert_eq!((stage.key_ids(), stage.keys().state().failure), (known(&["one"]), Some(error)), "{name}");
        assert!(Arc::ptr_eq(&before, &stage.set()), "{name}");
        let count = stage.keys().fetches().find(|(result, _)| *result == error.to_string()).unwrap().1;
        assert!(count > 0, "{name}");
    }
}

/// J14, J36, J40: why keys are left out can be seen, until an answer with other keys comes.
#[tokio::test(start_paused = true)]
async fn keys_that_are_left_out_are_known_with_their_reasons() {
    let [good, mut enc, twin] = ["good", "enc", "twin"].map(jwk);
    enc["use"] = json!("enc");
    let set = |keys: &[&serde_json::Value]| document(json!({ "keys": keys }).to_string());
    let stage = Stage::started(set(&[&good, &enc, &twin, &twin]), QUARTER).await;
    let skipped = |stage: &Stage| stage.keys().state().skipped.iter().map(ToString::to_string).collect::<Vec<_>>();
    let reasons = [r#"kid "enc": `use` is not `sig`"#, r#"kid "twin": shares its `kid` and an `alg` with another key"#];
    assert_eq!((skipped(&stage), stage.key_ids()), (reasons.map(str::to_owned).to_vec(), known(&["good"])));
    stage.script.answer(&stage.id, fails(FetchError::Dns));
    sleep(QUARTER).await;
    assert_eq!(skipped(&stage), reasons, "an outage changes nothing");
    stage.script.answer(&stage.id, set(&[&enc]));
    sleep(2 * MINUTE).await;
    assert_eq!((skipped(&stage), stage.key_ids()), (vec![reasons[0].to_owned()], known(&["good"])), "none that is usable");
    stage.script.answer(&stage.id, set(&[&good]));
    sleep(2 * MINUTE).await;
    assert_eq!(skipped(&stage), Vec::<String>::new());
}

/// J40: an empty set is a fetch like any other, for unknown keys too.
#[tokio::test(start_paused = true)]
async fn an_empty_set_does_not_end_the_cool_down() {
    let stage = Stage::started(keys(&["one"]), DAY).await;
    let set = stage.set();
    stage.script.answer(&stage.id, document(r#"{"keys":[]}"#));
    for _ in 0..100 {
        assert!(!stage.keys().refresh_for_unknown_key(&set).await);
    }
    assert_eq!((stage.fetches(), stage.keys().state().failure), (2, Some(FetchError::NoUsableKey)));
}

/// J42.
#[tokio::test(start_paused = true)]
async fn failures_are_retried_after_one_second_doubling_to_sixty() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    stage.script.answer(&stage.id, fails(FetchError::Connect));
    sleep(HOUR).await;
    let asked = stage.script.asked(&stage.id);
    let gaps: Vec<_> = asked.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
    for (gap, full) in gaps.iter().zip([1, 2, 4, 8, 16, 32].into_iter().chain(std::iter::repeat(60))) {
        let full = Duration::from_secs(full);
        assert!((full / 2..=full + Duration::from_millis(1)).contains(gap), "{gap:?} of {full:?} in {gaps:?}");
    }
    assert!(gaps.len() > 40, "{}", gaps.len());
    assert_eq!(stage.key_ids(), known(&["one"]));
    stage.script.answer(&stage.id, keys(&["two"]));
    sleep(MINUTE).await;
    assert_eq!((stage.key_ids(), stage.keys().state().freshness()), (known(&["two"]), Freshness::Fresh));
    stage.script.answer(&stage.id, fails(FetchError::Connect));
    let fetches = stage.fetches();
    sleep(QUARTER).await;
    let asked = stage.script.asked(&stage.id);
    assert!(asked[fetches + 1] - asked[fetches] <= SECOND + Duration::from_millis(1), "a success begins the row anew");
}

/// J42.
#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_up_to_the_refresh_interval_by_everybody() {
    for (name, asked_for, pause) in [("short", 5 * MINUTE, 5 * MINUTE), ("longer than the interval", DAY, QUARTER)] {
        let stage = Stage::started(try_again_in(asked_for), QUARTER).await;
        stage.script.answer(&stage.id, keys(&["one"]));
        let nothing = Arc::new(KeySet::default());
        sleep(pause - SECOND).await;
        assert!(!stage.keys().refresh_for_unknown_key(&nothing).await, "{name}");
        assert_eq!((stage.fetches(), stage.key_ids()), (1, None), "{name}");
        sleep(2 * SECOND).await;
        assert_eq!((stage.fetches(), stage.key_ids()), (2, known(&["one"])), "{name}");
        stage.script.answer(&stage.id, keys(&["two"]));
        assert!(stage.keys().refresh_for_unknown_key(&stage.set()).await, "{name}: the pause is over");
    }
}

/// J48.
#[tokio::test(start_paused = true)]
async fn a_token_with_a_new_key_gets_it_with_one_fetch() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    let seen = stage.set();
    stage.script.answer_after(&stage.id, SECOND / 2, keys(&["one", "two"]));
    let asked = Instant::now();
    assert!(stage.keys().refresh_for_unknown_key(&seen).await);
    assert!(asked.elapsed() <= SECOND);
    assert_eq!((stage.key_ids(), stage.fetches()), (known(&["one", "two"]), 2));
    sleep(MINUTE).await;
    assert!(stage.keys().refresh_for_unknown_key(&seen).await, "who looked at the old set is told to look again");
    assert_eq!(stage.fetches(), 2);
    stage.script.answer_after(&stage.id, SECOND / 2, keys(&["three"]));
    assert!(stage.keys().refresh_for_unknown_key(&stage.set()).await, "the next rotation too");
    assert_eq!((stage.key_ids(), stage.fetches()), (known(&["three"]), 3));
}

/// J50.
#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_share_one_fetch() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    let (provider, seen) = (stage.keys(), stage.set());
    stage.script.answer_after(&stage.id, SECOND, keys(&["two"]));
    let mut waiting = JoinSet::new();
    for _ in 0..10_000 {
        let (provider, seen) = (Arc::clone(&provider), Arc::clone(&seen));
        waiting.spawn(async move { provider.refresh_for_unknown_key(&seen).await });
    }
    assert!(waiting.join_all().await.into_iter().all(|other_keys| other_keys));
    assert_eq!(stage.fetches(), 2);
}

/// J50: whether the fetches succeed or fail.
#[tokio::test(start_paused = true)]
async fn a_lasting_flood_costs_one_fetch_in_thirty_seconds() {
    for (name, answer) in [("same keys", None), ("issuer down, asking for patience", Some(try_again_in(SECOND)))] {
        let stage = Stage::started(keys(&["one"]), DAY).await;
        let (provider, seen, start) = (stage.keys(), stage.set(), Instant::now());
        let regular = answer.as_ref().map_or(0, |_| 10);
        answer.into_iter().for_each(|answer| stage.script.answer(&stage.id, answer));
        while start.elapsed() < 5 * MINUTE {
            let asked = Instant::now();
            assert!(!provider.refresh_for_unknown_key(&seen).await, "{name}");
            assert_eq!(asked.elapsed(), Duration::ZERO, "{name}: nobody waits");
            sleep(Duration::from_millis(100)).await;
        }
        let fetches = stage.fetches() - 1;
        // Retries of a failed fetch come on their own schedule, beside the ten that the flood may cause.
        assert!((10..=10 + regular).contains(&fetches), "{name}: {fetches}");
    }
}

/// J51.
#[tokio::test(start_paused = true)]
async fn known_keys_are_served_without_waiting_while_unknown_ones_are_fetched() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    let (provider, seen) = (stage.keys(), stage.set());
    stage.script.answer_after(&stage.id, 4 * SECOND, fails(FetchError::Timeout));
    let waiting = tokio::spawn({
        let (provider, seen) = (Arc::clone(&provider), Arc::clone(&seen));
        async move { provider.refresh_for_unknown_key(&seen).await }
    });
    settle().await;
    let now = Instant::now();
    assert!((0..1000).all(|_| matches!(provider.at(Instant::now(), DAY), Keys::Known(set) if Arc::ptr_eq(&set, &seen))));
    assert_eq!((now.elapsed(), waiting.is_finished()), (Duration::ZERO, false));
    assert!(!waiting.await.unwrap());
    assert!(Arc::ptr_eq(&stage.set(), &seen));
}

/// J44, J48: no request waits longer than five seconds, and other issuers are not held up.
#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_five_seconds() {
    let mut stage = Stage::started(keys(&["one"]), QUARTER).await;
    stage.script.answer_after(&stage.id, HOUR, keys(&["two"]));
    let asked = Instant::now();
    assert!(!stage.keys().refresh_for_unknown_key(&stage.set()).await);
    assert!(asked.elapsed() >= 5 * SECOND && asked.elapsed() < 5 * SECOND + Duration::from_millis(10), "{:?}", asked.elapsed());
    let other = id("b");
    stage.script.answer(&other, keys(&["other"]));
    stage.refresher.assign(&stage.ring, &[&stage.id, &other].map(|id| Provider { id: id.clone(), refresh: QUARTER }));
    settle().await;
    assert!(matches!(stage.ring.find(&other).unwrap().at(Instant::now(), DAY), Keys::Known(_)));
}

/// J52.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_neither_the_fetch_nor_the_others_along() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    let (provider, seen) = (stage.keys(), stage.set());
    stage.script.answer_after(&stage.id, 2 * SECOND, keys(&["two"]));
    assert!(timeout(SECOND, provider.refresh_for_unknown_key(&seen)).await.is_err(), "the client leaves");
    assert!(provider.refresh_for_unknown_key(&seen).await, "the next one shares the fetch under way");
    assert_eq!((stage.fetches(), stage.key_ids()), (2, known(&["two"])));
}

/// J52: fails while a request waits, twice.
#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_while_requests_wait_answers_them_all_and_the_next_may_succeed() {
    let stage = Stage::started(keys(&["one"]), DAY).await;
    let (provider, seen) = (stage.keys(), stage.set());
    for _ in 0..2 {
        stage.script.answer_after(&stage.id, SECOND, fails(FetchError::Connect));
        let (first, second) = tokio::join!(provider.refresh_for_unknown_key(&seen), provider.refresh_for_unknown_key(&seen));
        assert_eq!((first, second), (false, false));
        sleep(2 * MINUTE).await;
    }
    stage.script.answer(&stage.id, keys(&["two"]));
    sleep(2 * MINUTE).await;
    assert_eq!(stage.key_ids(), known(&["two"]));
}

/// J52: nothing is left of a provider that is no longer assigned, and who waits for it is told at once.
#[tokio::test(start_paused = true)]
async fn a_provider_that_goes_away_ends_its_fetches_and_its_waiters() {
    let mut stage = Stage::started(keys(&["one"]), MINUTE).await;
    let (provider, seen) = (stage.keys(), stage.set());
    stage.script.answer_after(&stage.id, HOUR, keys(&["two"]));
    let waiting = tokio::spawn({
        let (provider, seen) = (Arc::clone(&provider), Arc::clone(&seen));
        async move { provider.refresh_for_unknown_key(&seen).await }
    });
    settle().await;
    stage.refresher.assign(&stage.ring, &[]);
    let removed = Instant::now();
    assert!(!waiting.await.unwrap());
    assert!(removed.elapsed() < SECOND);
    assert!(stage.ring.find(&stage.id).is_none());
    assert!(!provider.refresh_for_unknown_key(&seen).await, "nobody is left to fetch");
    assert!(removed.elapsed() < SECOND);
    assert_eq!(Arc::strong_count(&provider), 1, "the task is gone");
    sleep(HOUR).await;
    assert_eq!(stage.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_refresher_stops_fetching_and_leaves_the_keys_in_service() {
    let stage = Stage::started(keys(&["one"]), MINUTE).await;
    let Stage { script, ring, refresher, id } = stage;
    drop(refresher);
    sleep(HOUR).await;
    let Keys::Known(set) = ring.find(&id).unwrap().at(Instant::now(), DAY) else { panic!("no keys") };
    assert_eq!((set.key_ids(), script.asked(&id).len()), (vec!["one"], 1));
}

/// The key may be newer than a fetch that is already under way.
#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_served_by_a_fetch_that_began_after_it_was_asked_for() {
    let old = keys(&["one"]);
    let stage = Stage::started(old.clone(), MINUTE).await;
    stage.script.answer_after(&stage.id, SECOND, old);
    while stage.fetches() < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    stage.script.answer(&stage.id, keys(&["two"]));
    assert!(stage.keys().refresh_for_unknown_key(&stage.set()).await);
    assert_eq!((stage.key_ids(), stage.fetches()), (known(&["two"]), 3));
}

#[tokio::test(start_paused = true)]
async fn the_same_document_leaves_the_same_keys_in_service_and_makes_them_fresh() {
    let stage = Stage::started(keys(&["one"]), QUARTER).await;
    let before = stage.set();
    sleep(QUARTER).await;
    assert_eq!(stage.fetches(), 2);
    assert!(Arc::ptr_eq(&before, &stage.set()));
    assert!(stage.keys().state().good.as_ref().unwrap().1.elapsed() < QUARTER / 2);
}

#[tokio::test(start_paused = true)]
async fn a_changed_interval_applies_at_once_and_keeps_the_keys() {
    let mut stage = Stage::started(keys(&["one"]), DAY).await;
    let (provider, before) = (stage.keys(), stage.set());
    sleep(HOUR).await;
    assert_eq!(stage.fetches(), 1);
    stage.assign(MINUTE);
    assert!(Arc::ptr_eq(&provider, &stage.keys()));
    settle().await;
    assert_eq!(stage.fetches(), 2, "an hour is more than the new interval");
    sleep(10 * MINUTE).await;
    assert!((11..=16).contains(&stage.fetches()), "{}", stage.fetches());
    stage.assign(DAY);
    let fetches = stage.fetches();
    sleep(HOUR).await;
    assert_eq!(stage.fetches(), fetches);
    assert!(Arc::ptr_eq(&before, &stage.set()));
}

#[tokio::test(start_paused = true)]
async fn the_ring_holds_exactly_what_was_assigned() {
    let mut stage = Stage::new(keys(&["one"]));
    let [a, b, c] = ["a", "b", "c"].map(id);
    [&a, &b, &c].into_iter().for_each(|id| stage.script.answer(id, keys(&["key"])));
    let provider = |id: &crate::jwt::ProviderId, refresh| Provider { id: id.clone(), refresh };
    let held = |ring: &KeyRing| ring.all().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    stage.refresher.assign(&stage.ring, &[provider(&b, HOUR), provider(&a, HOUR)]);
    settle().await;
    assert_eq!(held(&stage.ring), [a.clone(), b.clone()]);
    let kept = stage.ring.find(&a).unwrap();
    stage.refresher.assign(&stage.ring, &[provider(&a, HOUR), provider(&c, DAY), provider(&c, MINUTE), provider(&c, HOUR)]);
    assert_eq!(held(&stage.ring), [a.clone(), c.clone()]);
    assert!(Arc::ptr_eq(&kept, &stage.ring.find(&a).unwrap()));
    sleep(MINUTE).await;
    let count = |id| stage.script.asked(id).len();
    assert_eq!((count(&a), count(&b), count(&c)), (1, 1, 2), "the shortest interval of c holds");
}

#[tokio::test(start_paused = true)]
async fn fixed_keys_are_known_and_never_fetched() {
    let Ok(document) = keys(&["one"]) else { panic!("a document") };
    let ring = KeyRing::fixed([(id("a"), KeySet::from_jwks(&document).unwrap().0)], Instant::now());
    let provider = ring.find(&id("a")).unwrap();
    let Keys::Known(seen) = provider.at(Instant::now(), MINUTE) else { panic!("no keys") };
    assert!(!provider.refresh_for_unknown_key(&seen).await);
    advance(MINUTE + SECOND).await;
    assert!(matches!(provider.at(Instant::now(), MINUTE), Keys::Unavailable));
}

/// J39, J53: what an issuer should never have published is neither used nor shown.
#[tokio::test(start_paused = true)]
async fn secrets_in_a_key_set_are_neither_used_nor_logged() {
    let (logs, _guard) = capture_logs();
    let mut with_private = jwk("one");
    with_private["d"] = json!("CANARY-private");
    let secret = json!({"kty": "oct", "kid": format!("long\n{}", "x".repeat(200)), "k": "CANARY-secret"});
    let stage = Stage::started(document(json!({"keys": [with_private, secret]}).to_string()), QUARTER).await;
    assert_eq!(stage.key_ids(), known(&["one"]));
    let shown = format!("{}{:?}", logs.text(), stage.ring);
    assert!(shown.contains("left out"), "{shown}");
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(!shown.contains("long\n") && !shown.contains(&"x".repeat(65)), "{shown}");
}

/// Every fetch is counted once, under its result.
#[tokio::test(start_paused = true)]
async fn fetches_are_counted_by_result() {
    let stage = Stage::started(keys(&["one"]), MINUTE).await;
    stage.script.answer(&stage.id, fails(FetchError::Tls));
    sleep(HOUR).await;
    let counts: Vec<_> = stage.keys().fetches().filter(|(_, count)| *count > 0).collect();
    let failures = u64::try_from(stage.fetches() - 1).unwrap();
    assert_eq!(counts, [("Ok".to_owned(), 1), ("Tls".to_owned(), failures)]);
    assert_eq!(stage.keys().fetches().count(), 1 + FetchError::ALL.len());
}
