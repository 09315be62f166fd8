//! The adaptor itself: finds the activity that a message, a command or a timer is for.
//!
//! Of one Call-ID there can be several activities, since a challenged INVITE comes again with
//! credentials while the first one lingers; but only one call at a time, besides its spirals
//! (`spiral.rs`), and the branches of a proxy in front of us until one is answered
//! (`upstream_fork.rs`): any other INVITE gets 482.

use crate::activity::Activity;
use crate::advertised::Advertised;
use crate::authentication::{Claim, challenges, credentials, is_for_its_request};
use crate::call::Call;
use crate::element::Element;
use crate::ends::Ends;
use crate::exchange::Exchange;
use crate::incoming::{Incoming, amended};
use crate::leg::leaves_room;
use crate::moved_ends::MovedEnds;
use crate::nonce::NonceSource;
use crate::orphan::{MissedBye, pass_back, pass_on};
use crate::own_call::OwnCall;
use crate::password_guard::PasswordGuard;
use crate::refusal::{Refusal, has_sound_tags};
use crate::room::{NO_ROOM_FOR_TARGETS, has_large_leg};
use crate::route::route;
use crate::scanners::Scanners;
use crate::secret::Secret;
use crate::spiral;
use crate::step::Step;
use crate::strict_route::put_right;
use crate::supervision::CallLimits;
use crate::upstream_fork::Kinship;
use resilee_core::{Adoption, Egress, Endpoint, Ingress, Missed, PassedOn, ResourceAdaptor, Route};
#[cfg(feature = "planted-faults")]
use resilee_membership::{Planted, PlantedFault};
use resilee_sbb::{ActivityId, CellId, CohortId, Failure, Timestamp, decode};
use resilee_sip_api::{Algorithm, PhoneCall, SipCommand};
use resilee_sip_proto::{BranchKey, HeaderName, Message, SCANNERS_DEFAULT, TimerConfig};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Most activities of one Call-ID at a time; requests beyond are answered 503.
const ACTIVITIES_PER_CELL_MAX: usize = 16;

/// What the adaptor is told at its start.
#[derive(Clone, Debug)]
pub struct SipRaConfig {
    /// The cluster's addresses: they go into Via and Record-Route.
    pub advertise: Advertised,
    /// The cluster key: signs branches, Routes, tags and nonces.
    pub key: [u8; 32],
    /// Makes the nonces of this run differ from those of others.
    pub seed: u64,
    /// The cohort of this run. What belongs to a call carries the cohort of its cell instead.
    pub cohort: CohortId,
    /// Timers of all transactions.
    pub timers: TimerConfig,
    /// When calls are looked after that nobody ends.
    pub calls: CallLimits,
}

/// The SIP resource adaptor.
#[derive(Debug)]
pub struct SipRa {
    pub(crate) element: Element,
    /// The cohort of this run.
    cohort: CohortId,
    nonces: NonceSource,
    /// Who tries out passwords. It is this run's alone.
    pub(crate) guard: PasswordGuard,
    /// Where ends of dialogs without state are by now. It is this run's alone, too.
    moved: MovedEnds,
    /// Who the requests with fresh credentials say they are, until a service has decided. A
    /// survivor does not have them: what they try is not counted.
    pub(crate) claims: BTreeMap<ActivityId, Claim>,
    /// The activities on cells that this node owns.
    pub(crate) activities: BTreeMap<ActivityId, Activity>,
    #[cfg(feature = "planted-faults")]
    planted: Planted,
}

impl SipRa {
    /// An adaptor without activities.
    ///
    /// Its challenges offer MD5 alone, which every account can prove and every client knows:
    /// clients that know MD5 only give up at a challenge of another algorithm above it instead of
    /// skipping it, and below it none is ever taken (RFC 8760 §2.4). See
    /// [`SipRa::with_algorithms`]. Requests of [`SCANNERS_DEFAULT`] are dropped.
    pub fn new(config: SipRaConfig) -> Self {
        SipRa {
            element: Element {
                advertise: config.advertise,
                branches: BranchKey::new(config.key),
                secret: Secret::new(config.key),
                timers: config.timers,
                calls: config.calls,
                algorithms: vec![Algorithm::Md5],
                scanners: Scanners::new(SCANNERS_DEFAULT),
            },
            cohort: config.cohort,
            // Two runs with one seed still make different nonces.
            nonces: NonceSource::new(config.seed ^ config.cohort.0.rotate_left(32)),
            guard: PasswordGuard::default(),
            moved: MovedEnds::default(),
            claims: BTreeMap::new(),
            activities: BTreeMap::new(),
            #[cfg(feature = "planted-faults")]
            planted: Planted::NONE,
        }
    }

