//! `portcullis explain`: files or a cluster, a request, and the answer with its reasons.

use super::{Error, plane};
use crate::{
    args::{Explain, Output},
    cli::explain::{Question, Report, Served},
    clock,
    controller::{self, Listed},
    jwks::{Connector, Fetch, Fetcher},
    jwt::{KeySet, ProviderId, SkippedKey},
    source::documents,
};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// It could not be asked: as for wrong arguments.
const USAGE: u8 = 2;

/// Exit codes: 0 allowed, 1 not allowed, 2 not to be answered.
pub(super) fn run(args: &Explain) -> Result<ExitCode, Error> {
    plane::block_on(async {
        let printed = explain(args).await.and_then(|report| print(&report, args.output));
        Ok(printed.unwrap_or_else(|error| {
            eprintln!("portcullis: {error}");
            ExitCode::from(USAGE)
        }))
    })
}

async fn explain(args: &Explain) -> Result<Report, Error> {
    let token = args.token.as_ref().map(|source| source.read()).transpose().map_err(other)?;
    let listed = if args.cluster { Some(list().await?) } else { None };
    let served = Served::new(args, listed).map_err(other)?;
    let question = Question::new(&served, args, token, clock::unix_now()).map_err(other)?;
    let (keys, trouble) = match question.wanted_keys().await {
        Some(id) => keys(args, id).await?,
        None => (None, vec![]),
    };
    Ok(question.answer(keys, trouble).await)
}

async fn list() -> Result<Listed, Error> {
    let client = kube::Client::try_default().await.map_err(|error| Error::Cluster(error.to_string()))?;
    controller::list(client).await.map_err(|error| Error::Cluster(error.to_string()))
}

type Keys = Option<(ProviderId, KeySet)>;

/// From the file, else from the issuer, as the data plane gets them. Without any, that is the answer.
async fn keys(args: &Explain, id: ProviderId) -> Result<(Keys, Vec<String>), Error> {
    let document = match &args.jwks {
        Some(file) => documents::read(file).map_err(|error| Error::Other(format!("{}: {error}", file.display())))?,
        None => match fetch(args, &id).await? {
            Ok(document) => document,
            Err(trouble) => return Ok((None, vec![trouble])),
        },
    };
    Ok(match KeySet::from_jwks(&document) {
        Ok((keys, skipped)) => (Some((id, keys)), skipped.iter().map(left_out).collect()),
        Err(error) => (None, vec![format!("the keys cannot be used: {error}")]),
    })
}

async fn fetch(args: &Explain, id: &ProviderId) -> Result<Result<Vec<u8>, String>, Error> {
    let connector = Connector::new(args.connect_to.clone(), args.private_issuers.clone())?;
    let fetched = Fetcher::new(connector).fetch(id).await;
    Ok(match fetched {
        Ok(document) => Ok(document.to_vec()),
        Err(failure) => Err(format!("the keys of {id} could not be fetched: {}; --jwks FILE takes them from a file", failure.error)),
    })
}

fn left_out(key: &SkippedKey) -> String {
    let kid: String = key.kid.as_deref().unwrap_or("without kid").chars().take(64).collect();
    format!("a key of the issuer is left out: {kid}: {}", key.reason)
}

fn print(report: &Report, output: Output) -> Result<ExitCode, Error> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(report).map_err(other)? + "\n",
        Output::Text => report.to_string(),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if report.answer.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}
