//! COMPOSITION ROOT: the only module that may name all others. A verb is read from the arguments, wired and run.

mod demo;
mod explain;
mod limits;
mod plane;
mod run;
mod serve;
mod stop;
mod tools;

use crate::args::{Args, Verb};
use std::{io, process::ExitCode};

/// Why the process ends with 1: one line, for a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Listen(#[from] crate::proxy::ListenError),
    #[error("cannot listen on {0}: {1}")]
    Bind(std::net::SocketAddr, io::Error),
    #[error("--log-filter: {0}")]
    LogFilter(String),
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot reach a cluster: {0}")]
    Cluster(String),
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs one verb. Exit codes: 0 done, 1 refused or failed (2 is for usage, and comes from the arguments).
pub fn run(args: Args) -> ExitCode {
    let done = match args.verb {
        Verb::Run(args) => run::run(args),
        Verb::Serve(args) => serve::run(args),
        Verb::Demo(args) => demo::run(args),
        Verb::Check(args) => tools::check(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Crd => tools::crd(),
        Verb::Tenant(args) => tools::tenant(&args),
        Verb::Echo(args) => tools::echo(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portcullis: {error}");
            ExitCode::FAILURE
        }
    }
}
