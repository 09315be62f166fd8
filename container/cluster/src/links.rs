//! Which session is the link to which peer, as a machine without I/O.
//!
//! | session                 | input                              | output               | next   |
//! |-------------------------|------------------------------------|----------------------|--------|
//! | none                    | opened                             |                      | Opened |
//! | Opened                  | authenticated: a peer's newest run | stop its older ones  | Proven |
//! | Opened                  | authenticated: anyone else         | stop it              | Closed |
//! | Proven                  | its endpoint is known              | link up, held frames | Up     |
//! | Opened, Proven          | not up in `Limits::authentication` | stop it              | Closed |
//! | Up                      | frame                              | frame                | same   |
//! | Up                      | close, or a newer session          | link down, stop it   | Closed |
//! | Up                      | session ended                      | link down            | none   |
//! | any other               | session ended                      |                      | none   |
//!
//! Facts about one session come on different ways and in any order. A frame that overtakes the
//! news of its session is held; a frame of a link that is down is dropped.

use crate::config::ClusterEvent;
use crate::wire;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Frames held for a session that is not known yet; later ones are dropped, as if the link had
/// not been up.
const FRAMES_HELD_MAX: usize = 256;
/// Bytes of those frames.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest name of a run.
const RUN_BYTES_MAX: usize = 128;

/// ractor's number of a session, unique in the life of its node server.
pub(crate) type SessionId = u64;

/// One run of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Name of the node.
    pub node: String,
    /// Grows with each run of the node.
    pub incarnation: u64,
}

impl Run {
    /// Reads `name#incarnation`.
    pub fn parse(text: &str) -> Option<Run> {
        let (node, incarnation) = text.split_once('#')?;
        let incarnation = incarnation.parse().ok()?;
        let fits = !node.is_empty() && text.len() <= RUN_BYTES_MAX;
        fits.then(|| Run { node: node.to_owned(), incarnation })
    }
}

/// What the machine wants done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tell the node.
    Event(ClusterEvent),
    /// Stop a session.
    Stop(SessionId, String),
    /// Give sealed bytes to the peer's endpoint.
    Cast(SessionId, Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opened,
    Proven,
    Up,
    Closed,
}

#[derive(Debug)]
struct Session {
    state: State,
    opened_at: Instant,
    /// Nodes that may be at the other end, by its address or its certificate.
    nodes: Vec<String>,
    run: Option<Run>,
    /// Number of the link, given when it comes up.
    link: u64,
}

/// Frames of one peer that came before its link was up.
#[derive(Debug, Default)]
struct Held {
    run: String,
    link: u64,
    frames: Vec<Vec<u8>>,
    bytes: usize,
}

/// All sessions of this node.
#[derive(Debug)]
pub(crate) struct Links {
    me: String,
    peers: BTreeSet<String>,
    authentication: Duration,
    sessions: BTreeMap<SessionId, Session>,
    endpoints: BTreeSet<SessionId>,
    links_counted: u64,
    /// Highest link number heard of each peer's latest run; at or below it a link is over.
    heard: BTreeMap<String, (String, u64)>,
    held: BTreeMap<String, Held>,
    actions: VecDeque<Action>,
    /// Sessions that were stopped before they were links.
    refused: u64,
    foreign_bytes: u64,
}

impl Links {
    /// No sessions yet. `me` is this run's `name#incarnation`; a session must be a link after
    /// `authentication`.
    pub fn new(
        me: &str,
        peers: impl IntoIterator<Item = String>,
        authentication: Duration,
    ) -> Self {
        Links {
            me: me.to_owned(),
            peers: peers.into_iter().collect(),
            authentication,
            sessions: BTreeMap::new(),
            endpoints: BTreeSet::new(),
            links_counted: 0,
            heard: BTreeMap::new(),
            held: BTreeMap::new(),
            actions: VecDeque::new(),
            refused: 0,
            foreign_bytes: 0,
        }
    }

    /// A connection was made; nothing is proven. `nodes` may be at its other end.
    pub fn handle_opened(&mut self, now: Instant, id: SessionId, nodes: Vec<String>) {
        let session = Session { state: State::Opened, opened_at: now, nodes, run: None, link: 0 };
        self.sessions.insert(id, session);
    }

