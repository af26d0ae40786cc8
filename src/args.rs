//! Every flag and environment variable. Nothing else reads the environment.

mod explain;

pub use self::explain::{Explain, Output, Time, TokenPlace, TokenSource, TokenSourceError};

use crate::{
    compile::{DEFAULT_CLASS, DEFAULT_ISSUERS, HostBinding, Ownership, SecretRef},
    jwks::{ConnectTo, EgressProxy, NoProxy, PrivateIssuers},
    proxy,
    routing::HostPattern,
    telemetry,
};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// The Auth0 gate for Kubernetes: one resource becomes a live, token-checked route.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve what the cluster says: inside it, or through KUBECONFIG
    Run(Run),
    /// Serve the manifests in a directory, and again whenever they change
    Serve(Serve),
    /// A tenant, a backend and the gateway in one process, and the requests to try
    Demo(Demo),
    /// Tell what is wrong with manifests, without a cluster; exits 1 if anything is
    Check(Check),
    /// Tell what one request would be answered, and why: check by check. Exits 0 if it is allowed, 1 if it is not
    Explain(Box<Explain>),
    /// Print the CustomResourceDefinition
    Crd,
    /// An Auth0-like tenant for tests: not for anything that must be secret
    #[command(hide = true)]
    Tenant(Tenant),
    /// A backend that answers with what it was sent
    #[command(hide = true)]
    Echo(Echo),
}

#[derive(Debug, ClapArgs)]
pub struct Run {
    #[command(flatten)]
    pub gateway: Gateway,
    /// The namespace this installation runs in: its Leases are there
    #[arg(long, env = "PORTCULLIS_NAMESPACE", default_value = "portcullis-system")]
    pub namespace: String,
    /// This replica's name: its pod's. Without it this process serves what the cluster says and writes nothing there
    #[arg(long, env = "PORTCULLIS_POD_NAME")]
    pub pod_name: Option<String>,
    /// The pod's uid, so that its Lease is removed with it
    #[arg(long, env = "PORTCULLIS_POD_UID")]
    pub pod_uid: Option<String>,
    /// The Service in front of this installation, whose addresses the status shows
    #[arg(long, env = "PORTCULLIS_SERVICE")]
    pub service: Option<String>,
    /// The ServiceAccount of this installation: a status that misses the right to read a Secret names it
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_SERVICE_ACCOUNT")]
    pub service_account: Option<String>,
    /// The ClusterRole that lets it read Secrets, in the namespaces where a RoleBinding says so
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_SECRETS_ROLE", default_value = "portcullis-secrets")]
    pub secrets_role: String,
}

#[derive(Debug, ClapArgs)]
pub struct Serve {
    /// Holds ProtectedEndpoints, Services, EndpointSlices and Secrets as YAML or JSON
    pub dir: PathBuf,
    #[command(flatten)]
    pub gateway: Gateway,
}

#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// Play the walk-through, print each step, and exit 0 or 1
    #[arg(long)]
    pub check: bool,
    /// Where the tenant listens
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_TENANT", default_value = "127.0.0.1:8443")]
    pub tenant: SocketAddr,
    /// Where the echo backend listens
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_ECHO", default_value = "127.0.0.1:8081")]
    pub echo: SocketAddr,
    /// Where the demo keeps its manifests while it runs [default: below the system's temporary directory]
    #[arg(long, value_name = "DIR", env = "PORTCULLIS_DEMO_DIR")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub gateway: Gateway,
}

