//! `resilee-bench-balancer`: what the balancer is measured beside (a bare forwarder), and against
//! (a flood). `cargo xtask bench-balancer` runs both.

mod flood;
mod forwarder;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::net::SocketAddr;

/// A bare forwarder, and a flood.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Pass each datagram on, and each answer back; does not end by itself
    Forward {
        /// Where clients send to
        #[arg(long)]
        listen: SocketAddr,
        /// Where their datagrams go
        #[arg(long)]
        to: SocketAddr,
    },
    /// Send what nobody wants, from many addresses of 127.0.0.0/8
    Flood(flood::Options),
}

fn main() -> Result<()> {
    match CommandLine::parse().what {
        What::Forward { listen, to } => forwarder::run(listen, to),
        What::Flood(options) => flood::run(&options),
    }
}
