//! Effects of an answer: permissions, sizes and facilities.

use crate::lies::{
    Parent, activity, deliver, refused, refused_effect, refused_of, taken, with_effects,
};
use resilee_sbb::{
    Deployment, Effect, LinkedSbb, Outcome, Severity, Task, TimerId, TimerSetting, Timestamp,
    TraceLevel, checked, encode,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Serialize)]
enum Command {
    Proxy { to: u8 },
    HangUp,
}

fn command(command: &impl Serialize) -> Effect {
    Effect::Command { activity: activity(1), payload: encode(command).expect("plain") }
}

fn line(text: String) -> Effect {
    Effect::Trace { tracer: "parent".to_owned(), level: TraceLevel::Info, text }
}

#[test]
fn a_command_is_one_that_the_permissions_name() {
    taken(with_effects(vec![command(&Command::Proxy { to: 1 })]));
    let text = "its permissions do not name Command(\"HangUp\"): add it to its descriptor's";
    assert_eq!(refused_effect(command(&Command::HangUp)), text);
    let two = BTreeMap::from([("Proxy", 1), ("HangUp", 1)]);
    for hidden in [command(&two), command(&BTreeMap::from([(3, 1)])), command(&3), command(&[3])] {
        assert_eq!(refused_effect(hidden), "a command without a kind");
    }
}

#[test]
fn rows_records_and_activities_need_permissions() {
    let put =
        |table: &str| Effect::PutRow { table: table.to_owned(), key: "k".to_owned(), row: vec![1] };
    taken(with_effects(vec![put("marks")]));
    assert!(refused_effect(put("accounts")).contains("Write(\"accounts\")"));
    let remove = Effect::RemoveRow { table: "accounts".to_owned(), key: "k".to_owned() };
    assert!(refused_effect(remove).contains("Write(\"accounts\")"));
    let record = |journal: &str| Effect::Record { journal: journal.to_owned(), record: vec![1] };
    taken(with_effects(vec![record("log")]));
    assert!(refused_effect(record("bills")).contains("Record(\"bills\")"));
    let start = |adaptor: &str| Effect::StartActivityOf {
        adaptor: adaptor.to_owned(),
        activity: 9,
        command: Vec::new(),
    };
    taken(with_effects(vec![start("http")]));
    assert!(refused_effect(start("sip")).contains("Start of \"sip\""));
}

/// Nobody else gets it meanwhile, nor what comes on its activity: who may do that holds calls.
#[test]
fn to_suspend_or_resume_an_event_needs_a_permission_whosever_it_is() {
    let until = Timestamp::ZERO + Duration::from_secs(1);
    let outcome = with_effects(vec![Effect::SuspendEvent { until }]);
    taken(outcome.clone());
    needs_suspend(&outcome);
    needs_suspend(&with_effects(vec![Effect::ResumeEvent { activity: 1 }]));
}

#[track_caller]
fn needs_suspend(outcome: &Outcome) {
    let mut service = LinkedSbb::of::<Parent>().descriptor();
    service.deployment = Deployment::ALONE;
    for number in [1, 2] {
        let mut deliver = deliver();
        deliver.event.activity = activity(number);
        let Outcome::RolledBack { reason, .. } = checked(&deliver, &service, outcome.clone())
        else {
            panic!("it was taken on activity {number}");
        };
        let text = "its permissions do not name Suspend: add it to its descriptor's";
        assert!(reason.ends_with(text), "{reason}");
    }
}

#[test]
fn what_is_kept_is_not_too_large() {
    let row = vec![0; 16_385];
    let put = Effect::PutRow { table: "marks".to_owned(), key: "k".to_owned(), row: row.clone() };
    assert_eq!(refused_effect(put), "16385 bytes of a row, 16384 allowed");
    let record = Effect::Record { journal: "log".to_owned(), record: row };
    assert_eq!(refused_effect(record), "16385 bytes of a record, 16384 allowed");
    let payload = vec![0; 65_537];
    let start =
        Effect::StartActivityOf { adaptor: "http".to_owned(), activity: 9, command: payload };
    assert_eq!(refused_effect(start), "65537 bytes of a command, 65536 allowed");
}

