//! Two balancers with names: the seat moves by the nodes' votes, and one of them forwards at most.
//!
//! Checked after every step, besides what is checked with one (`world.rs`): no two balancers may
//! forward at the same instant. Checked at the end of each seed: the holder dies, and the other
//! one forwards within a second; one more fault is survived; who comes back takes nothing back.

use crate::world::{OTHER, Random, SEAT, Sabotage, Weather, World};
use crate::{SEEDS, from_environment};
use resilee_membership::Readiness;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const MOVE: Duration = Duration::from_secs(1);

fn pair() -> World {
    pair_with(Sabotage::None)
}

fn pair_with(sabotage: Sabotage) -> World {
    let mut world = World::pair(1, Weather::FAIR);
    world.sabotage = sabotage;
    world.start(0);
    world.start(1);
    serves(&mut world, SEAT, MOVE);
    world
}

fn serves(world: &mut World, balancer: usize, within: Duration) {
    let millis = u64::try_from(within.as_millis()).expect("short");
    if world.run_until(millis, |world| world.is_served_by(balancer)).is_none() {
        world.fail(&format!("place {balancer} does not serve within {within:?}"));
    }
}

/// Ways in which a balancer is gone.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Dead,
    Paused,
    Cut,
    Unfit,
}

const GONE: [Gone; 4] = [Gone::Dead, Gone::Paused, Gone::Cut, Gone::Unfit];

fn set_gone(world: &mut World, place: usize, how: Gone, gone: bool) {
    match how {
        Gone::Dead if gone => world.stop_balancer(place),
        Gone::Dead => world.start_balancer(place),
        Gone::Paused => world.pause_balancer(place, gone),
        Gone::Cut => world.cut_off(place, gone),
        Gone::Unfit => world.set_unfit(place, gone),
    }
}

#[test]
fn the_first_by_name_forwards_and_the_other_stands_by() {
    let mut world = pair();
    for _ in 0..100 {
        world.run(50);
        assert!(world.is_served_by(SEAT), "{:#?}", world.trace);
    }
}

#[test]
fn the_other_balancer_forwards_within_a_second_and_keeps_the_seat() {
    for how in GONE {
        let mut world = pair();
        world.run(1_000);
        set_gone(&mut world, SEAT, how, true);
        serves(&mut world, OTHER, MOVE);
        set_gone(&mut world, SEAT, how, false);
        for _ in 0..60 {
            world.run(50);
            assert!(world.is_served_by(OTHER), "{how:?}: {:#?}", world.trace);
        }
        set_gone(&mut world, OTHER, how, true);
        serves(&mut world, SEAT, MOVE);
    }
}

#[test]
fn a_balancer_that_is_cut_one_way_is_cut() {
    for out in [true, false] {
        let mut world = pair();
        for node in [0, 1] {
            let (from, to) = if out { (SEAT, node) } else { (node, SEAT) };
            world.set_cut(from, to, true);
        }
        serves(&mut world, OTHER, MOVE);
    }
}

#[test]
fn a_holder_that_one_node_hears_keeps_the_seat() {
    let mut world = pair();
    world.set_cut(0, SEAT, true);
    world.set_cut(SEAT, 0, true);
    for _ in 0..60 {
        world.run(50);
        assert_eq!(world.forwarding(), [SEAT], "{:#?}", world.trace);
    }
    assert!(world.is_alone(1), "{:#?}", world.trace);
    world.heal();
    assert!(world.run_until(2_000, World::is_whole).is_some(), "{:#?}", world.trace);
}

#[test]
fn the_seat_stays_where_it_is_if_the_other_balancer_could_not_serve_either() {
    let mut world = pair();
    world.set_unfit(SEAT, true);
    world.set_unfit(OTHER, true);
    for _ in 0..60 {
        world.run(50);
        assert!(world.is_served_by(SEAT), "{:#?}", world.trace);
    }
    world.set_unfit(OTHER, false);
    serves(&mut world, OTHER, MOVE);
    world.set_unfit(OTHER, true);
    for _ in 0..60 {
        world.run(50);
        assert!(world.is_served_by(OTHER), "{:#?}", world.trace);
    }
}

