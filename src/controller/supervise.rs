//! Tasks that may fail without harm: a panic is logged, counted, and the task started again (K30).

use super::health::{Health, count};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::sleep};

const PAUSE: Duration = Duration::from_secs(5);

/// Says once, to all, that it is time to stop.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<watch::Sender<bool>>);

// === impl Stop ===

impl Stop {
    pub(super) fn now(&self) {
        self.0.send_replace(true);
    }

    /// Ends when it is time to stop.
    pub(super) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopped = self.0.subscribe();
        async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

/// Runs `task`, again after every panic, until it returns. Dropping this ends the task.
pub(super) async fn supervise<F>(name: &'static str, health: Arc<Health>, stop: Stop, mut task: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    running.spawn(task());
    while let Some(Err(error)) = running.join_next().await {
        count(&health.counters.task_panics);
        tracing::error!(name, %error, "a control-plane task failed; the table in service is not concerned; it starts again in {PAUSE:?}");
        tokio::select! {
            () = stop.wait() => return,
            () = sleep(PAUSE) => drop(running.spawn(task())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_runs_again_k30() {
        let (health, runs) = (Arc::new(Health::default()), Arc::new(AtomicU64::new(0)));
        let seen = Arc::clone(&runs);
        supervise("test", Arc::clone(&health), Stop::default(), move || {
            let run = seen.fetch_add(1, Relaxed);
            async move { assert!(run >= 2, "the first two fail") }
        })
        .await;
        assert_eq!((runs.load(Relaxed), health.counters.task_panics.load(Relaxed)), (3, 2));
    }
}
