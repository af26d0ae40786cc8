//! Events, for people who read `kubectl describe`: one when Ready turns or an issuer's keys do, and never in anybody's way.

use super::{
    health::{Health, count},
    raw::{API_VERSION, KIND},
    throttle::Throttle,
};
use crate::{api::ProtectedEndpointStatus, compile::ObjectRef};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

const PER_SECOND: u32 = 1;
const BURST: u32 = 25;
/// How many may wait; then the oldest goes.
const MOST_WAITING: usize = 100;
const DEADLINE: Duration = Duration::from_secs(5);
/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1024;

/// Events on their way. Who announces one never waits: a task of its own sends them.
pub(super) struct Events {
    waiting: Mutex<VecDeque<(ObjectRef, Event)>>,
    wake: Notify,
    health: Arc<Health>,
}

// === impl Events ===

impl Events {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self { waiting: Mutex::default(), wake: Notify::new(), health }
    }

    /// Queues the Event that the step from `before` to `after` deserves, if any.
    pub(super) fn announce(&self, object: &ObjectRef, before: &ProtectedEndpointStatus, after: &ProtectedEndpointStatus) {
        if let Some(event) = turn(before, after) {
            self.queue(object, event);
        }
    }

    /// Queues the news that the issuer of `object` has other keys.
    pub(super) fn announce_rotation(&self, object: &ObjectRef, note: String) {
        let (reason, action) = ("KeysRotated".to_owned(), "RefreshKeys".to_owned());
        self.queue(object, Event { type_: EventType::Normal, reason, note: Some(note), action, secondary: None });
    }

    fn queue(&self, object: &ObjectRef, event: Event) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((object.clone(), event));
        if waiting.len() > MOST_WAITING {
            waiting.pop_front();
            count(&self.health.counters.events_dropped);
        }
        self.wake.notify_one();
    }

    /// Sends what is announced, for ever; one that fails is counted, no more.
    pub(super) async fn send(&self, client: Client, pod: &str) {
        let reporter = Reporter { controller: "portcullis.dev/portcullis".to_owned(), instance: Some(pod.to_owned()) };
        let recorder = Recorder::new(client, reporter);
        self.send_through(|object, event| publish(recorder.clone(), object, event)).await;
    }

    async fn send_through<F: Future<Output = bool>>(&self, publish: impl Fn(ObjectRef, Event) -> F) {
        let mut throttle = Throttle::new(PER_SECOND, BURST, Instant::now());
        loop {
            while !throttle.take(Instant::now()) {
                sleep(Duration::from_secs(1) / PER_SECOND).await;
            }
            let (object, event) = self.next().await;
            let sent = timeout(DEADLINE, publish(object, event)).await == Ok(true);
            let counters = &self.health.counters;
            count(if sent { &counters.events_sent } else { &counters.events_failed });
        }
    }

    async fn next(&self) -> (ObjectRef, Event) {
        loop {
            let oldest = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match oldest {
                Some(oldest) => return oldest,
                None => self.wake.notified().await,
            }
        }
    }
}

/// Whether the API server took it.
async fn publish(recorder: Recorder, object: ObjectRef, event: Event) -> bool {
    let sent = recorder.publish(&event, &reference(&object)).await;
    let complain = |error: &_| tracing::debug!(namespace = object.namespace, name = object.name, %error, "an Event could not be sent");
    sent.inspect_err(complain).is_ok()
}

/// Ready has become True or False. What is merely under way (Unknown, or not yet everywhere) is no news.
fn turn(before: &ProtectedEndpointStatus, after: &ProtectedEndpointStatus) -> Option<Event> {
    let ready = |status: &ProtectedEndpointStatus| super::status::condition(status, "Ready").cloned();
    let (before, after) = (ready(before), ready(after)?);
    let good = after.status == "True";
    if before.is_some_and(|before| before.status == after.status && (good || before.reason == after.reason)) {
        return None;
    }
    if !good && (after.status != "False" || after.reason == "Pending") {
        return None;
    }
    Some(Event {
        type_: if good { EventType::Normal } else { EventType::Warning },
        reason: after.reason,
        note: Some(after.message.get(..after.message.floor_char_boundary(LONGEST_NOTE)).unwrap_or_default().to_owned()),
        action: "Serve".to_owned(),
        secondary: None,
    })
}

