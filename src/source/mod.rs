//! The same manifests from a directory: standalone use, demo, tests.
//!
//! ```text
//! directory --Listing, 4 a second--> Files (the last readable content of each) --> View --> compile --> Publisher --> live::Live
//! ```
//!
//! What is read: `*.yaml`, `*.yml` and `*.json` in the directory itself, hidden ones left out, links followed (as mounted
//! ConfigMaps need), of several documents each. A ProtectedEndpoint that an API server would refuse refuses in place, as
//! `portcullis check` says. A file that is no YAML at all keeps its last readable content in service; while there is a file
//! that could not be read even once, no table is put in service: its requests could fall to another file's wider rule.
//!
//! A table is made of one version of the directory: files are read once nobody writes any more, and what changed meanwhile is
//! read again.
//!
//! Secrets are read like everything else, `data` and `stringData`.
//!
//! There are no claims here: where two namespaces name one host, namespace and name decide. Only a resource that has become
//! wrong keeps the hosts it had, for its rules to refuse there.

pub mod documents;
mod files;
pub mod lines;
mod listing;
pub mod objects;
pub mod schema;
#[cfg(test)]
mod tests;
mod view;

use self::{files::Files, listing::Listing, schema::Schema, view::View};
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
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};

/// Between two looks at the directory.
const POLL: Duration = Duration::from_millis(250);
/// How long nothing may have changed before files are read.
const SETTLE: Duration = Duration::from_millis(150);
/// Looks at a directory that never settles before that is said.
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
    list(&config.dir).await?;
    let mut directory = Directory {
        config,
        publisher: Publisher::new(live, assign),
        ready,
        schema: Arc::new(Schema::new()),
        read: None,
        sure: false,
        files: Files::default(),
        stale: true,
        complaint: String::new(),
        told: BTreeMap::new(),
    };
    tokio::select! {
        () = shutdown => {}
        () = directory.follow() => {}
    }
    Ok(())
}

struct Directory {
    config: Config,
    publisher: Publisher,
    ready: watch::Sender<bool>,
    schema: Arc<Schema>,
    /// As it was when `files` was read.
    read: Option<Listing>,
    /// `files` was read twice at this listing: a write within a clock tick of the first reading leaves no trace in it.
    sure: bool,
    files: Files,
    /// `files` says something that is not in service.
    stale: bool,
    /// What was last said about the directory, so that it is said once.
    complaint: String,
    /// What was last said about each object.
    told: BTreeMap<ObjectRef, Outcome>,
}

// === impl Directory ===

impl Directory {
    async fn follow(&mut self) {
        loop {
            self.look().await;
            sleep(POLL).await;
        }
    }

    async fn look(&mut self) {
        let Some(now) = self.list().await else { return };
        if self.sure && self.read.as_ref() == Some(&now) {
            return;
        }
        if let Some((listing, files)) = self.read_settled(now).await {
            self.sure = self.read.as_ref() == Some(&listing);
            self.read = Some(listing);
            self.take(files).await;
        }
    }

    /// All files as they are, once nothing has changed for a while, nor while they were read.
    async fn read_settled(&mut self, mut listing: Listing) -> Option<(Listing, Files)> {
        for _ in 0..PATIENCE {
            sleep(SETTLE).await;
            let mut now = self.list().await?;
            if now == listing {
                let files = self.read_files(&listing).await?;
                now = self.list().await?;
                if now == listing {
                    return Some((listing, files));
                }
            }
            listing = now;
        }
        self.complain("the directory changes all the time".to_owned());
        None
    }

    async fn read_files(&mut self, listing: &Listing) -> Option<Files> {
        let (files, listing) = (self.files.clone(), listing.clone());
        let (dir, schema) = (self.config.dir.clone(), Arc::clone(&self.schema));
        let read = spawn_blocking(move || files.read(&dir, &listing, &schema)).await;
        read.map_err(|error| self.complain(format!("reading the directory failed: {error}"))).ok()
    }

    /// Puts `files` in service, if they can be and say anything new.
    async fn take(&mut self, files: Files) {
        files.tell(&self.files);
        self.stale |= !files.says_the_same(&self.files);
        self.files = files;
        if self.stale && self.files.unread().is_none() {
            self.compile().await;
        }
    }

    async fn compile(&mut self) {
        let (class, ownership, files) = (self.config.class.clone(), self.config.ownership.clone(), self.files.clone());
        let held = self.told.iter().map(|(object, outcome)| (object.clone(), outcome.hosts.clone())).collect();
        let work = spawn_blocking(move || {
            let mut view = View::new(&files);
            view.remember(&held);
            let (endpoints, services, secrets) = (view.endpoints.clone(), view.services.clone(), view.secrets.clone());
            let inputs = Inputs { class, ownership, endpoints, services, secrets };
            (compile::compile(&inputs), view)
        });
        match work.await {
            Ok((compiled, view)) => self.publish(compiled, &view),
            Err(error) => self.complain(format!("compiling failed: {error}")),
        }
    }

    async fn list(&mut self) -> Option<Listing> {
        match list(&self.config.dir).await {
            Ok(listing) => {
                self.complaint.clear();
                Some(listing)
            }
            Err(error) => {
                self.complain(error.to_string());
                None
            }
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.complaint != complaint {
            let kept = if self.publisher.serving() { "the last table stays in service" } else { "nothing is served yet" };
            tracing::error!("{complaint}: {kept}");
            self.complaint = complaint;
        }
    }

    fn publish(&mut self, mut compiled: Compiled, view: &View) {
        let outcomes = std::mem::take(&mut compiled.outcomes);
        self.tell(&outcomes);
        let changed = self.publisher.publish(compiled, |backend| {
            let slices = view.slices_of(&backend.namespace, &backend.service);
            compile::endpoints(slices, &backend.port, Loopback::Allow)
        });
        if changed {
            tracing::info!(objects = outcomes.len(), dir = %self.config.dir.display(), "a new table is in service");
        }
        self.told = outcomes;
        self.stale = false;
        self.ready.send_replace(true);
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
