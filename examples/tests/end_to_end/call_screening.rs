//! The node of `call-screening`, with the service linked into it, as a user starts it: it refuses a
//! call, and call control and billing, which know nothing of it, leave that call alone.

use crate::support::cluster::{DOMAIN, binary, password};
use crate::support::condition::{SOON, wait_until};
use crate::support::handset::Handset;
use crate::support::ports::free_address;
use crate::support::process::Process;
use crate::support::rest::Rest;
use resilee_sip_api::Account;
use std::fs;
use std::path::Path;
use std::process::Command;

/// In the example's own property file.
const SIP_IN_FILE: &str = "127.0.0.1:5080";
const ADMIN_IN_FILE: &str = "127.0.0.1:8085";

#[test]
fn a_screened_call_is_refused_and_any_other_goes_through() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sip, admin) = (free_address(), free_address());
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("call-screening");
    let config = fs::read_to_string(example.join("node.toml")).expect("the example has a file");
    assert!(config.contains(SIP_IN_FILE) && config.contains(ADMIN_IN_FILE), "{config}");
    let ha1 = Account::with_password("alice", DOMAIN, &password("alice")).ha1;
    assert!(config.contains(&ha1), "{config}");
    let config = config.replace(SIP_IN_FILE, &sip.to_string());
    let config = config.replace(ADMIN_IN_FILE, &admin.to_string());
    fs::write(folder.path().join("node.toml"), config).expect("the folder takes files");
    for file in ["cluster.key", "admin.token"] {
        fs::copy(example.join(file), folder.path().join(file)).expect("the example has the file");
    }

    let mut command = Command::new(binary("call-screening"));
    command.arg("node.toml");
    let mut node = Process::start("call-screening", folder.path(), &mut command);
    let rest = Rest::new(admin);
    wait_until("the node serves", SOON, || {
        assert!(node.is_running(), "the node ended: {}", node.output());
        rest.is_healthy()
    });

    let alice = Handset::start("alice", sip);
    let bob = Handset::start("bob", sip);
    alice.register();
    bob.register();
    assert_eq!(alice.call_in_vain("0900123456"), 403);
    rest.wait_for_no_calls();
    assert_eq!(rest.bills(), [], "a refused call costs nothing");

    let call_id = alice.call("bob");
    bob.hang_up();
    alice.wait_for_hang_up(true);
    let bill = rest.wait_for_only_bill(&call_id);
    println!("0900123456 got 403; {bill:?}");
    assert_eq!(bill.ended_by, "callee");

    node.terminate();
    let status = node.wait_for_end(SOON);
    assert!(status.success(), "SIGTERM ends it with {status}");
}
