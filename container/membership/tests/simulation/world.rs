//! A cluster of two nodes and the seat, or two balancers, in one process: a lossy network, stores
//! that take their time, links, kills, pauses and cuts, all from one seed. The checks run after
//! every step.
//!
//! What the nodes do with calls is not here; of snapshots there is only that they take time.

mod balancers;

use balancers::Balancer;
pub use balancers::Sabotage;
use resilee_membership::{
    Balancers, Control, ControlBody, Destination, Member, MemberConfig, MemberInput, MemberNotice,
    MemberOutput, NodeName, RunId, Seat, SeatInput, StoreAtStart, Unclean, Verdict, View,
    VoterState,
};
use resilee_sbb::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub const HEARTBEAT_MS: u64 = 50;
/// Index of the seat among the places; the nodes are 0 and 1.
pub const SEAT: usize = 2;
/// Index of the second balancer, in a pair of them.
pub const OTHER: usize = 3;
const PLACES: usize = 4;
const PAUSED_INBOX_MAX: usize = 32;

/// Random numbers from a seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit.max(1)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How bad the network and the stores are.
#[derive(Clone, Copy)]
pub struct Weather {
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub delay_ms_max: u64,
    pub persist_ms_max: u64,
    /// So many voters in a hundred crash soon after they said yes.
    pub crash_after_vote_percent: u64,
}

impl Weather {
    pub const FAIR: Weather = Weather {
        loss_percent: 0,
        duplicate_percent: 0,
        delay_ms_max: 1,
        persist_ms_max: 3,
        crash_after_vote_percent: 0,
    };
}

#[derive(Clone)]
enum Event {
    Arrive { from: usize, to: usize, control: Control },
    Stored { place: usize, life: u64, number: u64, state: VoterState },
    Link { place: usize, other: RunId, up: bool },
    SnapshotAcked { member: RunId, joiner: RunId },
    Rebuild { place: usize, life: u64 },
    Crash { place: usize, life: u64 },
}

#[derive(Default)]
struct Node {
    member: Option<Member>,
    run: Option<RunId>,
    stored: Option<VoterState>,
    paused: bool,
    inbox: VecDeque<MemberInput>,
    /// A proposal with a joiner is open: gates are joint.
    joint: bool,
    drained: bool,
}

pub struct World {
    pub now: Timestamp,
    pub random: Random,
    pub weather: Weather,
    /// With `Serve`, or after [`World::force`], two may act.
    pub unclean: Unclean,
    pub trace: Vec<String>,
    nodes: [Node; 2],
    balancers: Vec<Balancer>,
    names: Balancers,
    /// What is planted.
    pub sabotage: Sabotage,
    /// So much longer takes a place's store for each state.
    pub slow_ms: [u64; PLACES],
    /// Counts the lives of each place, so that answers of a dead one's store are not delivered.
    lives: [u64; PLACES],
    incarnations: u64,
    /// `cut[from][to]`
    cut: [[bool; PLACES]; PLACES],
    link: Option<[RunId; 2]>,
    events: BTreeMap<(Timestamp, u64), Event>,
    event_count: u64,
    /// Every view that was adopted anywhere, by number.
    pub adopted: BTreeMap<u64, View>,
}

pub fn name(place: usize) -> NodeName {
    ["a", "b", "x", "y"][place].parse().expect("a name")
}

impl World {
    pub fn new(seed: u64, weather: Weather) -> Self {
        World::with(seed, weather, Balancers::default())
    }

    /// With two balancers that have names.
    pub fn pair(seed: u64, weather: Weather) -> Self {
        World::with(seed, weather, Balancers::new([name(SEAT), name(OTHER)]))
    }

    fn with(seed: u64, weather: Weather, names: Balancers) -> Self {
        let count = names.iter().count().max(1);
        let mut world = World {
            now: Timestamp::from_millis(1_000_000),
            random: Random::new(seed),
            weather,
            unclean: Unclean::Refuse,
            trace: Vec::new(),
            nodes: Default::default(),
            balancers: (0..count).map(|_| Balancer::default()).collect(),
            names,
            sabotage: Sabotage::None,
            slow_ms: [0; PLACES],
            lives: [0; PLACES],
            incarnations: 0,
            cut: Default::default(),
            link: None,
            events: BTreeMap::new(),
            event_count: 0,
            adopted: BTreeMap::new(),
        };
        (SEAT..SEAT + count).for_each(|place| world.start_seat(place));
        world
    }