#[derive(Debug, ClapArgs)]
pub struct Check {
    /// YAML or JSON; Services and Secrets among them are taken into account
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Tenant {
    #[arg(long, default_value = "tenant.auth0.example")]
    pub domain: String,
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,
    /// The APIs that tokens are for; repeatable
    #[arg(long, default_value = "http://api.example.com")]
    pub audience: Vec<String>,
    #[arg(long, default_value = "read:profile")]
    pub scope: String,
    #[arg(long, default_value = "demo")]
    pub client_id: String,
    #[arg(long, default_value = "demo-secret")]
    pub client_secret: String,
    /// Where the certificate authority is written; standard output when not given
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Echo {
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
}

/// What `run`, `serve` and `demo` share.
#[derive(Clone, Debug, ClapArgs)]
pub struct Gateway {
    /// Where requests come in [default: 0.0.0.0:8080; demo: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_HTTP")]
    pub http: Option<SocketAddr>,
    /// Where requests come in over TLS [default: 0.0.0.0:8443, once there is a certificate]
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_HTTPS")]
    pub https: Option<SocketAddr>,
    /// The Secret whose certificate stands in for hosts without one of their own
    #[arg(long, value_name = "NAMESPACE/NAME", env = "PORTCULLIS_DEFAULT_CERTIFICATE", value_parser = parse_secret)]
    pub default_certificate: Option<SecretRef>,
    /// Where clients reach the port for TLS, when it is not 443: redirects say so
    #[arg(long, value_name = "PORT", env = "PORTCULLIS_HTTPS_PUBLIC_PORT")]
    pub https_public_port: Option<u16>,
    /// The oldest TLS that is spoken with clients
    #[arg(long, value_enum, env = "PORTCULLIS_TLS_MIN_VERSION", default_value_t = TlsVersion::Tls12)]
    pub tls_min_version: TlsVersion,
    /// The ciphers that are spoken with clients, best first, such as TLS13_AES_256_GCM_SHA384; empty: all that are safe
    #[arg(long, value_name = "CIPHER,…", env = "PORTCULLIS_TLS_CIPHERS", value_delimiter = ',')]
    pub tls_ciphers: Vec<String>,
    /// Where requests come in as HTTP/2 in clear text, with prior knowledge, from a proxy that speaks it: off unless given
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_H2C")]
    pub h2c: Option<SocketAddr>,
    /// Where /livez, /readyz and /metrics are [default: 0.0.0.0:9090; demo: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_ADMIN")]
    pub admin: Option<SocketAddr>,
    /// Where /table is: the live table and keys as JSON, without secrets
    #[arg(long, value_name = "ADDR", env = "PORTCULLIS_INSPECT", default_value = "127.0.0.1:9091")]
    pub inspect: SocketAddr,
    /// Data-plane threads [default: the cores, at most 4]
    #[arg(long, value_name = "N", env = "PORTCULLIS_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Clients' connections at once; fewer where they could take more than half of the memory limit (at up to 90 KiB each), or
    /// more than the open files (`ulimit -n`, two each). HTTP/2 requests beside a connection's first: a quarter as many
    #[arg(
        long,
        value_name = "N",
        env = "PORTCULLIS_MAX_CONNECTIONS",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_connections: u32,
    /// Memory for tokens whose signature was found good, such as 64Mi, or `off`; at most a quarter of the memory limit
    #[arg(long, value_name = "SIZE|off", env = "PORTCULLIS_TOKEN_CACHE", default_value = "128Mi", value_parser = parse_token_cache)]
    pub token_cache: u64,
    /// Ends an answer, or what is left of an upload, of which no byte came or went for so long; event streams need signs of life
    #[arg(long, value_name = "DURATION", env = "PORTCULLIS_BODY_IDLE", default_value = "1h", value_parser = humantime::parse_duration)]
    pub body_idle: Duration,
    /// Ends a WebSocket that is open for so long, however busy it is
    #[arg(long, value_name = "DURATION", env = "PORTCULLIS_WEBSOCKET_LIFE", default_value = "24h", value_parser = humantime::parse_duration)]
    pub websocket_life: Duration,
    /// Serve the ProtectedEndpoints whose spec.className is this
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_CLASS", default_value = DEFAULT_CLASS)]
    pub class: String,
    /// Answered with {"status":"ok"} where no rule matches, or `off`
    #[arg(long, value_name = "PATH|off", env = "PORTCULLIS_HEALTH_PATH", default_value = "/__health", value_parser = parse_health_path)]
    pub health_path: HealthPath,
    /// Who is believed about a client's address, scheme and host
    #[arg(long, value_enum, env = "PORTCULLIS_CLIENT_ADDRESS", default_value_t = ClientAddress::Direct)]
    pub client_address: ClientAddress,
    /// The networks of the proxies in front, with --client-address TrustedProxies or ProxyProtocol
    #[arg(
        long,
        value_name = "CIDR,…",
        env = "PORTCULLIS_TRUSTED_PROXIES",
        value_delimiter = ',',
        required_if_eq_any([("client_address", "TrustedProxies"), ("client_address", "ProxyProtocol")])
    )]
    pub trusted_proxies: Vec<IpNet>,
    /// Reach an issuer at another address, as curl does: HOST:PORT:ADDR:PORT; repeatable; such an address is trusted
    #[arg(long, value_name = "HOST:PORT:ADDR:PORT", env = "PORTCULLIS_CONNECT_TO", value_delimiter = ' ')]
    pub connect_to: Vec<ConnectTo>,
    /// Issuers that may have private addresses
    #[arg(long, value_name = "HOST|CIDR,…", env = "PORTCULLIS_PRIVATE_ISSUERS", default_value = "")]
    pub private_issuers: PrivateIssuers,
    /// The cluster's own networks, of pods, Services and nodes: no issuer may be there unless --private-issuers names its host, or its
    /// network at least as narrowly
    #[arg(long, value_name = "CIDR,…", env = "PORTCULLIS_CLUSTER_CIDRS", value_delimiter = ',')]
    pub cluster_cidrs: Vec<IpNet>,
    /// Reach issuers through this HTTP proxy, which resolves their names and so must keep out of private networks itself:
    /// http://[USER:PASSWORD@]HOST:PORT
    #[arg(long, value_name = "URL", env = "PORTCULLIS_EGRESS_PROXY", hide_env_values = true)]
    pub egress_proxy: Option<EgressProxy>,
    /// Issuers that are reached without the proxy: names with all below them, addresses, networks, `*`
    #[arg(long, value_name = "HOST|CIDR,…", env = "NO_PROXY", default_value = "", hide_default_value = true)]
    pub no_proxy: NoProxy,
    /// Namespaces that may own the host `*`; empty: any
    #[arg(long, value_name = "NAMESPACE,…", env = "PORTCULLIS_CATCH_ALL_NAMESPACES", value_delimiter = ',')]
    pub catch_all_namespaces: Vec<String>,
    /// Who may claim which hosts: NAMESPACE,…=HOST,…; repeatable
    #[arg(long, value_name = "NAMESPACE,…=HOST,…", env = "PORTCULLIS_HOST_BINDINGS", value_delimiter = ' ', value_parser = parse_binding)]
    pub host_binding: Vec<HostBinding>,
    /// Distinct key sources that one namespace may have; rules that need one more answer 503
    #[arg(
        long,
        value_name = "N",
        env = "PORTCULLIS_ISSUERS_PER_NAMESPACE",
        default_value_t = DEFAULT_ISSUERS as u32,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub issuers_per_namespace: u32,
    /// The access log on standard output and the process's own on standard error
    #[arg(long, value_enum, env = "PORTCULLIS_LOG", default_value_t = LogFormat::Json)]
    pub log: LogFormat,
    /// As RUST_LOG: info, or portcullis=debug,info; `access=off` among it turns the access log off
    #[arg(long, value_name = "FILTER", env = "PORTCULLIS_LOG_FILTER", default_value = "info")]
    pub log_filter: String,
    /// After a signal to stop: how long to go on accepting while load balancers take this replica out
    #[arg(long, value_name = "DURATION", env = "PORTCULLIS_DRAIN_DELAY", default_value = "0s", value_parser = humantime::parse_duration)]
    pub drain_delay: Duration,
    /// Then: how long requests under way may take
    #[arg(long, value_name = "DURATION", env = "PORTCULLIS_DRAIN_TIMEOUT", default_value = "30s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthPath {
    At(String),
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum ClientAddress {
    /// The peer is the client
    Direct,
    /// Peers in --trusted-proxies begin each connection with the PROXY protocol, version 1 or 2
    ProxyProtocol,
    /// Peers in --trusted-proxies say who the client is, in X-Forwarded-For
    TrustedProxies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

// === impl Demo ===

impl Demo {
    pub fn dir(&self) -> PathBuf {
        let default = || std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
        self.dir.clone().unwrap_or_else(default)
    }
}

// === impl Gateway ===

impl Gateway {
    pub fn ownership(&self) -> Ownership {
        Ownership {
            catch_all_namespaces: self.catch_all_namespaces.clone(),
            bindings: self.host_binding.clone(),
            issuers_per_namespace: self.issuers_per_namespace as usize,
            default_certificate: self.default_certificate.clone(),
        }
    }

    pub fn client_address(&self) -> proxy::ClientAddress {
        match self.client_address {
            ClientAddress::Direct => proxy::ClientAddress::Direct,
            ClientAddress::ProxyProtocol => proxy::ClientAddress::ProxyProtocol(self.trusted_proxies.clone()),
            ClientAddress::TrustedProxies => proxy::ClientAddress::TrustedProxies(self.trusted_proxies.clone()),
        }
    }

    pub fn tls(&self) -> Result<proxy::TlsTerms, String> {
        let least = match self.tls_min_version {
            TlsVersion::Tls12 => proxy::TlsVersion::Tls12,
            TlsVersion::Tls13 => proxy::TlsVersion::Tls13,
        };
        let ciphers: Vec<_> = self.tls_ciphers.iter().filter(|name| !name.is_empty()).cloned().collect();
        proxy::TlsTerms::new(least, &ciphers).map_err(|error| format!("--tls-ciphers: {error}"))
    }

    pub fn health_path(&self) -> Option<String> {
        match &self.health_path {
            HealthPath::At(path) => Some(path.clone()),
            HealthPath::Off => None,
        }
    }

    pub fn log_format(&self) -> telemetry::Format {
        match self.log {
            LogFormat::Json => telemetry::Format::Json,
            LogFormat::Text => telemetry::Format::Text,
        }
    }

    /// `access=off` in the filter.
    pub fn access_log(&self) -> bool {
        !self.log_filter.split(',').any(|directive| directive.trim() == "access=off")
    }
}

fn parse_health_path(text: &str) -> Result<HealthPath, String> {
    match text {
        "off" => Ok(HealthPath::Off),
        path if path.starts_with('/') => Ok(HealthPath::At(path.to_owned())),
        _ => Err("want a path such as /__health, or off".to_owned()),
    }
}

/// Bytes; 0 is off.
fn parse_token_cache(text: &str) -> Result<u64, String> {
    let (number, unit) = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, unit)))
        .unwrap_or((text, 1));
    match text {
        "off" => Ok(0),
        _ => number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(|| "want a size such as 64Mi, or off".to_owned()),
    }
}

