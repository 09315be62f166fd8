//! The twin of `twin/twin.js`: the same service in Rust.

use resilee_sbb::{
    Attribute, AttributeAlias, AttributeKind, Begins, Context, Deployment, Descriptor, Event,
    EventPayload, Failure, FailurePolicy, InitialEvent, OnRollBack, Permission, PreserveMissed,
    ProfileTable, Sbb, Severity, Timer, TimerFired, TimerId, TraceLevel, UsageParameter, decode,
};
use resilee_sip_api::{
    Diversion, DiversionReason, REFUSED, REFUSED_ALIAS, REGISTRATIONS, Registrations, SipCommand,
    Target,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
}

impl EventPayload for Named {
    const TYPE: &'static str = "test.fired";
}

/// Values of all kinds, which the service fires as it gets them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Values {
    pub whole: Vec<i64>,
    pub large: Vec<u64>,
    pub fraction: f64,
    pub texts: Vec<String>,
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    pub nothing: Option<bool>,
    pub some: Option<bool>,
}

impl EventPayload for Values {
    const TYPE: &'static str = "test.echo";
}

/// A row of the table `rows`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub count: i64,
}

#[derive(Serialize)]
struct Call {
    method: &'static str,
    url: &'static str,
}

/// What a profile of [`PROFILES`] has that is looked at.
#[derive(Serialize, Deserialize)]
pub struct Profiled {
    pub first: String,
    pub count: i64,
}

pub const PROFILES: ProfileTable = ProfileTable {
    name: "twins",
    about: "twins",
    attributes: &[
        Attribute::new("first", AttributeKind::Text { chars_max: 20 }).required().indexed(),
        Attribute::new("key", AttributeKind::Hex { digits: 4 }).unique(),
        Attribute::new("count", AttributeKind::Number { min: -5, max: 5 }),
        Attribute::new("price", AttributeKind::Decimal { places: 2, min: 0, max: 1000 }),
        Attribute::new("on", AttributeKind::Flag),
    ],
    named_by: &["first"],
    separator: "@",
    profiles_max: 9,
};

const USAGE: &[UsageParameter] =
    &[UsageParameter::counter("calls"), UsageParameter::sample("ring_ms")];
const ALIASES: &[AttributeAlias] = &[REFUSED_ALIAS];

#[derive(Debug, Serialize, Deserialize)]
pub struct Twin {
    note: String,
    seen: Option<resilee_sbb::ActivityId>,
    at: u64,
    random: u64,
}

impl Default for Twin {
    fn default() -> Self {
        Twin { note: "new".to_owned(), seen: None, at: 0, random: 0 }
    }
}

impl Sbb for Twin {
    const STATE_VERSION: u32 = 2;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "test",
            version: "1.2",
            priority: -3,
            initial_events: &["test.activities", "test.values"],
            selects_initial_events: true,
            events: &["test.timers"],
            on_roll_back: OnRollBack::Retry,
            attribute_aliases: ALIASES,
            usage: USAGE,
            deployment: Deployment {
                needs: &["other"],
                profile_tables: &[&PROFILES],
                begins: Begins::Inactive,
                on_repeated_failures: FailurePolicy::RefuseNew,
                permissions: &[
                    Permission::Command("Respond"),
                    Permission::Command("HangUp"),
                    Permission::Command("Proxy"),
                    Permission::Command("Redirect"),
                    Permission::Start { adaptor: "http", to: "a.test" },
                    Permission::Start { adaptor: "sip", to: "" },
                    Permission::Read("registrations"),
                    Permission::Read("rows"),
                    Permission::Write("rows"),
                    Permission::Record("notes"),
                    Permission::Suspend,
                ],
                ..Deployment::ALONE
            },
            ..Descriptor::named("twin")
        }
    }

    fn initial_event(cx: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        cx.trace(TraceLevel::Info, format_args!("asked about {}", event.event_type));
        cx.set_timer(TimerId(1), Duration::from_secs(1));
        let Named { name } = decode(&event.payload)?;
        Ok(match name.as_str() {
            "none" => InitialEvent::none(),
            "cell" => InitialEvent::by().cell().event_type(),
            name => InitialEvent::by_activity_context().address("sip:é@test").custom_name(name),
        })
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let name = event.event_type.as_str();
        self.note = name.to_owned();
        match name {
            "test.activities" => self.activities(cx),
            "test.timers" => self.timers(cx),
            "test.facilities" => facilities(cx),
            "test.tables" => tables(cx),
            "test.adaptors" => adaptors(cx),
            "test.values" => {
                let values: Values = decode(&event.payload)?;
                cx.fire(cx.activity(), &values)
            }
            "test.resumes" => cx.resume_event(cx.activity()),
            "test.fails" => {
                cx.set_timer(TimerId(1), Duration::from_secs(1));
                cx.trace(TraceLevel::Info, "before it fails");
                Err(Failure::new("it has had enough"))
            }
            "test.lost" => {
                let lost = resilee_sbb::ActivityId { number: 99, ..cx.activity() };
                cx.attach(cx.entity(), lost)
            }
            "test.only" => {
                cx.set_rollback_only("rather not");
                cx.set_rollback_only("or later");
                Ok(())
            }
            TimerFired::TYPE => {
                let fired: TimerFired = decode(&event.payload)?;
                cx.trace(TraceLevel::Info, fired.timer.0);
                Ok(())
            }
            name => Err(Failure::new(format!("{name} is not for it"))),
        }
    }

    fn exception_thrown(&mut self, cx: &mut Context<'_>, event: &Event, failure: &Failure) {
        let text = failure.to_string();
        cx.raise_alarm("thrown", &event.event_type, Severity::Warning, text);
    }

    fn rolled_back(
        &mut self,
        _: &mut Context<'_>,
        event: &Event,
        reason: &str,
    ) -> Result<(), Failure> {
        self.note = format!("{}: {reason}", event.event_type);
        Ok(())
    }

    fn migrate(from: u32, bytes: &[u8]) -> Result<Self, Failure> {
        let old: Twin = decode(bytes)?;
        Ok(Twin { note: format!("of {from}"), seen: None, at: old.at, random: 7 })
    }
}