    // Faults and repairs.

    pub fn start(&mut self, place: usize) {
        if self.nodes[place].member.is_some() {
            return;
        }
        self.lives[place] += 1;
        self.incarnations += 1;
        let me = RunId { node: name(place), incarnation: self.incarnations };
        self.log(format!("start {me}"));
        let config = MemberConfig {
            me: me.clone(),
            peers: vec![name(1 - place)],
            seat: true,
            balancers: self.names.clone(),
            heartbeat_ms: HEARTBEAT_MS,
            missed: 6,
            cold_start_ms: 3_000,
            unclean: self.unclean,
        };
        let node = &mut self.nodes[place];
        let store = match &node.stored {
            Some(_) => StoreAtStart::Used,
            None => StoreAtStart::Nothing,
        };
        node.member = Some(Member::new(self.now, config, node.stored.clone(), store));
        (node.run, node.joint, node.paused, node.drained) = (Some(me), false, false, false);
        node.inbox.clear();
        self.carry_out(place);
    }

    pub fn kill(&mut self, place: usize) {
        let Some(run) = self.nodes[place].run.take() else { return };
        self.log(format!("kill {run}"));
        self.nodes[place].member = None;
        self.nodes[place].inbox.clear();
        self.lives[place] += 1;
        if self.link.take_if(|link| link.contains(&run)).is_some() && !self.is_cut(place, 1 - place)
        {
            self.later(1, Event::Link { place: 1 - place, other: run, up: false });
        }
    }

    pub fn pause(&mut self, place: usize) {
        self.log(format!("pause {place}"));
        self.nodes[place].paused = self.nodes[place].member.is_some();
    }

    pub fn resume(&mut self, place: usize) {
        if !std::mem::take(&mut self.nodes[place].paused) {
            return;
        }
        self.log(format!("resume {place}"));
        while let Some(input) = self.nodes[place].inbox.pop_front() {
            self.feed(place, input);
        }
    }

    pub fn drain(&mut self, place: usize) {
        self.feed(place, MemberInput::Drain);
    }

    pub fn stay(&mut self, place: usize) {
        self.feed(place, MemberInput::Stay);
    }

    /// All cohorts of a node go to the other one.
    pub fn hand_over(&mut self, place: usize) {
        let Some(view) = self.member_view(place) else { return };
        let me = self.nodes[place].run.clone().expect("a member has a run");
        let owned = view.cohorts.iter().filter(|(_, owner)| **owner == me);
        let cohorts = owned.map(|(cohort, _)| *cohort).collect();
        let Some(heir) = view.others(&me).next().cloned() else { return };
        self.log(format!("{me} is told to hand over to {heir}"));
        self.feed(place, MemberInput::HandOver { cohorts, heir });
    }

    /// An operator gives promise P7 up.
    pub fn force(&mut self, place: usize) {
        self.unclean = Unclean::Serve;
        self.feed(place, MemberInput::Force);
    }

    /// What is sent gets lost, and the link does not break.
    pub fn lose(&mut self, from: usize, to: usize, lose: bool) {
        self.log(format!("lose {from}->{to}: {lose}"));
        self.cut[from][to] = lose;
    }

    pub fn cut_off(&mut self, place: usize, cut: bool) {
        for other in (0..PLACES).filter(|other| *other != place) {
            self.set_cut(place, other, cut);
            self.set_cut(other, place, cut);
        }
    }

    /// All that a node has stored is gone.
    pub fn lose_disk(&mut self, place: usize) {
        self.nodes[place].stored = None;
    }

