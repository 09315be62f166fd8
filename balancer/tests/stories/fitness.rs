//! One of two balancers that could not serve says so to the nodes, which move the seat.

use crate::pair::{moved, new_of_two_with, of_two_with, serving_with};
use crate::stage::{Sent, Stage};
use resilee_balancer::{BalancerInput, BalancerNotice};
use resilee_membership::{ControlBody, Readiness};

const REFUSED: BalancerInput<'_> = BalancerInput::AddressRefused("eth0 has no carrier");

const CUT: BalancerInput<'_> = BalancerInput::StandbyChecked(Some("eth0 has no carrier"));

fn serving() -> Stage {
    serving_with(true)
}

/// Time passes, in which the shell says this each 50 ms; what the last heartbeat said.
fn says_ready(stage: &mut Stage, millis: u64, said: BalancerInput<'_>) -> bool {
    says(stage, millis, said) == Readiness::Ready
}

fn says(stage: &mut Stage, millis: u64, said: BalancerInput<'_>) -> Readiness {
    let mut readiness = None;
    for _ in 0..millis / 50 {
        stage.handle(said);
        readiness = last_said(&stage.run(50)).or(readiness);
    }
    readiness.expect("a heartbeat was sent")
}

/// By the last heartbeat among what was sent.
fn last_said(sent: &[Sent]) -> Option<Readiness> {
    let said = sent.iter().rev().find_map(|sent| match sent {
        Sent::Control { body: ControlBody::Heartbeat { ready, rests, .. }, .. } => {
            Some((*ready, *rests))
        }
        _ => None,
    });
    said.map(|said| match said {
        (true, false) => Readiness::Ready,
        (false, true) => Readiness::Rests,
        (false, false) => Readiness::Unfit,
        (true, true) => panic!("it is ready and rests"),
    })
}

#[test]
fn a_holder_whose_address_is_refused_says_after_a_second_that_it_is_not_ready() {
    let mut stage = serving();
    assert!(says_ready(&mut stage, 900, REFUSED));
    assert!(!says_ready(&mut stage, 200, REFUSED));
    let why = Some("eth0 has no carrier".to_owned());
    assert!(stage.notices.contains(&BalancerNotice::Unfit(why.clone())));
    let status = stage.balancer.status(stage.now);
    assert_eq!(status.pair.as_ref().expect("it is one of two").unfit, why);
    assert!(status.to_prometheus().contains("resilee_balancer_ready 0\n"));
    assert!(says_ready(&mut stage, 100, BalancerInput::AddressTaken), "it is there after all");
    assert!(stage.notices.contains(&BalancerNotice::Unfit(None)));
}

#[test]
fn what_is_refused_now_and_then_is_no_reason() {
    let mut stage = serving();
    for _ in 0..10 {
        assert!(says_ready(&mut stage, 900, REFUSED));
        assert!(says_ready(&mut stage, 50, BalancerInput::AddressTaken));
    }
}

#[test]
fn an_address_that_another_program_moves_may_be_late() {
    let mut stage = serving_with(false);
    assert!(says_ready(&mut stage, 4_900, REFUSED));
    assert!(!says_ready(&mut stage, 200, REFUSED));
}

#[test]
fn one_that_stands_by_without_a_cable_is_not_ready_before_it_has_had_one_for_a_while() {
    let mut stage = of_two_with(true);
    let none = BalancerInput::StandbyChecked(Some("eth0 has no carrier"));
    assert!(says_ready(&mut stage, 900, none));
    assert!(!says_ready(&mut stage, 200, none));
    let well = BalancerInput::StandbyChecked(None);
    assert!(!says_ready(&mut stage, 900, well));
    assert!(says_ready(&mut stage, 200, well));
    says_ready(&mut stage, 1_100, none);
    assert!(!says_ready(&mut stage, 1_900, well), "twice as long");
    assert!(says_ready(&mut stage, 200, well));
}

#[test]
fn a_holder_that_lost_its_cable_and_the_seat_is_ready_soon_after_it_is_back() {
    let mut stage = serving();
    assert!(!says_ready(&mut stage, 1_100, REFUSED));
    let view = moved(&stage);
    stage.tell(view);
    let none = BalancerInput::StandbyChecked(Some("eth0 has no carrier"));
    assert!(!says_ready(&mut stage, 60_000, none));
    assert!(!says_ready(&mut stage, 900, BalancerInput::StandbyChecked(None)));
    assert!(says_ready(&mut stage, 200, BalancerInput::StandbyChecked(None)));
}

