//! Two balancers, as real processes with real SIP and RTP: the one that serves is killed in the
//! middle of a call; the other one takes the phones' address, the call goes on, and one bill is
//! written. Then the same with that one.
//!
//! ```text
//! cargo run --release --example resilient_balancers            # stays up for the admin UI
//! cargo run --release --example resilient_balancers -- --once  # exit code: did every check hold?
//! ```
//!
//! The phones' address is 127.0.0.2, a second loopback address: all of it runs on one machine.

mod story;

use clap::Parser;
use resilee_examples::play::{Play, PlayOptions};
use resilee_examples::setting::TWO_BALANCERS;
use std::process::ExitCode;

/// Plays the story of two balancers with real processes: either is killed in a call.
#[derive(Debug, Parser)]
#[command(name = "resilient_balancers", version)]
struct Args {
    #[command(flatten)]
    play: PlayOptions,
}

const PLAY: Play = Play {
    example: "resilient_balancers",
    setting: TWO_BALANCERS,
    title: "Two balancers",
    afterwards: "",
};

fn main() -> ExitCode {
    PLAY.run(Args::parse().play, story::tell)
}