    pub fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
        self.log(format!("cut {from}->{to}: {cut}"));
        let nodes = from < SEAT && to < SEAT;
        // A reset is seen now and then; otherwise only the heartbeats tell.
        if nodes && cut && self.random.percent(50) {
            self.break_link();
        }
    }

    pub fn heal(&mut self) {
        self.cut = Default::default();
        self.weather = Weather::FAIR;
        self.log("heal".into());
    }

    // Questions.

    pub fn has_drained(&self, place: usize) -> bool {
        self.nodes[place].drained
    }

    pub fn member_view(&self, place: usize) -> Option<&View> {
        let member = self.nodes[place].member.as_ref()?;
        member.is_member().then(|| member.view())
    }

    /// Both nodes and the seat hold one view with both as members.
    pub fn is_whole(&self) -> bool {
        let seat = self.balancers[0].seat.as_ref();
        let views = [self.member_view(0), self.member_view(1), seat.map(Seat::view)];
        views.iter().all(|view| view.is_some_and(|v| v.members.len() == 2 && Some(v) == views[0]))
    }

    /// Cohorts that a member owns, as it sees it.
    pub fn owned_by(&self, place: usize) -> usize {
        let run = self.nodes[place].run.as_ref();
        let view = self.member_view(place).into_iter();
        view.flat_map(|view| view.cohorts.values()).filter(|owner| Some(*owner) == run).count()
    }

    /// Both nodes hold one view with both as members.
    pub fn is_whole_without_seat(&self) -> bool {
        let views = [self.member_view(0), self.member_view(1)];
        views.iter().all(|view| view.is_some_and(|v| v.members.len() == 2 && Some(v) == views[0]))
    }

    pub fn is_alone(&self, place: usize) -> bool {
        self.member_view(place).is_some_and(|view| view.members.len() == 1)
    }

    // Time.

    /// Runs until `done` or for at most so long; returns the time it took.
    pub fn run_until(&mut self, max_ms: u64, done: impl Fn(&World) -> bool) -> Option<Duration> {
        let (from, end) = (self.now, self.now + Duration::from_millis(max_ms));
        while !done(self) {
            if !self.step(end) {
                return None;
            }
        }
        Some(self.now.since(from))
    }

    pub fn run(&mut self, millis: u64) {
        self.run_until(millis, |_| false);
    }

    /// The next thing that happens before `end`.
    fn step(&mut self, end: Timestamp) -> bool {
        self.connect();
        let timers = [self.node_timeout(0), self.node_timeout(1)];
        let seats: Vec<_> = (0..self.balancers.len()).map(|it| self.seat_timeout(it)).collect();
        let timer = timers.iter().chain(&seats).copied().flatten().min();
        let timer = timer.unwrap_or(Timestamp::MAX);
        let event = self.events.first_key_value().map_or(Timestamp::MAX, |((at, _), _)| *at);
        let next = timer.min(event).max(self.now);
        if next > end {
            self.now = end;
            return false;
        }
        self.now = next;
        if event <= timer {
            let (_, event) = self.events.pop_first().expect("looked at above");
            self.happen(event);
        } else {
            for (place, timeout) in timers.into_iter().enumerate() {
                if timeout.is_some_and(|at| at <= next) {
                    self.feed(place, MemberInput::Timeout);
                }
            }
            for (balancer, timeout) in seats.into_iter().enumerate() {
                if timeout.is_some_and(|at| at <= next) {
                    self.feed_seat(SEAT + balancer, SeatInput::Timeout);
                }
            }
        }
        self.check();
        true
    }

    fn node_timeout(&self, place: usize) -> Option<Timestamp> {
        let node = &self.nodes[place];
        node.member.as_ref().filter(|_| !node.paused).and_then(Member::poll_timeout)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { from, to, .. } if self.cut[from][to] => {}
            Event::Arrive { to, control, .. } if to >= SEAT => {
                self.feed_seat(to, SeatInput::Control(control));
            }
            Event::Arrive { to, control, .. } => self.feed(to, MemberInput::Control(control)),
            Event::Stored { place, life, number, state } if self.lives[place] == life => {
                if place >= SEAT {
                    self.balancers[place - SEAT].stored = Some(state);
                    self.feed_seat(place, SeatInput::Persisted(number));
                } else {
                    self.nodes[place].stored = Some(state);
                    self.feed(place, MemberInput::Persisted(number));
                }
            }
            Event::Stored { .. } => {}
            Event::Link { place, other, up: true } => self.feed(place, MemberInput::LinkUp(other)),
            Event::Link { place, other, .. } => self.feed(place, MemberInput::LinkDown(other)),
            Event::SnapshotAcked { member, joiner } => {
                let linked = self.link.as_ref();
                if linked.is_some_and(|link| link.contains(&member) && link.contains(&joiner)) {
                    let place = usize::from(member.node == name(1));
                    self.feed(place, MemberInput::JoinerReady(joiner));
                }
            }
            Event::Rebuild { place, life } if self.lives[place] == life => {
                self.kill(place);
                self.start(place);
            }
            Event::Crash { .. } if self.weather.crash_after_vote_percent == 0 => {}
            Event::Crash { place, life } if place >= SEAT && self.lives[place] == life => {
                self.log(format!("restart {}", name(place)));
                self.start_seat(place);
            }
            Event::Crash { place, life } if self.lives[place] == life => self.kill(place),
            Event::Rebuild { .. } | Event::Crash { .. } => {}
        }
    }

    // Carrying out what the machines want.

    fn feed(&mut self, place: usize, input: MemberInput) {
        let node = &mut self.nodes[place];
        let Some(member) = node.member.as_mut() else { return };
        if node.paused {
            let control = matches!(input, MemberInput::Control(_));
            if !control || node.inbox.len() < PAUSED_INBOX_MAX {
                node.inbox.push_back(input);
            }
            return;
        }
        member.handle_input(self.now, input);
        self.carry_out(place);
    }

    fn carry_out(&mut self, place: usize) {
        while let Some(output) = self.nodes[place].member.as_mut().and_then(Member::poll_output) {
            let me = self.nodes[place].run.clone().expect("it has a run while it is up");
            match output {
                MemberOutput::Send { to, control } => {
                    let to = match to {
                        Destination::Seat => SEAT,
                        Destination::Balancer(balancer) => {
                            if balancer == name(SEAT) {
                                SEAT
                            } else {
                                OTHER
                            }
                        }
                        Destination::Node(node) => usize::from(node == name(1)),
                    };
                    self.send(place, to, &control);
                }
                MemberOutput::Persist { number, state } => self.persist(place, number, state),
                MemberOutput::Adopt(view) => {
                    self.nodes[place].joint = false;
                    self.decided(&format!("{me} adopts"), &view);
                    self.finish_cohorts(place, &me, &view);
                }
                MemberOutput::VotedOut(view) => {
                    self.decided(&format!("{me} is voted out by"), &view);
                    self.later(20, Event::Rebuild { place, life: self.lives[place] });
                }
                MemberOutput::Proposing(view) => {
                    self.log(format!("{me} proposes {}", show(&view)));
                    self.nodes[place].joint = view.members != [me];
                }
                MemberOutput::NotProposing => {
                    self.log(format!("{me} proposes nothing any more"));
                    self.nodes[place].joint = false;
                }
                MemberOutput::Join { member } => {
                    self.log(format!("{me} joins {member}"));
                    let wait = 5 + self.random.below(40);
                    self.later(wait, Event::SnapshotAcked { member, joiner: me });
                }
                MemberOutput::Notice(notice) => {
                    self.nodes[place].drained |= notice == MemberNotice::Drained;
                    self.log(format!("{me}: {notice}"));
                }
            }
        }
    }

    /// Half the time nothing is left of what dead runs began.
    fn finish_cohorts(&mut self, place: usize, me: &RunId, view: &View) {
        let finished = view.cohorts.keys().copied().filter(|cohort| view.may_forget(*cohort, me));
        let finished = finished.collect();
        if self.random.percent(50) {
            self.feed(place, MemberInput::Finished(finished));
        }
    }

    fn send(&mut self, from: usize, to: usize, control: &Control) {
        let control = &self.sabotage.change(from, control);
        let granted = matches!(control.body, ControlBody::Vote { verdict: Verdict::Granted, .. });
        if granted && self.random.percent(self.weather.crash_after_vote_percent) {
            let (life, wait) = (self.lives[from], self.random.below(30));
            self.later(wait, Event::Crash { place: from, life });
        }
        let copies = 1 + usize::from(self.random.percent(self.weather.duplicate_percent));
        for _ in 0..copies {
            if !self.random.percent(self.weather.loss_percent) {
                let delay = self.random.below(self.weather.delay_ms_max + 1);
                self.later(delay, Event::Arrive { from, to, control: control.clone() });
            }
        }
    }

    fn persist(&mut self, place: usize, number: u64, state: VoterState) {
        let delay = self.random.below(self.weather.persist_ms_max + 1) + self.slow_ms[place];
        let life = self.lives[place];
        self.later(delay, Event::Stored { place, life, number, state });
    }

    fn later(&mut self, millis: u64, event: Event) {
        self.event_count += 1;
        let at = self.now + Duration::from_millis(millis) + Duration::from_micros(100);
        self.events.insert((at, self.event_count), event);
    }

    fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cut[one][other] || self.cut[other][one]
    }

    fn break_link(&mut self) {
        let Some([a, b]) = self.link.take() else { return };
        self.later(1, Event::Link { place: 0, other: b, up: false });
        self.later(1, Event::Link { place: 1, other: a, up: false });
    }

    /// Links come up by themselves between runs that reach each other.
    fn connect(&mut self) {
        let ready =
            |place: usize| self.nodes[place].run.clone().filter(|_| !self.nodes[place].paused);
        let (Some(a), Some(b)) = (ready(0), ready(1)) else { return };
        if self.link.is_none() && !self.is_cut(0, 1) {
            self.link = Some([a.clone(), b.clone()]);
            self.later(10, Event::Link { place: 0, other: b, up: true });
            self.later(10, Event::Link { place: 1, other: a, up: true });
        }
    }

    // Checks.

    fn decided(&mut self, who: &str, view: &View) {
        self.log(format!("{who} {}", show(view)));
        if view.members.len() == 2 {
            // Both act in it: each cohort must have one owner, and nobody else may want it.
            let owned = view.cohorts.values().all(|owner| view.contains(owner));
            assert!(owned, "{}", show(view));
        }
        let known = self.adopted.entry(view.number).or_insert_with(|| view.clone());
        if known != view {
            self.fail(&format!("two views have the number {}", view.number));
        }
    }

    /// A run that may act without asking anybody is alone in this, and in the last view.
    fn check(&self) {
        if self.unclean == Unclean::Serve {
            return;
        }
        if self.forwarding().len() > 1 {
            self.fail("two balancers forward");
        }
        let sole = |place: &usize| self.is_alone(*place) && !self.nodes[*place].joint;
        for place in [0, 1].iter().filter(|place| sole(place)) {
            let Some(view) = self.member_view(*place) else { continue };
            // Where only the seat may have moved, it is still alone, in whichever of these views.
            let differs = |later: &&View| {
                (&later.members, &later.cohorts) != (&view.members, &view.cohorts)
                    || self.names.is_empty()
            };
            if let Some(later) = self.adopted.range(view.number + 1..).map(|it| it.1).find(differs)
            {
                let numbers = format!("view {} of {}", view.number, later.number);
                self.fail(&format!("{} acts alone in {numbers}", name(*place)));
            }
        }
        if [0, 1].iter().filter(|place| sole(place)).count() > 1 {
            self.fail("both act alone");
        }
    }

    pub fn fail(&self, what: &str) -> ! {
        let from = self.trace.len().saturating_sub(60);
        panic!("{what}\n{}", self.trace[from..].join("\n"));
    }

    pub fn log(&mut self, line: String) {
        self.trace.push(format!("{} {line}", self.now.as_millis()));
    }
}

fn show(view: &View) -> String {
    let members: Vec<String> = view.members.iter().map(RunId::to_string).collect();
    let seat = view.seat.as_ref().map_or(String::new(), |name| format!(" by {name}"));
    format!("{} [{}]{seat}", view.number, members.join(", "))
}