    /// Does something wrong on purpose from now on.
    #[cfg(feature = "planted-faults")]
    pub fn plant(&mut self, planted: Planted) {
        self.planted = planted;
    }

    /// Offers these algorithms in challenges, the preferred one first (RFC 8760 §2.3), as far as
    /// the account has their secrets. Credentials of others are as good as none.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.element.algorithms = algorithms.to_vec();
        self
    }

    /// Drops requests whose User-Agent contains one of these, in any letter case, and no others.
    #[must_use]
    pub fn with_scanners(mut self, parts: &[String]) -> Self {
        self.element.scanners = Scanners::new(parts);
        self
    }

    fn on_request(&mut self, endpoint: &mut Endpoint, incoming: &Incoming<'_>) {
        let method = incoming.method();
        if method != "REGISTER" && !leaves_room(incoming.message.cseq().0) {
            endpoint.count_refused("CSeq number too high for one of ours above it");
            if method != "ACK" {
                let refusal = Refusal::bad_request("CSeq Number Too High");
                let answer = refusal.answer(&self.element, incoming);
                endpoint.send(answer.flow, answer.bytes);
            }
            return;
        }
        let is_known = |activity: &mut Activity, step: &mut Step<'_>| {
            activity.on_known_request(step, incoming)
        };
        if self.first_of_cell(endpoint, is_known) {
            return;
        }
        let no_room = self.refuse_for_room(endpoint.cell(), incoming);
        let is_in_dialog = incoming.message.to_tag().is_some();
        let in_dialog = |activity: &mut Activity, step: &mut Step<'_>| {
            activity.on_in_dialog_request(step, incoming)
        };
        if is_in_dialog
            && no_room.is_none()
            && method != "CANCEL"
            && (self.on_request_of_spiral(endpoint, incoming)
                || self.first_of_cell(endpoint, in_dialog))
        {
            return;
        }
        let refused = match method {
            "ACK" => return,
            "CANCEL" => Some(Refusal::new(481)),
            _ if no_room.is_some() => no_room,
            _ if is_in_dialog => self.start_within_dialog(endpoint, incoming).err(),
            _ => self.begin(endpoint, incoming).err(),
        };
        if let Some(refusal) = refused {
            let answer = refusal.answer(&self.element, incoming);
            endpoint.send(answer.flow, answer.bytes);
        }
    }

    /// Begins an activity.
    fn begin(&mut self, endpoint: &mut Endpoint, incoming: &Incoming<'_>) -> Result<(), Refusal> {
        let is_invite = incoming.method() == "INVITE";
        let kinship = match is_invite {
            true => self.kinship(endpoint.cell(), incoming)?,
            false => Kinship::First,
        };
        let of_cell = || self.activities.range(of_cell(endpoint.cell()));
        if of_cell().count() >= ACTIVITIES_PER_CELL_MAX {
            return Err(Refusal::new(503));
        }
        let ip = incoming.flow.remote.ip();
        // Those of a spiral are not for us: whoever is called would call under this Call-ID.
        let credentials = match kinship {
            Kinship::Spiral => None,
            Kinship::First | Kinship::Fork => {
                credentials(&self.element, endpoint.now(), incoming.message, ip)
            }
        };
        let is_for_it = |it| is_for_its_request(&self.element, it, incoming.message);
        if !credentials.as_ref().is_none_or(is_for_it) {
            endpoint.count_refused("credentials for another Request-URI");
            return Err(Refusal::bad_request("Digest URI Is Not Request-URI"));
        }
        let spent: Vec<_> = of_cell().filter_map(|(_, it)| it.spent_nonce().cloned()).collect();
        let activity = endpoint.start_activity();
        let authorization = self.authorization(endpoint.now(), activity, credentials, ip);
        let mut step = Step { endpoint, element: &self.element, activity };
        let started = if is_invite {
            let mut call = Call::start(&mut step, incoming, authorization, &spent);
            call.spiral = if kinship == Kinship::First { 0 } else { activity.number };
            call.is_fork = kinship == Kinship::Fork;
            Activity::Call(Box::new(call))
        } else {
            Activity::Exchange(Box::new(Exchange::start(&mut step, incoming, authorization)))
        };
        self.activities.insert(activity, started);
        self.note_call_beside(endpoint);
        Ok(())
    }

    /// Begins an activity for a request within a dialog that is not a call's.
    fn start_within_dialog(
        &mut self,
        endpoint: &mut Endpoint,
        incoming: &Incoming<'_>,
    ) -> Result<(), Refusal> {
        let between = Ends::of_other(&self.element, incoming.message, endpoint.now());
        let between = between.ok_or_else(|| Refusal::new(481))?;
        if !between.is_sent_from(incoming.flow.remote) {
            return Err(Refusal::new(403));
        }
        let of_cell = || self.activities.range(of_cell(endpoint.cell()));
        if of_cell().count() >= ACTIVITIES_PER_CELL_MAX {
            // As with the requests of a call: repeated, an answered one goes its way again.
            let answered = of_cell().find(|(_, activity)| activity.is_answered_exchange());
            let (oldest, _) = answered.ok_or_else(|| Refusal::new(503))?;
            endpoint.end_activity(*oldest);
        }
        let receiver = self.moved.receiver(&self.element, endpoint.now(), incoming, &between);
        let activity = endpoint.start_activity();
        let mut step = Step { endpoint, element: &self.element, activity };
        let exchange = Exchange::start_within_dialog(&mut step, incoming, receiver);
        self.activities.insert(activity, Activity::Exchange(Box::new(exchange)));
        self.note_call_beside(endpoint);
        Ok(())
    }

    /// Where there are spirals, a request within a dialog is for the call that its Route names; one
    /// without our Route, for the first that has the dialog.
    fn on_request_of_spiral(&mut self, endpoint: &mut Endpoint, incoming: &Incoming<'_>) -> bool {
        let mut of_cell = self.activities.range(of_cell(endpoint.cell()));
        if of_cell.all(|(_, activity)| activity.spiral() == 0) {
            return false;
        }
        let spiral = spiral::of_request(&self.element, incoming.message);
        self.first_of_cell(endpoint, |activity, step| {
            activity.spiral() == spiral && activity.on_in_dialog_request(step, incoming)
        })
    }

    /// Offers the message to the activities of the cell until one takes it.
    fn first_of_cell(
        &mut self,
        endpoint: &mut Endpoint,
        mut offer: impl FnMut(&mut Activity, &mut Step<'_>) -> bool,
    ) -> bool {
        for (id, activity) in self.activities.range_mut(of_cell(endpoint.cell())) {
            let mut step = Step { endpoint, element: &self.element, activity: *id };
            if offer(activity, &mut step) {
                end_if_over(endpoint, *id, activity);
                return true;
            }
        }
        false
    }
}