impl Twin {
    fn activities(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        #[derive(Serialize, Deserialize)]
        struct Own {
            list: (u32, String),
        }
        let asked = cx.create_null_activity()?;
        cx.attach(cx.entity(), asked)?;
        cx.attach(cx.entity(), asked)?;
        cx.set_attribute_of(asked, "own", &Own { list: (1, "two".to_owned()) })?;
        cx.set_attribute(REFUSED, &true)?;
        let own = cx.attribute_of::<Own>(asked, "own")?.expect("just set").list.1;
        let refused = cx.attribute::<bool>(REFUSED)?.expect("just set");
        cx.trace(TraceLevel::Info, format_args!("{refused} {own}"));
        let other = cx.attribute::<String>("other")?.unwrap_or_else(|| "nothing".to_owned());
        let count = cx.activities().len();
        cx.trace(TraceLevel::Info, format_args!("{other} of {count}"));
        cx.fire(asked, &Named { name: "x".to_owned() })?;
        cx.mask(cx.activity(), &["test.timers"])?;
        cx.set_priority(cx.entity(), -9)?;
        let second = cx.create_null_activity()?;
        cx.end_activity(second)?;
        let ending = (cx.is_ending(second), cx.is_ending(asked));
        cx.trace(TraceLevel::Info, format_args!("{} {}", ending.0, ending.1));
        cx.suspend_event(Duration::from_millis(1500))?;
        cx.detach();
        self.seen = Some(cx.activity());
        Ok(())
    }

    fn timers(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        cx.set_timer(TimerId(1), Duration::from_millis(1500));
        cx.start_timer(TimerId(2), Timer::every(Duration::from_millis(2500)))?;
        let third = Timer::every(Duration::from_secs(2)).first_after(Duration::ZERO).times(3);
        let third = third.preserve_missed(PreserveMissed::All);
        cx.start_timer(TimerId(3), third.late_after(Duration::from_millis(10)))?;
        cx.cancel_timer(TimerId(1));
        self.at = cx.now().as_micros();
        cx.random();
        self.random = cx.random();
        Ok(())
    }
}

fn facilities(cx: &mut Context<'_>) -> Result<(), Failure> {
    cx.trace(TraceLevel::Fine, "not wanted");
    cx.trace_by("steps", TraceLevel::Fine, "wanted");
    cx.trace(TraceLevel::Warning, "é".repeat(600));
    cx.raise_alarm("a", "b", Severity::Major, "bad");
    cx.clear_alarm("a", "b");
    cx.clear_alarms_of_type("a");
    cx.clear_all_alarms();
    cx.count("calls", 1);
    cx.usage_set("set").count("calls", -2);
    cx.sample("ring_ms", 1_800_000_000_000);
    Ok(())
}

fn tables(cx: &mut Context<'_>) -> Result<(), Failure> {
    let found = cx.find_profiles(PROFILES.name, "first", "ann")?;
    let names: Vec<_> = found.map(str::to_owned).collect();
    cx.trace(TraceLevel::Info, names.join(","));
    let first: Option<Profiled> = cx.profile(PROFILES.name, &names[0])?;
    cx.trace(TraceLevel::Info, first.expect("found").count);
    let nobody: Option<Profiled> = cx.profile(PROFILES.name, "nobody")?;
    cx.trace(TraceLevel::Info, nobody.map_or_else(|| "nobody".to_owned(), |it| it.first));
    let mut sum = 0;
    for (key, row) in cx.rows("rows") {
        sum += key.parse::<i64>().expect("a number") * decode::<Row>(row)?.count;
    }
    let third = cx.row::<Row>("rows", "3")?.expect("a row").count;
    cx.trace(TraceLevel::Info, format_args!("{sum} {third}"));
    cx.put_row("rows", "new", &Row { count: 5_000_000_000 })?;
    cx.remove_row("rows", "1");
    cx.record("notes", &Row { count: -3 })
}

fn adaptors(cx: &mut Context<'_>) -> Result<(), Failure> {
    let call = cx.start_activity("http", &Call { method: "GET", url: "http://a.test/" })?;
    cx.attach(cx.entity(), call)?;
    cx.set_attribute(REFUSED, &true)?;
    let headers = vec![("Contact".to_owned(), "<sip:é@test>".to_owned())];
    cx.send(&SipCommand::Respond { status: 480, reason: "Closed".to_owned(), headers })?;
    let row: Registrations = cx.row(REGISTRATIONS, "sip:bob@example.test")?.unwrap_or_default();
    let target = |contact: &resilee_sip_api::Contact| Target {
        uri: contact.uri.clone(),
        destination: contact.source.clone(),
        routes: contact.path.clone(),
    };
    let targets: Vec<_> = row.live(cx.now()).into_iter().map(target).collect();
    cx.send(&SipCommand::Proxy { targets: targets.clone() })?;
    let diversion = Diversion { from: "sip:a@test".to_owned(), reason: DiversionReason::NoAnswer };
    cx.send(&SipCommand::Redirect { targets, diversion: Some(diversion) })?;
    cx.send(&SipCommand::HangUp)?;
    cx.detach();
    Ok(())
}
