//! The core's state, and which part of it an input goes to.

use crate::adaptors::{Adaptors, CellKey};
use crate::alarms::Alarms;
use crate::cell::{Cell, CellInput};
use crate::cluster_clock::ClusterClock;
use crate::commit::Record;
use crate::commits::Writes;
use crate::conditions::RefusedFrames;
use crate::config::CoreConfig;
use crate::deliveries::Out;
use crate::failures::Failures;
use crate::frame::Extra;
use crate::gate::Gate;
use crate::hand_over::HandOver;
use crate::hangs::Hangs;
use crate::inspection::Observed;
use crate::io::{Input, Output};
use crate::life_cycles::LifeCycles;
use crate::link::Link;
use crate::migrations::Migrations;
use crate::offer::Offer;
use crate::orphans::Orphans;
use crate::overload::Overload;
use crate::pending_rows::PendingRows;
use crate::resource_adaptor::{Egress, Ingress};
use crate::retry::RetryAlarms;
use crate::shared_tables::{WrittenOver, with_profiles};
use crate::store::{Progress, Restored};
use crate::stranded::Stranded;
use crate::table_changes::Changes;
use crate::timers::{Due, Timers};
use crate::tracers::Tracers;
use crate::units::Units;
use crate::usage::Usage;
use crate::votes::VoteWrites;
use crate::wall_clock::WallClockWatch;
use crate::words::Words;
use resilee_membership::{
    Destination, Member, MemberConfig, MemberInput, NodeName, Packet, Planted, RunId, View, open,
};
use resilee_sbb::{CellId, CohortId, DeliveryId, Descriptor, LinkedSbb, Tables, Timestamp};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// One node's SLEE.
pub struct Core {
    pub(crate) config: CoreConfig,
    pub(crate) services: Vec<Descriptor>,
    pub(crate) adaptors: Adaptors,
    /// Told things by [`Core::tell_member`] only: it runs on local time.
    pub(crate) member: Member,
    pub(crate) clock: ClusterClock,
    pub(crate) wall_clock: WallClockWatch,
    /// Text of the alarm about the wall clock, while it is raised.
    pub(crate) wall_clock_alarm: Option<String>,
    /// The adopted view.
    pub(crate) view: View,
    /// Where each balancer's last heartbeat came from.
    pub(crate) balancers: BTreeMap<Destination, SocketAddr>,
    /// Cells whose turn has ended, and for which more may wait.
    pub(crate) next_turns: VecDeque<CellId>,
    /// Cells owned here, and cells held as backup.
    pub(crate) cells: BTreeMap<CellId, Cell>,
    /// Living cells by what their messages share.
    pub(crate) index: BTreeMap<CellKey, CellId>,
    pub(crate) tables: Tables,
    /// Rows of the configuration: every node has its own, they are neither replicated nor stored.
    pub(crate) configured: Tables,
    pub(crate) written_over: WrittenOver,
    pub(crate) changes: Changes,
    pub(crate) pending_rows: PendingRows,
    /// The last commit of this run that wrote rows.
    pub(crate) rows_commit: u64,
    /// The last commit of this run that carried alarms, or resets: some of them may be of a turn
    /// that was not over.
    pub(crate) noted_commit: u64,
    pub(crate) life_cycles: LifeCycles,
    pub(crate) units: Units,
    pub(crate) migrations: Migrations,
    pub(crate) failures: Failures,
    /// Records of an earlier run that were not held when it ended.
    pub(crate) unpublished: Vec<(CellId, Record)>,
    /// The cells are those of the own store: this run is no member yet and has joined nobody.
    pub(crate) from_store: bool,
    /// The own store had nothing when this run started, not even the beginning of a snapshot.
    pub(crate) empty_store: bool,
    /// Nodes of which this run has known an earlier run.
    pub(crate) came_back: BTreeSet<NodeName>,
    pub(crate) timers: Timers,
    /// Deliveries that are out.
    pub(crate) deliveries: BTreeMap<DeliveryId, Out>,
    pub(crate) overload: Overload,
    pub(crate) hangs: Hangs,
    pub(crate) next_delivery: u64,
    pub(crate) next_cell: u64,
    pub(crate) gate: Gate,
    pub(crate) links: BTreeMap<NodeName, Link>,
    /// The member whose snapshot is wanted.
    pub(crate) joining: Option<Joining>,
    /// Number of the first view with this run that it adopted. What is sent by an older one is
    /// for an earlier run, and goes to that one's heir as well.
    pub(crate) member_since: u64,
    /// Local time at which the view was adopted.
    pub(crate) adopted_at: Timestamp,
    /// The view that is being voted on: gates hold for both.
    pub(crate) proposing: Option<View>,
    /// Cohorts that are about to get another owner.
    pub(crate) hand_over: Option<HandOver>,
    /// Messages that wait for the next view, or for the end of a hand-over.
    pub(crate) early: Vec<Ingress>,
    /// Updates that do.
    pub(crate) early_frames: Vec<crate::frame::Frame>,
    /// Effects of other runs' commits, until they are known to be done.
    pub(crate) outbox: BTreeMap<RunId, BTreeMap<u64, Vec<Egress>>>,
    /// Number of the last commit of each other member run that was applied here.
    pub(crate) applied: BTreeMap<RunId, u64>,
    /// Records of this node that the others may lack, since it asked for a snapshot.
    pub(crate) offer: Option<Offer>,
    pub(crate) orphans: Orphans,
    /// Calls of the own store that the others may lack, while this run joins.
    pub(crate) stranded: Stranded,
    /// Cohorts of dead runs that have nothing left, and the commit by which that is so.
    pub(crate) finished: BTreeMap<CohortId, u64>,
    /// Cohorts that the next view may leave out if they have nothing left, by the view's number.
    pub(crate) forgettable: (u64, Vec<CohortId>),
    /// Those of them that the membership knows.
    pub(crate) finished_told: BTreeSet<CohortId>,
    pub(crate) words: Words,
    pub(crate) writes: Writes,
    pub(crate) votes: VoteWrites,
    /// Peers of which frames were refused lately.
    pub(crate) refused_frames: BTreeMap<NodeName, RefusedFrames>,
    pub(crate) draining: Drain,
    pub(crate) alarms: Alarms,
    pub(crate) tracers: Tracers,
    pub(crate) usage: Usage,
    /// The alarm that this run serves nothing is raised.
    pub(crate) told_outside: bool,
    pub(crate) retry_alarms: RetryAlarms,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    pub(crate) counters: BTreeMap<&'static str, ServiceCounters>,
    pub(crate) outputs: VecDeque<Output>,
    /// What happened inside, if somebody watches.
    pub(crate) observed: Option<Vec<Observed>>,
    /// What is done wrong on purpose.
    pub(crate) planted: Planted,
    /// Updates that were acknowledged before they are applied.
    #[cfg(feature = "planted-faults")]
    pub(crate) unapplied: Vec<(RunId, crate::frame::Update)>,
}

