//! What a link promises: order, once, nothing lost on a new connection.

use super::*;

fn run(node: &str) -> RunId {
    RunId { node: node.parse().expect("a name"), incarnation: 1 }
}

fn pair() -> (Link, Link) {
    let mut a = Link::new("b".parse().expect("a name"));
    let mut b = Link::new("a".parse().expect("a name"));
    for link in [&mut a, &mut b] {
        link.on_up();
        link.on_heard();
    }
    (a, b)
}

/// Takes a frame and applies what is new in it; how much that was.
fn apply(link: &mut Link, frame: &mut Frame) -> usize {
    let updates = link.accept(frame).expect("in order");
    updates.iter().for_each(|_| link.on_applied());
    updates.len()
}

#[test]
fn an_update_is_handed_on_once_also_when_it_is_sent_again() {
    let (mut a, mut b) = pair();
    a.push(&Update::SnapshotEnd, 1).expect("room");
    let frame = a.poll_frame(&run("a"), 1, 0).expect("an update to send");
    assert_eq!(apply(&mut b, &mut frame.clone()), 1);
    a.on_down();
    a.on_up();
    a.on_heard();
    a.push(&Update::SnapshotEnd, 2).expect("room");
    let mut again = a.poll_frame(&run("a"), 1, 0).expect("both updates");
    assert_eq!((again.first, again.updates.len()), (1, 2));
    assert_eq!(apply(&mut b, &mut again), 1);
}

#[test]
fn what_is_kept_waits_until_the_peer_has_spoken_on_the_new_connection() {
    let (mut a, _) = pair();
    a.push(&Update::SnapshotEnd, 1).expect("room");
    a.on_down();
    a.on_up();
    let greeting = a.poll_frame(&run("a"), 1, 0).expect("the first word");
    assert_eq!((greeting.updates.len(), greeting.extras), (0, vec![Extra::Hello]));
    a.on_heard();
    let again = a.poll_frame(&run("a"), 1, 0).expect("the update");
    assert_eq!((again.first, again.updates.len()), (1, 1));
}

#[test]
fn what_the_peers_first_word_acknowledges_is_not_sent_again() {
    let (mut a, mut b) = pair();
    a.push(&Update::SnapshotEnd, 1).expect("room");
    a.push(&Update::SnapshotEnd, 2).expect("room");
    let mut lost = a.poll_frame(&run("a"), 1, 0).expect("updates");
    lost.updates.pop();
    assert_eq!(apply(&mut b, &mut lost), 1);
    for link in [&mut a, &mut b] {
        link.on_down();
        link.on_up();
    }
    let word = b.poll_frame(&run("b"), 1, 0).expect("the first word");
    a.on_heard();
    a.on_acknowledgement(word.ack_stream, word.ack);
    let again = a.poll_frame(&run("a"), 1, 0).expect("the other update");
    assert_eq!((again.first, again.updates.len()), (2, 1));
    assert!(a.poll_frame(&run("a"), 1, 0).is_none());
}

#[test]
fn a_commit_is_held_when_it_is_acknowledged() {
    let (mut a, mut b) = pair();
    a.push(&Update::SnapshotEnd, 7).expect("room");
    a.push(&Update::SnapshotEnd, 8).expect("room");
    assert_eq!(a.held(8), 6);
    let mut frame = a.poll_frame(&run("a"), 1, 0).expect("updates");
    assert_eq!(apply(&mut b, &mut frame), 2);
    let ack = b.poll_frame(&run("b"), 1, 0).expect("an acknowledgement");
    a.on_acknowledgement(ack.ack_stream, ack.ack);
    assert_eq!((a.held(8), a.unacknowledged()), (8, 0));
}

#[test]
fn an_update_that_could_not_be_applied_is_not_acknowledged() {
    let (mut a, mut b) = pair();
    a.push(&Update::SnapshotEnd, 1).expect("room");
    let mut frame = a.poll_frame(&run("a"), 1, 0).expect("an update");
    b.accept(&mut frame).expect("in order");
    let ack = b.poll_frame(&run("b"), 1, 0).expect("an acknowledgement");
    a.on_acknowledgement(ack.ack_stream, ack.ack);
    assert_eq!(a.unacknowledged(), 1);
}

#[test]
fn many_relays_travel_in_several_frames() {
    let (mut a, _) = pair();
    let flow = resilee_membership::Flow {
        remote: ([127, 0, 0, 1], 1).into(),
        local: ([127, 0, 0, 1], 2).into(),
        transport: resilee_membership::Transport::Udp,
    };
    let relay = crate::Ingress::new(flow, vec![b'x'; 60_000]);
    (0..10).for_each(|_| a.say(Extra::Relay(relay.clone())));
    let frames = std::iter::from_fn(|| a.poll_frame(&run("a"), 1, 0));
    let sizes: Vec<_> = frames.map(|frame| frame.extras.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 11, "the hello and all relays");
    assert_eq!(sizes, [6, 5]);
}

#[test]
fn a_frame_that_got_lost_on_a_living_link_is_sent_again() {
    let (mut a, mut b) = pair();
    let at = Timestamp::from_millis;
    a.push(&Update::SnapshotEnd, 1).expect("room");
    a.poll_frame(&run("a"), 1, 0).expect("lost on the way");
    a.on_timeout(at(0), 0);
    a.on_timeout(at(499), 0);
    assert!(a.poll_frame(&run("a"), 1, 0).is_none());
    a.on_timeout(at(500), 0);
    let mut again = a.poll_frame(&run("a"), 1, 0).expect("the update again");
    assert_eq!(apply(&mut b, &mut again), 1);
}

#[test]
fn a_hole_is_refused() {
    let (mut a, mut b) = pair();
    a.push(&Update::SnapshotEnd, 1).expect("room");
    a.poll_frame(&run("a"), 1, 0).expect("lost on the way");
    a.push(&Update::SnapshotEnd, 2).expect("room");
    let mut frame = a.poll_frame(&run("a"), 1, 0).expect("the second");
    assert!(b.accept(&mut frame).is_err());
}

#[test]
fn updates_of_another_stream_are_left_alone() {
    let (mut a, mut b) = pair();
    b.expect(2);
    a.push(&Update::SnapshotEnd, 1).expect("room");
    let mut frame = a.poll_frame(&run("a"), 1, 0).expect("an update");
    assert_eq!(b.accept(&mut frame).expect("not an error").len(), 0);
    a.restart(2, Mode::Cells(None));
    a.push(&Update::SnapshotEnd, 0).expect("room");
    let mut frame = a.poll_frame(&run("a"), 1, 0).expect("an update");
    assert_eq!(b.accept(&mut frame).expect("in order").len(), 1);
}