fn parse_binding(text: &str) -> Result<HostBinding, String> {
    fn list<'a, T, E>(text: &'a str, parse: impl Fn(&'a str) -> Result<T, E>) -> Result<Vec<T>, E> {
        text.split(',').filter(|part| !part.is_empty()).map(parse).collect()
    }
    let (namespaces, hosts) = text.split_once('=').unwrap_or_default();
    let binding = HostBinding { namespaces: list(namespaces, parse_namespace)?, hosts: list(hosts, parse_host)? };
    match binding.namespaces.is_empty() || binding.hosts.is_empty() {
        true => Err("want NAMESPACE,…=HOST,… such as shop=api.example.com,*.shop.example.com".to_owned()),
        false => Ok(binding),
    }
}

fn parse_host(text: &str) -> Result<HostPattern, String> {
    let want = "want a DNS name such as api.example.com, *.example.com for one label, or * for every host";
    HostPattern::parse(text).map_err(|_| format!("{text:?} is not a host: {want}"))
}

fn parse_secret(text: &str) -> Result<SecretRef, String> {
    let (namespace, name) = text.split_once('/').ok_or("want NAMESPACE/NAME such as portcullis-system/wildcard")?;
    let sound = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    match sound {
        true => Ok(SecretRef { namespace: parse_namespace(namespace)?.into(), name: name.into() }),
        false => Err(format!("{name:?} is not the name of a Secret")),
    }
}