/// Messages by the view before are taken for so long after a view was adopted: as long as the
/// balancer keeps what it sends, to send it by the next view.
const LATE_MAX: Duration = Duration::from_millis(200);

/// How far the end of this run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// It goes on.
    No,
    /// It hands over since too many handlers hang, and takes no new calls meanwhile.
    OfHangs,
    /// It has handed over since too many handlers hang: it serves nothing, and its process stays.
    HandedOver,
    /// An operator wants it to end: it hands over, and takes no new calls.
    Asked,
    /// It has said that it is drained.
    Done,
}

/// A snapshot that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Joining {
    /// From which member.
    pub member: RunId,
    /// On which stream; each try has its own.
    pub stream: u64,
    /// When it was asked for last, in local time.
    pub asked_at: Timestamp,
    /// All of it is applied.
    pub whole: bool,
}

/// Deliveries of one service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServiceCounters {
    pub delivered: u64,
    pub rolled_back: u64,
}

impl Core {
    /// A core that has not heard of anybody. `tables` are the rows of the configuration
    /// (accounts, tariffs), which every node has; they are not replicated. `local` is the first
    /// of the times that [`Core::handle_input`] is given.
    pub fn new(
        local: Timestamp,
        config: CoreConfig,
        services: &[LinkedSbb],
        adaptors: Adaptors,
        tables: Tables,
        mut restored: Restored,
    ) -> Self {
        let member_config = MemberConfig {
            me: config.me.clone(),
            peers: config.peers.iter().map(|peer| peer.name.clone()).collect(),
            seat: config.behind_balancer,
            balancers: config.balancers.clone(),
            heartbeat_ms: config.heartbeat_ms,
            missed: config.missed,
            cold_start_ms: config.cold_start_ms,
            unclean: config.unclean,
        };
        let (empty, knows_nothing) = (restored.is_empty(), restored.knows_nothing());
        let since = restored.since(&config.me);
        let member = Member::new(local, member_config, restored.voter.clone(), restored.at_start());
        let clock = ClusterClock::new(local, restored.progress.time);
        let now = clock.now();
        let mut services: Vec<_> = services.iter().map(|service| service.descriptor()).collect();
        services
            .sort_by_key(|descriptor| (std::cmp::Reverse(descriptor.priority), descriptor.name));
        let tracers = Tracers::new(services.iter().map(|descriptor| descriptor.name));
        let usage = Usage::new(now, &services);
        let name = |peer: &crate::Peer| (peer.name.clone(), Link::new(peer.name.clone()));
        let mut core = Core {
            links: config.peers.iter().map(name).collect(),
            counters: services.iter().map(|d| (d.name, ServiceCounters::default())).collect(),
            life_cycles: LifeCycles::new(&services),
            units: Units::of(&mut restored),
            migrations: Migrations::default(),
            failures: Failures::default(),
            tables: with_profiles(&tables, &services),
            alarms: Alarms::new(config.limits.alarms_max),
            config,
            services,
            adaptors,
            member,
            clock,
            wall_clock: WallClockWatch::default(),
            wall_clock_alarm: None,
            view: View::default(),
            balancers: BTreeMap::new(),
            next_turns: VecDeque::new(),
            cells: BTreeMap::new(),
            index: BTreeMap::new(),
            configured: tables,
            written_over: WrittenOver::new(),
            changes: Changes::default(),
            pending_rows: PendingRows::default(),
            rows_commit: 0,
            noted_commit: 0,
            unpublished: Vec::new(),
            from_store: !empty,
            empty_store: knows_nothing,
            came_back: BTreeSet::new(),
            timers: Timers::default(),
            deliveries: BTreeMap::new(),
            overload: Overload::default(),
            hangs: Hangs::default(),
            next_delivery: 1,
            next_cell: 1,
            gate: Gate::default(),
            joining: None,
            member_since: u64::MAX,
            adopted_at: local,
            proposing: None,
            hand_over: None,
            early: Vec::new(),
            early_frames: Vec::new(),
            outbox: BTreeMap::new(),
            applied: BTreeMap::new(),
            offer: None,
            orphans: Orphans::default(),
            stranded: Stranded::of_store(restored.progress.view),
            finished: BTreeMap::new(),
            forgettable: (0, Vec::new()),
            finished_told: BTreeSet::new(),
            words: Words::default(),
            writes: Writes { next_batch: 1, since, ..Writes::default() },
            votes: VoteWrites::default(),
            refused_frames: BTreeMap::new(),
            draining: Drain::No,
            tracers,
            usage,
            told_outside: false,
            retry_alarms: RetryAlarms::default(),
            dropped: BTreeMap::new(),
            outputs: VecDeque::new(),
            observed: None,
            planted: Planted::NONE,
            #[cfg(feature = "planted-faults")]
            unapplied: Vec::new(),
        };
        let run = core.config.me.incarnation;
        let named = Progress { run, since, ..restored.progress.clone() };
        core.writes.ops.push(named.store_op());
        core.tell_member(MemberInput::CommitsStored(restored.commits()));
        core.restore(now, restored);
        core.advance_units(now);
        core.drive_member(now);
        core
    }

