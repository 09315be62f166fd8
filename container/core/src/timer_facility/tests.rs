//! The table of `timer_facility.rs`, moment by moment.

use super::*;

const DUE: Timestamp = Timestamp::from_millis(1_000_000);
const PERIOD: Duration = Duration::from_secs(1);

fn periodic(repetitions: u32, preserve_missed: PreserveMissed) -> ArmedTimer {
    let (due, period, late_after) = (DUE, Some(PERIOD), Duration::from_millis(200));
    ArmedTimer::new(&TimerSetting { due, period, repetitions, preserve_missed, late_after })
}

fn once(preserve_missed: PreserveMissed) -> ArmedTimer {
    ArmedTimer::new(&TimerSetting { preserve_missed, ..TimerSetting::once(DUE) })
}

/// What an event says: seconds after the first moment for which it was scheduled, what remains,
/// and what was missed.
type Told = (u64, Option<u32>, u32);

/// What fires at a moment, and the timer from then on.
fn fired(timer: ArmedTimer, late_ms: u64) -> (Option<Told>, Option<ArmedTimer>) {
    let now = DUE + Duration::from_millis(late_ms);
    let Fired { event, next } = timer.fire(now, TimerId(1));
    let event = event.map(|event| {
        assert_eq!((event.timer, event.fired_at), (TimerId(1), now));
        (event.scheduled_at.since(DUE).as_secs(), event.remaining, event.missed)
    });
    (event, next)
}

fn next_second(timer: Option<ArmedTimer>) -> u64 {
    timer.expect("it goes on").due.since(DUE).as_secs()
}

#[test]
fn a_timer_that_fires_once_is_over_then() {
    assert_eq!(fired(once(PreserveMissed::Last), 0), (Some((0, Some(0), 0)), None));
}

#[test]
fn a_late_one_shot_timer_fires_unless_missed_moments_are_dropped() {
    let late = 5_000;
    assert_eq!(fired(once(PreserveMissed::Last), late), (Some((0, Some(0), 0)), None));
    assert_eq!(fired(once(PreserveMissed::All), late), (Some((0, Some(0), 0)), None));
    assert_eq!(fired(once(PreserveMissed::None), late), (None, None));
    assert_eq!(fired(once(PreserveMissed::None), 1_000), (Some((0, Some(0), 0)), None));
}

#[test]
fn a_periodic_timer_keeps_its_beat_however_late_it_fires() {
    let (event, next) = fired(periodic(0, PreserveMissed::Last), 150);
    assert_eq!(event, Some((0, None, 0)));
    assert_eq!(next_second(next), 1);
}

#[test]
fn a_timer_with_repetitions_ends_with_the_last_one() {
    let (event, next) = fired(periodic(2, PreserveMissed::Last), 0);
    assert_eq!(event, Some((0, Some(1), 0)));
    assert_eq!(fired(next.expect("one is left"), 1_000), (Some((1, Some(0), 0)), None));
}

#[test]
fn of_missed_moments_the_last_one_fires_and_says_how_many_there_were() {
    let (event, next) = fired(periodic(10, PreserveMissed::Last), 3_500);
    assert_eq!(event, Some((3, Some(6), 3)));
    let next = next.expect("six are left");
    assert_eq!(next.due.since(DUE).as_secs(), 4);
    assert_eq!(fired(next, 4_000).0, Some((4, Some(5), 0)), "they are told once");
}

#[test]
fn dropped_moments_are_told_by_the_next_one_that_fires_in_time() {
    let (event, next) = fired(periodic(10, PreserveMissed::None), 3_500);
    assert_eq!(event, None);
    let next = next.expect("six are left");
    assert_eq!(next.due.since(DUE).as_secs(), 4);
    assert_eq!(fired(next, 4_100).0, Some((4, Some(5), 4)));
    let (event, _) = fired(periodic(10, PreserveMissed::None), 3_100);
    assert_eq!(event, Some((3, Some(6), 3)), "the last one is in time");
}

#[test]
fn all_missed_moments_fire_one_by_one() {
    let mut timer = Some(periodic(4, PreserveMissed::All));
    let mut seconds = Vec::new();
    while let Some(due) = timer.take() {
        let (event, next) = fired(due, 60_000);
        let (second, _, missed) = event.expect("each fires");
        assert_eq!(missed, 0);
        seconds.push(second);
        timer = next;
    }
    assert_eq!(seconds, [0, 1, 2, 3]);
}

#[test]
fn of_very_many_missed_moments_only_the_last_ones_fire_one_by_one() {
    let day_ms = 86_400_000;
    let (event, next) = fired(periodic(0, PreserveMissed::All), day_ms);
    let first = 86_400 + 1 - MISSED_KEPT_MAX;
    assert_eq!(event, Some((first, None, first as u32)));
    assert_eq!(next_second(next), first + 1);
}

#[test]
fn repetitions_that_were_all_missed_end_the_timer() {
    assert_eq!(fired(periodic(3, PreserveMissed::Last), 60_000), (Some((2, Some(0), 2)), None));
    assert_eq!(fired(periodic(3, PreserveMissed::None), 60_000), (None, None));
}

#[test]
fn a_timer_that_was_due_an_age_ago_is_no_overflow() {
    let period_us = Some(1);
    for preserve_missed in [PreserveMissed::None, PreserveMissed::Last, PreserveMissed::All] {
        for left in [None, Some(u32::MAX)] {
            let (missed, late_after_us) = (u32::MAX, 0);
            let course = Course { period_us, left, preserve_missed, late_after_us, missed };
            let timer = ArmedTimer { due: Timestamp::ZERO, course: Some(Box::new(course)) };
            timer.fire(Timestamp::MAX, TimerId(1));
        }
    }
}

#[test]
fn a_timer_is_read_as_it_was_written() {
    for timer in [once(PreserveMissed::Last), periodic(7, PreserveMissed::All)] {
        let bytes = timer.to_bytes().expect("plain data");
        assert_eq!(ArmedTimer::from_bytes(&bytes), Ok(timer));
    }
}

#[test]
fn who_knows_no_periods_takes_a_periodic_timer_for_one_that_fires_once() {
    let bytes = periodic(7, PreserveMissed::All).to_bytes().expect("plain data");
    assert_eq!(decode::<Timestamp>(&bytes), Ok(DUE));
    assert_eq!(once(PreserveMissed::Last).to_bytes(), encode(&DUE));
}

#[test]
fn bytes_of_something_else_are_no_timer() {
    assert!(ArmedTimer::from_bytes(b"").is_err());
    let mut bytes = encode(&DUE).expect("plain data");
    bytes.push(0xc1);
    assert!(ArmedTimer::from_bytes(&bytes).is_err());
}
