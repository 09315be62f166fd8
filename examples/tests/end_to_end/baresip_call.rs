//! Two baresip softphones register with digest and talk; the server of their call is killed; the
//! tones go on, the caller hangs up, and there is one bill.

use crate::support::cluster::{Calls, Cluster};
use crate::support::condition::{SOON, wait_until};
use crate::support::softphone::Softphone;
use crate::support::system_program::is_wanted;
use std::time::Duration;

/// How far a bill may be from what media says: baresip sends a packet each 20 ms.
const TOLERANCE: Duration = Duration::from_secs(1);
/// How long they talk at least.
const TALK_S: u64 = 3;
const PACKET: Duration = Duration::from_millis(20);

#[test]
fn a_call_of_two_softphones_survives_its_server_and_is_billed_once() {
    if !is_wanted("baresip") {
        return;
    }
    let mut cluster = Cluster::start(&["alice".to_owned(), "bob".to_owned()], Calls::Digest);
    let phone = |user, tone| Softphone::start(cluster.folder(), user, cluster.sip(), tone);
    let (mut alice, bob) = (phone("alice", 440), phone("bob", 660));
    alice.wait_for_registration();
    bob.wait_for_registration();
    assert!(alice.has_sent_credentials_for("Authorization"), "registered without a password");

    alice.dial("bob");
    let call_id = alice.wait_for_event("CALL_ESTABLISHED");
    assert_eq!(bob.wait_for_event("CALL_ESTABLISHED"), call_id);
    assert!(alice.has_sent_credentials_for("Proxy-Authorization"), "called without a password");
    alice.wait_for_event("CALL_RTPESTAB");
    bob.wait_for_event("CALL_RTPESTAB");
    let call = cluster.rest(2).wait_for_call(&call_id, "talking");
    assert_eq!(call.node.as_deref(), Some("server1"));

    cluster.kill_node(1);
    wait_until("server2 has the call", SOON, || {
        let calls = cluster.rest(2).calls();
        calls.iter().any(|call| call.node.as_deref() == Some("server2"))
    });
    cluster.rest(2).wait_for_talk(&call_id, TALK_S);
    assert!(!alice.has_event("CALL_CLOSED") && !bob.has_event("CALL_CLOSED"), "the call was cut");

    alice.hang_up();
    assert_eq!(bob.wait_for_event("CALL_CLOSED"), call_id);
    let (alice_media, bob_media) = (alice.wait_for_media_count(), bob.wait_for_media_count());
    println!("RTP packets sent and received: alice {alice_media:?}, bob {bob_media:?}");

    let bill = cluster.rest(2).wait_for_only_bill(&call_id);
    println!("{bill:?}, talk time {:?}", bill.talk_time());
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("server1", "server2"));
    assert_eq!(bill.ended_by, "caller");
    for (sent, received) in [alice_media, bob_media] {
        assert!(sent > 0 && received > 0, "no media");
        let media = PACKET * u32::try_from(received).expect("a short call");
        let off = bill.talk_time().abs_diff(media);
        assert!(off <= TOLERANCE, "billed {:?} for {media:?} of media", bill.talk_time());
    }
}