    /// Both sides of the session have proven the cookie; `name` is the other side's run.
    pub fn handle_authenticated(&mut self, id: SessionId, name: &str) {
        let run = Run::parse(name).filter(|run| self.peers.contains(&run.node));
        let Some(run) = run else {
            let name: String = name.chars().take(RUN_BYTES_MAX).collect();
            return self.stop(id, format!("{name:?} is not in the list of peers"));
        };
        let nodes = self.sessions.get(&id).map(|session| session.nodes.as_slice());
        if nodes.is_some_and(|nodes| !nodes.contains(&run.node)) {
            let nodes = nodes.unwrap_or_default().join(", ");
            let node = &run.node;
            let why = format!("it says it is {node}; its address or certificate is of {nodes}");
            return self.stop(id, why);
        }
        for (other, incarnation) in self.sessions_of(&run.node) {
            if other == id {
                continue;
            }
            if incarnation > run.incarnation {
                return self.stop(id, "a newer run of the peer is here".to_owned());
            }
            self.stop(other, "the peer has a newer session".to_owned());
        }
        if let Some(session) = self.sessions.get_mut(&id)
            && session.state == State::Opened
        {
            session.state = State::Proven;
            session.run = Some(run);
            self.try_up(id);
        }
    }

    /// The peer's endpoint can be reached through the session.
    pub fn handle_endpoint_joined(&mut self, id: SessionId) {
        self.endpoints.insert(id);
        self.try_up(id);
    }

    /// The peer's endpoint cannot be reached through the session any more.
    pub fn handle_endpoint_left(&mut self, id: SessionId) {
        self.endpoints.remove(&id);
    }

    /// The session ended.
    pub fn handle_ended(&mut self, id: SessionId) {
        self.take_down(id);
        self.sessions.remove(&id);
    }

