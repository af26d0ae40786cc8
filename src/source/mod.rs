//! The same manifests from a directory: standalone use, demo, tests.
//!
//! ```text
//! directory --Listing every 2 s--> Files (the last readable content of each) --> Objects --> compile --> Publisher --> live::Live
//! ```
//!
//! What is read: `*.yaml`, `*.yml` and `*.json` in the directory itself, hidden ones left out, links followed (as mounted
//! ConfigMaps need), of several documents each. A ProtectedEndpoint that is wrong refuses in place, as in a cluster. A file
//! that is no YAML at all keeps its last readable content in service, and has none at the start: like an object that
//! `kubectl apply` refused.
//!
//! There are no claims here: where two namespaces name one host, namespace and name decide.

mod document;
mod files;
mod listing;
#[cfg(test)]
mod tests;

use self::{document::Objects, files::Files, listing::Listing};
use crate::{
    compile::{self, Compiled, Inputs, Loopback, ObjectRef, Outcome, Ownership},
    live::Live,
    publish::{AssignKeys, Publisher},
};
use std::{
    collections::BTreeMap,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// Between two looks at the directory.
const POLL: Duration = Duration::from_secs(2);
/// Until a directory that is being written is looked at again.
const SETTLE: Duration = Duration::from_millis(100);
/// Looks at a directory that never settles before it is read all the same.
const PATIENCE: usize = 20;

#[derive(Clone, Debug)]
pub struct Config {
    pub dir: PathBuf,
    /// Objects of other classes are ignored.
    pub class: String,
    pub ownership: Ownership,
}

/// The directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{}: cannot be read: {source}; want a directory of YAML or JSON manifests", dir.display())]
    Unreadable { dir: PathBuf, source: io::Error },
    #[error("{}: more than {} manifests; which ones to leave out is not ours to guess", dir.display(), listing::MOST_FILES)]
    TooMany { dir: PathBuf },
}

/// Serves what the directory says until `shutdown`. `ready` becomes true with the first table. `assign` hears of the key
/// sources in use.
///
/// # Errors
/// Only when the directory cannot be read at the start; later the last table serves on.
pub async fn run(
    config: Config,
    live: Arc<Live>,
    assign: AssignKeys,
    ready: watch::Sender<bool>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), SourceError> {
    let mut shutdown = pin!(shutdown);
    let dir = config.dir.clone();
    let mut listing = list(&dir).await?;
    let mut directory = Directory { config, publisher: Publisher::new(live, assign), files: Files::default(), told: BTreeMap::new() };
    directory.reload(&listing).await;
    ready.send_replace(true);
    // A write within the clock tick of our reading leaves no trace in the listing: after each change one more look.
    let mut sure = false;
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = sleep(POLL) => {}
        }
        let Some(now) = settled(&dir, &listing).await else { continue };
        if now != listing || !sure {
            sure = now == listing;
            listing = now;
            directory.reload(&listing).await;
        }
    }
}

struct Directory {
    config: Config,
    publisher: Publisher,
    files: Files,
    /// What was last said about each object, so that it is said once.
    told: BTreeMap<ObjectRef, Outcome>,
}

// === impl Directory ===

impl Directory {
    /// Reads what changed, and puts it in service.
    async fn reload(&mut self, listing: &Listing) {
        let (mut files, listing, dir) = (std::mem::take(&mut self.files), listing.clone(), self.config.dir.clone());
        let (class, ownership) = (self.config.class.clone(), self.config.ownership.clone());
        let work = spawn_blocking(move || {
            if !files.update(&dir, &listing) {
                return (files, None);
            }
            let objects = files.objects();
            let inputs = Inputs { class, ownership, endpoints: objects.endpoints.clone(), services: objects.services.clone() };
            let compiled = compile::compile(&inputs);
            (files, Some((compiled, objects)))
        });
        match work.await {
            Ok((files, read)) => {
                self.files = files;
                read.into_iter().for_each(|(compiled, objects)| self.publish(compiled, &objects));
            }
            Err(error) => tracing::error!(%error, "reading the directory panicked: the last table stays in service"),
        }
    }

    fn publish(&mut self, mut compiled: Compiled, objects: &Objects) {
        let outcomes = std::mem::take(&mut compiled.outcomes);
        self.tell(&outcomes);
        let changed = self.publisher.publish(compiled, |backend| {
            let slices = objects.slices_of(&backend.namespace, &backend.service);
            compile::endpoints(slices, &backend.port, Loopback::Allow)
        });
        if changed {
            tracing::info!(objects = outcomes.len(), dir = %self.config.dir.display(), "a new table is in service");
        }
        self.told = outcomes;
    }

    /// What a status would say in a cluster, said to the log: once, and only when it is bad or has become good.
    fn tell(&self, outcomes: &BTreeMap<ObjectRef, Outcome>) {
        for (object, outcome) in outcomes {
            let known = self.told.get(object).map(|old| &old.verdicts);
            if known == Some(&outcome.verdicts) {
                continue;
            }
            let ObjectRef { namespace, name, .. } = object;
            let file = self.files.file_of(namespace, name);
            for verdict in outcome.verdicts.iter().filter(|verdict| !verdict.good) {
                let (condition, reason) = (verdict.condition.as_str(), verdict.reason.as_str());
                tracing::error!(file, namespace, name, condition, reason, "{}", verdict.message);
            }
            if known.is_some() && outcome.verdicts.iter().all(|verdict| verdict.good) {
                tracing::info!(file, namespace, name, "accepted");
            }
        }
    }
}

async fn list(dir: &Path) -> Result<Listing, SourceError> {
    let unreadable = |source| SourceError::Unreadable { dir: dir.to_owned(), source };
    let owned = dir.to_owned();
    let listed = spawn_blocking(move || Listing::read(&owned)).await.map_err(|error| unreadable(error.into()))?;
    listed.map_err(unreadable)?.ok_or_else(|| SourceError::TooMany { dir: dir.to_owned() })
}

async fn list_or_complain(dir: &Path) -> Option<Listing> {
    list(dir).await.inspect_err(|error| tracing::error!(%error, "the last table stays in service")).ok()
}

/// The listing now, once nobody writes any more; `None` while the directory cannot be read.
async fn settled(dir: &Path, old: &Listing) -> Option<Listing> {
    let mut last = list_or_complain(dir).await?;
    for _ in 0..PATIENCE {
        if last == *old {
            break;
        }
        sleep(SETTLE).await;
        let again = list_or_complain(dir).await?;
        let settled = again == last;
        last = again;
        if settled {
            break;
        }
    }
    Some(last)
}
