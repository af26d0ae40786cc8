//! `portcullis run`: in a cluster, or through KUBECONFIG.

use super::{
    Error,
    plane::{self, Defaults, Plane},
};
use crate::{
    admin::ControlMetrics,
    args::Run,
    clock,
    controller::{self, Config, Health, Pod, Reader},
};
use std::{process::ExitCode, sync::Arc};
use tokio::sync::oneshot;

pub(super) fn run(args: Run) -> Result<ExitCode, Error> {
    plane::init_log(&args.gateway)?;
    plane::block_on(serve(args))
}

async fn serve(args: Run) -> Result<ExitCode, Error> {
    let client = kube::Client::try_default().await.map_err(|error| Error::Cluster(error.to_string()))?;
    let health = Arc::new(Health::default());
    let defaults = Defaults::of(Some(installation(&args)));
    let metrics = ControlMetrics { health: Arc::clone(&health) };
    let plane = Plane::start(&args.gateway, &defaults, health.ready(), vec![Box::new(metrics)]).await?;
    let assign = plane::assign_keys(&args.gateway, &plane.live)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let live = Arc::clone(&plane.live);
    let mut controller = tokio::spawn(controller::run(client, config(args), live, assign, health, async {
        // Told to stop, or nobody is left to tell.
        let _ = stopped.await;
    }));
    // A control plane that has ended serves an old policy for ever: better another replica than this one (K30).
    let ended = plane.serve_until(async { Error::Other(format!("the control plane ended: {:?}", (&mut controller).await)) }).await;
    drop(stop);
    // However we end, it gives its Leases back, unless it is the one that ended.
    if !controller.is_finished() {
        let _ = controller.await;
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// What its replicas have in common.
fn installation(args: &Run) -> String {
    format!("{}/{}/{}", args.gateway.class, args.namespace, args.service.as_deref().unwrap_or_default())
}

fn config(args: Run) -> Config {
    let gateway = args.gateway;
    let ownership = gateway.ownership();
    let pod = args.pod_name.filter(|name| !name.is_empty()).map(|name| Pod { name, uid: args.pod_uid });
    let account = args.service_account.filter(|name| !name.is_empty()).map(|name| (args.namespace.clone(), name));
    let reader = Reader { role: args.secrets_role, account };
    let service = args.service.map(|name| (args.namespace.clone(), name));
    Config { class: gateway.class, ownership, namespace: args.namespace, pod, service, reader, clock: clock::unix_now }
}
