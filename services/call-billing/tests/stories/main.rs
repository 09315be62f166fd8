//! Calls and their bills.

mod harness;

use harness::{Call, at, money, party};
use resilee_call_billing::{Bill, CallBilling, TARIFFS, TEXT_BYTES_MAX, Tariff};
use resilee_sbb::{ActivityEnd, Sbb};
use resilee_sip_api::{Answered, EndCause, Ended, Side};
use resilee_test_kit::kept_records::assert_read;

/// Bills and states of the first format: they are read for ever.
const KEPT: &str = include_str!("../kept_records/first.txt");

/// A profile, which an operator may have written.
#[test]
fn a_tariff_of_the_first_format_is_read() {
    let (connect_fee, per_minute) = (money("0.05"), money("0.12"));
    let (prefix, currency) = ("+49".to_owned(), "EUR".to_owned());
    let tariff = Tariff { prefix, currency, connect_fee, per_minute, increment_s: 60 };
    assert_read(KEPT, "tariff", &tariff);
}

#[test]
fn an_answered_call_is_billed_with_all_its_facts() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.answer(105, "node-1");
    assert_read(KEPT, "state", &call.shown());
    call.end(170, "node-2");
    let bill = Bill {
        call_id: "call-1".to_owned(),
        caller: "sip:alice@example.com".to_owned(),
        callee: "sip:bob@example.com".to_owned(),
        set_up_at: at(100),
        answered_at: at(105),
        ended_at: at(170),
        seconds: 65,
        billed_seconds: 120,
        tariff: Tariff {
            prefix: String::new(),
            currency: "EUR".to_owned(),
            connect_fee: money("0.05"),
            per_minute: money("0.12"),
            increment_s: 60,
        },
        total: money("0.29"),
        answered_by: "node-1".to_owned(),
        closed_by: "node-2".to_owned(),
        ended_by: Side::Caller,
        end_cause: EndCause::Bye,
    };
    assert_read(KEPT, "bill", &bill);
    assert_eq!(call.bills, [bill]);
    assert_eq!((call.detached, call.alarms.len()), (1, 0));
}

#[test]
fn a_call_that_nobody_answers_is_not_billed() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.reject(486);
    assert_eq!((call.bills.len(), call.detached), (0, 1));
    call.reject(486);
    assert_eq!((call.bills.len(), call.detached), (0, 1));
}

#[test]
fn a_call_that_call_control_refused_leaves_no_trace() {
    let mut call = Call::default().refused_by_another_service();
    call.invite("bob");
    assert!(call.shown().is_refused(), "so no page shows it as a call that rings");
    call.over();
    assert_eq!((call.bills.len(), call.alarms.len()), (0, 0));
    let mut call = Call::default().refused_by_another_service();
    call.invite("bob");
    call.reject(403);
    assert_eq!((call.bills.len(), call.alarms.len(), call.detached), (0, 0, 1));
}

#[test]
fn a_call_that_was_said_to_be_refused_and_is_answered_is_billed() {
    let mut call = Call::with_tariffs(&[("", "0.12")]).refused_by_another_service();
    call.invite("bob");
    call.answer(105, "node-1");
    assert!(!call.shown().is_refused());
    call.end(165, "node-1");
    assert_eq!((call.bills.len(), call.alarms.len(), call.detached), (1, 0, 1));
    assert_eq!(call.bills[0].total, money("0.17"));
}

#[test]
fn a_repeated_fact_changes_nothing() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.invite("carol");
    call.answer(105, "node-1");
    call.answer(150, "node-2");
    call.reject(487);
    call.end(170, "node-1");
    call.end(190, "node-2");
    call.answer(195, "node-2");
    assert_eq!((call.bills.len(), call.detached), (1, 1));
    let bill = &call.bills[0];
    assert_eq!((bill.answered_at, bill.ended_at), (at(105), at(170)));
    assert_eq!((bill.answered_by.as_str(), bill.closed_by.as_str()), ("node-1", "node-1"));
    assert_eq!(bill.callee, "sip:bob@example.com");
}

#[test]
fn the_longest_prefix_of_the_called_number_sets_the_price() {
    let tariffs = [("", "0.50"), ("+49", "0.02"), ("+4915", "0.09"), ("+1", "0.01")];
    for (number, price) in [("+4930", "0.07"), ("+49151", "0.14"), ("+4915", "0.14")] {
        let mut call = Call::with_tariffs(&tariffs);
        call.invite(number);
        call.answer(100, "node-1");
        call.end(130, "node-1");
        assert_eq!(call.bills[0].total, money(price), "{number}");
    }
    for number in ["bob", "0049", "", "é"] {
        let mut call = Call::with_tariffs(&tariffs);
        call.invite(number);
        assert_eq!(call.shown().tariff().per_minute, money("0.50"), "{number}");
    }
}

