//! Rows of shared tables that root entities of the cluster write, side by side.

use crate::pair::Pair;
use crate::script::{self, note, on, selects, take_trace};
use crate::toy::{Choose, SERVICES, word};
use resilee_core::Input;
use resilee_sbb::{
    Attribute, AttributeKind, Context, Deliver, Deployment, Descriptor, Event, EventPayload,
    Failure, InitialEvent, LinkedSbb, ProfileTable, Sbb, Tables, Task, decode, encode,
};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;

pub const PHONES: ProfileTable = ProfileTable {
    name: "phones",
    about: "",
    attributes: &[Attribute::new("number", AttributeKind::Number { min: 1, max: 999 }).unique()],
    named_by: &[],
    separator: "",
    profiles_max: 2,
};

#[derive(Serialize, Deserialize)]
struct Phone {
    number: i64,
}

/// One root entity for each first letter of a word; what it does is behind that.
#[derive(Default, Serialize, Deserialize)]
struct Teller {}

impl Sbb for Teller {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            initial_events: &[Choose::TYPE],
            selects_initial_events: true,
            deployment: Deployment { profile_tables: &[&PHONES], ..Deployment::ALONE },
            ..Descriptor::named("teller")
        }
    }

    fn initial_event(_: &mut Context<'_>, event: &Event) -> Result<InitialEvent, Failure> {
        Ok(InitialEvent::by().custom_name(&word(event)?[..1]))
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        if event.event_type != Choose::TYPE {
            return Ok(());
        }
        match &word(event)?[1..] {
            "one number for two" => {
                cx.put_row("phones", "hall", &Phone { number: 1 })?;
                cx.put_row("phones", "attic", &Phone { number: 1 })
            }
            "many" => (1..=3i64).try_for_each(|number| {
                cx.put_row("phones", &format!("p{number}"), &Phone { number })
            }),
            "move" => {
                cx.put_row("phones", "hall", &Phone { number: 1 })?;
                cx.remove_row("phones", "hall");
                cx.put_row("phones", "attic", &Phone { number: 1 })
            }
            "pay" => {
                let balance = cx.row::<u32>("accounts", "ann")?.unwrap_or_default();
                cx.put_row("accounts", "ann", &(balance + 1))
            }
            _ => cx.put_row("phones", "hall", &Phone { number: 1 }),
        }
    }
}

fn pair() -> Pair {
    script::clear();
    Pair::of(&[LinkedSbb::of::<Teller>()], Tables::default()).whole()
}

/// Names of the phones after a call with this word.
fn phones_after(word: &str) -> Vec<String> {
    let mut pair = pair();
    pair.say(0, &format!("c1 start; fire choose 1 {word}"));
    pair.pass_ms(2_000);
    let core = pair.nodes[1].core.as_ref().expect("it lives");
    let all = core.profiles("phones", "", 100).expect("the table is declared");
    all.into_iter().map(|it| it.name).collect()
}

#[test]
fn a_unique_value_is_taken_once_also_in_one_delivery() {
    assert_eq!(phones_after("xone number for two"), [""; 0]);
    assert_eq!(phones_after("xmove"), ["attic"]);
}

#[test]
fn a_table_is_full_also_within_one_delivery() {
    assert_eq!(phones_after("xmany"), [""; 0]);
}

#[test]
fn a_configured_row_that_a_service_removes_stays_away() {
    script::clear();
    let mut configured = Tables::default();
    configured.put("counts", "all", encode(&7u32).expect("plain data"));
    let mut pair = Pair::of(&SERVICES, configured).whole();
    selects("chooser", |_, _| Ok(InitialEvent::by().custom_name("all")));
    on("chooser", "remove", |_, cx| {
        cx.remove_row("counts", "all");
        Ok(())
    });
    on("chooser", "look", |_, cx| {
        note(format!("{:?}", cx.row::<u32>("counts", "all")?));
        Ok(())
    });
    pair.say(0, "c1 start; fire choose 1 remove");
    pair.pass_ms(2_000);
    for (says, dies) in [(0, None), (1, Some(0))] {
        if let Some(dies) = dies {
            pair.kill(dies);
            pair.until_member_of(says, 1);
        }
        take_trace();
        pair.say(says, "c1 fire tick 1 look");
        pair.pass_ms(2_000);
        assert_eq!(take_trace(), ["chooser1 look", "None"]);
    }
}

/// Each reads the account as it was when its delivery went out.
#[test]
fn two_roots_that_pay_into_one_account_at_the_same_time_both_do() {
    let mut pair = pair();
    for (call, name) in [("c1", "x"), ("c2", "y")] {
        pair.begin_to_say(0, &format!("{call} start; fire choose 1 {name}pay"));
    }
    pair.settle();
    pair.pass_ms(2_000);
    let core = pair.nodes[0].core.as_ref().expect("it lives");
    let row = core.tables().get("accounts", "ann").map(|row| decode(row));
    assert_eq!(row, Some(Ok(2u32)));
    let alarms = pair.status(0).alarms;
    assert!(alarms.is_empty(), "{alarms:?}");
}

/// What a test answers itself.
fn is_of_x(deliver: &Deliver) -> bool {
    deliver.task == Task::Event && word(&deliver.event).is_ok_and(|word| word.starts_with('x'))
}

/// The rows of the first time are its own at the second time, at which it writes another one.
#[test]
fn a_delivery_that_writes_other_rows_each_time_is_rolled_back_in_the_end() {
    script::clear();
    let mut pair = Pair::of(&SERVICES, Tables::default()).whole();
    pair.hangs = is_of_x;
    selects("chooser", |word, _| Ok(InitialEvent::by().custom_name(&word[..1])));
    let times = Rc::new(Cell::new(0));
    let again = times.clone();
    on("chooser", "xone", move |_, cx| {
        again.set(again.get() + 1);
        cx.put_row("accounts", &again.get().to_string(), &again.get())
    });
    let owner = pair.tables_owner();
    pair.say(owner, "c0 start; fire choose 1 xone");
    for time in 1..=11u32 {
        on("chooser", &format!("y{time}"), move |_, cx| {
            cx.put_row("accounts", &time.to_string(), &0u32)
        });
        pair.say(owner, &format!("c{time} start; fire choose 1 y{time}"));
        let deliver = pair.nodes[owner].delivered.iter().rfind(|it| is_of_x(it)).cloned();
        let deliver = deliver.expect("it is out");
        let outcome = SERVICES[2].invoke(&deliver);
        pair.feed(owner, Input::Outcome { delivery: deliver.id, outcome });
    }
    let alarms = pair.status(owner).alarms;
    let has_given_up = |text: &str| text.contains("other ones each time");
    assert!(alarms.iter().any(|alarm| has_given_up(&alarm.text)), "{alarms:?}");
    assert_eq!(times.get(), 1 + 10);
}
