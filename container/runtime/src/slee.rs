//! The actor that owns the core: it feeds it inputs, carries out its outputs and wakes it.
//!
//! It decides nothing. Inputs of an earlier run (before a rejoin) are dropped by their tag: their
//! numbers mean something else to the new core.

use crate::cell_worker::CellWorkers;
use crate::clock::Clock;
use crate::links;
use crate::notice_log::NoticeLog;
use crate::run::{Fresh, RunFactory};
use crate::store::{Store, StoreEvent};
use crate::udp::Sockets;
use crate::units::Units;
use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message};
use actix::{ResponseFuture, SpawnHandle};
use resilee_cluster::ClusterHandle;
use resilee_core::management::{Answer, Changed, Query, TableChange};
use resilee_core::{Fate, Input, Output};
use resilee_sbb::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;

/// Batches of datagrams and questions that wait; more datagrams are dropped. Answers of workers
/// and of the store are not refused: there is one for each thing that the core asked for.
const MAILBOX_MAX: usize = 256;
/// Inputs that are fed before outputs are taken, which makes larger frames.
const INPUTS_PER_DRAIN: usize = 64;
/// The core compares the wall clock with its own time so often.
const WALL_CLOCK_EVERY: Duration = Duration::from_secs(1);
/// Cells or records that one question gets at most.
const ANSWER_ITEMS_MAX: usize = 10_000;

/// Owner of the core.
pub(crate) struct Slee {
    pub clock: Clock,
    pub factory: RunFactory,
    /// The core and its links; nothing while a new run is made.
    pub fresh: Option<Fresh>,
    /// Tag of what is asked for in this run.
    pub run: u64,
    pub sockets: Sockets,
    pub store: Store,
    pub workers: CellWorkers,
    pub units: Units,
    /// Told when all is handed over; dropped if that cannot happen any more.
    pub drained: Option<oneshot::Sender<()>>,
    pub pace: Pace,
    pub log: NoticeLog,
    pub changes: Changes,
}

/// When outputs are taken, when the core is woken, and what it was told once.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Inputs since outputs were taken.
    fed: usize,
    /// The next wake-up, if one is armed.
    armed: Option<(Timestamp, SpawnHandle)>,
    /// The run that was told that the store takes nothing any more.
    store_refused: Option<u64>,
}

/// Changes that the core was asked for in this run.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    next_token: u64,
    asked: BTreeMap<u64, oneshot::Sender<Changed>>,
}

/// Inputs for the core.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Tag of the run that they answer; `None`: they come from outside.
    run: Option<u64>,
    inputs: Vec<Input>,
}

impl Feed {
    /// What came by itself.
    pub fn outside(inputs: Vec<Input>) -> Self {
        Feed { run: None, inputs }
    }

    /// What was asked for in `run`.
    pub fn inside(run: u64, input: Input) -> Self {
        Feed { run: Some(run), inputs: vec![input] }
    }

    /// What the links of `run` carried.
    pub fn links(run: u64, inputs: Vec<Input>) -> Self {
        Feed { run: Some(run), inputs }
    }

    /// The inputs.
    #[cfg(test)]
    pub fn into_inputs(self) -> Vec<Input> {
        self.inputs
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }
}

impl Message for Feed {
    type Result = ();
}

/// Take the outputs.
struct Drain;

impl Message for Drain {
    type Result = ();
}

/// A question of the pages.
pub(crate) struct Ask(pub Query);

impl Message for Ask {
    type Result = Answer;
}

impl Actor for Slee {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MAX);
        context.run_interval(WALL_CLOCK_EVERY, |slee, context| {
            slee.feed(Input::WallClock(Clock::wall()), context);
            slee.tell_hanging(context);
        });
        self.drain(context);
    }
}

impl Handler<Feed> for Slee {
    type Result = ();

    fn handle(&mut self, feed: Feed, context: &mut Self::Context) {
        if feed.run.is_some_and(|run| run != self.run) {
            return;
        }
        for input in feed.inputs {
            self.feed(input, context);
        }
    }
}

impl Handler<Drain> for Slee {
    type Result = ();

    fn handle(&mut self, _: Drain, context: &mut Self::Context) {
        self.drain(context);
    }
}