#[test]
fn a_call_without_any_tariff_is_billed_at_zero_and_raises_one_alarm() {
    let mut call = Call::with_tariffs(&[("+1", "0.01")]);
    call.invite("+4930");
    call.answer(100, "node-1");
    call.end(130, "node-1");
    assert_eq!((call.bills.len(), call.bills[0].total), (1, money("0")));
    assert_eq!(call.bills[0].seconds, 30);
    assert_eq!(call.alarms, ["no tariff for \"+4930\": the call is billed at zero"]);
}

#[test]
fn a_tariff_row_that_cannot_be_read_is_passed_over_with_an_alarm() {
    let mut call = Call::with_tariffs(&[("", "0.50")]);
    call.tables.put(TARIFFS, "+49", vec![0xc1]);
    call.invite("+4930");
    assert_eq!(call.shown().tariff().per_minute, money("0.50"));
    assert!(call.alarms.len() == 1 && call.alarms[0].contains("\"+49\""), "{:?}", call.alarms);
}

#[test]
fn a_change_of_prices_leaves_running_calls_alone() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.tables = Call::with_tariffs(&[("", "9")]).tables;
    call.answer(100, "node-1");
    call.end(160, "node-1");
    assert_eq!(call.bills[0].total, money("0.17"));
}

#[test]
fn the_cost_ticks_while_they_talk() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    assert_eq!(call.shown().running_cost(at(104)), None);
    call.answer(105, "node-1");
    let shown = call.shown();
    assert_eq!(shown.running_cost(at(105)), Some(money("0.05")));
    assert_eq!(shown.running_cost(at(106)), Some(money("0.17")));
    assert_eq!(shown.running_cost(at(166)), Some(money("0.29")));
    assert_eq!((shown.caller(), shown.callee()), ("sip:alice@example.com", "sip:bob@example.com"));
    assert_eq!((shown.set_up_at(), shown.answered_at()), (at(100), Some(at(105))));
    assert_eq!((shown.call_id(), shown.answered_by()), ("call-1", Some("node-1")));
    call.end(170, "node-1");
    assert_eq!(call.shown().running_cost(at(171)), None);
}

#[test]
fn an_end_before_its_answer_by_a_clock_error_costs_the_connect_fee() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.answer(105, "node-1");
    call.end(104, "node-2");
    assert_eq!((call.bills[0].seconds, call.bills[0].total), (0, money("0.05")));
}

#[test]
fn a_missing_fact_rolls_back_and_is_not_guessed() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    let answered = Answered { at: at(1), node: "node-1".to_owned() };
    let ended = harness::ended(2, "node-1", Side::Callee);
    assert!(call.deliver(&answered).is_err() && call.deliver(&ended).is_err());
    call.invite("bob");
    let reason = call.deliver(&ended).expect_err("no answer was seen");
    assert_eq!(reason, "call \"call-1\" ended without its answer: no bill");
    call.answer(105, "node-1");
    call.end(110, "node-1");
    assert_eq!(call.bills.len(), 1);
}

/// Its BYE may have come while no node lived.
#[test]
fn a_call_that_ended_unseen_is_billed_until_its_last_proof_of_life_and_marked() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.answer(105, "node-1");
    let cause = EndCause::LastProofOfLife;
    let ended = Ended { cause, ..harness::ended(165, "node-2", Side::Server) };
    call.deliver(&ended).expect("billed");
    let bill = &call.bills[0];
    assert_eq!((bill.seconds, bill.ended_at, bill.ended_by), (60, at(165), Side::Server));
    assert_eq!(bill.end_cause, EndCause::LastProofOfLife);
}

#[test]
fn an_answered_call_that_vanishes_raises_an_alarm() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.answer(105, "node-1");
    call.deliver(&ActivityEnd {}).expect("noted");
    assert_eq!(call.alarms, ["call \"call-1\" is gone without its end: no bill"]);
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite("bob");
    call.deliver(&ActivityEnd {}).expect("noted");
    assert!(call.alarms.is_empty());
}

#[test]
fn nobody_escapes_a_bill_by_the_length_of_a_header() {
    let mut call = Call::with_tariffs(&[("", "0.12")]);
    call.invite_with(&"é".repeat(30_000), party(&"9".repeat(30_000)));
    call.answer(105, "node-1");
    call.end(110, "node-1");
    let bill = &call.bills[0];
    assert_eq!((bill.call_id.len(), bill.callee.len()), (TEXT_BYTES_MAX, TEXT_BYTES_MAX));
}

#[test]
fn the_service_starts_on_an_invite_and_on_nothing_else() {
    let descriptor = CallBilling::descriptor();
    assert_eq!((descriptor.name, descriptor.priority), ("call-billing", 0));
    assert_eq!(descriptor.initial_events, ["sip.invite"]);
    assert_eq!(descriptor.events, ["sip.answered", "sip.rejected", "sip.ended"]);
}