#[test]
fn one_that_rests_serves_if_the_other_one_cannot_and_not_if_that_one_can() {
    let mut world = pair();
    world.set_readiness(OTHER, Readiness::Rests);
    world.run(1_000);
    world.set_unfit(SEAT, true);
    serves(&mut world, OTHER, MOVE);
    world.set_readiness(SEAT, Readiness::Rests);
    for _ in 0..60 {
        world.run(50);
        assert!(world.is_served_by(OTHER), "both only rest: {:#?}", world.trace);
    }
    world.set_unfit(SEAT, false);
    serves(&mut world, SEAT, MOVE);
}

/// As after a fault of both, which one sees to be over a moment before the other one does.
#[test]
fn one_that_rests_since_a_moment_takes_nothing_from_one_that_is_ready_soon() {
    let mut world = pair();
    world.set_unfit(SEAT, true);
    world.set_unfit(OTHER, true);
    world.run(1_000);
    world.set_readiness(OTHER, Readiness::Rests);
    world.run(300);
    world.set_unfit(SEAT, false);
    for _ in 0..60 {
        world.run(50);
        assert!(world.is_served_by(SEAT), "{:#?}", world.trace);
    }
    world.set_unfit(SEAT, true);
    serves(&mut world, OTHER, MOVE);
}

#[test]
fn one_that_rests_serves_as_soon_as_one_that_is_ready_when_the_other_one_is_gone() {
    for how in [Gone::Dead, Gone::Paused, Gone::Cut] {
        let mut world = pair();
        world.set_readiness(OTHER, Readiness::Rests);
        world.run(1_000);
        set_gone(&mut world, SEAT, how, true);
        serves(&mut world, OTHER, MOVE);
    }
}

#[test]
fn a_balancer_that_could_not_serve_has_the_vote_of_a_holder_that_is_gone() {
    let mut world = pair();
    world.set_unfit(OTHER, true);
    world.run(500);
    world.stop_balancer(SEAT);
    world.run(2_500);
    assert_eq!(world.forwarding(), [0; 0], "it may be back soon: {:#?}", world.trace);
    serves(&mut world, OTHER, Duration::from_millis(1_500));
    world.start_balancer(SEAT);
    serves(&mut world, SEAT, MOVE);
}

#[test]
fn a_holder_that_is_slow_does_not_lose_the_seat_to_one_that_could_not_serve() {
    let mut world = pair();
    world.set_unfit(OTHER, true);
    for _ in 0..10 {
        world.run(500);
        world.pause_balancer(SEAT, true);
        world.run(600);
        world.pause_balancer(SEAT, false);
        serves(&mut world, SEAT, Duration::from_millis(200));
    }
}

#[test]
fn a_holder_that_could_not_serve_helps_one_node_to_move_the_seat() {
    for node in [0, 1] {
        let mut world = pair();
        world.kill(node);
        world.run(1_000);
        world.set_unfit(SEAT, true);
        serves(&mut world, OTHER, MOVE);
    }
}

#[test]
fn one_more_fault_is_survived_once_the_seat_has_moved() {
    for how in GONE {
        for fault in 0..NEXT_FAULTS {
            let mut world = pair();
            set_gone(&mut world, SEAT, how, true);
            serves(&mut world, OTHER, MOVE);
            next_fault(&mut world, OTHER, fault);
            serves(&mut world, OTHER, Duration::from_millis(1_500));
        }
    }
}

const NEXT_FAULTS: u64 = 6;

fn next_fault(world: &mut World, holder: usize, fault: u64) {
    match fault {
        0 | 1 => world.kill(fault as usize),
        2 | 3 => world.pause(fault as usize - 2),
        4 => {
            world.set_cut(0, 1, true);
            world.set_cut(1, 0, true);
        }
        _ => world.start_balancer(holder),
    }
    // What it leads to shows after that.
    world.run(600);
}

#[test]
fn a_node_that_died_comes_back_while_the_seat_moves() {
    for delay in (0..900).step_by(60) {
        let mut world = pair();
        world.stop_balancer(SEAT);
        world.run(delay);
        world.kill(0);
        world.run(30);
        world.start(0);
        serves(&mut world, OTHER, Duration::from_secs(6));
    }
}

