//! `portcullis demo`: a tenant, a backend and the gateway in one process, on loopback; everything ends with it.

mod manifests;
mod walk_through;

use self::walk_through::WalkThrough;
use super::{
    Error,
    plane::{self, Defaults, Plane},
    serve::Directory,
    tools::bind,
};
use crate::{
    args::Demo,
    clock,
    demo::{Api, Echo, Tenant},
    jwks::ConnectTo,
};
use serde_json::{Map, json};
use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::sync::watch;

const DOMAIN: &str = "demo.auth0.example";
const AUDIENCE: &str = "http://api.example.com";
const CLIENT_ID: &str = "i1dXlGrQ9MBlWbmXw82jGLetLzw9O2cO";
const CLIENT_SECRET: &str = "demo-secret-not-a-secret";
/// Everything is on this machine: what takes longer has failed.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Where everything is.
struct Stage {
    plane: Plane,
    directory: Directory,
    walk_through: WalkThrough,
    files: Files,
}

/// The demo's files, gone when it ends.
struct Files {
    dir: PathBuf,
}

pub(super) fn run(mut args: Demo) -> Result<ExitCode, Error> {
    if args.check && args.gateway.log_filter == "info" {
        // The walk-through is the output.
        args.gateway.log_filter = "warn,access=off".to_owned();
    }
    plane::init_log(&args.gateway)?;
    plane::block_on(async {
        let stage = Stage::set(&args).await?;
        match args.check {
            true => stage.check().await,
            false => stage.perform().await,
        }
    })
}

// === impl Stage ===

impl Stage {
    async fn set(args: &Demo) -> Result<Self, Error> {
        let tenant = Arc::new(make_tenant()?);
        let (tenant_address, echo) = (serve_tenant(&tenant, args.tenant).await?, serve_echo(args.echo).await?);
        let gateway = crate::args::Gateway { connect_to: vec![reach(tenant_address)?], ..args.gateway.clone() };
        let defaults =
            Defaults { http: ([127, 0, 0, 1], 8080).into(), admin: ([127, 0, 0, 1], 9090).into(), https: None, installation: None };
        let (table, table_rx) = watch::channel(false);
        let mut plane = Plane::start(&gateway, &defaults, table_rx, vec![]).await?;
        let files = Files::write(args, &tenant, plane.address(), echo)?;
        let directory = Directory::serve(files.dir.clone(), &gateway, &plane, table)?;
        let walk_through = WalkThrough { gateway: plane.address(), tenant: tenant_address, ca_file: files.ca_file(), ca: tenant.ca_pem() };
        // An error of the directory comes up where it is waited for.
        let _ = tokio::time::timeout(START_LIMIT, plane.ready.wait_for(|ready| *ready)).await;
        Ok(Self { plane, directory, walk_through, files })
    }

    async fn check(mut self) -> Result<ExitCode, Error> {
        let passed = tokio::select! {
            passed = self.walk_through.play() => passed,
            error = self.directory.broken() => return Err(error),
        };
        self.plane.stop().await;
        drop(self.files);
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn perform(mut self) -> Result<ExitCode, Error> {
        println!("{}", self.walk_through.script(&self.files.dir));
        self.plane.serve_until(self.directory.broken()).await?;
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Files ===

impl Files {
    fn write(args: &Demo, tenant: &Tenant, gateway: SocketAddr, echo: SocketAddr) -> Result<Self, Error> {
        let files = Self { dir: args.dir() };
        fs::create_dir_all(&files.dir)
            .map_err(|error| Error::Other(format!("{}: {error}; choose another with --dir", files.dir.display())))?;
        fs::write(files.ca_file(), tenant.ca_pem())?;
        for (name, text) in manifests::render(&tenant.ca_pem(), gateway.port(), echo.port())? {
            fs::write(files.dir.join(name), text)?;
        }
        Ok(files)
    }

    fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What cannot be removed is in a temporary directory.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn make_tenant() -> Result<Tenant, Error> {
    let tenant = Tenant::new(DOMAIN, clock::unix_now).map_err(|error| Error::Other(error.to_string()))?;
    let mut claims = Map::new();
    claims.insert(format!("https://{DOMAIN}/roles"), json!(["reader"]));
    let api = Api { audience: AUDIENCE.to_owned(), scope: "read:profile read:orders".to_owned(), claims };
    Ok(tenant.with_client(CLIENT_ID, CLIENT_SECRET).with_api(api))
}

async fn serve_tenant(tenant: &Arc<Tenant>, address: SocketAddr) -> Result<SocketAddr, Error> {
    let listener = bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(Arc::clone(tenant).serve(listener));
    Ok(address)
}

async fn serve_echo(address: SocketAddr) -> Result<SocketAddr, Error> {
    let listener = bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(Arc::new(Echo::default()).serve(listener));
    Ok(address)
}

fn reach(tenant: SocketAddr) -> Result<ConnectTo, Error> {
    format!("{DOMAIN}:443:{}:{}", tenant.ip(), tenant.port()).parse().map_err(|error| Error::Other(format!("{error}")))
}
