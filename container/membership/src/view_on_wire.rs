//! How a view is written in control messages: each member with the packed ids of its cohorts,
//! eight bytes each. A view is sent in one datagram: this has room for the [`crate::COHORTS_MAX`]
//! that it may name, and 150 fit without fragments.
//!
//! Used as `#[serde(with = "view_on_wire")]`. Stores and pages write views as they are.

use crate::{NodeName, RunId, View};
use resilee_sbb::CohortId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

const COHORT_BYTES: usize = size_of::<u64>();

#[derive(Serialize, Deserialize)]
struct Packed {
    number: u64,
    members: Vec<RunId>,
    /// The cohorts of each member, in the order of `members`.
    cohorts: Vec<ByteBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seat: Option<NodeName>,
}

pub(crate) fn serialize<S: Serializer>(view: &View, serializer: S) -> Result<S::Ok, S::Error> {
    let pack = |member: &RunId| {
        let owned = view.cohorts.iter().filter(|(_, owner)| *owner == member);
        ByteBuf::from(owned.flat_map(|(cohort, _)| cohort.0.to_be_bytes()).collect::<Vec<u8>>())
    };
    let cohorts = view.members.iter().map(pack).collect();
    let View { number, members, seat, .. } = view.clone();
    Packed { number, members, cohorts, seat }.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<View, D::Error> {
    let Packed { number, members, cohorts: packed, seat } = Packed::deserialize(deserializer)?;
    if packed.len() != members.len() {
        return Err(D::Error::custom("a view needs the cohorts of each member"));
    }
    let mut cohorts = BTreeMap::new();
    for (member, bytes) in members.iter().zip(&packed) {
        let (ids, rest) = bytes.as_chunks::<COHORT_BYTES>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a view has half a cohort"));
        }
        for id in ids {
            cohorts.insert(CohortId(u64::from_be_bytes(*id)), member.clone());
        }
    }
    Ok(View { number, members, cohorts, seat })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COHORTS_MAX, Control, ControlBody, DATAGRAM_BYTES_MAX, Key, Packet, VoterId};
    use crate::{open, seal_control};

    #[test]
    fn the_largest_view_fits_into_a_datagram() {
        let node: crate::NodeName = "x".repeat(32).parse().unwrap();
        let run = |incarnation| RunId { node: node.clone(), incarnation };
        let mut view = View::default();
        view = view.next(vec![run(1), run(2)], &run(1));
        for cohort in view.cohorts.len()..COHORTS_MAX {
            view.cohorts.insert(CohortId(cohort as u64), run(1 + cohort as u64 % 2));
        }
        assert_eq!(view.cohorts.len(), COHORTS_MAX, "the tables' is one of them");
        let number = view.number;
        let body = ControlBody::TellView { view, member: true, last_commit: 0, store_empty: false };
        let control = Control { view: number, from: VoterId::Seat, body };
        let key = Key::from_file_bytes(&[b'k'; 32]).unwrap();
        let datagram = seal_control(&key, &control);
        assert!(datagram.len() < DATAGRAM_BYTES_MAX * 3 / 4, "{}", datagram.len());
        assert_eq!(open(&key, &datagram), Ok(Packet::Control(control)));
    }
}
