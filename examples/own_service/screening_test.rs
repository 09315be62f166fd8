//! How a service is tested without a node: an event goes in, effects come out.

use crate::call_screening::CallScreening;
use resilee_sbb::{
    ActivityId, CellId, CohortId, Deliver, Effect, Event, Outcome, Timestamp, decode, invoke,
};
use resilee_sip_api::{Invite, Party, SipCommand};

fn party(user: &str) -> Party {
    let uri = format!("sip:{user}@resilee.example");
    Party { uri: uri.clone(), user: user.to_owned(), address_of_record: uri, ..Party::default() }
}

/// The answer that the service gives to a call; none if it lets the call pass.
fn answer_to_call(caller: &str, callee: &str) -> Option<(u16, String)> {
    let cell = CellId { cohort: CohortId(1), number: 1 };
    let invite = Invite {
        call_id: "call".into(),
        request_uri: party(callee).uri,
        callee: party(callee),
        caller: party(caller),
        set_up_at: Timestamp::ZERO,
        source: "192.0.2.1:5060".into(),
        credentials: None,
        barred_s: None,
    };
    let event = Event::new(ActivityId { cell, number: 1 }, &invite).unwrap();
    let deliver = Deliver::first("call-screening", event);
    let Outcome::Delivered { effects, .. } = invoke::<CallScreening>(&deliver) else {
        panic!("rolled back");
    };
    assert!(matches!(effects.last(), Some(Effect::Detach { .. })));
    effects.iter().find_map(|effect| match effect {
        Effect::Command { payload, .. } => match decode(payload).unwrap() {
            SipCommand::Respond { status, reason, .. } => Some((status, reason)),
            other => panic!("{other:?}"),
        },
        _ => None,
    })
}

#[test]
fn ordinary_calls_pass() {
    assert_eq!(answer_to_call("alice", "bob"), None);
    assert_eq!(answer_to_call("alice", "+4930123"), None);
}

#[test]
fn premium_numbers_and_blocked_callers_are_refused() {
    let refused = |reason: &str| Some((403, reason.to_owned()));
    assert_eq!(answer_to_call("alice", "0900123"), refused("Number Blocked"));
    assert_eq!(answer_to_call("nuisance", "bob"), refused("Caller Blocked"));
}