#[test]
fn effects_are_counted() {
    let timers =
        |count| (0..count).map(|number| Effect::CancelTimer { entity: 1, timer: TimerId(number) });
    let lines = |count| (0..count).map(|_| line(String::new()));
    taken(with_effects(timers(256).chain(lines(256)).collect()));
    assert_eq!(refused(with_effects(timers(257).collect())), "257 effects, 256 allowed");
    let text = "257 effects that stay, 256 allowed";
    assert_eq!(refused(with_effects(lines(257).collect())), text);
}

#[test]
fn lines_and_alarms_are_as_short_as_the_facilities_make_them() {
    taken(with_effects(vec![line("x".repeat(1_024))]));
    assert_eq!(refused_effect(line("x".repeat(1_025))), "1025 bytes of a line, 1024 allowed");
    let alarm = |size: usize| Effect::RaiseAlarm {
        alarm_type: "x".repeat(size),
        instance: String::new(),
        severity: Severity::Major,
        text: String::new(),
    };
    taken(with_effects(vec![alarm(128)]));
    assert_eq!(refused_effect(alarm(129)), "129 bytes of an alarm's type, 128 allowed");
}

#[test]
fn a_roll_back_keeps_lines_and_alarms_that_are_such() {
    let service = LinkedSbb::of::<crate::lies::Parent>().descriptor();
    let effects = vec![line("a".to_owned()), command(&Command::HangUp), line("x".repeat(2_000))];
    let outcome = Outcome::RolledBack { reason: "x".repeat(2_000), effects };
    let effects = vec![line("a".to_owned())];
    let reason = "x".repeat(1_024);
    assert_eq!(checked(&deliver(), &service, outcome), Outcome::RolledBack { reason, effects });
}

#[test]
fn a_timer_is_one_that_can_be_set() {
    let set = |setting| Effect::SetTimer { entity: 1, timer: TimerId(1), setting };
    let once = TimerSetting::once(Timestamp::from_millis(5));
    let every = TimerSetting { period: Some(Duration::from_secs(1)), ..once };
    taken(with_effects(vec![set(once), set(every)]));
    let text = "a timer that nobody can set";
    let fast = TimerSetting { period: Some(Duration::from_millis(1)), ..every };
    assert_eq!(refused_effect(set(fast)), text);
    let lax = TimerSetting { late_after: Duration::from_secs(2), ..every };
    assert_eq!(refused_effect(set(lax)), text);
    assert_eq!(refused_effect(set(TimerSetting { repetitions: 0, ..once })), text);
    let mut later = deliver();
    later.now = Timestamp::from_millis(9);
    assert_eq!(refused_of(&later, with_effects(vec![set(once)])), text);
    let strange = Effect::CancelTimer { entity: 3, timer: TimerId(1) };
    assert_eq!(refused_effect(strange), "entity 3 is not of this entity tree");
}

#[test]
fn an_answer_is_of_the_kind_that_was_asked_for() {
    let selected = || Outcome::Selected { convergence_name: None, effects: Vec::new() };
    assert_eq!(refused(selected()), "it selects, and was not asked to");
    let mut select = deliver();
    select.task = Task::Select;
    let text = "it was asked to select, and has delivered";
    assert_eq!(refused_of(&select, with_effects(Vec::new())), text);
    let long =
        Outcome::Selected { convergence_name: Some("x".repeat(16_385)), effects: Vec::new() };
    let text = "16385 bytes of a convergence name, 16384 allowed";
    assert_eq!(refused_of(&select, long), text);
    let service = LinkedSbb::of::<crate::lies::Parent>().descriptor();
    assert_eq!(checked(&select, &service, selected()), selected());
}
