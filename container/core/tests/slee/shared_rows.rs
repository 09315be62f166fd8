//! Rows of shared tables that root entities of the cluster write, side by side.

use crate::pair::Pair;
use crate::script::{self, note, on, selects, take_trace};
use crate::toy::{Choose, SERVICES, word};
use resilee_sbb::{
    Attribute, AttributeKind, Context, Deployment, Descriptor, Event, EventPayload, Failure,
    InitialEvent, LinkedSbb, ProfileTable, Sbb, Tables, encode,
};
use serde::{Deserialize, Serialize};

const PHONES: ProfileTable = ProfileTable {
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
            _ => Ok(()),
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
