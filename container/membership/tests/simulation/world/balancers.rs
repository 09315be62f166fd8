//! The balancers of a simulated cluster: one without a name, or two of which one holds the seat.

use super::{HEARTBEAT_MS, SEAT, World, name};
use resilee_membership::{
    Control, ControlBody, Readiness, Seat, SeatConfig, SeatInput, SeatOutput, Verdict, VoterState,
};
use resilee_sbb::Timestamp;

#[derive(Default)]
pub(super) struct Balancer {
    pub(super) seat: Option<Seat>,
    pub(super) stored: Option<VoterState>,
    pub(super) paused: bool,
    /// Whether it can be where clients are.
    pub(super) readiness: Readiness,
}

/// What a shell or a network does wrong on purpose, to see that a check finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    None,
    /// A balancer forwards without a lease.
    ForwardByView,
    /// Nodes confirm whatever they have voted for.
    ConfirmAlways,
    /// Nodes say that they hear the holder.
    SayHeard,
    /// A voter says yes to whatever it is asked.
    GrantAll,
}

impl Sabotage {
    pub(super) fn change(self, from: usize, control: &Control) -> Control {
        let mut control = control.clone();
        match (self, &mut control.body) {
            (Sabotage::ConfirmAlways, ControlBody::Heartbeat { confirms, .. }) if from < SEAT => {
                *confirms = true;
            }
            (Sabotage::SayHeard, ControlBody::Heartbeat { hears_seat, .. }) => *hears_seat = true,
            (Sabotage::GrantAll, ControlBody::Vote { verdict, .. }) => *verdict = Verdict::Granted,
            _ => {}
        }
        control
    }
}

impl World {
    pub fn stop_seat(&mut self) {
        self.stop_balancer(SEAT);
    }

    pub fn stop_balancer(&mut self, place: usize) {
        self.log(format!("stop {}", name(place)));
        self.lives[place] += 1;
        let balancer = &mut self.balancers[place - SEAT];
        (balancer.seat, balancer.paused) = (None, false);
    }

    pub fn start_balancer(&mut self, place: usize) {
        self.log(format!("start {}", name(place)));
        self.start_seat(place);
    }

    /// It neither hears nor says anything, and forwards nothing.
    pub fn pause_balancer(&mut self, place: usize, paused: bool) {
        self.log(format!("pause {}: {paused}", name(place)));
        self.balancers[place - SEAT].paused = paused;
    }

    /// It cannot be where clients are, and says so; or it can again.
    pub fn set_unfit(&mut self, place: usize, unfit: bool) {
        self.set_readiness(place, if unfit { Readiness::Unfit } else { Readiness::Ready });
    }

    pub fn set_readiness(&mut self, place: usize, readiness: Readiness) {
        self.log(format!("{}: {readiness:?}", name(place)));
        let balancer = &mut self.balancers[place - SEAT];
        balancer.readiness = readiness;
        balancer.seat.iter_mut().for_each(|seat| seat.set_readiness(readiness));
    }

    pub fn readiness(&self, place: usize) -> Readiness {
        self.balancers[place - SEAT].readiness
    }

    /// It starts again without its state file. A view that no node knows by then was decided for
    /// nobody: whoever asked for it has not heard of it, and acts by it only if it still does.
    pub fn replace_seat(&mut self) {
        self.replace_balancer(SEAT);
    }

    pub fn replace_balancer(&mut self, place: usize) {
        self.balancers[place - SEAT].stored = None;
        let stored = self.nodes.iter().filter_map(|node| node.stored.as_ref());
        let known = stored.map(|state| state.highest.number).max().unwrap_or(0);
        self.adopted.retain(|number, _| *number <= known);
        self.log(format!("{} forgets", name(place)));
        self.start_seat(place);
    }

    pub fn restart_seat(&mut self) {
        self.log("restart the seat".into());
        self.start_seat(SEAT);
    }

    pub fn is_up(&self, balancer: usize) -> bool {
        self.balancers[balancer - SEAT].seat.is_some()
    }

    /// Places of the balancers that may forward now.
    pub fn forwarding(&self) -> Vec<usize> {
        let may = |place: &usize| {
            let Balancer { seat, paused, .. } = &self.balancers[*place - SEAT];
            let seat = seat.as_ref().filter(|_| !paused);
            seat.is_some_and(|seat| match self.sabotage {
                Sabotage::ForwardByView => seat.view().seat == Some(name(*place)),
                _ => seat.may_forward(self.now),
            })
        };
        (SEAT..SEAT + self.balancers.len()).filter(may).collect()
    }

    /// That balancer forwards, by the view that a member holds.
    pub fn is_served_by(&self, place: usize) -> bool {
        let seat = self.balancers[place - SEAT].seat.as_ref();
        let runs = [0, 1].into_iter().filter(|node| !self.nodes[*node].paused);
        let mut views = runs.filter_map(|node| self.member_view(node));
        views.any(|view| Some(view) == seat.map(Seat::view)) && self.forwarding() == [place]
    }

    pub(super) fn seat_timeout(&self, balancer: usize) -> Option<Timestamp> {
        let balancer = &self.balancers[balancer];
        balancer.seat.as_ref().filter(|_| !balancer.paused).map(Seat::poll_timeout)
    }

    pub(super) fn start_seat(&mut self, place: usize) {
        self.lives[place] += 1;
        let config = SeatConfig {
            nodes: vec![name(0), name(1)],
            name: (!self.names.is_empty()).then(|| name(place)),
            balancers: self.names.clone(),
            heartbeat_ms: HEARTBEAT_MS,
            missed: 6,
            cold_start_ms: 3_000,
        };
        let balancer = &mut self.balancers[place - SEAT];
        let mut seat = Seat::new(self.now, config, balancer.stored.clone());
        seat.set_readiness(balancer.readiness);
        balancer.seat = Some(seat);
        balancer.paused = false;
    }

    /// What comes to a paused balancer is lost, but what its store says.
    pub(super) fn feed_seat(&mut self, place: usize, input: SeatInput) {
        let Balancer { seat: Some(seat), paused, .. } = &mut self.balancers[place - SEAT] else {
            return;
        };
        if *paused && !matches!(input, SeatInput::Persisted(_)) {
            return;
        }
        seat.handle_input(self.now, input);
        let who = if self.names.is_empty() { "the seat".into() } else { name(place).to_string() };
        loop {
            let seat = self.balancers[place - SEAT].seat.as_mut();
            let Some(output) = seat.and_then(Seat::poll_output) else { return };
            match output {
                SeatOutput::Send { to, control } => {
                    self.send(place, usize::from(to == name(1)), &control);
                }
                SeatOutput::Persist { number, state } => self.persist(place, number, state),
                SeatOutput::Adopt(view) => self.decided(&format!("{who} adopts"), &view),
                SeatOutput::Notice(notice) => self.log(format!("{who}: {notice}")),
            }
        }
    }
}