#[test]
fn one_that_is_refused_whenever_it_serves_rests_longer_each_time() {
    let mut stage = serving();
    for rest in [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 640_000] {
        assert!(!says_ready(&mut stage, 1_100, REFUSED));
        stage.confirms = false;
        stage.run(300);
        assert!(!says_ready(&mut stage, rest - 1_000, BalancerInput::StandbyChecked(None)));
        assert!(says_ready(&mut stage, 1_000, BalancerInput::StandbyChecked(None)), "{rest}");
        stage.confirms = true;
        stage.run(200);
    }
    assert!(says_ready(&mut stage, 60_000, BalancerInput::AddressTaken));
    assert!(!says_ready(&mut stage, 1_100, REFUSED));
    let view = moved(&stage);
    stage.tell(view);
    assert!(says_ready(&mut stage, 10_100, BalancerInput::StandbyChecked(None)), "forgiven");
}

/// It has nothing to store for weeks, and is tried all the same.
#[test]
fn one_that_stands_by_and_could_not_store_a_vote_is_not_ready() {
    let mut stage = of_two_with(true);
    let full = BalancerInput::NotPersisted("no space left on device");
    assert!(says_ready(&mut stage, 900, full));
    assert!(!says_ready(&mut stage, 200, full));
    assert!(!says_ready(&mut stage, 900, BalancerInput::StoreProven), "it rests");
    assert!(says_ready(&mut stage, 500, BalancerInput::StoreProven));
}

#[test]
fn a_holder_that_cannot_store_its_vote_is_not_ready_and_its_metrics_say_so() {
    let mut stage = serving();
    let page = |stage: &Stage| stage.balancer.status(stage.now).to_prometheus();
    assert!(page(&stage).contains("resilee_balancer_state_file_ok 1\n"));
    stage.slow_store = true;
    let (one, two) = (crate::stage::run(0, 1), crate::stage::run(1, 1));
    stage.tell(stage.view.next(vec![one.clone(), two], &one));
    let full = BalancerInput::NotPersisted("no space left on device");
    assert!(says_ready(&mut stage, 900, full));
    assert!(!says_ready(&mut stage, 200, full));
    assert!(page(&stage).contains("resilee_balancer_state_file_ok 0\n"));
    stage.store();
    assert!(page(&stage).contains("resilee_balancer_state_file_ok 1\n"));
    assert!(says_ready(&mut stage, 100, BalancerInput::AddressTaken));
}

#[test]
fn one_that_rests_from_what_it_would_see_says_so() {
    let mut stage = of_two_with(true);
    let (none, well) = (CUT, BalancerInput::StandbyChecked(None));
    assert_eq!(says(&mut stage, 1_100, none), Readiness::Unfit);
    assert_eq!(says(&mut stage, 100, well), Readiness::Rests);
    assert_eq!(says(&mut stage, 100, none), Readiness::Unfit, "it is out again");
    assert_eq!(says(&mut stage, 900, well), Readiness::Rests);
    assert_eq!(says(&mut stage, 200, well), Readiness::Ready);
    let full = BalancerInput::NotPersisted("no space left on device");
    assert_eq!(says(&mut stage, 1_100, full), Readiness::Unfit);
    assert_eq!(says(&mut stage, 100, BalancerInput::StoreProven), Readiness::Rests);
}

#[test]
fn a_holder_that_lost_its_cable_rests_once_it_has_seen_that_it_is_back() {
    let mut stage = serving();
    assert_eq!(says(&mut stage, 1_100, REFUSED), Readiness::Unfit);
    let view = moved(&stage);
    stage.tell(view);
    assert_eq!(says(&mut stage, 100, CUT), Readiness::Unfit);
    assert_eq!(says(&mut stage, 100, BalancerInput::StandbyChecked(None)), Readiness::Rests);
}

/// As two that are both refused whenever they serve would pass the seat to and fro.
#[test]
fn one_that_rests_from_what_it_would_not_see_does_not_say_that_it_only_rests() {
    for pulled_too in [false, true] {
        let mut stage = serving();
        let taken = BalancerInput::AddressRefused("the address is taken by another program");
        assert_eq!(says(&mut stage, 1_100, taken), Readiness::Unfit);
        let view = moved(&stage);
        stage.tell(view);
        if pulled_too {
            assert_eq!(says(&mut stage, 100, CUT), Readiness::Unfit);
        }
        let well = BalancerInput::StandbyChecked(None);
        assert_eq!(says(&mut stage, 9_900, well), Readiness::Unfit);
        assert_eq!(says(&mut stage, 200, well), Readiness::Ready);
    }
}

