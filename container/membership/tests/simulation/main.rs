//! The view protocol under loss, delay, duplication, cuts, kills, pauses and restarts, from
//! seeds. `RESILEE_SEED=n` replays one seed and prints its trace; `RESILEE_SEEDS=n` tries so many.
//!
//! Checked after every step (`world.rs`): no number has two views; a run that may act without
//! asking anybody is alone in that, and its view is the highest decided one. Checked at the end:
//! once all is healed, both nodes are members again.

mod two_balancers;
mod world;

use resilee_membership::Unclean;
use world::{Random, SEAT, Weather, World};

const SEEDS: u64 = 2_400;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn pair() -> World {
    let mut world = World::new(1, Weather::FAIR);
    world.start(0);
    world.start(1);
    assert!(world.run_until(1_000, World::is_whole).is_some(), "{:#?}", world.trace);
    world
}

#[test]
fn a_new_cluster_is_whole_without_the_cold_start_wait() {
    pair();
}

#[test]
fn the_survivor_of_a_kill_has_a_view_of_its_own_within_100_ms() {
    for victim in [0, 1] {
        let mut world = pair();
        world.kill(victim);
        let time = world.run_until(1_000, |world| world.is_alone(1 - victim)).expect("in time");
        assert!(time.as_millis() <= 100, "{time:?}");
    }
}

