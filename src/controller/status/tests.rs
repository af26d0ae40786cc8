use super::*;
use crate::{
    compile::Verdict,
    jwks::FetchError,
    jwt::{KeySet, SkippedKey},
};
use std::sync::Arc;
use tokio::time::Instant;

const NOW: Duration = Duration::from_secs(1_000);
const LATER: Duration = Duration::from_secs(2_000);

fn outcome(accepted: Reason, resolved: Reason) -> Outcome {
    let verdict = |condition, reason, good| Verdict { condition, good, reason, message: format!("about {}", condition.as_str()) };
    Outcome {
        generation: 3,
        verdicts: [
            verdict(Condition::Accepted, accepted, accepted == Reason::Accepted),
            verdict(Condition::ResolvedRefs, resolved, resolved == Reason::ResolvedRefs),
        ],
        hosts: vec!["a.example.com".to_owned(), "b.example.com".to_owned()],
        keys: Keys::NotNeeded,
        max_staleness: Duration::from_secs(86_400),
    }
}

fn good() -> Outcome {
    outcome(Reason::Accepted, Reason::ResolvedRefs)
}

fn keys(good: bool, failure: Option<FetchError>) -> KeyState {
    let keys = good.then(|| (Arc::new(KeySet::default()), Instant::now()));
    KeyState { good: keys, failure, ..KeyState::default() }
}

fn known<'a>(outcome: &'a Outcome, previous: &'a ProtectedEndpointStatus) -> Known<'a> {
    Known { outcome, keys: None, programmed: Programmed::Yes, addresses: &[], previous, claims: vec![] }
}

fn line(status: &ProtectedEndpointStatus, type_: &str) -> (String, String) {
    let found = condition(status, type_).unwrap();
    (found.status.clone(), found.reason.clone())
}

#[test]
fn ready_is_all_of_them_or_the_first_that_is_not() {
    let (fresh, failed, never) = (keys(true, None), keys(false, Some(FetchError::Dns)), keys(false, None));
    let stale = keys(true, Some(FetchError::Timeout));
    let (yes, not_yet, unknowable) = (Programmed::Yes, Programmed::NotYet, Programmed::Unknowable);
    let bad = |reason| outcome(reason, Reason::ResolvedRefs);
    let lost = || outcome(Reason::Accepted, Reason::BackendNotFound);
    let cases = [
        ("all good", good(), Some(&fresh), yes, "True", "Ready"),
        ("no keys needed", good(), None, yes, "True", "Ready"),
        ("stale keys serve", good(), Some(&stale), yes, "True", "Ready"),
        ("the first failing one names the reason", bad(Reason::HostOwned), Some(&failed), not_yet, "False", "HostOwned"),
        ("then the references", lost(), Some(&failed), not_yet, "False", "BackendNotFound"),
        ("then the keys", good(), Some(&failed), not_yet, "False", "FetchFailed"),
        ("keys on their way are no failure", good(), Some(&never), yes, "Unknown", "NeverFetched"),
        ("a failure after it is", good(), Some(&never), not_yet, "Unknown", "NeverFetched"),
        ("then the replicas", good(), Some(&fresh), not_yet, "False", "Pending"),
        ("what cannot be known for ever does not count", good(), Some(&fresh), unknowable, "True", "Ready"),
    ];
    for (name, outcome, keys, programmed, status, reason) in cases {
        let previous = ProtectedEndpointStatus::default();
        let status_now = desired(Known { keys, programmed, ..known(&outcome, &previous) }, NOW);
        assert_eq!(line(&status_now, "Ready"), (status.to_owned(), reason.to_owned()), "{name}");
    }
}

#[test]
fn every_condition_is_there_in_one_order_with_the_generation() {
    let (outcome, previous) = (good(), ProtectedEndpointStatus::default());
    let status = desired(known(&outcome, &previous), NOW);
    let types: Vec<_> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(types, ["Accepted", "ResolvedRefs", "KeysReady", "Programmed", "Ready"]);
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(3)));
}

#[test]
fn the_keys_condition_says_the_code_and_nothing_of_the_other_side() {
    let (outcome, previous) = (good(), ProtectedEndpointStatus::default());
    for (state, status, reason, code) in [
        (keys(true, None), "True", "Fresh", ""),
        (keys(true, Some(FetchError::Timeout)), "True", "Stale", "Timeout"),
        (keys(false, Some(FetchError::NotJwks)), "False", "FetchFailed", "NotJwks"),
        (keys(false, None), "Unknown", "NeverFetched", ""),
    ] {
        let now = desired(Known { keys: Some(&state), ..known(&outcome, &previous) }, NOW);
        assert_eq!(line(&now, "KeysReady"), (status.to_owned(), reason.to_owned()));
        assert!(condition(&now, "KeysReady").unwrap().message.contains(code));
    }
}

