//! `portcullis explain`: a request, where the resources are, and a token that never stands on the command line.

use super::{ClapArgs, HealthPath, HostBinding, parse_binding, parse_health_path};
use crate::{
    compile::{DEFAULT_CLASS, DEFAULT_ISSUERS, Ownership},
    jwks::{ConnectTo, PrivateIssuers},
};
use clap::ValueEnum;
use std::{
    convert::Infallible,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    str::FromStr,
    time::{Duration, SystemTime},
};

#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// Such as GET
    pub method: String,
    /// Such as https://api.example.com/messages?page=2: host, path and query as a client would send them
    pub url: String,
    /// YAML or JSON, or a directory of it, as for `serve`: ProtectedEndpoints, Services, EndpointSlices; repeatable
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    pub files: Vec<PathBuf>,
    /// Ask the cluster of KUBECONFIG, once, instead of files
    #[arg(long)]
    pub cluster: bool,
    /// Take a backend that the files do not hold for one that is there and ready
    #[arg(long)]
    pub assume_backends: bool,
    /// A header of the request, such as 'Origin: https://app.example.com'; repeatable. Not for tokens
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// The token: `-` for standard input, @FILE, or the NAME of an environment variable
    #[arg(long, value_name = "-|@FILE|NAME")]
    pub token: Option<TokenSource>,
    /// Where the request carries it
    #[arg(long, value_name = "header[:NAME]|cookie:NAME|query:NAME", default_value = "header")]
    pub token_in: TokenPlace,
    /// The issuer's keys (a JWKS document), instead of fetching them
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Ask about another time: RFC 3339 such as 2027-01-31T12:00:00Z, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<Time>,
    /// For people, or for programs
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// As for `run`: the class that is served
    #[arg(long, value_name = "NAME", default_value = DEFAULT_CLASS)]
    pub class: String,
    /// As for `run`
    #[arg(long, value_name = "PATH|off", default_value = "/__health", value_parser = parse_health_path)]
    pub health_path: HealthPath,
    /// As for `run`
    #[arg(long, value_name = "HOST:PORT:ADDR:PORT", value_delimiter = ' ')]
    pub connect_to: Vec<ConnectTo>,
    /// As for `run`
    #[arg(long, value_name = "HOST|CIDR,…", default_value = "")]
    pub private_issuers: PrivateIssuers,
    /// As for `run`
    #[arg(long, value_name = "NAMESPACE,…", value_delimiter = ',')]
    pub catch_all_namespaces: Vec<String>,
    /// As for `run`
    #[arg(long, value_name = "NAMESPACE,…=HOST,…", value_delimiter = ' ', value_parser = parse_binding)]
    pub host_binding: Vec<HostBinding>,
    /// As for `run`
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ISSUERS)]
    pub issuers_per_namespace: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Json,
    Text,
}

/// Where the token is to be read from. Any text is one of these: an error of the arguments would show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    StandardInput,
    File(PathBuf),
    Variable(String),
    /// No name that a variable can have: perhaps the token itself, which is not kept.
    Unusable,
}

/// Where the request carries the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// `None`: `Authorization: Bearer`.
    Header(Option<String>),
    Cookie(String),
    Query(String),
}

/// Since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// Why there is no token. It never shows what was given.
#[derive(Debug, thiserror::Error)]
pub enum TokenSourceError {
    #[error("--token: cannot read it: {0}")]
    Read(#[from] io::Error),
    #[error("--token: the environment has no variable of that name, or it is no text")]
    NoVariable,
    #[error(
        "--token takes - for standard input, @FILE, or the NAME of an environment variable, and never the token itself: who may list processes sees the command line, and the shell keeps it"
    )]
    Unusable,
    #[error("--token: longer than 64 KiB, which no gateway would take")]
    TooLong,
    #[error("--token: what was read is no text")]
    NotText,
    #[error("--token: nothing was read")]
    Empty,
}

const MAX_READ: u64 = 64 << 10;

// === impl Explain ===

impl Explain {
    pub fn ownership(&self) -> Ownership {
        Ownership {
            catch_all_namespaces: self.catch_all_namespaces.clone(),
            bindings: self.host_binding.clone(),
            issuers_per_namespace: self.issuers_per_namespace,
            default_certificate: None,
        }
    }
}