fn reference(object: &ObjectRef) -> ObjectReference {
    ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some(KIND.to_owned()),
        namespace: Some(object.namespace.clone()),
        name: Some(object.name.clone()),
        uid: Some(object.uid.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{
        apimachinery::pkg::apis::meta::v1::{Condition, Time},
        jiff::Timestamp,
    };
    use std::sync::atomic::Ordering::Relaxed;

    fn status(ready: Option<(&str, &str)>) -> ProtectedEndpointStatus {
        let condition = |(status, reason): (&str, &str)| Condition {
            type_: "Ready".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: "ä".repeat(900),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        };
        ProtectedEndpointStatus { conditions: ready.map(condition).into_iter().collect(), ..ProtectedEndpointStatus::default() }
    }

    fn object(name: &str) -> ObjectRef {
        ObjectRef { namespace: "n".to_owned(), name: name.to_owned(), uid: name.to_owned() }
    }

    fn announce(events: &Events, name: &str) {
        events.announce(&object(name), &status(None), &status(Some(("True", "Ready"))));
    }

    #[tokio::test(start_paused = true)]
    async fn of_more_events_than_may_wait_the_oldest_are_dropped_and_the_rest_are_paced() {
        let (health, sent) = (Arc::new(Health::default()), Arc::new(Mutex::new(Vec::new())));
        let events = Events::new(Arc::clone(&health));
        for number in 0..130 {
            announce(&events, &number.to_string());
        }
        assert_eq!(health.counters.events_dropped.load(Relaxed), 30);
        let log = |object: ObjectRef, _| {
            sent.lock().unwrap().push(object.name);
            std::future::ready(true)
        };
        drop(timeout(Duration::from_millis(9_500), events.send_through(log)).await);
        let names: Vec<_> = (30..30 + 25 + 9).map(|number| number.to_string()).collect();
        assert_eq!(*sent.lock().unwrap(), names, "a burst, then one a second");
        assert_eq!(health.counters.events_sent.load(Relaxed), 34);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_hangs_is_given_up_and_holds_nobody_up() {
        let health = Arc::new(Health::default());
        let events = Events::new(Arc::clone(&health));
        announce(&events, "first");
        drop(timeout(DEADLINE * 3, events.send_through(|_, _| std::future::pending())).await);
        assert_eq!(health.counters.events_failed.load(Relaxed), 1);
    }

    #[test]
    fn an_event_for_each_turn_of_ready_and_for_nothing_else() {
        let cases = [
            ("the first success", None, ("True", "Ready"), Some("Ready")),
            ("still good", Some(("True", "Ready")), ("True", "Ready"), None),
            ("on its way", None, ("Unknown", "NeverFetched"), None),
            ("not yet everywhere", Some(("True", "Ready")), ("False", "Pending"), None),
            ("a failure", Some(("True", "Ready")), ("False", "HostOwned"), Some("HostOwned")),
            ("the same failure", Some(("False", "HostOwned")), ("False", "HostOwned"), None),
            ("another failure", Some(("False", "Pending")), ("False", "FetchFailed"), Some("FetchFailed")),
            ("healed", Some(("False", "FetchFailed")), ("True", "Ready"), Some("Ready")),
        ];
        for (name, before, after, want) in cases {
            let event = turn(&status(before), &status(Some(after)));
            assert_eq!(event.as_ref().map(|event| event.reason.as_str()), want, "{name}");
            assert!(event.is_none_or(|event| event.note.is_some_and(|note| note.len() <= LONGEST_NOTE)), "{name}");
        }
    }
}