#[test]
fn a_node_that_comes_back_is_a_member_again() {
    let mut world = pair();
    world.kill(0);
    world.run(500);
    world.start(0);
    assert!(world.run_until(1_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_joiner_that_never_heard_of_its_membership_begins_anew() {
    let mut world = pair();
    world.kill(1);
    world.run(500);
    world.start(1);
    let proposed = |world: &World| world.trace.iter().any(|line| line.contains("proposes 4"));
    assert!(world.run_until(1_000, proposed).is_some());
    // Its own vote is stored by then, and the others are asked.
    world.run(3);
    world.set_cut(0, 1, true);
    world.set_cut(SEAT, 1, true);
    assert!(world.run_until(1_000, |world| world.adopted.contains_key(&5)).is_some());
    assert_eq!(world.member_view(1), None, "it never heard of view 4");
    world.heal();
    assert!(world.run_until(1_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_hung_node_is_voted_out_within_half_a_second_and_comes_back() {
    let mut world = pair();
    world.pause(0);
    let time = world.run_until(1_500, |world| world.is_alone(1)).expect("in time");
    assert!(time.as_millis() <= 500, "{time:?}");
    world.run(3_000);
    world.resume(0);
    assert!(world.run_until(2_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn one_side_wins_when_the_cable_between_the_nodes_is_cut() {
    let mut world = pair();
    world.set_cut(0, 1, true);
    world.set_cut(1, 0, true);
    let alone = |world: &World| world.is_alone(0) != world.is_alone(1);
    assert!(world.run_until(1_000, alone).is_some());
    world.heal();
    assert!(world.run_until(2_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_link_that_is_cut_one_way_is_cut() {
    let mut world = pair();
    world.set_cut(0, 1, true);
    let alone = |world: &World| world.is_alone(0) != world.is_alone(1);
    assert!(world.run_until(1_000, alone).is_some());
}

#[test]
fn a_node_that_does_not_hear_the_balancer_gives_way_to_the_one_that_does() {
    let mut world = pair();
    world.set_cut(SEAT, 0, true);
    let time = world.run_until(2_000, |world| world.is_alone(1)).expect("in time");
    assert!(time.as_millis() <= 1_500, "{time:?}");
    world.run(2_000);
    assert!(world.is_alone(1), "it does not join again before it hears the balancer");
    world.heal();
    assert!(world.run_until(2_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn nobody_adopts_anything_when_everything_is_cut() {
    let mut world = pair();
    for (from, to) in [(0, 1), (1, 0), (0, SEAT), (SEAT, 0), (1, SEAT), (SEAT, 1)] {
        world.set_cut(from, to, true);
    }
    let before = world.adopted.len();
    world.run(10_000);
    assert_eq!(world.adopted.len(), before);
}

#[test]
fn the_same_view_that_two_wanted_is_not_taken_back_by_one() {
    let mut world = pair();
    world.set_cut(0, 1, true);
    let wants = |world: &World| world.trace.iter().any(|line| line.contains("b#2 proposes 3"));
    // Both are about to ask for the view without the first one: it votes, and cannot ask yet.
    world.slow_ms[0] = 100;
    assert!(world.run_until(500, wants).is_some(), "{:#?}", world.trace);
    world.set_cut(1, SEAT, true);
    world.drain(0);
    world.run(50);
    world.stay(0);
    world.set_cut(0, 1, false);
    assert!(world.run_until(1_000, |world| world.is_alone(1)).is_some(), "{:#?}", world.trace);
    world.set_cut(1, 0, true);
    world.set_cut(0, 1, true);
    world.run(2_000);
    assert!(!world.is_alone(0), "{:#?}", world.trace);
}

#[test]
fn a_draining_node_hands_everything_to_the_other() {
    let mut world = pair();
    world.drain(0);
    let done = |world: &World| world.has_drained(0) && world.is_alone(1);
    assert!(world.run_until(1_000, done).is_some(), "{:#?}", world.trace);
}

#[test]
fn cohorts_change_their_owner_and_both_stay_members() {
    let mut world = pair();
    let all = world.owned_by(0) + world.owned_by(1);
    world.hand_over(0);
    let done = |world: &World| world.is_whole() && world.owned_by(1) == all;
    let time = world.run_until(1_000, done).expect("in time");
    assert!(time.as_millis() <= 50, "{time:?}");
    assert_eq!(world.owned_by(0), 0);
    world.hand_over(1);
    assert!(world.run_until(1_000, |w| w.is_whole() && w.owned_by(0) == all).is_some());
}

#[test]
fn nothing_is_handed_over_to_a_node_that_is_lost() {
    let mut world = pair();
    world.pause(1);
    world.run(400);
    world.hand_over(0);
    assert!(world.run_until(1_000, |world| world.is_alone(0)).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_heir_that_dies_during_the_hand_over_gives_everything_back() {
    for after_ms in 0..12 {
        let mut world = pair();
        world.hand_over(0);
        world.run(after_ms);
        world.kill(1);
        assert!(world.run_until(2_000, |world| world.is_alone(0)).is_some(), "{:#?}", world.trace);
    }
}

#[test]
fn a_survivor_without_the_balancer_waits_until_it_is_forced() {
    let mut world = pair();
    world.stop_seat();
    world.kill(1);
    world.run(10_000);
    assert!(!world.is_alone(0), "it has no second vote");
    world.force(0);
    let time = world.run_until(1_000, |world| world.is_alone(0)).expect("in time");
    assert!(time.as_millis() <= 20, "{time:?}");
    assert!(world.trace.iter().any(|line| line.contains("was forced")));
    world.restart_seat();
    world.start(1);
    assert!(world.run_until(2_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_node_that_may_serve_unclean_does_so_by_itself() {
    let mut world = World::new(1, Weather::FAIR);
    world.unclean = Unclean::Serve;
    world.start(0);
    world.start(1);
    assert!(world.run_until(1_000, World::is_whole).is_some());
    world.stop_seat();
    world.run(2_000);
    assert!(world.is_whole_without_seat(), "they hear each other: nothing is forced");
    world.kill(0);
    assert!(world.run_until(2_000, |world| world.is_alone(1)).is_some(), "{:#?}", world.trace);
    world.kill(1);
    world.start(1);
    assert!(world.run_until(6_000, |world| world.is_alone(1)).is_some(), "{:#?}", world.trace);
}

#[test]
fn after_two_forced_views_the_higher_number_holds_for_all() {
    let mut world = pair();
    for (from, to) in [(0, 1), (1, 0), (0, SEAT), (SEAT, 0), (1, SEAT), (SEAT, 1)] {
        world.set_cut(from, to, true);
    }
    world.run(1_000);
    world.force(0);
    world.force(1);
    let both = |world: &World| world.is_alone(0) && world.is_alone(1);
    assert!(world.run_until(1_000, both).is_some(), "promise P7 is given up");
    world.heal();
    assert!(world.run_until(5_000, World::is_whole).is_some(), "{:#?}", world.trace);
    assert!(!world.trace.iter().any(|line| line.contains("two different views")));
}

#[test]
fn after_a_power_cut_the_nodes_start_from_cold() {
    let mut world = pair();
    world.kill(0);
    world.kill(1);
    world.restart_seat();
    world.run(1_000);
    world.start(0);
    world.start(1);
    let time = world.run_until(6_000, World::is_whole).expect("in time");
    assert!(time.as_millis() >= 1_900, "not before the wait: {time:?}");
}

#[test]
fn only_the_last_survivor_starts_from_cold() {
    let mut world = pair();
    world.kill(0);
    assert!(world.run_until(1_000, |world| world.is_alone(1)).is_some());
    world.run(500);
    world.kill(1);
    world.start(0);
    world.run(10_000);
    assert!(world.member_view(0).is_none(), "it lacks what the other did alone");
    world.start(1);
    assert!(world.run_until(6_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_first_start_does_not_wait_for_a_node_that_never_was_there() {
    let mut world = World::new(1, Weather::FAIR);
    for _ in 0..3 {
        world.start(0);
        assert!(world.run_until(4_000, |world| world.is_alone(0)).is_some(), "{:#?}", world.trace);
        world.kill(0);
        world.restart_seat();
    }
}

#[test]
fn a_balancer_that_forgot_gives_no_second_view_to_a_node_that_was_voted_out() {
    let mut world = pair();
    for (from, to) in [(0, 1), (1, 0), (1, SEAT), (SEAT, 1)] {
        world.set_cut(from, to, true);
    }
    assert!(world.run_until(1_000, |world| world.is_alone(0)).is_some());
    world.set_cut(0, SEAT, true);
    world.set_cut(SEAT, 0, true);
    world.replace_seat();
    world.set_cut(1, SEAT, false);
    world.set_cut(SEAT, 1, false);
    world.run(10_000);
    assert!(!world.is_alone(1), "{:#?}", world.trace);
    assert!(world.trace.iter().any(|line| line.contains("before a is heard")));
    world.heal();
    assert!(world.run_until(2_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_balancer_that_forgot_waits_for_a_view_that_a_node_is_about_to_store() {
    let mut world = pair();
    for (from, to) in [(0, 1), (1, 0), (1, SEAT), (SEAT, 1)] {
        world.set_cut(from, to, true);
    }
    let says = |world: &World, what: &str| world.trace.iter().any(|line| line.contains(what));
    assert!(world.run_until(1_000, |world| says(world, "a#1 proposes 3")).is_some());
    // Its own vote is stored in a moment, what it writes next is not.
    world.slow_ms[0] = 1_000;
    assert!(world.run_until(500, |world| says(world, "the seat adopts 3 [a#1]")).is_some());
    world.run(2);
    world.replace_seat();
    world.set_cut(1, SEAT, false);
    world.set_cut(SEAT, 1, false);
    assert!(world.run_until(3_000, |world| world.is_alone(0)).is_some(), "{:#?}", world.trace);
    world.heal();
    assert!(world.run_until(3_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn a_node_that_forgot_waits_for_a_vote_that_the_balancer_is_about_to_store() {
    let mut world = pair();
    for (from, to) in [(0, 1), (1, 0)] {
        world.set_cut(from, to, true);
    }
    let says = |world: &World, what: &str| world.trace.iter().any(|line| line.contains(what));
    assert!(world.run_until(1_000, |world| says(world, "a#1 proposes 3")).is_some());
    world.slow_ms[SEAT] = 1_000;
    world.run(5);
    world.kill(0);
    world.lose_disk(0);
    world.heal();
    world.start(0);
    world.run(800);
    assert_eq!(world.member_view(1).map(|view| view.number), Some(2), "{:#?}", world.trace);
    world.slow_ms[SEAT] = 0;
    world.run(3_000);
    assert!(says(&world, "the seat adopts 3 [a#1]"), "{:#?}", world.trace);
}

#[test]
fn a_balancer_that_forgot_votes_again_when_both_nodes_have_told() {
    let mut world = pair();
    world.replace_seat();
    world.run(600);
    world.kill(1);
    assert!(world.run_until(500, |world| world.is_alone(0)).is_some(), "{:#?}", world.trace);
}

#[test]
fn the_last_member_starts_again_although_the_balancer_forgot() {
    let mut world = pair();
    world.kill(1);
    assert!(world.run_until(1_000, |world| world.is_alone(0)).is_some());
    world.kill(0);
    world.replace_seat();
    world.start(0);
    assert!(world.run_until(4_000, |world| world.is_alone(0)).is_some(), "{:#?}", world.trace);
}

#[test]
fn views_do_not_grow_with_every_restart() {
    let mut world = pair();
    for _ in 0..40 {
        world.kill(1);
        world.run(500);
        world.start(1);
        assert!(world.run_until(1_000, World::is_whole).is_some(), "{:#?}", world.trace);
    }
    let cohorts = world.member_view(0).expect("a member").cohorts.len();
    assert!(cohorts <= 12, "{cohorts} are named");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let play = || storm(7, Balancer::Remembers).trace;
    assert_eq!(play(), play());
}

#[test]
fn storms_do_no_harm_and_pass_one() {
    sweep(0, Balancer::Remembers);
}

#[test]
fn storms_do_no_harm_and_pass_two() {
    sweep(1, Balancer::Remembers);
}

#[test]
fn storms_in_which_the_balancer_forgets_do_no_harm_and_pass() {
    sweep(0, Balancer::Forgets);
}

/// What a balancer that starts again has of its state file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Balancer {
    Remembers,
    Forgets,
}

fn sweep(half: u64, balancer: Balancer) {
    if let Some(seed) = from_environment("RESILEE_SEED") {
        println!("{}", storm(seed, balancer).trace.join("\n"));
        return;
    }
    let seeds = from_environment("RESILEE_SEEDS").unwrap_or(SEEDS);
    for seed in (0..seeds).filter(|seed| seed % 2 == half) {
        let result = std::panic::catch_unwind(|| storm(seed, balancer));
        assert!(result.is_ok(), "RESILEE_SEED={seed} replays this");
    }
}

/// Faults at random for some seconds, in weather of the seed; then all is healed and the cluster
/// must become whole.
fn storm(seed: u64, balancer: Balancer) -> World {
    let mut random = Random::new(seed ^ 0xfa17);
    let weather = Weather {
        loss_percent: random.below(25),
        duplicate_percent: random.below(20),
        delay_ms_max: [1, 5, 40, 200][random.below(4) as usize],
        persist_ms_max: [0, 5, 50][random.below(3) as usize],
        crash_after_vote_percent: [0, 0, 30][random.below(3) as usize],
    };
    let mut world = World::new(seed, weather);
    world.start(0);
    world.start(1);
    if random.percent(70) {
        world.run(1_500);
    }
    // A node without any past and a balancer that forgot take each other for new.
    while balancer == Balancer::Forgets && world.run_until(1_000, World::is_whole).is_none() {
        // Some crash with their votes.
        [0, 1].into_iter().for_each(|place| world.start(place));
    }
    for _ in 0..random.below(14) {
        fault(&mut world, &mut random, balancer);
        let pause = [5, 60, 400, 1_200, 4_000][random.below(5) as usize];
        world.run(random.below(pause));
    }
    world.heal();
    for place in [0, 1] {
        world.resume(place);
        world.start(place);
    }
    if world.run_until(15_000, World::is_whole).is_none() {
        world.fail("the cluster does not become whole again");
    }
    world
}

fn fault(world: &mut World, random: &mut Random, balancer: Balancer) {
    let node = random.below(2) as usize;
    let (from, to) =
        [(0, 1), (1, 0), (0, SEAT), (SEAT, 0), (1, SEAT), (SEAT, 1)][random.below(6) as usize];
    match random.below(14) {
        0 | 1 => world.kill(node),
        2..=4 => world.start(node),
        5 => world.pause(node),
        6 => world.resume(node),
        7 => world.set_cut(from, to, true),
        8 => {
            world.set_cut(from, to, true);
            world.set_cut(to, from, true);
        }
        9 | 10 => (0..3).for_each(|place| {
            world.set_cut(place, (place + 1) % 3, false);
            world.set_cut((place + 1) % 3, place, false);
        }),
        11 if balancer == Balancer::Forgets => world.replace_seat(),
        11 => world.restart_seat(),
        _ => world.hand_over(node),
    }
}
