//! Verbs that serve nothing to anybody but their user.

use super::{Error, plane};
use crate::{
    args::{Check, Echo, Tenant},
    cli, clock,
    demo::{self, Api},
};
use serde_json::Map;
use std::{fs, io, net::SocketAddr, process::ExitCode, sync::Arc};
use tokio::net::TcpListener;

pub(super) fn check(args: &Check) -> Result<ExitCode, Error> {
    match cli::check::run(&args.files, &mut io::stdout())? {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

pub(super) fn crd() -> Result<ExitCode, Error> {
    print!("{}", cli::crd::render().map_err(|error| Error::Other(error.to_string()))?);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn tenant(args: &Tenant) -> Result<ExitCode, Error> {
    let tenant = make_tenant(args)?;
    match &args.ca_file {
        Some(file) => fs::write(file, tenant.ca_pem())?,
        None => print!("{}", tenant.ca_pem()),
    }
    plane::block_on(async {
        let listener = bind(args.listen).await?;
        eprintln!("{} on {}", tenant.issuer(), listener.local_addr()?);
        Arc::new(tenant).serve(listener).await;
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn echo(args: &Echo) -> Result<ExitCode, Error> {
    plane::block_on(async {
        let listener = bind(args.listen).await?;
        Arc::new(demo::Echo::default()).serve(listener).await;
        Ok(ExitCode::SUCCESS)
    })
}

fn make_tenant(args: &Tenant) -> Result<demo::Tenant, Error> {
    let tenant = demo::Tenant::new(&args.domain, clock::unix_now).map_err(|error| Error::Other(error.to_string()))?;
    let tenant = tenant.with_client(&args.client_id, &args.client_secret);
    let api = |audience: &String| Api { audience: audience.clone(), scope: args.scope.clone(), claims: Map::new() };
    Ok(args.audience.iter().map(api).fold(tenant, demo::Tenant::with_api))
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::Bind(address, error))
}