// === impl TokenSource ===

impl TokenSource {
    /// The token, without blanks and line ends around it.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(&self) -> Result<String, TokenSourceError> {
        let text = match self {
            Self::StandardInput => read(io::stdin())?,
            Self::File(file) => read(File::open(file)?)?,
            Self::Variable(name) => variable(name)?,
            Self::Unusable => return Err(TokenSourceError::Unusable),
        };
        let token = text.trim();
        if token.is_empty() { Err(TokenSourceError::Empty) } else { Ok(token.to_owned()) }
    }
}

impl FromStr for TokenSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !text.is_empty();
        Ok(match text.strip_prefix('@') {
            _ if text == "-" => Self::StandardInput,
            Some(file) => Self::File(file.into()),
            None if is_name(text) => Self::Variable(text.to_owned()),
            None => Self::Unusable,
        })
    }
}

fn read(source: impl Read) -> Result<String, TokenSourceError> {
    let mut bytes = Vec::new();
    source.take(MAX_READ + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_READ {
        return Err(TokenSourceError::TooLong);
    }
    String::from_utf8(bytes).map_err(|_| TokenSourceError::NotText)
}

#[expect(clippy::disallowed_methods, reason = "the arguments name the variable, and this file is the arguments'")]
fn variable(name: &str) -> Result<String, TokenSourceError> {
    std::env::var(name).map_err(|_| TokenSourceError::NoVariable)
}

// === impl TokenPlace ===

impl FromStr for TokenPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':').map_or((text, ""), |(kind, name)| (kind, name)) {
            ("header", "") => Ok(Self::Header(None)),
            ("header", name) => Ok(Self::Header(Some(name.to_owned()))),
            ("cookie", name) if !name.is_empty() => Ok(Self::Cookie(name.to_owned())),
            ("query", name) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            _ => Err("want header, header:NAME, cookie:NAME or query:NAME"),
        }
    }
}

// === impl Time ===

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let seconds = text.parse().ok().map(Duration::from_secs);
        let parsed = seconds.or_else(|| since(humantime::parse_rfc3339(text).ok()?));
        parsed.map(Self).ok_or("want RFC 3339 in UTC such as 2027-01-31T12:00:00Z, or seconds since 1970")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::Parser;

    #[test]
    fn a_token_on_the_command_line_is_not_even_kept() {
        let source = |text: &str| text.parse::<TokenSource>().unwrap();
        let rows = [
            ("-", TokenSource::StandardInput),
            ("@/run/token", TokenSource::File("/run/token".into())),
            ("TOKEN", TokenSource::Variable("TOKEN".to_owned())),
            ("my_token_2", TokenSource::Variable("my_token_2".to_owned())),
            ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", TokenSource::Unusable),
            ("Bearer x", TokenSource::Unusable),
            ("", TokenSource::Unusable),
        ];
        for (text, want) in rows {
            assert_eq!(source(text), want, "{text}");
        }
        let line = ["portcullis", "explain", "-f", "a", "--token", "eyJhbGci.eyJzdWIi.c2ln", "GET", "http://a/"];
        let parsed = format!("{:?}", Args::try_parse_from(line).unwrap());
        assert!(!parsed.contains("eyJ") && !TokenSource::Unusable.read().unwrap_err().to_string().contains("eyJ"), "{parsed}");
    }

    #[test]
    fn times_and_places_are_read() {
        let seconds = |text: &str| text.parse::<Time>().map(|time| time.0.as_secs());
        assert_eq!(seconds("1800000000"), Ok(1_800_000_000));
        assert_eq!(seconds("2027-01-15T08:00:00Z"), Ok(1_800_000_000));
        assert!(["", "soon", "-1", "2027-01-15", "1969-01-01T00:00:00Z"].iter().all(|text| seconds(text).is_err()));
        let place = |text: &str| text.parse::<TokenPlace>();
        assert_eq!(place("header"), Ok(TokenPlace::Header(None)));
        assert_eq!(place("header:X-Token"), Ok(TokenPlace::Header(Some("X-Token".to_owned()))));
        assert_eq!(place("cookie:t"), Ok(TokenPlace::Cookie("t".to_owned())));
        assert!(["cookie", "cookie:", "query", "body:x", ""].iter().all(|text| place(text).is_err()));
    }
}