    /// Takes one input. Then [`Core::poll_output`] until it is empty; several inputs may be
    /// handled before, which makes larger frames.
    ///
    /// `local` is the node's own time, which never jumps; what is called `now` from here on is
    /// cluster time.
    pub fn handle_input(&mut self, local: Timestamp, input: Input) {
        let now = self.clock.handle_local_time(local);
        match input {
            Input::Packet { source, bytes } => self.on_packet(now, source, &bytes),
            Input::Datagram { flow, bytes } => {
                self.on_message(now, Ingress::new(flow, bytes), false)
            }
            Input::Message(ingress) => self.on_message(now, ingress, false),
            Input::LinkUp { peer } => self.on_link_up(now, &peer),
            Input::LinkDown { peer } => self.on_link_down(now, &peer),
            Input::Frame { peer, bytes } => self.on_frame(now, &peer, &bytes),
            Input::Outcome { delivery, outcome } => self.on_outcome(now, delivery, outcome),
            Input::Abandoned { delivery, fate } => self.on_abandoned(now, delivery, fate),
            Input::Hanging { threads } => self.on_hanging(now, threads),
            Input::Stored { number } => self.on_stored(number),
            Input::StoreFailed { reason } => self.on_store_failed(now, &reason),
            Input::VoteSaved { number } => self.on_vote_saved(number),
            Input::VoteNotSaved { number, reason } => self.on_vote_not_saved(now, number, &reason),
            Input::Records { token, records } => self.on_records(token, records),
            Input::RecordsFailed { token, reason } => self.on_records_failed(now, token, &reason),
            Input::Compiled { unit, service } => self.on_compiled(now, &unit, service),
            Input::WallClock(wall) => self.on_wall_clock(now, wall),
            Input::AlarmRaised { source, severity, text } => {
                self.raise_condition(now, severity, &source, &text);
            }
            Input::AlarmOver { source, text } => self.clear_alarm(&source, &text),
            Input::Timeout => self.on_timeout(now),
            Input::Command(command) => self.on_command(now, command),
            Input::Change { token, change } => self.on_change(now, token, change),
            Input::Drain => self.on_drain(),
        }
        let now = self.clock.now();
        self.begin_next_turns(now);
        self.drive_member(now);
        self.advance_joiners(now);
        self.release();
        self.carry_words(now);
        self.note_joiners_behind();
        self.advance_hand_over(now);
        self.advance_offer();
        self.advance_changes(now);
        self.advance_units(now);
        self.note_joiners_without_units();
        self.commit_alarms();
        self.look_for_undeployed(now);
        self.begin_next_turns(now);
        self.end_drain();
    }