impl Handler<Ask> for Slee {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, Ask(query): Ask, context: &mut Self::Context) -> Self::Result {
        let Some(fresh) = &self.fresh else {
            let why = "the node starts a new run".to_owned();
            return Box::pin(async { Answer::Unavailable(why) });
        };
        let answer = match query {
            Query::Command(command) => match fresh.core.check_command(&command) {
                Ok(()) => {
                    context.notify(Feed::inside(self.run, Input::Command(command)));
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused(reason),
            },
            Query::Status => Answer::Status(Box::new(fresh.core.status(self.clock.now()))),
            Query::Cells { limit } => Answer::Cells(fresh.core.cells(limit.min(ANSWER_ITEMS_MAX))),
            Query::Leftovers(search) => {
                Answer::Leftovers(fresh.core.leftovers(self.clock.now(), &search))
            }
            Query::ProfileTables => Answer::ProfileTables(fresh.core.profile_tables()),
            Query::Profiles { table, from, limit } => {
                Answer::Profiles(fresh.core.profiles(&table, &from, limit.min(ANSWER_ITEMS_MAX)))
            }
            Query::Change(change) => return self.change(change, context),
            Query::DescribeUnit { bytes } => return self.describe_unit(bytes, context),
            Query::UsageSum { service } => match fresh.core.usage_sum(&service) {
                Ok(sum) => Answer::UsageSum(Box::new(sum)),
                Err(reason) => Answer::Refused(reason),
            },
            Query::Records { journal, from, limit } => {
                let limit = limit.min(ANSWER_ITEMS_MAX);
                let records = self.store.handle().read(journal, from, limit);
                return Box::pin(async {
                    match records.await {
                        Ok(records) => Answer::Records(records),
                        Err(_) => Answer::Unavailable("the store does not answer".to_owned()),
                    }
                });
            }
        };
        Box::pin(async { answer })
    }
}

impl Slee {
    /// Asks the core for a change; it answers in any case, unless its run ends before that.
    fn change(
        &mut self,
        change: TableChange,
        context: &mut Context<Self>,
    ) -> ResponseFuture<Answer> {
        let token = self.changes.next_token;
        self.changes.next_token += 1;
        let (answer, answered) = oneshot::channel();
        self.changes.asked.insert(token, answer);
        self.feed(Input::Change { token, change }, context);
        Box::pin(async move {
            let over = || {
                let reason = "the node starts a new run: look whether the change is made, and ask \
                              again if it is not";
                Changed::Unknown(reason.to_owned())
            };
            Answer::Changed(answered.await.unwrap_or_else(|_| over()))
        })
    }

    /// Feeds one input. Outputs are taken after what else waits, but not much later.
    pub(crate) fn feed(&mut self, input: Input, context: &mut Context<Self>) {
        let Some(fresh) = &mut self.fresh else { return };
        if let Input::Outcome { delivery, .. } = &input {
            self.workers.answered(self.run, *delivery);
        }
        fresh.core.handle_input(self.clock.now(), input);
        self.pace.fed += 1;
        if self.pace.fed >= INPUTS_PER_DRAIN {
            self.drain(context);
        } else if self.pace.fed == 1 {
            context.notify(Drain);
        }
    }

    fn drain(&mut self, context: &mut Context<Self>) {
        self.pace.fed = 0;
        while let Some(output) = self.fresh.as_mut().and_then(|fresh| fresh.core.poll_output()) {
            self.carry_out(output, context);
        }
        self.arm(context);
    }

    /// Tells the core of this run how many threads hang, if it does not know.
    fn tell_hanging(&mut self, context: &mut Context<Self>) {
        if self.fresh.is_some()
            && let Some(threads) = self.workers.news_of_hanging()
        {
            context.notify(Feed::inside(self.run, Input::Hanging { threads }));
        }
    }

    fn carry_out(&mut self, output: Output, context: &mut Context<Self>) {
        match output {
            Output::Deliver(deliver) => {
                let call = self.log.span(deliver.entity.cell);
                self.workers.deliver(self.run, deliver, context.address().recipient(), call);
            }
            Output::Abandon { delivery, may_run } => {
                let fate = self.workers.abandon(self.run, delivery, may_run);
                let hangs = matches!(fate, Fate::Hangs(_));
                let input = Input::Abandoned { delivery, fate };
                context.notify(Feed::inside(self.run, input));
                if hangs {
                    self.tell_hanging(context);
                }
            }
            Output::Packet { destination, bytes } => self.sockets.send_packet(destination, &bytes),
            Output::Datagram { flow, bytes } => self.sockets.send_datagram(&flow, &bytes),
            Output::Message(egress) => self.factory.send(egress),
            Output::Frame { peer, bytes } => {
                if let Some(links) = self.links() {
                    links::send(links, &peer, bytes);
                }
            }
            Output::CloseLink { peer, reason } => {
                if let Some(links) = self.links() {
                    links::close(links, &peer, &reason);
                }
            }
            Output::Store(batch) => {
                if let Err(reason) = self.store.handle().write(self.run, batch) {
                    self.store_refused(reason, context);
                }
            }
            Output::SaveVote { number, state } => {
                if let Err(reason) = self.store.handle().save_vote(self.run, number, state) {
                    let input = Input::VoteNotSaved { number, reason };
                    context.notify(Feed::inside(self.run, input));
                }
            }
            Output::LoadRecords { token, journal, from, limit } => {
                let records = self.store.handle().read(journal, from, limit);
                self.load(token, records, context);
            }
            Output::Compile { unit, bytes } => self.compile_unit(unit, bytes, context),
            Output::ForgetUnit { unit } => self.units.forget(&unit, &mut self.workers),
            Output::Notice(notice) => self.log.handle_notice(&notice),
            Output::Changed { token, changed } => {
                if let Some(asked) = self.changes.asked.remove(&token) {
                    // Whoever asked may have given up.
                    let _ = asked.send(changed);
                }
            }
            Output::Rejoin => self.rejoin(context),
            Output::Drained => {
                if let Some(drained) = self.drained.take() {
                    // Nobody waits for it if the process is ending anyway.
                    let _ = drained.send(());
                }
            }
        }
    }

