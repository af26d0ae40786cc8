//! `portcullis serve DIR`: the same manifests from a directory.

use super::{
    Error,
    plane::{self, Defaults, Plane},
};
use crate::{
    args::{self, Serve},
    source,
};
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

pub(super) fn run(args: Serve) -> Result<ExitCode, Error> {
    plane::init_log(&args.gateway)?;
    plane::block_on(async {
        let defaults = Defaults::of(None);
        let (table, table_rx) = watch::channel(false);
        let plane = Plane::start(&args.gateway, &defaults, table_rx, vec![]).await?;
        let mut directory = Directory::serve(args.dir, &args.gateway, &plane, table)?;
        plane.serve_until(directory.broken()).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A directory in service.
pub(super) struct Directory {
    task: JoinHandle<Result<(), source::SourceError>>,
    _stop: oneshot::Sender<()>,
}

impl Directory {
    pub(super) fn serve(dir: PathBuf, args: &args::Gateway, plane: &Plane, table: watch::Sender<bool>) -> Result<Self, Error> {
        let assign = plane::assign_keys(args, &plane.live)?;
        let config = source::Config { dir, class: args.class.clone(), ownership: args.ownership() };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Told to stop, or nobody is left to tell.
            let _ = stopped.await;
        };
        let task = tokio::spawn(source::run(config, Arc::clone(&plane.live), assign, table, shutdown));
        Ok(Self { task, _stop: stop })
    }

    /// Returns when the directory cannot be served at all.
    pub(super) async fn broken(&mut self) -> Error {
        match (&mut self.task).await {
            Ok(Err(error)) => Error::Other(error.to_string()),
            _ => Error::Other("reading the directory ended unexpectedly".to_owned()),
        }
    }
}
