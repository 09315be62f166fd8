//! Rows of a turn with several deliveries: until it has ended, they are nobody else's.
//!
//! Root entities of the cluster are named by the first letter of a word.

use crate::pair::Pair;
use crate::script::{self, does_hang, hangs, note, on, selects, take_trace};
use crate::shared_rows::PHONES;
use crate::toy::{Begin, SERVICES, Tick, word};
use resilee_core::Input;
use resilee_core::management::{Changed, TableChange};
use resilee_sbb::{
    Context, Deployment, Descriptor, Event, EventPayload, Failure, InitialEvent, LinkedSbb,
    Profile, Sbb, Tables, decode, encode,
};
use serde::{Deserialize, Serialize};

/// Deliveries after the first one.
const STEPS: u32 = 6;

/// Names the profile table, and does nothing.
#[derive(Default, Serialize, Deserialize)]
struct Book {}

impl Sbb for Book {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        let deployment = Deployment { profile_tables: &[&PHONES], ..Deployment::ALONE };
        Descriptor { deployment, ..Descriptor::named("book") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

fn pair() -> Pair {
    script::clear();
    selects("chooser", |word, _| Ok(InitialEvent::by().custom_name(&word[..1])));
    let services = [LinkedSbb::of::<Book>(), SERVICES[2]];
    Pair::of(&services, Tables::default()).whole()
}

/// What an entity does at the first of several deliveries of one turn, and at the last one.
fn in_steps(
    name: &'static str,
    first: impl Fn(&mut Context<'_>) -> Result<(), Failure> + 'static,
    last: impl Fn(&mut Context<'_>) -> Result<(), Failure> + 'static,
) {
    on("chooser", &format!("{name}begin"), move |_, cx| {
        first(cx)?;
        let null = cx.create_null_activity()?;
        cx.attach(cx.entity(), null)?;
        cx.fire(null, &Tick { word: format!("{name}1") })
    });
    for step in 1..STEPS {
        on("chooser", &format!("{name}{step}"), move |_, cx| {
            cx.fire(cx.activity(), &Tick { word: format!("{name}{}", step + 1) })
        });
    }
    on("chooser", &format!("{name}{STEPS}"), move |_, cx| {
        last(cx)?;
        cx.end_activity(cx.activity())
    });
}

fn pay(cx: &mut Context<'_>, account: &str) -> Result<(), Failure> {
    let balance = cx.row::<u32>("accounts", account)?.unwrap_or_default();
    note(format!("{account} has {balance}"));
    cx.put_row("accounts", account, &(balance + 1))
}

fn nothing(_: &mut Context<'_>) -> Result<(), Failure> {
    Ok(())
}

fn begin(pair: &mut Pair, words: &[&str]) {
    for (call, word) in (1..).zip(words) {
        let owner = pair.tables_owner();
        pair.begin_to_say(owner, &format!("c{call} start; fire choose 1 {word}"));
    }
}

fn balance(pair: &Pair, node: usize, account: &str) -> u32 {
    let core = pair.nodes[node].core.as_ref().expect("it lives");
    let row = core.tables().get("accounts", account).map(|row| decode(row).expect("a number"));
    row.unwrap_or_default()
}

/// Lets inputs arrive one by one until the trace has a line.
fn until(pair: &mut Pair, line: &str) {
    while !take_trace().iter().any(|it| it == line) {
        assert!(pair.is_busy(), "nobody has written {line:?}");
        pair.deliver(1);
    }
}

#[test]
fn what_a_turn_writes_is_read_by_others_when_it_has_ended() {
    let mut pair = pair();
    in_steps("x", |cx| pay(cx, "ann"), |cx| pay(cx, "ann"));
    on("chooser", "ypay", |_, cx| pay(cx, "ann"));
    begin(&mut pair, &["xbegin", "ypay"]);
    pair.settle();
    pair.pass_ms(2_000);
    let trace: Vec<_> = take_trace().into_iter().filter(|line| line.starts_with("ann")).collect();
    assert_eq!(trace, ["ann has 0", "ann has 0", "ann has 1", "ann has 2"]);
    assert_eq!([balance(&pair, 0, "ann"), balance(&pair, 1, "ann")], [3, 3]);
}

#[test]
fn a_turn_whose_node_dies_before_its_end_is_done_once() {
    let mut pair = pair();
    in_steps("x", |cx| pay(cx, "ann"), nothing);
    on("chooser", "ypay", |_, cx| pay(cx, "ann"));
    begin(&mut pair, &["xbegin", "ypay"]);
    until(&mut pair, "chooser1 x4");
    let owner = pair.tables_owner();
    pair.kill(owner);
    pair.until_member_of(1 - owner, 1);
    pair.pass_ms(2_000);
    assert_eq!(balance(&pair, 1 - owner, "ann"), 2);
}

#[test]
fn two_turns_that_wait_for_each_others_rows_do_not_wait_for_ever() {
    let mut pair = pair();
    in_steps("x", |cx| pay(cx, "ann"), |cx| pay(cx, "bob"));
    in_steps("y", |cx| pay(cx, "bob"), |cx| pay(cx, "ann"));
    begin(&mut pair, &["xbegin", "ybegin"]);
    pair.settle();
    pair.pass_ms(2_000);
    for node in [0, 1] {
        assert_eq!([balance(&pair, node, "ann"), balance(&pair, node, "bob")], [1, 2]);
    }
    let alarms: Vec<_> = [0, 1].iter().flat_map(|node| pair.status(*node).alarms).collect();
    let told = alarms.iter().filter(|alarm| alarm.text.contains("waits for one of this turn's"));
    assert!(told.count() > 0, "{alarms:?}");
}

#[test]
fn who_waits_for_a_turn_that_hangs_goes_on_when_that_is_found() {
    let mut pair = pair();
    pair.hangs = does_hang;
    in_steps("x", |cx| pay(cx, "ann"), nothing);
    hangs("chooser", "x3");
    on("chooser", "ypay", |_, cx| pay(cx, "ann"));
    begin(&mut pair, &["xbegin", "ypay"]);
    pair.settle();
    pair.pass_ms(9_000);
    assert_eq!(balance(&pair, 0, "ann"), 0);
    pair.pass_ms(3_000);
    assert_eq!([balance(&pair, 0, "ann"), balance(&pair, 1, "ann")], [2, 2]);
}

fn number(number: i64) -> Profile {
    Profile { attributes: [("number".to_owned(), number.into())].into() }
}

fn put_hall(value: i64) -> TableChange {
    let (table, name) = ("phones".to_owned(), "hall".to_owned());
    TableChange::PutProfile { table, name, profile: number(value) }
}

#[test]
fn an_operator_waits_for_the_end_of_a_turn_that_has_written_the_profile() {
    let mut pair = pair();
    in_steps("x", |cx| cx.put_row("phones", "hall", &number(1)), nothing);
    begin(&mut pair, &["xbegin"]);
    until(&mut pair, "chooser1 x2");
    let owner = pair.tables_owner();
    pair.feed(owner, Input::Change { token: 9, change: put_hall(2) });
    assert_eq!(pair.nodes[owner].changed.get(&9), None);
    pair.settle();
    assert_eq!(pair.nodes[owner].changed.get(&9), Some(&Changed::Done));
    for node in [0, 1] {
        let core = pair.nodes[node].core.as_ref().expect("it lives");
        let phones = core.profiles("phones", "", 9).expect("the table is declared");
        assert_eq!(phones[0].profile, number(2));
    }
}

#[test]
fn an_operator_hears_that_a_service_has_the_profile_when_that_takes_too_long() {
    let mut pair = pair();
    pair.hangs = does_hang;
    in_steps("x", |cx| cx.put_row("phones", "hall", &number(1)), nothing);
    hangs("chooser", "x3");
    begin(&mut pair, &["xbegin"]);
    pair.settle();
    let owner = pair.tables_owner();
    pair.feed(owner, Input::Change { token: 9, change: put_hall(2) });
    pair.pass_ms(3_100);
    let changed = pair.nodes[owner].changed.get(&9);
    let says = |text: &str| text.starts_with("a service is writing");
    assert!(matches!(changed, Some(Changed::Refused(text)) if says(text)), "{changed:?}");
}

/// Neither turn sees the row of the other one.
#[test]
fn a_unique_value_is_taken_once_by_turns_side_by_side() {
    let mut pair = pair();
    in_steps("x", |cx| cx.put_row("phones", "hall", &number(1)), nothing);
    in_steps("y", |cx| cx.put_row("phones", "attic", &number(1)), nothing);
    begin(&mut pair, &["xbegin", "ybegin"]);
    pair.settle();
    pair.pass_ms(2_000);
    let core = pair.nodes[0].core.as_ref().expect("it lives");
    let phones = core.profiles("phones", "", 9).expect("the table is declared");
    assert_eq!(phones.len(), 1, "{phones:?}");
}

#[test]
fn a_service_cannot_write_the_containers_own_rows() {
    let mut pair = pair();
    on("chooser", "xtake", |_, cx| cx.put_row("slee.services", "chooser", &1u32));
    begin(&mut pair, &["xtake"]);
    pair.settle();
    pair.pass_ms(2_000);
    let core = pair.nodes[0].core.as_ref().expect("it lives");
    assert_eq!(core.tables().len("slee.services"), 0);
    let alarms: Vec<_> = [0, 1].iter().flat_map(|node| pair.status(*node).alarms).collect();
    let told = |text: &str| text.contains("slee.services") && text.contains("container's own");
    assert!(alarms.iter().any(|alarm| told(&alarm.text)), "{alarms:?}");
}

/// Nobody is at fault here: all of them want one row at the same time, each once.
#[test]
fn as_many_roots_as_come_pay_into_one_account_at_the_same_time() {
    const ROOTS: u32 = 20;
    script::clear();
    let mut pair = Pair::of(&SERVICES, Tables::default()).whole();
    selects("chooser", |word, _| Ok(InitialEvent::by().custom_name(word)));
    for root in 0..ROOTS {
        on("chooser", &format!("pay{root}"), |_, cx| pay(cx, "ann"));
    }
    let owner = pair.tables_owner();
    for root in 0..ROOTS {
        pair.begin_to_say(owner, &format!("c{root} start; fire choose 1 pay{root}"));
    }
    pair.settle();
    pair.pass_ms(5_000);
    let core = pair.nodes[owner].core.as_ref().expect("it lives");
    let row = core.tables().get("accounts", "ann").map(|row| decode::<u32>(row).expect("a number"));
    let alarms = pair.status(owner).alarms;
    let alarms: Vec<_> = alarms.into_iter().map(|alarm| (alarm.text, alarm.count)).collect();
    assert_eq!(row, Some(ROOTS), "{alarms:?}");
}

/// Answers from a row, and has no state of its own.
#[derive(Default, Serialize, Deserialize)]
struct Clerk {}

impl Sbb for Clerk {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            initial_events: &[Begin::TYPE],
            events: &[Tick::TYPE],
            ..Descriptor::named("clerk")
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        match word(event)?.as_str() {
            "look at ann" => {
                let row = cx.row::<u64>("accounts", "ann")?;
                cx.send(&format!("{:?}", row.map(|row| encode(&row).expect("plain data"))))
            }
            "look at hall" => {
                let row = cx.row::<Profile>("phones", "hall")?;
                cx.send(&format!("{:?}", row.map(|row| encode(&row).expect("plain data"))))
            }
            _ => Ok(()),
        }
    }
}

/// A pair with a clerk in `c2`, and the node that owns the tables.
fn pair_with_clerk() -> (Pair, usize) {
    script::clear();
    let services = [LinkedSbb::of::<Clerk>(), LinkedSbb::of::<Book>(), SERVICES[2]];
    let mut pair = Pair::of(&services, Tables::default()).whole();
    let owner = pair.tables_owner();
    pair.say(owner, "c1 start");
    pair.say(owner, "c2 start; fire begin 1 begin");
    pair.nodes[owner].sent.clear();
    (pair, owner)
}

/// The row as the clerk says it, once the owner has just written it and only he has it: he dies
/// before he can tell anybody. What the clerk has said then is what there is afterwards.
fn clerk_says_what_outlives(mut pair: Pair, owner: usize, look: &str, (table, key): (&str, &str)) {
    let row = |pair: &Pair, node: usize| {
        let core = pair.nodes[node].core.as_ref().expect("it lives");
        core.tables().get(table, key).map(|row| row.to_vec())
    };
    while row(&pair, owner).is_none() {
        assert!(pair.is_busy());
        pair.deliver(1);
    }
    // What the owner has just told its backup is lost with it.
    pair.lose_all();
    pair.begin_to_say(owner, &format!("c2 fire tick 1 {look}"));
    while pair.is_busy() && pair.nodes[owner].sent.is_empty() {
        pair.deliver(1);
    }
    let said = pair.nodes[owner].sent.clone();
    pair.lose_all();
    pair.kill(owner);
    pair.until_member_of(1 - owner, 1);
    pair.pass_ms(2_000);
    let held = format!("c2 {:?}", row(&pair, 1 - owner));
    assert!(said.iter().all(|said| *said == held), "said {said:?}, and what there is is {held}");
}

/// `docs/slee.md`: if the node dies before, nobody has heard anything of it.
#[test]
fn what_a_call_says_of_a_row_outlives_the_node_that_wrote_it() {
    let (mut pair, owner) = pair_with_clerk();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    // Who does it again after a takeover writes another number.
    on("chooser", "pay", |_, cx| {
        let number = cx.random();
        cx.put_row("accounts", "ann", &number)
    });
    pair.begin_to_say(owner, "c1 fire choose 1 pay");
    clerk_says_what_outlives(pair, owner, "look at ann", ("accounts", "ann"));
}

/// The same of a row that an operator wrote.
#[test]
fn what_a_call_says_of_a_profile_outlives_the_node_that_wrote_it() {
    let (mut pair, owner) = pair_with_clerk();
    pair.ask(owner, put_hall(7));
    clerk_says_what_outlives(pair, owner, "look at hall", ("phones", "hall"));
}

/// `docs/profiles.md`: `unique` (no two profiles have the value).
#[test]
fn a_unique_value_is_not_taken_twice_by_going_back_to_the_configuration() {
    script::clear();
    let mut configured = Tables::default();
    configured.put("phones", "hall", encode(&number(1)).expect("plain data"));
    let mut pair = Pair::of(&[LinkedSbb::of::<Book>()], configured).whole();
    let (table, hall, attic) = ("phones".to_owned(), "hall".to_owned(), "attic".to_owned());
    let removed = TableChange::RemoveProfile { table: table.clone(), name: hall.clone() };
    assert_eq!(pair.change(0, removed), Some(Changed::Done));
    let profile = number(1);
    let put = TableChange::PutProfile { table: table.clone(), name: attic, profile };
    assert_eq!(pair.change(0, put), Some(Changed::Done));
    let reset = pair.change(0, TableChange::ResetProfile { table, name: hall });
    let core = pair.nodes[0].core.as_ref().expect("it lives");
    let phones = core.profiles("phones", "", 9).expect("the table is declared");
    assert!(matches!(reset, Some(Changed::Refused(_))), "{reset:?}; {phones:?}");
}