    /// Tells the core once in each run.
    fn store_refused(&mut self, reason: String, context: &mut Context<Self>) {
        if self.pace.store_refused != Some(self.run) {
            self.pace.store_refused = Some(self.run);
            context.notify(Feed::inside(self.run, Input::StoreFailed { reason }));
        }
    }

    fn links(&self) -> Option<&ClusterHandle> {
        self.fresh.as_ref()?.links.as_ref()
    }

    fn load(
        &self,
        token: u64,
        records: oneshot::Receiver<Vec<resilee_core::StoredRecord>>,
        context: &mut Context<Self>,
    ) {
        let (run, slee) = (self.run, context.address());
        actix::spawn(async move {
            let input = match records.await {
                Ok(records) => Input::Records { token, records },
                Err(_) => {
                    let reason = "the store does not answer, or cannot be read".to_owned();
                    Input::RecordsFailed { token, reason }
                }
            };
            slee.do_send(Feed::inside(run, input));
        });
    }

    /// Wakes the core at its next time-out. A wake-up that became too early is kept.
    fn arm(&mut self, context: &mut Context<Self>) {
        let due = self.fresh.as_ref().and_then(|fresh| fresh.core.poll_timeout());
        let Some(due) = due else { return };
        if self.pace.armed.as_ref().is_some_and(|(armed, _)| *armed <= due) {
            return;
        }
        if let Some((_, handle)) = self.pace.armed.take() {
            context.cancel_future(handle);
        }
        let delay = due.since(self.clock.now());
        let handle = context.run_later(delay, |slee, context| slee.wake(context));
        self.pace.armed = Some((due, handle));
    }

    fn wake(&mut self, context: &mut Context<Self>) {
        self.pace.armed = None;
        let due = self.fresh.as_ref().and_then(|fresh| fresh.core.poll_timeout());
        if due.is_some_and(|due| due <= self.clock.now()) {
            self.feed(Input::Timeout, context);
        } else {
            self.arm(context);
        }
    }

    /// Ends this run and starts the next one in place; until then inputs are dropped.
    fn rejoin(&mut self, context: &mut Context<Self>) {
        tracing::warn!("this run is over: the node starts a new one and joins again");
        self.run += 1;
        self.workers.forget();
        self.log.forget_calls();
        self.changes.asked.clear();
        let links = self.fresh.take().and_then(|fresh| fresh.links);
        let restored = self.store.handle().restore();
        let factory = self.factory.clone();
        let (run, clock, slee) = (self.run, self.clock, context.address());
        let restoring = self.units.restoring();
        let next = async move {
            if let Some(links) = links {
                links.stop().await;
            }
            let restored = restored.await.map_err(|_| "the store does not answer".to_owned());
            let mut restored = restored?;
            let (units, _) = restoring.compile(&restored).await;
            restored.units = units.clone();
            // What it lacks it lacked before, with an alarm: who has it is to let it in.
            let fresh = factory.start(clock.now(), restored, None).await;
            let (fresh, events) = fresh.map_err(|error| error.to_string())?;
            links::forward(events, run, slee);
            Ok::<_, String>((fresh, units))
        };
        context.wait(next.into_actor(self).map(|fresh, slee, context| match fresh {
            Ok((fresh, units)) => {
                slee.units.begin_run(units, &mut slee.workers);
                slee.fresh = Some(fresh);
                slee.drain(context);
            }
            Err(error) => {
                tracing::error!("no new run can be started: {error}");
                slee.drained = None;
                context.stop();
            }
        }));
    }
}

/// What the store says, as an input.
pub(crate) fn store_feed(event: StoreEvent) -> Feed {
    match event {
        StoreEvent::Stored { run, number } => Feed::inside(run, Input::Stored { number }),
        StoreEvent::VoteSaved { run, number } => Feed::inside(run, Input::VoteSaved { number }),
        StoreEvent::VoteNotSaved { run, number, reason } => {
            Feed::inside(run, Input::VoteNotSaved { number, reason })
        }
        StoreEvent::Failed { run, reason } => Feed::inside(run, Input::StoreFailed { reason }),
    }
}
