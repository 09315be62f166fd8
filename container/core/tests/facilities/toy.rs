//! The toy protocol with two services that use the facilities as they are told: `say` a word of
//! `worker`, and it does what the word's parts, with colons between them, say. A word that ends
//! with `!` makes the delivery fail after that; one that begins with `child:` is for its child.

#[path = "../single_node/toy.rs"]
#[allow(dead_code, reason = "the protocol is used, its services are not")]
mod protocol;

pub use protocol::{OVER, adaptors, last_message};

use protocol::Said;
use resilee_sbb::{
    Answer, Call, ChildRelation, Context, Descriptor, Event, EventPayload, Failure, LinkedSbb,
    LocalCall, PreserveMissed, Sbb, Severity, Timer, TimerFired, TimerId, TraceLevel,
    UsageParameter,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Services of every node.
pub const SERVICES: [LinkedSbb; 2] = [LinkedSbb::of::<Front>(), LinkedSbb::of::<Back>()];

/// What both services may count and measure.
const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("words"), UsageParameter::sample("ring_ms")];

/// The service that does what it is told.
#[derive(Default, Serialize, Deserialize)]
pub struct Front {
    pub count: u32,
}

impl Sbb for Front {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "test",
            version: "1",
            priority: 10,
            initial_events: &[Said::TYPE],
            usage: USAGE,
            children: CHILDREN,
            ..Descriptor::named("worker")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.event_type == TimerFired::TYPE {
            self.count += 1;
        }
        let Some(said) = event.get::<Said>()? else { return Ok(()) };
        let word = said.word.trim_end_matches('!');
        match word.strip_prefix("child:") {
            Some(word) => {
                let known = cx.child("helpers", "one");
                let child = known.map_or_else(|| cx.create_named_child("helpers", "one"), Ok)?;
                cx.call(child, &Tell { word: word.to_owned() })?;
            }
            None => obey(cx, word)?,
        }
        match said.word.ends_with('!') {
            true => Err(Failure::new("as it was told")),
            false => Ok(()),
        }
    }
}

fn obey(cx: &mut Context<'_>, word: &str) -> Result<(), Failure> {
    match word.split(':').collect::<Vec<_>>().as_slice() {
        ["once", ms] => cx.set_timer(TimerId(1), millis(ms)),
        ["once", ms, missed] => {
            let timer = Timer::after(millis(ms)).preserve_missed(preserve(missed));
            cx.start_timer(TimerId(1), timer)?;
        }
        ["every", ms, times, missed] => {
            let timer = Timer::every(millis(ms)).times(number(times) as u32);
            cx.start_timer(TimerId(1), timer.preserve_missed(preserve(missed)))?;
        }
        ["cancel"] => cx.cancel_timer(TimerId(1)),
        ["timers", from, to] => {
            let ids = number(from) as u32..number(to) as u32;
            ids.for_each(|id| cx.set_timer(TimerId(id), Duration::from_secs(9)));
        }
        ["raise", alarm_type, instance] => {
            let text = format!("{alarm_type} of {instance}");
            cx.raise_alarm(alarm_type, instance, Severity::Minor, text);
        }
        ["clear", alarm_type, instance] => cx.clear_alarm(alarm_type, instance),
        ["clear", "all"] => cx.clear_all_alarms(),
        ["clear", alarm_type] => cx.clear_alarms_of_type(alarm_type),
        ["trace", level, text] => cx.trace(level_of(level), text),
        ["trace", below, level, text] => cx.trace_by(below, level_of(level), text),
        ["lines", times] => (0..number(times)).for_each(|line| {
            cx.trace(TraceLevel::Info, line);
        }),
        ["dear", below] => {
            let made = cx.is_traceable_by(below, TraceLevel::Fine);
            cx.trace(TraceLevel::Info, format_args!("dear line of {below} wanted: {made}"));
        }
        ["count", increment] => cx.count("words", number(increment) as i64),
        ["count", parameter, increment] => cx.count(parameter, number(increment) as i64),
        ["sample", value] => cx.sample("ring_ms", number(value)),
        ["in", set] => {
            cx.usage_set(set).count("words", 1).sample("ring_ms", 7);
        }
        _ => {}
    }
    Ok(())
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(number(text))
}

fn preserve(text: &str) -> PreserveMissed {
    match text {
        "none" => PreserveMissed::None,
        "all" => PreserveMissed::All,
        _ => PreserveMissed::Last,
    }
}

fn level_of(text: &str) -> TraceLevel {
    text.parse().expect("a level")
}

/// The worker's only child: it is attached to nothing, and does what it is told, too.
const CHILDREN: &[ChildRelation] =
    &[ChildRelation { name: "helpers", sbb: LinkedSbb::of::<Helper>(), priority: 0 }];

/// What a helper is told.
#[derive(Serialize, Deserialize)]
pub struct Tell {
    word: String,
}

impl LocalCall for Tell {
    type Answer = ();
    const NAME: &'static str = "toy.tell";
}

/// A child of the worker.
#[derive(Default, Serialize, Deserialize)]
pub struct Helper {}

impl Sbb for Helper {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { usage: USAGE, ..Descriptor::named("helper") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }

    fn on_call(&mut self, cx: &mut Context<'_>, call: &Call) -> Result<Answer, Failure> {
        if let Some(tell) = call.get::<Tell>()? {
            obey(cx, &tell.word)?;
        }
        call.answer::<Tell>(&())
    }
}

/// Another service, which only raises an alarm when it is told to.
#[derive(Default, Serialize, Deserialize)]
pub struct Back {}

impl Sbb for Back {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { name: "other", priority: -1, usage: &[], children: &[], ..Front::descriptor() }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.get::<Said>()?.is_some_and(|said| said.word == "other") {
            cx.raise_alarm("full", "disk", Severity::Critical, "of the other service");
        }
        Ok(())
    }
}