#[test]
fn equal_knowledge_writes_nothing_k24() {
    let outcome = good();
    let empty = ProtectedEndpointStatus::default();
    let first = desired(known(&outcome, &empty), NOW);
    assert!(!means_the_same(&first, &empty));
    let again = desired(known(&outcome, &first), LATER);
    assert_eq!(again, first, "times are kept");

    let mut reordered = first.clone();
    reordered.conditions.reverse();
    let mut foreign = first.conditions[0].clone();
    foreign.type_ = "example.com/Mine".to_owned();
    reordered.conditions.push(foreign);
    assert!(means_the_same(&first, &reordered), "neither order nor what others add is meaning");
}

#[test]
fn a_transition_has_a_time_and_a_new_reason_has_none() {
    let (lost, owned, fine) = (outcome(Reason::Invalid, Reason::ResolvedRefs), outcome(Reason::HostOwned, Reason::ResolvedRefs), good());
    let empty = ProtectedEndpointStatus::default();
    let time_of = |status: &ProtectedEndpointStatus, type_| condition(status, type_).unwrap().last_transition_time.0.as_second();
    let first = desired(known(&lost, &empty), NOW);
    let second = desired(known(&owned, &first), LATER);
    assert_eq!((time_of(&second, "Accepted"), line(&second, "Accepted").1.as_str()), (1_000, "HostOwned"));
    let third = desired(known(&fine, &second), LATER);
    assert_eq!((time_of(&third, "Accepted"), time_of(&third, "ResolvedRefs")), (2_000, 1_000));
    assert_eq!(time_of(&third, "Ready"), 2_000);
}

#[test]
fn a_message_fits_an_event() {
    let mut outcome = good();
    outcome.verdicts[0].good = false;
    outcome.verdicts[0].message = "ä".repeat(1_000);
    let previous = ProtectedEndpointStatus::default();
    let status = desired(known(&outcome, &previous), NOW);
    assert!(status.conditions.iter().all(|c| c.message.len() <= LONGEST_MESSAGE));
    assert!(condition(&status, "Ready").unwrap().message.ends_with("..."));
}

fn keys_line(state: &KeyState) -> (String, String, String) {
    let (outcome, previous) = (good(), ProtectedEndpointStatus::default());
    let status = desired(Known { keys: Some(state), ..known(&outcome, &previous) }, NOW);
    let found = condition(&status, "KeysReady").unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

/// J14, J36, J40: of keys that verify nothing the condition says why, escaped and cut.
#[test]
fn keys_that_are_left_out_are_named_with_their_reasons() {
    let clash = KeySet::from_jwks(
        br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    );
    let Err(crate::jwt::KeySetError::Empty(clash)) = clash else { panic!("a clash leaves nothing") };
    let skipped = |kid: &str, reason| SkippedKey { kid: Some(kid.to_owned()), reason };
    let odd = skipped(&format!("x\n{}", "y".repeat(60)), "`use` is not `sig`");
    let many: Vec<_> = (0..9).map(|n| skipped(&n.to_string(), "an RSA key must have 2048 to 8192 bits")).collect();
    let with = |state: KeyState, skipped: &[SkippedKey]| KeyState { skipped: skipped.to_vec().into(), ..state };
    let none = FetchError::NoUsableKey;
    for (row, state, expected, says) in [
        ("J14", with(keys(true, None), &many), ("True", "Fresh"), r#"here; left out: kid "0": an RSA key must"#),
        ("bounded", with(keys(true, None), &many), ("True", "Fresh"), "; 5 more"),
        ("escaped", with(keys(true, None), std::slice::from_ref(&odd)), ("True", "Fresh"), r#"kid "x\ny"#),
        ("J36", with(keys(true, None), &clash), ("False", "AmbiguousKeys"), r#"kid "a": shares its `kid`"#),
        ("J40, keys before", with(keys(true, Some(none)), &many), ("False", "Stale"), "(NoUsableKey); the last good keys serve; left out"),
        ("J40, none before", with(keys(false, Some(none)), &many), ("False", "FetchFailed"), "left out: kid"),
        ("an outage", keys(true, Some(FetchError::Dns)), ("True", "Stale"), "(Dns); the last good keys serve"),
    ] {
        let (status, reason, message) = keys_line(&state);
        assert_eq!((status.as_str(), reason.as_str()), expected, "{row}");
        assert!(message.contains(says) && !message.contains('\n') && message.len() <= LONGEST_MESSAGE, "{row}: {message}");
    }
}

/// J47.
#[tokio::test(start_paused = true)]
async fn keys_that_are_too_old_to_serve_are_not_ready() {
    let stale = keys(true, Some(FetchError::Timeout));
    assert_eq!(keys_line(&stale).0, "True");
    tokio::time::advance(Duration::from_secs(86_401)).await;
    let (status, reason, message) = keys_line(&stale);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Stale"));
    assert!(message.contains("older than jwksMaxStaleness: 503"), "{message}");
}