#[test]
fn after_a_power_cut_the_nodes_start_from_cold_without_the_holder() {
    let mut world = pair();
    world.run(500);
    for place in [SEAT, OTHER] {
        world.stop_balancer(place);
    }
    world.kill(0);
    world.kill(1);
    world.run(1_000);
    world.start(0);
    world.start(1);
    world.start_balancer(OTHER);
    serves(&mut world, OTHER, Duration::from_secs(8));
    world.start_balancer(SEAT);
    world.run(3_000);
    assert!(world.is_served_by(OTHER), "{:#?}", world.trace);
}

#[test]
fn one_node_and_both_balancers_are_enough_for_a_first_start() {
    let mut world = World::pair(1, Weather::FAIR);
    world.start(0);
    serves(&mut world, SEAT, Duration::from_secs(5));
    world.start_balancer(SEAT);
    serves(&mut world, SEAT, MOVE);
}

#[test]
fn a_forced_view_names_a_balancer_that_is_heard() {
    let mut world = pair();
    world.stop_balancer(SEAT);
    world.kill(1);
    world.run(5_000);
    assert_eq!(world.forwarding(), [0; 0], "one node alone moves nothing: {:#?}", world.trace);
    world.force(0);
    serves(&mut world, OTHER, MOVE);
}

#[test]
fn views_for_which_two_have_asked_do_not_keep_the_seat_where_it_was() {
    // One asks for a hand-over, which reaches nobody; the other one for the move.
    for hand_over in [0, 1] {
        for before in (0..400).step_by(25) {
            let mut world = pair();
            world.stop_balancer(SEAT);
            world.run(before);
            world.lose(hand_over, 1 - hand_over, true);
            world.hand_over(hand_over);
            world.run(60);
            world.lose(hand_over, 1 - hand_over, false);
            serves(&mut world, OTHER, Duration::from_millis(1_500));
        }
    }
}

#[test]
fn storms_move_the_seat_and_pass_one() {
    sweep(0, Memory::Kept);
}

#[test]
fn storms_move_the_seat_and_pass_two() {
    sweep(1, Memory::Kept);
}

#[test]
fn storms_in_which_a_balancer_forgets_move_the_seat_and_pass() {
    sweep(0, Memory::OfBalancersLost);
}

#[test]
fn storms_in_which_a_node_forgets_move_the_seat_and_pass() {
    sweep(1, Memory::OfNodesLost);
}

/// What is left of a memory at a start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Kept,
    OfBalancersLost,
    OfNodesLost,
}

fn sweep(half: u64, memory: Memory) {
    if let Some(seed) = from_environment("RESILEE_SEED") {
        println!("{}", storm(seed, memory, Sabotage::None).trace.join("\n"));
        return;
    }
    let seeds = from_environment("RESILEE_SEEDS").unwrap_or(SEEDS / 8);
    for seed in (0..seeds).filter(|seed| seed % 2 == half) {
        let result = catch_unwind(|| storm(seed, memory, Sabotage::None));
        assert!(result.is_ok(), "RESILEE_SEED={seed} replays this");
    }
}

/// Faults at random, then peace; then the holder dies, and one more fault comes.
fn storm(seed: u64, memory: Memory, sabotage: Sabotage) -> World {
    let mut random = Random::new(seed ^ 0x5ea7);
    let weather = Weather {
        loss_percent: random.below(25),
        duplicate_percent: random.below(20),
        delay_ms_max: [1, 5, 40, 200][random.below(4) as usize],
        persist_ms_max: [0, 5, 50][random.below(3) as usize],
        crash_after_vote_percent: [0, 0, 30][random.below(3) as usize],
    };
    let mut world = World::pair(seed, weather);
    world.sabotage = sabotage;
    world.start(0);
    world.start(1);
    if random.percent(70) {
        world.run(1_500);
    }
    while memory != Memory::Kept && world.run_until(1_000, World::is_whole).is_none() {
        [0, 1].into_iter().for_each(|place| world.start(place));
    }
    for _ in 0..random.below(14) {
        fault(&mut world, &mut random, memory);
        let pause = [5, 60, 400, 1_200, 4_000][random.below(5) as usize];
        world.run(random.below(pause));
    }
    world.heal();
    for place in [0, 1] {
        world.resume(place);
        start(&mut world, place);
        world.pause_balancer(SEAT + place, false);
        world.set_unfit(SEAT + place, false);
        if !world.is_up(SEAT + place) {
            world.start_balancer(SEAT + place);
        }
    }
    let served = |world: &World| {
        let by = world.forwarding().first().copied();
        world.is_whole_without_seat() && by.is_some_and(|by| world.is_served_by(by))
    };
    if world.run_until(15_000, served).is_none() {
        world.fail("the cluster does not become whole again");
    }
    // Whatever was still on its way has come.
    world.run(500);
    world.log("-- the holder goes".into());
    let [holder] = world.forwarding()[..] else { world.fail("nobody forwards in peace") };
    let heir = SEAT + OTHER - holder;
    let how = GONE[random.below(4) as usize];
    set_gone(&mut world, holder, how, true);
    serves(&mut world, heir, MOVE);
    world.log("-- one more fault".into());
    let next = random.below(NEXT_FAULTS);
    next_fault(&mut world, heir, next);
    serves(&mut world, heir, Duration::from_millis(1_500));
    world.log("-- the old holder comes back".into());
    set_gone(&mut world, holder, how, false);
    world.run(2_000);
    serves(&mut world, heir, Duration::ZERO);
    world
}