impl ResourceAdaptor for SipRa {
    fn route(&self, now: Timestamp, ingress: &Ingress) -> Route {
        route(&self.element, &self.guard, now, ingress)
    }

    fn receive(&mut self, endpoint: &mut Endpoint, ingress: &Ingress) {
        // `route` has parsed it before; what it could not parse never gets here.
        let Ok(received) = Message::parse(&ingress.bytes) else { return };
        if !received.is_request() {
            // Its dialog would have no name (RFC 2543), or one that is none: nobody could end that
            // call.
            if is_answer_without_tag(&received) {
                endpoint.count_refused("2xx to an INVITE without a To tag that is a token");
                return;
            }
            if is_answer_to_invite(&received) && has_large_leg(&received, HeaderName::To) {
                return endpoint.count_refused("2xx to an INVITE whose dialog would be too large");
            }
            // RFC 6026 §7.3: a response that no transaction knows is not forwarded.
            let taken = self
                .first_of_cell(endpoint, |activity, step| activity.on_response(step, &received));
            if is_answer_to_invite(&received) {
                self.end_other_forks(endpoint);
            }
            let back = (!taken).then(|| pass_back(&self.element, &received, &ingress.flow));
            back.flatten().into_iter().for_each(|back| endpoint.send(back.flow, back.bytes));
            return;
        }
        let bytes = amended(&received, &ingress.flow);
        let Ok(message) = Message::parse(&bytes) else { return };
        let right = put_right(&self.element, &message);
        let message = right.as_deref().and_then(|it| Message::parse(it).ok()).unwrap_or(message);
        self.on_request(endpoint, &Incoming { message: &message, flow: ingress.flow });
    }

