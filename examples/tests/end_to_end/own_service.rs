//! The example `own_service`, as a user starts it: it builds a service, deploys it to a pair that
//! runs, upgrades it in mid-call, kills a server, and judges itself.

use crate::support::cluster::binary;
use crate::support::ports::free_ports;
use crate::support::process::Process;
use std::process::Command;
use std::time::Duration;

/// The story takes 20 seconds, after the units are built.
const STORY_WITHIN: Duration = Duration::from_secs(300);

#[test]
fn the_story_of_a_service_of_ones_own_holds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [sip, http] = [7, 2].map(|count| free_ports(count).to_string());
    let mut command = Command::new(binary("examples/own_service"));
    command.args(["--once", "--data-dir", "data", "--sip-port", &sip, "--http-port", &http]);
    let mut story = Process::start("own_service", folder.path(), &mut command);
    let status = story.wait_for_end(STORY_WITHIN);
    let told = story.output();
    println!("{told}");
    assert!(status.success(), "it ended with {status}");
    assert!(told.contains("checks held."), "the story has a sum");
}