    /// Sealed bytes came to this node's endpoint.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        let opened = wire::open(bytes);
        let opened = opened.and_then(|opened| Some((Run::parse(opened.run)?, opened)));
        let opened = opened.filter(|(run, _)| self.peers.contains(&run.node));
        let Some((run, opened)) = opened else {
            // ractor does not say on which session they came.
            self.foreign_bytes += 1;
            return;
        };
        if let Some((heard, link)) = self.heard.get(&run.node)
            && heard == opened.run
            && opened.link <= *link
        {
            return;
        }
        let peer = run.node.clone();
        if self.up(&peer).is_some_and(|session| session.run == Some(run)) {
            let bytes = opened.frame.to_vec();
            self.actions
                .push_back(Action::Event(ClusterEvent::Frame { peer: peer.clone(), bytes }));
            // Remembered as over only when the link goes down.
            let held = self.held.entry(peer).or_default();
            (held.run, held.link) = (opened.run.to_owned(), opened.link);
            return;
        }
        let held = self.held.entry(peer).or_default();
        if held.run != opened.run || held.link != opened.link {
            let (run, link) = (opened.run.to_owned(), opened.link);
            *held = Held { run, link, ..Held::default() };
        }
        let bytes = held.bytes + opened.frame.len();
        if held.frames.len() < FRAMES_HELD_MAX && bytes <= HELD_BYTES_MAX {
            held.bytes = bytes;
            held.frames.push(opened.frame.to_vec());
        }
    }

    /// Sends a frame to a peer; false: there is no link.
    pub fn handle_send(&mut self, peer: &str, frame: &[u8]) -> bool {
        let up = self.sessions.iter().find(|(_, session)| session.is_up_to(peer));
        let Some((&id, session)) = up else { return false };
        let bytes = wire::seal(session.link, &self.me, frame);
        self.actions.push_back(Action::Cast(id, bytes));
        true
    }

    /// Closes all sessions of a peer.
    pub fn handle_close(&mut self, peer: &str, reason: &str) {
        for (id, _) in self.sessions_of(peer) {
            self.stop(id, reason.to_owned());
        }
    }

    /// True if the session has proven who it is.
    pub fn is_proven(&self, id: SessionId) -> bool {
        let session = self.sessions.get(&id);
        session.is_some_and(|session| matches!(session.state, State::Proven | State::Up))
    }

    /// Sessions that were stopped before they were links.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Bytes that no node of this cluster wrote.
    pub fn foreign_bytes(&self) -> u64 {
        self.foreign_bytes
    }

    /// Stops sessions that are not links in time.
    pub fn handle_tick(&mut self, now: Instant) {
        let late = |session: &Session| {
            matches!(session.state, State::Opened | State::Proven)
                && now.saturating_duration_since(session.opened_at) > self.authentication
        };
        let late: Vec<_> =
            self.sessions.iter().filter(|(_, s)| late(s)).map(|(&id, _)| id).collect();
        for id in late {
            self.stop(id, "the handshake took too long".to_owned());
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn up(&self, peer: &str) -> Option<&Session> {
        self.sessions.values().find(|session| session.is_up_to(peer))
    }

    /// Living sessions of a peer with the incarnations at their other ends.
    fn sessions_of(&self, peer: &str) -> Vec<(SessionId, u64)> {
        let living = self.sessions.iter().filter(|(_, session)| session.state != State::Closed);
        let runs = living.filter_map(|(&id, session)| Some((id, session.run.as_ref()?)));
        runs.filter(|(_, run)| run.node == peer).map(|(id, run)| (id, run.incarnation)).collect()
    }

    fn try_up(&mut self, id: SessionId) {
        let known = self.endpoints.contains(&id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(run) = session.run.as_ref().filter(|_| known) else { return };
        if session.state != State::Proven {
            return;
        }
        self.links_counted += 1;
        session.link = self.links_counted;
        session.state = State::Up;
        let peer = run.node.clone();
        let name = format!("{}#{}", run.node, run.incarnation);
        self.actions.push_back(Action::Event(ClusterEvent::LinkUp { peer: peer.clone() }));
        let Some(held) = self.held.get_mut(&peer).filter(|held| held.run == name) else { return };
        held.bytes = 0;
        for bytes in held.frames.drain(..) {
            let peer = peer.clone();
            self.actions.push_back(Action::Event(ClusterEvent::Frame { peer, bytes }));
        }
    }

    fn stop(&mut self, id: SessionId, reason: String) {
        self.take_down(id);
        if let Some(session) = self.sessions.get_mut(&id)
            && session.state != State::Closed
        {
            self.refused += u64::from(matches!(session.state, State::Opened));
            session.state = State::Closed;
            self.actions.push_back(Action::Stop(id, reason));
        }
    }

    fn take_down(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.state != State::Up {
            return;
        }
        session.state = State::Proven;
        let Some(run) = &session.run else { return };
        let peer = run.node.clone();
        if let Some(held) = self.held.remove(&peer) {
            self.heard.insert(peer.clone(), (held.run, held.link));
        }
        self.actions.push_back(Action::Event(ClusterEvent::LinkDown { peer }));
    }
}

impl Session {
    fn is_up_to(&self, peer: &str) -> bool {
        self.state == State::Up && self.run.as_ref().is_some_and(|run| run.node == peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHENTICATION: Duration = Duration::from_secs(5);

    fn server2() -> Vec<String> {
        vec!["server2".to_owned()]
    }

    fn links() -> Links {
        Links::new("server1#1", ["server2".to_owned()], AUTHENTICATION)
    }

    fn actions(links: &mut Links) -> Vec<Action> {
        std::iter::from_fn(|| links.poll_action()).collect()
    }

    fn up(peer: &str) -> Action {
        Action::Event(ClusterEvent::LinkUp { peer: peer.to_owned() })
    }

    fn down(peer: &str) -> Action {
        Action::Event(ClusterEvent::LinkDown { peer: peer.to_owned() })
    }

    fn frame(bytes: &[u8]) -> Action {
        Action::Event(ClusterEvent::Frame { peer: "server2".to_owned(), bytes: bytes.to_vec() })
    }

    fn stopped(action: &Action) -> SessionId {
        let Action::Stop(id, _) = action else { panic!("a stop, not {action:?}") };
        *id
    }

    fn open(links: &mut Links, id: SessionId, name: &str) {
        links.handle_opened(Instant::now(), id, server2());
        links.handle_authenticated(id, name);
        links.handle_endpoint_joined(id);
    }

    #[test]
    fn a_link_is_up_when_the_peer_is_proven_and_its_endpoint_is_known_in_either_order() {
        let mut links = links();
        links.handle_endpoint_joined(1);
        links.handle_opened(Instant::now(), 1, server2());
        assert_eq!(actions(&mut links), []);
        links.handle_authenticated(1, "server2#5");
        assert_eq!(actions(&mut links), [up("server2")]);
        assert!(links.handle_send("server2", b"x"));
        assert_eq!(actions(&mut links), [Action::Cast(1, wire::seal(1, "server1#1", b"x"))]);
        links.handle_ended(1);
        assert_eq!(actions(&mut links), [down("server2")]);
        assert!(!links.handle_send("server2", b"x"));
    }

    #[test]
    fn a_stranger_and_a_name_without_incarnation_are_stopped() {
        for name in ["server3#1", "server2", "server2#", "#1", ""] {
            let mut links = links();
            open(&mut links, 1, name);
            let actions = actions(&mut links);
            assert_eq!(actions.len(), 1, "{name:?}: {actions:?}");
            assert_eq!(stopped(&actions[0]), 1);
        }
    }

    #[test]
    fn a_session_may_not_speak_for_another_peer_than_its_certificate_names() {
        let peers = ["server2".to_owned(), "server3".to_owned()];
        let mut links = Links::new("server1#1", peers, AUTHENTICATION);
        links.handle_opened(Instant::now(), 1, server2());
        links.handle_authenticated(1, "server3#5");
        links.handle_endpoint_joined(1);
        let done = actions(&mut links);
        assert_eq!(done.iter().map(stopped).collect::<Vec<_>>(), [1]);
        assert_eq!((links.refused(), links.is_proven(1)), (1, false));
    }

    #[test]
    fn a_frame_that_overtakes_its_session_is_held_and_one_of_a_dead_link_is_dropped() {
        let mut links = links();
        links.handle_bytes(&wire::seal(1, "server2#5", b"early"));
        assert_eq!(actions(&mut links), []);
        open(&mut links, 1, "server2#5");
        links.handle_bytes(&wire::seal(1, "server2#5", b"next"));
        assert_eq!(actions(&mut links), [up("server2"), frame(b"early"), frame(b"next")]);
        links.handle_ended(1);
        links.handle_bytes(&wire::seal(1, "server2#5", b"late"));
        assert_eq!(actions(&mut links), [down("server2")]);
        open(&mut links, 2, "server2#5");
        links.handle_bytes(&wire::seal(1, "server2#5", b"later"));
        links.handle_bytes(&wire::seal(2, "server2#5", b"new"));
        assert_eq!(actions(&mut links), [up("server2"), frame(b"new")]);
    }

    #[test]
    fn a_new_run_stops_the_session_of_the_old_one_and_an_old_run_gets_none() {
        let mut links = links();
        open(&mut links, 1, "server2#5");
        actions(&mut links);
        open(&mut links, 2, "server2#6");
        let done = actions(&mut links);
        assert_eq!(done[0], down("server2"));
        assert_eq!(stopped(&done[1]), 1);
        assert_eq!(done[2], up("server2"));
        open(&mut links, 3, "server2#5");
        let done = actions(&mut links);
        assert_eq!(done.iter().map(stopped).collect::<Vec<_>>(), [3]);
        links.handle_ended(1);
        links.handle_ended(3);
        assert_eq!(actions(&mut links), [], "the link is another session's");
    }

    #[test]
    fn a_closed_link_reports_down_once() {
        let mut links = links();
        open(&mut links, 1, "server2#5");
        actions(&mut links);
        links.handle_close("server2", "test");
        links.handle_ended(1);
        assert_eq!(actions(&mut links), [down("server2"), Action::Stop(1, "test".to_owned())]);
    }

    #[test]
    fn a_session_that_does_not_become_a_link_in_time_is_stopped() {
        let mut links = links();
        let start = Instant::now();
        links.handle_opened(start, 1, server2());
        links.handle_tick(start + AUTHENTICATION);
        assert_eq!(actions(&mut links), []);
        links.handle_tick(start + AUTHENTICATION + Duration::from_millis(1));
        assert_eq!(actions(&mut links).iter().map(stopped).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn held_frames_are_limited_and_foreign_bytes_are_dropped() {
        let mut links = links();
        for _ in 0..FRAMES_HELD_MAX + 10 {
            links.handle_bytes(&wire::seal(1, "server2#5", b"x"));
        }
        links.handle_bytes(&wire::seal(1, "server3#5", b"x"));
        links.handle_bytes(b"noise");
        assert_eq!(links.foreign_bytes(), 2);
        open(&mut links, 1, "server2#5");
        assert_eq!(actions(&mut links).len(), 1 + FRAMES_HELD_MAX);
    }
}