    fn unknown(&mut self, _now: Timestamp, ingress: &Ingress) -> Vec<Egress> {
        let Ok(message) = Message::parse(&ingress.bytes) else { return Vec::new() };
        match message.method() {
            None => pass_back(&self.element, &message, &ingress.flow).into_iter().collect(),
            Some("ACK") => Vec::new(),
            Some(_) => {
                let answer = Refusal::new(481).answer_ingress(&self.element, ingress);
                answer.into_iter().collect()
            }
        }
    }

    fn pass_on(&mut self, now: Timestamp, ingress: &Ingress) -> Option<PassedOn> {
        pass_on(&self.element, self.cohort, now, ingress)
    }

    fn missed(&mut self, endpoint: &mut Endpoint, missed: &[Missed]) {
        for Missed { at, missed } in missed {
            // One that cannot be read says nothing.
            let Ok(bye) = decode::<MissedBye>(missed) else { continue };
            self.first_of_cell(endpoint, |activity, step| match activity {
                Activity::Call(call) => call.on_missed_bye(step, &bye, *at),
                Activity::Exchange(_) | Activity::OwnCall(_) => false,
            });
        }
        // A call that none of them has ended is asked for as any other.
        self.first_of_cell(endpoint, |activity, step| {
            if let Activity::Call(call) = activity
                && call.is_up()
            {
                call.ask_after_outage(step, Adoption::Stranded);
            }
            false
        });
    }

    fn refuse(&mut self, _now: Timestamp, ingress: &Ingress, retry_after_s: u32) -> Vec<Egress> {
        // It may come here before anybody has looked at it.
        let Ok(message) = Message::parse(&ingress.bytes) else { return Vec::new() };
        let wants_answer = message.method().is_some_and(|method| method != "ACK");
        if !wants_answer || self.element.scanners.have_sent(&message) {
            return Vec::new();
        }
        let refusal = Refusal::unavailable(retry_after_s);
        refusal.answer_ingress(&self.element, ingress).into_iter().collect()
    }

    fn start(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let wanted: PhoneCall = decode(payload)?;
        let mut step = Step { endpoint, element: &self.element, activity };
        let call = OwnCall::start(&mut step, &wanted)?;
        self.activities.insert(activity, Activity::OwnCall(Box::new(call)));
        Ok(())
    }

    fn command(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let command: SipCommand = decode(payload)?;
        self.judge(endpoint, activity, &command);
        let has_room = self.has_room_for(activity, &command);
        let found = self.activities.get_mut(&activity);
        let target = found.ok_or_else(|| Failure::new("the activity is over"))?;
        let mut step = Step { endpoint, element: &self.element, activity };
        let done = match command {
            SipCommand::Respond { status, reason, headers } => {
                target.respond(&mut step, status, &reason, &borrowed(&headers))
            }
            SipCommand::Challenge { realm, stale, proxy, algorithms } => {
                let nonce = target.nonce(&mut self.nonces, &step);
                let headers =
                    challenges(&self.element.algorithms, &algorithms, &realm, &nonce, stale, proxy);
                let status = if proxy { 407 } else { 401 };
                target.respond(&mut step, status, "", &borrowed(&headers))
            }
            SipCommand::Proxy { .. } if !has_room => target.respond(&mut step, 513, "", &[]),
            SipCommand::Redirect { .. } if !has_room => Err(Failure::new(NO_ROOM_FOR_TARGETS)),
            SipCommand::Proxy { targets } => target.proxy(&mut step, &targets),
            SipCommand::Redirect { targets, diversion } => {
                target.redirect(&mut step, &targets, diversion.as_ref())
            }
            SipCommand::HangUp => target.hang_up(&mut step),
        };
        end_if_over(endpoint, activity, target);
        done
    }

