//! Installs the crypto provider, reads the arguments, runs and exits. Nothing else.

use clap::Parser;
use portcullis::{app, args::Args};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Fails only when there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    app::run(Args::parse())
}