    /// The next output; `None`: all is said.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.flush_links();
        self.flush_store();
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, in local time.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let times = [self.timers.next(), self.next_change_end()].into_iter().flatten();
        let times = times.map(|time| self.clock.local_at(time));
        let again = [self.votes.again_at(), self.units.again_at()].into_iter().flatten();
        times.chain(self.member.poll_timeout()).chain(again).min()
    }

    /// Cluster time at a local time, as far as it is known now.
    pub fn cluster_time(&self, local: Timestamp) -> Timestamp {
        self.clock.at(local)
    }

    /// The adopted view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// True if this run is a member of the adopted view: only then anything leaves a cell.
    pub(crate) fn is_member(&self) -> bool {
        self.view.contains(&self.config.me) && self.member.is_member()
    }

    /// True if this run owns the cell.
    pub(crate) fn owns(&self, cell: CellId) -> bool {
        self.is_member() && self.view.owner(cell.cohort) == Some(&self.config.me)
    }

    fn on_packet(&mut self, now: Timestamp, source: SocketAddr, bytes: &[u8]) {
        match open(&self.config.key, bytes) {
            Ok(Packet::Sip { view, flow, bytes }) => {
                let ingress = Ingress::new(flow, bytes.to_vec());
                match view.cmp(&self.view.number) {
                    Ordering::Greater => self.keep_early(ingress),
                    Ordering::Equal => self.on_message(now, ingress, false),
                    Ordering::Less if self.adopted_lately() && view >= self.member_since => {
                        self.tell_member(MemberInput::OldView(self.balancer_at(source)));
                        self.on_message(now, ingress, false);
                    }
                    Ordering::Less => self.refuse_old(self.balancer_at(source)),
                }
            }
            Ok(Packet::Control(control)) => self.on_control(source, control),
            Err(_) => self.count_drop("sealed datagram that does not open"),
        }
    }

    /// The balancer may need a moment to store the view that this node has adopted.
    fn adopted_lately(&self) -> bool {
        self.clock.local().since(self.adopted_at) < LATE_MAX
    }

    /// The sender goes by an older view: who owns what may have changed since.
    pub(crate) fn refuse_old(&mut self, from: Destination) {
        self.count_drop("message by an older view");
        self.tell_member(MemberInput::OldView(from));
    }

    /// Tells the membership something, by the clock that it runs on.
    pub(crate) fn tell_member(&mut self, input: MemberInput) {
        self.member.handle_input(self.clock.local(), input);
    }

    /// Does something wrong on purpose from now on.
    #[cfg(feature = "planted-faults")]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
        self.member.plant(planted);
        if planted.is(resilee_membership::PlantedFault::ForgetStoredTime) {
            self.clock = ClusterClock::new(self.clock.local(), Timestamp::ZERO);
        }
        self.links.values_mut().for_each(|link| link.planted = planted);
    }

    fn on_timeout(&mut self, now: Timestamp) {
        #[cfg(feature = "planted-faults")]
        self.apply_late(now);
        self.note_finished_cohorts();
        self.tend_orphans(now);
        self.save_vote_again();
        self.compile_again();
        self.tell_member(MemberInput::Timeout);
        self.note_outside(now);
        self.note_load(now);
        self.tend_failures(now);
        self.forget_refused_frames();
        self.ask_again_to_join();
        if let Some(alarms) = self.alarms.take_news(now) {
            let links = self.links.values_mut();
            links.for_each(|link| link.say(Extra::Alarms(alarms.clone())));
        }
        let (local, done) = (self.clock.local(), self.gate.held());
        self.links.values_mut().for_each(|link| link.on_timeout(local, done));
        while let Some(due) = self.timers.pop(now) {
            match due {
                Due::Adaptor(activity) => {
                    self.enqueue(now, activity.cell, CellInput::AdaptorTimeout(activity));
                }
                Due::Sbb(entity, timer) => {
                    self.enqueue(now, entity.cell, CellInput::Timer(entity, timer));
                }
                Due::Retry(entity) => {
                    self.enqueue(now, entity.cell, CellInput::Retry(entity.number));
                }
                Due::Suspended(activity) => {
                    self.enqueue(now, activity.cell, CellInput::Resume(activity.number));
                }
                Due::Words(cell) => self.repeat_words(now, cell),
                Due::Delivery(delivery) => self.on_delivery_deadline(delivery),
                Due::Examine(adaptor) => self.examine_some(now, adaptor),
                Due::Migrate => self.migrate_some(now),
                Due::Told => self.tell_while_handed_over(now),
            }
        }
    }
}
