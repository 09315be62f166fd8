//! Resilient call billing, end to end: two servers, a balancer and two phones, as real processes
//! with real SIP and RTP. A server is killed in the middle of a call; the call goes on, and one
//! bill is written.
//!
//! ```text
//! cargo run --release --example resilient_billing            # stays up for the admin UI
//! cargo run --release --example resilient_billing -- --once  # exit code: did every check hold?
//! ```
//!
//! Here is only the story; what it is played with is the library beside the examples.

mod story;
mod variations;

use clap::Parser;
use resilee_examples::play::{Play, PlayOptions};
use resilee_examples::setting::ONE_BALANCER;
use std::process::ExitCode;

/// Plays the failover story with real processes: two servers, a balancer, two phones, one bill.
#[derive(Debug, Parser)]
#[command(name = "resilient_billing", version)]
struct Args {
    #[command(flatten)]
    play: PlayOptions,
}

const PLAY: Play = Play {
    example: "resilient_billing",
    setting: ONE_BALANCER,
    title: "Resilient call billing",
    afterwards: "",
};

fn main() -> ExitCode {
    PLAY.run(Args::parse().play, story::tell)
}
