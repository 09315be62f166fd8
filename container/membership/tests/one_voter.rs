//! A node without peers is a cluster of one.

use resilee_membership::{
    Balancers, Member, MemberConfig, MemberInput, MemberOutput, RunId, StoreAtStart, Unclean, View,
};
use resilee_sbb::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn config(incarnation: u64) -> MemberConfig {
    let me = RunId { node: "alone".parse().expect("a name"), incarnation };
    let (peers, seat) = (Vec::new(), false);
    let unclean = Unclean::Refuse;
    MemberConfig {
        me,
        peers,
        seat,
        balancers: Balancers::default(),
        heartbeat_ms: 50,
        missed: 6,
        cold_start_ms: 3_000,
        unclean,
    }
}

/// Stores what is to be stored, at once; returns the last view and how the run ended.
fn settle(member: &mut Member) -> (Option<View>, usize) {
    let (mut adopted, mut stored) = (None, 0);
    while let Some(output) = member.poll_output() {
        match output {
            MemberOutput::Persist { number, .. } => {
                stored += 1;
                member.handle_input(NOW, MemberInput::Persisted(number));
            }
            MemberOutput::Adopt(view) => adopted = Some(view),
            _ => {}
        }
    }
    (adopted, stored)
}

#[test]
fn it_adopts_a_view_of_itself_at_once_but_not_before_it_is_stored() {
    let mut member = Member::new(NOW, config(1), None, StoreAtStart::Nothing);
    assert!(!member.is_member());
    let (adopted, stored) = settle(&mut member);
    assert_eq!(adopted.map(|view| view.number), Some(1));
    assert_eq!(stored, 2, "its vote, then the view");
    assert!(member.is_member() && member.seat_alive());
}

#[test]
fn its_next_run_inherits_everything() {
    let mut member = Member::new(NOW, config(1), None, StoreAtStart::Nothing);
    settle(&mut member);
    let stored =
        resilee_membership::VoterState { highest: member.view().clone(), ..Default::default() };
    let mut again = Member::new(NOW, config(2), Some(stored), StoreAtStart::Used);
    let (adopted, _) = settle(&mut again);
    let view = adopted.expect("a view");
    assert_eq!(view.number, 2);
    assert!(view.cohorts.values().all(|owner| *owner == config(2).me));
    assert!(view.owner(config(1).me.cohort()).is_some());
}
