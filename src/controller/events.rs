//! Events, for people who read `kubectl describe`: one when Ready turns, and never in anybody's way.

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
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};

const PER_SECOND: u32 = 1;
const BURST: u32 = 25;
const DEADLINE: Duration = Duration::from_secs(5);
/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1024;

pub(super) struct Events {
    recorder: Recorder,
    throttle: Mutex<Throttle>,
    health: Arc<Health>,
}

// === impl Events ===

impl Events {
    pub(super) fn new(client: Client, pod: &str, health: Arc<Health>) -> Self {
        let reporter = Reporter { controller: "portcullis.dev/portcullis".to_owned(), instance: Some(pod.to_owned()) };
        Self { recorder: Recorder::new(client, reporter), throttle: Mutex::new(Throttle::new(PER_SECOND, BURST, Instant::now())), health }
    }

    /// Sends the Event that the step from `before` to `after` deserves, if any. A failure is counted, no more.
    pub(super) async fn announce(&self, object: &ObjectRef, before: &ProtectedEndpointStatus, after: &ProtectedEndpointStatus) {
        let Some(event) = turn(before, after) else { return };
        let allowed = self.throttle.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if !allowed {
            return;
        }
        match timeout(DEADLINE, self.recorder.publish(&event, &reference(object))).await {
            Ok(Ok(())) => count(&self.health.counters.events_sent),
            failed => {
                count(&self.health.counters.events_failed);
                tracing::debug!(namespace = object.namespace, name = object.name, ?failed, "an Event could not be sent");
            }
        }
    }
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
