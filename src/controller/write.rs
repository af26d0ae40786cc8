//! One status on its way: the patch, its deadline, and what keeps its object from being written again too soon.

use super::{
    Shared,
    health::count,
    raw::{API_VERSION, KIND, RawEndpoint},
    replica::MANAGER,
    status,
};
use crate::{api::ProtectedEndpointStatus, compile::ObjectRef};
use kube::{
    Api, Error,
    api::{Patch, PatchParams},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(5);
/// After a refusal that repeating will not change.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Sends statuses, and the Events that they deserve.
pub(super) struct Writer {
    shared: Shared,
}

/// Why an object is not written now.
#[derive(Debug)]
pub(super) enum Held {
    /// The store still shows this resourceVersion, from which we have written (or tried in vain).
    While(Option<String>),
    Until(Instant),
}

/// One status to write.
pub(super) struct Write {
    pub(super) object: ObjectRef,
    pub(super) version: Option<String>,
    pub(super) before: ProtectedEndpointStatus,
    pub(super) after: ProtectedEndpointStatus,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Writes one status; what it returns keeps the object from being written again too soon.
    pub(super) async fn write(&self, write: Write) -> Option<(String, Held)> {
        if !self.shared.health.leading.now() {
            return None;
        }
        let api = Api::<RawEndpoint>::namespaced(self.shared.client.clone(), &write.object.namespace);
        let (params, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(write.patch()));
        let answer = timeout(DEADLINE, api.patch_status(&write.object.name, &params, &patch)).await;
        let uid = write.object.uid.clone();
        match answer {
            Ok(Ok(stored)) => {
                count(&self.shared.health.counters.status_writes);
                self.shared.events.announce(&write.object, &write.before, &write.after);
                // Where nothing changed no echo will come.
                (stored.metadata.resource_version != write.version).then_some((uid, Held::While(write.version)))
            }
            Ok(Err(error)) => Some((uid, self.failed(&write, &error))),
            Err(_) => Some((uid, self.late(&write))),
        }
    }

    fn failed(&self, write: &Write, error: &Error) -> Held {
        count(&self.shared.health.counters.status_errors);
        let (namespace, name) = (&write.object.namespace, &write.object.name);
        match error {
            // The watch will tell what is newer.
            Error::Api(status) if status.code == 409 || status.code == 404 => Held::While(write.version.clone()),
            Error::Api(status) if status.code < 500 && status.code != 429 => {
                tracing::warn!(namespace, name, %error, "the API server refused a status");
                Held::Until(Instant::now() + GIVE_UP)
            }
            _ => {
                tracing::debug!(namespace, name, %error, "a status could not be written");
                Held::Until(Instant::now() + RETRY)
            }
        }
    }

    fn late(&self, write: &Write) -> Held {
        count(&self.shared.health.counters.status_errors);
        tracing::debug!(namespace = write.object.namespace, name = write.object.name, "a status was not written within {DEADLINE:?}");
        Held::Until(Instant::now() + RETRY)
    }
}

// === impl Held ===

impl Held {
    /// Whether the object that the store shows in `version` must wait.
    pub(super) fn holds(&self, version: Option<&String>) -> bool {
        match self {
            Self::While(written) => written.as_ref() == version,
            Self::Until(time) => Instant::now() < *time,
        }
    }
}

// === impl Write ===

impl Write {
    /// Whether the status speaks of this generation already.
    pub(super) fn is_known(&self) -> bool {
        let generation = |status| status::condition(status, "Accepted").and_then(|c| c.observed_generation);
        generation(&self.before) == generation(&self.after)
    }

    pub(super) fn patch(&self) -> serde_json::Value {
        let ObjectRef { namespace, name, .. } = &self.object;
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"namespace": namespace, "name": name, "resourceVersion": self.version},
            "status": self.after,
        })
    }
}
