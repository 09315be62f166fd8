//! A profile table of phones, a service that reads it, and a pair that has both.

use crate::pair::Pair;
use crate::toy::{Front, Said};
use resilee_core::management::{ProfileSource, TableChange};
use resilee_sbb::{
    Attribute, AttributeKind, AttributeValue, Context, Deployment, Descriptor, Event, EventPayload,
    Failure, LinkedSbb, Profile, ProfileTable, Sbb, Tables,
};
use serde::{Deserialize, Serialize};

/// Two phones of a family at most, since a story has to fill it.
pub const PHONES: ProfileTable = ProfileTable {
    name: "phones",
    about: "phones of a family",
    attributes: &[
        Attribute::new("owner", AttributeKind::Text { chars_max: 20 }).required().indexed(),
        Attribute::new("number", AttributeKind::Number { min: 1, max: 999 }).unique(),
        Attribute::new("pin", AttributeKind::Hex { digits: 4 }).secret(),
    ],
    named_by: &[],
    separator: "",
    profiles_max: 4,
};

/// A phone, as the service reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    pub owner: String,
    pub number: Option<i64>,
    pub pin: Option<String>,
}

/// Looks up what it is asked for, and records what it found.
#[derive(Default, Serialize, Deserialize)]
pub struct PhoneBook {}

impl Sbb for PhoneBook {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "phone-book",
            deployment: Deployment { profile_tables: &[&PHONES], ..Deployment::ALONE },
            ..Front::descriptor()
        }
    }

    fn on_event(&mut self, cx: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        let Some(Said { word }) = event.get()? else { return Ok(()) };
        match word.split_once('=') {
            Some(("name", name)) => {
                let phone: Option<Phone> = cx.profile("phones", name)?;
                let found = phone.map(|phone| phone.owner).unwrap_or_default();
                cx.record("toys", &found)
            }
            Some(("put", name)) => cx.put_row("phones", name, &word),
            Some((attribute, value)) => {
                let found: Vec<_> = cx.find_profiles("phones", attribute, value)?.collect();
                let found = found.join(",");
                cx.record("toys", &found)
            }
            None => Ok(()),
        }
    }
}

pub const SERVICES: [LinkedSbb; 1] = [LinkedSbb::of::<PhoneBook>()];

/// The configuration has one phone, of ann.
pub fn configured() -> Tables {
    let mut tables = Tables::default();
    let phone = Phone { owner: "ann".to_owned(), ..Phone::default() };
    tables.put("phones", "hall", resilee_sbb::encode(&phone).expect("plain data"));
    tables
}

/// Both nodes are up.
pub fn pair() -> Pair {
    Pair::of(&SERVICES, configured()).whole()
}

pub fn put(name: &str, attributes: &[(&str, AttributeValue)]) -> TableChange {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let profile = Profile { attributes: attributes.collect() };
    TableChange::PutProfile { table: "phones".to_owned(), name: name.to_owned(), profile }
}

pub fn remove(name: &str) -> TableChange {
    TableChange::RemoveProfile { table: "phones".to_owned(), name: name.to_owned() }
}

pub fn reset(name: &str) -> TableChange {
    TableChange::ResetProfile { table: "phones".to_owned(), name: name.to_owned() }
}

/// What a node shows: name, owner, and whose word it is.
pub fn shown(pair: &Pair, node: usize) -> Vec<(String, String, ProfileSource)> {
    let core = pair.nodes[node].core.as_ref().expect("it lives");
    let all = core.profiles("phones", "", 100).expect("the table is declared");
    let owner = |profile: &Profile| profile.attributes["owner"].to_string();
    all.into_iter().map(|it| (it.name, owner(&it.profile), it.source)).collect()
}

/// Names and owners that a node shows.
pub fn owners(pair: &Pair, node: usize) -> Vec<String> {
    shown(pair, node).into_iter().map(|(name, owner, _)| format!("{name}={owner}")).collect()
}

/// The last word that the service recorded, at the node where it was asked.
pub fn answer(pair: &mut Pair, question: &str) -> String {
    pair.say(0, &format!("{question} begin"));
    pair.say(0, &format!("{question} say {question}"));
    pair.pass_ms(50);
    let records = pair.nodes[0].journals.get("toys").and_then(|records| records.last());
    let record = records.expect("the service answered");
    resilee_sbb::decode(&record.record).expect("a text")
}

/// What an alarm of the service says.
pub fn failure(pair: &mut Pair, question: &str) -> String {
    pair.say(0, &format!("{question} begin"));
    pair.say(0, &format!("{question} say {question}"));
    let event = Said::TYPE;
    let alarms = pair.status(0).alarms.into_iter().filter(|alarm| alarm.text.starts_with(event));
    alarms.map(|alarm| alarm.text).next_back().expect("an alarm")
}
