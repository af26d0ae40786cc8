//! This replica's own Lease: "I am Ready, and serve everything up to this resourceVersion".
//!
//! Named for the pod and owned by it, so that it goes when the pod goes; deleted on shutdown.

use super::{Clock, Config, Pod, lease::micro_time, table::InService};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, Error,
    api::{DeleteParams, Patch, PatchParams},
};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// The annotation that holds the highest ProtectedEndpoint resourceVersion in the table that the replica serves.
pub(super) const LOADED: &str = "portcullis.dev/loaded";
/// The label by which the leader finds the replicas of its class.
pub(super) const CLASS: &str = "portcullis.dev/replica-of";
pub(super) const MANAGER: &str = "portcullis";
/// How long a replica that fell silent counts.
pub(super) const DURATION: Duration = Duration::from_secs(30);
const RENEW: Duration = Duration::from_secs(10);
/// Between two renewals because of a new table.
const PACE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Replica {
    leases: Api<Lease>,
    name: String,
    class: String,
    pod: Pod,
    clock: Clock,
    in_service: watch::Receiver<Option<InService>>,
}

// === impl Replica ===

impl Replica {
    pub(super) fn new(client: Client, config: &Config, pod: Pod, in_service: watch::Receiver<Option<InService>>) -> Self {
        Self {
            leases: Api::namespaced(client, &config.namespace),
            name: format!("portcullis-{}-{}", config.class, pod.name),
            class: config.class.clone(),
            pod,
            clock: config.clock,
            in_service,
        }
    }

    /// Runs until `stop`, from the first table on; then removes the Lease.
    pub(super) async fn run(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        tokio::select! {
            () = &mut stop => {}
            () = self.renew_for_ever() => {}
        }
        let params = DeleteParams::default();
        if !matches!(timeout(DEADLINE, self.leases.delete(&self.name, &params)).await, Ok(Ok(_))) {
            tracing::debug!(lease = %self.name, "the replica's Lease could not be removed; it will expire");
        }
    }

    /// At every new table, but at most once a second, and every ten seconds. A version that moves on without the table (a
    /// status was written) can wait for the next renewal.
    async fn renew_for_ever(&mut self) {
        loop {
            let Some(told) = self.in_service.borrow_and_update().clone() else {
                self.another_table(None).await;
                continue;
            };
            self.renew(told.loaded).await;
            sleep(PACE).await;
            let _ = timeout(RENEW, self.another_table(Some(&told))).await;
        }
    }

    async fn another_table(&mut self, old: Option<&InService>) {
        let is_new =
            |now: &Option<InService>| now.as_ref().is_some_and(|now| old.is_none_or(|old| !Arc::ptr_eq(&old.outcomes, &now.outcomes)));
        if self.in_service.wait_for(is_new).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn renew(&self, loaded: u64) {
        let patch = Patch::Apply(self.lease(loaded));
        let params = PatchParams::apply(MANAGER).force();
        match timeout(DEADLINE, self.leases.patch(&self.name, &params, &patch)).await {
            Ok(Ok(_)) => tracing::debug!(loaded, "replica's Lease renewed"),
            Ok(Err(error)) => self.complain(&error),
            Err(_) => tracing::debug!("replica's Lease: no answer within {DEADLINE:?}"),
        }
    }

    fn complain(&self, error: &Error) {
        match error {
            Error::Api(status) if status.code < 500 => {
                tracing::warn!(lease = %self.name, %error, "the replica's Lease was refused: Programmed does not wait for this replica");
            }
            _ => tracing::debug!(%error, "replica's Lease could not be renewed"),
        }
    }

    fn lease(&self, loaded: u64) -> Lease {
        let owner = |uid: &String| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: self.pod.name.clone(),
            uid: uid.clone(),
            ..OwnerReference::default()
        };
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some([(CLASS.to_owned(), self.class.clone())].into()),
                annotations: Some([(LOADED.to_owned(), loaded.to_string())].into()),
                owner_references: self.pod.uid.as_ref().map(|uid| vec![owner(uid)]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.pod.name.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                renew_time: Some(micro_time((self.clock)())),
                ..LeaseSpec::default()
            }),
        }
    }
}