/// A run that has handed over everything and ended is one that does not run.
fn start(world: &mut World, node: usize) {
    if world.has_drained(node) {
        world.kill(node);
    }
    world.start(node);
}

fn fault(world: &mut World, random: &mut Random, memory: Memory) {
    let node = random.below(2) as usize;
    let balancer = SEAT + random.below(2) as usize;
    let ends = [(0, 1), (node, balancer)][usize::from(random.percent(75))];
    let (from, to) = if random.percent(50) { ends } else { (ends.1, ends.0) };
    match random.below(20) {
        0 | 1 => world.kill(node),
        2..=4 => start(world, node),
        5 => world.pause(node),
        6 => world.resume(node),
        7 => world.set_cut(from, to, true),
        8 => {
            world.set_cut(from, to, true);
            world.set_cut(to, from, true);
        }
        9 => world.cut_off(balancer, true),
        10 => world.cut_off(balancer, false),
        11 => {
            world.set_cut(0, 1, false);
            world.set_cut(1, 0, false);
        }
        12 => world.stop_balancer(balancer),
        13 => world.start_balancer(balancer),
        14 => world.pause_balancer(balancer, true),
        15 => world.pause_balancer(balancer, false),
        16 if memory == Memory::OfBalancersLost => world.replace_balancer(balancer),
        // Who was a member alone, and forgets, takes all calls with it.
        16 if memory == Memory::OfNodesLost && world.is_whole_without_seat() => {
            world.kill(node);
            world.lose_disk(node);
            world.start(node);
        }
        17 => {
            world.drain(node);
            world.run(random.below(40));
            world.stay(node);
        }
        18 => {
            let next = match world.readiness(balancer) {
                Readiness::Ready => Readiness::Unfit,
                Readiness::Unfit => Readiness::Rests,
                Readiness::Rests => Readiness::Ready,
            };
            world.set_readiness(balancer, next);
        }
        _ => world.hand_over(node),
    }
}

// That each check can fail.

fn fails_with(what: &str, play: impl FnOnce()) {
    let failure = catch_unwind(AssertUnwindSafe(play)).expect_err(what);
    let said = failure.downcast_ref::<String>().expect("a message");
    assert!(said.starts_with(what), "{said}");
}

/// From the seed on in which it was seen to do harm.
fn storms_with(sabotage: Sabotage, seed: u64) {
    (seed..seed + SEEDS).for_each(|seed| drop(storm(seed, Memory::Kept, sabotage)));
}

#[test]
fn a_balancer_that_forwards_without_a_lease_is_found() {
    fails_with("two balancers forward", || {
        let mut world = pair_with(Sabotage::ForwardByView);
        world.cut_off(SEAT, true);
        world.run(2_000);
    });
}

#[test]
fn nodes_that_confirm_whatever_they_voted_for_are_found() {
    fails_with("two balancers forward", || storms_with(Sabotage::ConfirmAlways, 711));
}

#[test]
fn voters_that_grant_everything_are_found() {
    fails_with("two views have the number", || storms_with(Sabotage::GrantAll, 46));
}

#[test]
fn a_seat_that_does_not_move_is_found() {
    fails_with("place 3 does not serve", || {
        let mut world = pair_with(Sabotage::SayHeard);
        world.stop_balancer(SEAT);
        serves(&mut world, OTHER, MOVE);
    });
}