fn parse_namespace(text: &str) -> Result<String, String> {
    let sound = text.len() <= 63 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match sound {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a namespace: want a name such as shop")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_that_scripts_rely_on_are_read() {
        let parse = |line: &str| Args::try_parse_from(line.split(' ')).map_err(|error| error.to_string());
        let good = [
            "portcullis run --http 127.0.0.1:1 --admin 127.0.0.1:2 --inspect 127.0.0.1:3 --workers 2 --class edge",
            "portcullis run --client-address ProxyProtocol --trusted-proxies 10.0.0.0/8",
            "portcullis run --client-address TrustedProxies --trusted-proxies 10.0.0.0/8,fd00::/8",
            "portcullis run --connect-to a.example:443:10.0.0.1:8443 --connect-to ::127.0.0.1:8443 --private-issuers a.example,10.0.0.0/8",
            "portcullis run --host-binding a,b=x.example,*.y.example --host-binding c=z.example --catch-all-namespaces a,b",
            "portcullis serve config --log text --log-filter debug --drain-delay 5s --drain-timeout 1m",
            "portcullis run --h2c 127.0.0.1:8082 --https 127.0.0.1:8443 --https-public-port 443 --default-certificate a/b.c",
            "portcullis run --tls-min-version 1.3 --tls-ciphers TLS13_AES_256_GCM_SHA384,TLS13_AES_128_GCM_SHA256",
            "portcullis run --max-connections 100 --body-idle 10m",
            "portcullis run --cluster-cidrs 10.96.0.0/12,10.244.0.0/16,fd00:10:96::/112",
            "portcullis run --egress-proxy http://user:secret@proxy.example:3128 --no-proxy .corp.example,10.0.0.0/8",
            "portcullis run --token-cache 64Mi",
            "portcullis run --token-cache off",
            "portcullis demo --check",
            "portcullis check a.yaml b.yaml",
            "portcullis explain -f a.yaml -f b --token TOKEN --jwks keys.json --at 1800000000 -o json GET https://a.example/x",
            "portcullis explain --cluster --token - --token-in cookie:session -H Origin:x POST http://a.example/",
            "portcullis crd",
        ];
        for line in good {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
        let bad = [
            ("portcullis run --max-connections 0", "0 is not in 1..=1000000"),
            ("portcullis run --cluster-cidrs 10.96.0.0", "invalid"),
            ("portcullis run --egress-proxy proxy:3128", "want http://HOST:PORT"),
            ("portcullis run --issuers-per-namespace 0", "0 is not in 1..=10000"),
            ("portcullis run --token-cache 64MB", "want a size such as 64Mi, or off"),
            ("portcullis run --token-cache 99999999999Gi", "want a size such as 64Mi, or off"),
            ("portcullis run --default-certificate a", "want NAMESPACE/NAME"),
            ("portcullis run --default-certificate a/B", "is not the name of a Secret"),
            ("portcullis run --tls-min-version 1.1", "1.2, 1.3"),
            ("portcullis run --workers 0", "0 is not in 1..=256"),
            ("portcullis run --client-address TrustedProxies", "--trusted-proxies"),
            ("portcullis run --client-address ProxyProtocol", "--trusted-proxies"),
            ("portcullis run --health-path health", "want a path"),
            ("portcullis run --host-binding a", "want NAMESPACE"),
            (
                "portcullis run --host-binding a=x.example,api..example",
                "invalid value 'a=x.example,api..example' for '--host-binding <NAMESPACE,…=HOST,…>': \"api..example\" is not a host: want a DNS name",
            ),
            ("portcullis run --host-binding a=https://x.example", "is not a host"),
            ("portcullis serve x --host-binding a=*.com", "is not a host"),
            ("portcullis run --host-binding Shop=x.example", "\"Shop\" is not a namespace"),
            ("portcullis serve", "<DIR>"),
            ("portcullis explain GET http://a/", "--file"),
            ("portcullis explain --cluster -f a GET http://a/", "cannot be used with"),
            ("portcullis explain --cluster GET", "<URL>"),
            ("portcullis explain --cluster --token-in body:x GET http://a/", "want header"),
            ("portcullis explain --cluster --at noon GET http://a/", "want RFC 3339"),
        ];
        for (line, want) in bad {
            let error = parse(line).unwrap_err();
            assert!(error.contains(want), "{line}: {error}");
        }
    }
}
