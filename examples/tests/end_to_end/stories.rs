//! Examples that tell a story, as a user starts them: each kills what it runs, and judges itself.

use crate::support::cluster::binary;
use crate::support::ports::free_ports;
use crate::support::process::Process;
use std::process::Command;
use std::time::Duration;

/// The stories take half a minute, one of them after its units are built.
const STORY_WITHIN: Duration = Duration::from_secs(300);

#[track_caller]
fn holds(example: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [sip, http] = [7, 2].map(|count| free_ports(count).to_string());
    let mut command = Command::new(binary(&format!("examples/{example}")));
    command.args(["--once", "--data-dir", "data", "--sip-port", &sip, "--http-port", &http]);
    let mut story = Process::start(example, folder.path(), &mut command);
    let status = story.wait_for_end(STORY_WITHIN);
    let told = story.output();
    println!("{told}");
    assert!(status.success(), "it ended with {status}");
    assert!(told.contains("checks held."), "the story has a sum");
}

/// It builds a service, deploys it to a pair that runs, and upgrades it in mid-call.
#[test]
fn the_story_of_a_service_of_ones_own_holds() {
    holds("own_service");
}

#[test]
fn the_story_of_two_balancers_holds() {
    holds("resilient_balancers");
}