    fn event_processing_failed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let found = self.activities.get_mut(&activity);
        let Some(target) = found.filter(|target| target.is_undecided()) else { return };
        let mut step = Step { endpoint, element: &self.element, activity };
        target.respond(&mut step, 500, "", &[]).expect("an undecided request can be answered");
        end_if_over(endpoint, activity, target);
    }

    fn query_liveness(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let Some(target) = self.activities.get_mut(&activity) else { return };
        target.query_liveness(&mut Step { endpoint, element: &self.element, activity });
        end_if_over(endpoint, activity, target);
    }

    fn removed(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let Some(target) = self.activities.get_mut(&activity) else { return };
        target.say_last_words(&mut Step { endpoint, element: &self.element, activity });
    }

    fn end(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let Some(target) = self.activities.get_mut(&activity) else { return };
        target.end_in_order(&mut Step { endpoint, element: &self.element, activity });
        end_if_over(endpoint, activity, target);
    }

    fn label(&self, activity: ActivityId) -> String {
        self.activities.get(&activity).map(Activity::call_id).unwrap_or_default()
    }

    fn timeout(&mut self, endpoint: &mut Endpoint, activity: ActivityId) {
        let Some(target) = self.activities.get_mut(&activity) else { return };
        target.on_timeout(&mut Step { endpoint, element: &self.element, activity });
        end_if_over(endpoint, activity, target);
    }

    fn next_timeout(&self, activity: ActivityId) -> Option<Timestamp> {
        self.activities.get(&activity)?.next_timeout()
    }

    fn marshal(&self, activity: ActivityId) -> Vec<u8> {
        self.activities.get(&activity).map(Activity::marshal).unwrap_or_default()
    }

    fn adopt(
        &mut self,
        endpoint: &mut Endpoint,
        activity: ActivityId,
        state: &[u8],
        adoption: Adoption,
    ) -> Result<(), Failure> {
        let mut adopted = Activity::unmarshal(state)?;
        let mut step = Step { endpoint, element: &self.element, activity };
        #[cfg(feature = "planted-faults")]
        if self.planted.is(PlantedFault::LookUpAgain)
            && let Activity::Call(call) = &mut adopted
        {
            call.look_up_again(&mut step);
        }
        if adoption == Adoption::Stranded && adopted.is_unanswered() {
            // Its caller has given up since, or was served without it.
            endpoint.end_activity(activity);
        } else {
            adopted.resume(&mut step, adoption);
            end_if_over(endpoint, activity, &adopted);
        }
        self.activities.insert(activity, adopted);
        Ok(())
    }

    fn forget(&mut self, activity: ActivityId) {
        self.activities.remove(&activity);
        self.claims.remove(&activity);
    }
}

pub(crate) fn end_if_over(endpoint: &mut Endpoint, id: ActivityId, activity: &Activity) {
    if activity.is_over() && !endpoint.ended().contains(&id) {
        endpoint.end_activity(id);
    }
}

pub(crate) fn of_cell(cell: CellId) -> RangeInclusive<ActivityId> {
    ActivityId { cell, number: 0 }..=ActivityId { cell, number: u32::MAX }
}

fn is_answer_to_invite(response: &Message<'_>) -> bool {
    let is_2xx = response.status().is_some_and(|status| (200..300).contains(&status));
    is_2xx && response.cseq().1 == "INVITE"
}

fn is_answer_without_tag(response: &Message<'_>) -> bool {
    let has_no_tag = || response.to_tag().is_none() || !has_sound_tags(response);
    is_answer_to_invite(response) && has_no_tag()
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