#[test]
fn one_that_is_refused_each_time_that_it_serves_is_not_ready_however_often_its_lease_flickers() {
    for adds_addresses in [true, false] {
        let mut stage = serving_with(adds_addresses);
        let (refused_ms, patience_ms) = if adds_addresses { (500, 1_000) } else { (2_000, 5_000) };
        let began = stage.now;
        while says(&mut stage, refused_ms, REFUSED) == Readiness::Ready {
            let refused_for = stage.now.since(began).as_millis();
            assert!(refused_for < patience_ms + 100, "{refused_for} ms");
            stage.confirms = false;
            says(&mut stage, 350, BalancerInput::StandbyChecked(None));
            stage.confirms = true;
            says(&mut stage, 100, BalancerInput::StandbyChecked(None));
            assert_eq!(stage.serves.last(), Some(&true));
        }
    }
}

#[test]
fn what_was_refused_long_before_it_served_again_is_no_reason() {
    let mut stage = serving_with(false);
    for _ in 0..4 {
        assert_eq!(says(&mut stage, 2_000, REFUSED), Readiness::Ready);
        stage.confirms = false;
        says(&mut stage, 5_500, BalancerInput::StandbyChecked(None));
        stage.confirms = true;
        says(&mut stage, 100, BalancerInput::StandbyChecked(None));
    }
}

#[test]
fn one_that_has_just_begun_is_not_ready_before_it_has_looked_and_then_at_once() {
    let mut stage = new_of_two_with(true);
    assert_eq!(last_said(&stage.run(5_000)), Some(Readiness::Unfit));
    assert!(stage.notices.iter().all(|it| !matches!(it, BalancerNotice::Unfit(_))));
    assert_eq!(says(&mut stage, 50, BalancerInput::StandbyChecked(None)), Readiness::Ready);
    assert!(says_ready(&mut stage, 900, CUT), "a fault has its time from then on");
    assert!(!says_ready(&mut stage, 200, CUT));
}

#[test]
fn one_that_has_just_begun_without_a_cable_is_never_ready() {
    let mut stage = new_of_two_with(true);
    assert_eq!(says(&mut stage, 50, CUT), Readiness::Unfit);
    let why = Some("eth0 has no carrier".to_owned());
    assert!(stage.notices.contains(&BalancerNotice::Unfit(why)));
    assert_eq!(says(&mut stage, 900, BalancerInput::StandbyChecked(None)), Readiness::Rests);
    assert_eq!(says(&mut stage, 200, BalancerInput::StandbyChecked(None)), Readiness::Ready);
}

#[test]
fn one_whose_address_another_program_moves_has_nothing_to_look_at_before_it_serves() {
    let mut stage = new_of_two_with(false);
    assert_eq!(last_said(&stage.run(100)), Some(Readiness::Ready));
}

const PULLED: BalancerInput<'_> = BalancerInput::NoCarrier("eth0 has no carrier");

#[test]
fn without_a_cable_a_holder_is_not_ready_within_a_fifth_of_a_second_and_rests_once_it_is_back() {
    let mut stage = serving();
    assert_eq!(says(&mut stage, 100, PULLED), Readiness::Ready);
    assert_eq!(says(&mut stage, 100, PULLED), Readiness::Unfit);
    let view = moved(&stage);
    stage.tell(view);
    assert_eq!(says(&mut stage, 100, PULLED), Readiness::Unfit);
    let well = BalancerInput::StandbyChecked(None);
    assert_eq!(says(&mut stage, 900, well), Readiness::Rests);
    assert_eq!(says(&mut stage, 200, well), Readiness::Ready);
}

#[test]
fn a_cable_that_is_loose_costs_a_longer_rest_each_time() {
    let mut stage = of_two_with(true);
    let well = BalancerInput::StandbyChecked(None);
    for rest in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000] {
        assert_eq!(says(&mut stage, 200, PULLED), Readiness::Unfit);
        assert_eq!(says(&mut stage, rest - 100, well), Readiness::Rests);
        assert_eq!(says(&mut stage, 200, well), Readiness::Ready, "{rest}");
    }
}

#[test]
fn a_cable_that_has_contact_again_at_once_is_no_reason() {
    let mut stage = serving();
    for _ in 0..10 {
        assert_eq!(says(&mut stage, 50, PULLED), Readiness::Ready);
        assert_eq!(says(&mut stage, 100, BalancerInput::AddressTaken), Readiness::Ready);
    }
}
