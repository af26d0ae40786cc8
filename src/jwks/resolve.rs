//! From a name to addresses: once for each connection, so that what was judged is what is connected to.

use std::{fmt, io, net::SocketAddr};

#[derive(Clone, Default)]
pub(super) enum Resolver {
    #[default]
    System,
    /// What a test says, for any port.
    #[cfg(test)]
    Scripted(std::sync::Arc<dyn Fn(&str) -> Vec<std::net::IpAddr> + Send + Sync>),
}

// === impl Resolver ===

impl Resolver {
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(script) => Ok(script(host).into_iter().map(|address| (address, port).into()).collect()),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}
