//! `[limits]`: what a node takes on, and what one call may grow to. Bounds are those of formats and
//! of memory; within them an operator decides.

use super::file;
use resilee_config::{ConfigError, Limits, Source};
use resilee_core::{
    ALARMS_END, ALARMS_MAX, ALARMS_MIN, BIRTHS_PER_TURN_MAX, CELL_BYTES_MAX, CELLS_MAX,
    DELIVERIES_MAX, DELIVERY_AGE_MS_MAX, DELIVERY_DEADLINE_MS, EVENTS_PER_TURN_MAX,
    HUNG_HANDLERS_MAX, INBOX_AGE_MS_MAX, INBOX_MAX, MIRRORS_PER_CELL_MAX, SUSPENDED_EVENTS_MAX,
    TIMERS_PER_CELL_MAX, TURN_BYTES_MAX,
};
use resilee_runtime::ACTORS_MAX;
use resilee_sbb::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, DeliveryLimits, ENTITIES_PER_TREE_MAX, NAMES_MAX,
    NULL_ACTIVITIES_MAX, STATE_BYTES_MAX, SUSPENDED_MAX, UNIT_HOST_CALLS_MAX,
    UNIT_MEMORY_BYTES_MAX, UNIT_TIME_MAX, UNIT_WALL_TIMES_MAX, UnitLimits,
};
use std::time::Duration;
use toml::Spanned;

/// The states of a tree travel to the backup in one frame, of which the link takes 8 MiB.
const TREE_BYTES_MAX: usize = 4 << 20;
/// So do the attributes of an activity context, with all others of the cell.
const CONTEXT_BYTES_MAX: usize = 1 << 20;

/// By the wall's clock a unit gets at least so many times its CPU time.
const WALL_TIMES_MIN: u32 = 4;

/// A cell travels in one frame, too, and so does what a turn writes beside it. The rest is room for
/// what adaptors keep of an activity.
const CELL_BYTES_END: usize = 4 << 20;
const TURN_BYTES_END: usize = 2 << 20;

/// What the file says under `[limits]`, checked: the core's, and `actors_max`.
///
/// # Errors
/// A number out of its range, or two that are too much together.
pub(super) fn limits(
    source: &Source<'_>,
    file: &file::Limits,
) -> Result<(resilee_core::Limits, usize), ConfigError> {
    let count = |key: &str, value: &Option<Spanned<usize>>, range, default| {
        let limits = Limits { range, default };
        source.within(&format!("limits.{key}"), value.as_ref(), &limits)
    };
    let time = |key: &str, value: &Option<Spanned<u64>>, range, default| {
        let limits = Limits { range, default };
        source.within(&format!("limits.{key}"), value.as_ref(), &limits)
    };
    let hung = &file.hung_handlers_max;
    let (age, inbox_age) = (&file.delivery_age_ms, &file.inbox_age_ms);
    let limits = resilee_core::Limits {
        cells_max: count("calls_max", &file.calls_max, 1..=10_000_000, CELLS_MAX)?,
        deliveries_max: count(
            "deliveries_max",
            &file.deliveries_max,
            10..=1_000_000,
            DELIVERIES_MAX,
        )?,
        delivery_age_ms_max: time("delivery_age_ms", age, 10..=10_000, DELIVERY_AGE_MS_MAX)?,
        hung_handlers_max: count("hung_handlers_max", hung, 1..=16, HUNG_HANDLERS_MAX)?,
        inbox_max: count("inbox_max", &file.inbox_max, 1..=1_024, INBOX_MAX)?,
        inbox_age_ms_max: time("inbox_age_ms", inbox_age, 100..=60_000, INBOX_AGE_MS_MAX)?,
        events_per_turn_max: count(
            "events_per_turn_max",
            &file.events_per_turn_max,
            8..=1_024,
            EVENTS_PER_TURN_MAX,
        )?,
        births_per_turn_max: count(
            "births_per_turn_max",
            &file.births_per_turn_max,
            128..=8_192,
            BIRTHS_PER_TURN_MAX,
        )?,
        suspended_events_max: count(
            "suspended_events_max",
            &file.suspended_events_max,
            1..=1_024,
            SUSPENDED_EVENTS_MAX,
        )?,
        timers_per_cell_max: count("timers_max", &file.timers_max, 1..=4_096, TIMERS_PER_CELL_MAX)?,
        delivery_deadline_ms: time(
            "delivery_deadline_ms",
            &file.delivery_deadline_ms,
            1_000..=60_000,
            DELIVERY_DEADLINE_MS,
        )?,
        mirrors_per_cell_max: count(
            "mirrors_max",
            &file.mirrors_max,
            1..=10_000,
            MIRRORS_PER_CELL_MAX,
        )?,
        alarms_max: count("alarms_max", &file.alarms_max, ALARMS_MIN..=ALARMS_END, ALARMS_MAX)?,
        cell_bytes_max: count(
            "cell_bytes_max",
            &file.cell_bytes_max,
            1 << 16..=CELL_BYTES_END,
            CELL_BYTES_MAX,
        )?,
        turn_bytes_max: count(
            "turn_bytes_max",
            &file.turn_bytes_max,
            1 << 16..=TURN_BYTES_END,
            TURN_BYTES_MAX,
        )?,
        delivery: DeliveryLimits {
            state_bytes_max: count(
                "state_bytes_max",
                &file.state_bytes_max,
                1_024..=1 << 20,
                STATE_BYTES_MAX,
            )?,
            attribute_bytes_max: count(
                "attribute_bytes_max",
                &file.attribute_bytes_max,
                256..=1 << 18,
                ATTRIBUTE_BYTES_MAX,
            )?,
            entities_per_tree_max: count(
                "entities_max",
                &file.entities_max,
                1..=1_024,
                ENTITIES_PER_TREE_MAX,
            )?,
            null_activities_max: count(
                "null_activities_max",
                &file.null_activities_max,
                1..=1_024,
                NULL_ACTIVITIES_MAX,
            )?,
            attributes_max: count(
                "attributes_max",
                &file.attributes_max,
                1..=1_024,
                ATTRIBUTES_MAX,
            )?,
            names_max: count("names_max", &file.names_max, 1..=256, NAMES_MAX)?,
            suspended_max: Duration::from_secs(time(
                "suspended_s_max",
                &file.suspended_s_max,
                1..=86_400,
                SUSPENDED_MAX.as_secs(),
            )?),
        },
    };
    let DeliveryLimits { state_bytes_max, attribute_bytes_max, .. } = limits.delivery;
    let (trees, contexts) = (limits.delivery.entities_per_tree_max, limits.delivery.attributes_max);
    fits(
        source,
        [("entities_max", trees), ("state_bytes_max", state_bytes_max)],
        [&file.entities_max, &file.state_bytes_max],
        TREE_BYTES_MAX,
    )?;
    fits(
        source,
        [("attributes_max", contexts), ("attribute_bytes_max", attribute_bytes_max)],
        [&file.attributes_max, &file.attribute_bytes_max],
        CONTEXT_BYTES_MAX,
    )?;
    let actors = count("actors_max", &file.actors_max, 1..=1_000_000, ACTORS_MAX)?;
    Ok((limits, actors))
}

/// What the file says of uploaded units, checked. Less memory than the least has no program of
/// Rust. A unit is stopped when half of the time is over after which its handler would be given up
/// for one that hangs.
///
/// # Errors
/// A number out of its range.
pub(super) fn unit_limits(
    source: &Source<'_>,
    file: &file::Limits,
    delivery_deadline: Duration,
) -> Result<UnitLimits, ConfigError> {
    let time_ms = Limits { range: 10..=500, default: UNIT_TIME_MAX.as_millis() as u64 };
    let memory = Limits { range: 2 << 20..=256 << 20, default: UNIT_MEMORY_BYTES_MAX };
    let calls = Limits { range: 1..=4_096, default: UNIT_HOST_CALLS_MAX };
    let (time, bytes) = (&file.unit_time_ms, &file.unit_memory_bytes_max);
    let asked = &file.unit_host_calls_max;
    let time_max =
        Duration::from_millis(source.within("limits.unit_time_ms", time.as_ref(), &time_ms)?);
    let wall_max = (time_max * UNIT_WALL_TIMES_MAX).min(delivery_deadline / 2);
    if let Some(time) = time.as_ref().filter(|_| wall_max < time_max * WALL_TIMES_MIN) {
        let what = format!(
            "{} ms of a processor in half of delivery_deadline_ms, which is {} ms: on a busy \
             server a unit that never ends would pass for one that did not come to run; lower \
             this, or raise that, until it fits {WALL_TIMES_MIN} times",
            time.get_ref(),
            wall_max.as_millis(),
        );
        return Err(source.error("limits.unit_time_ms", time.span(), what));
    }
    Ok(UnitLimits {
        time_max,
        wall_max,
        memory_bytes_max: source.within("limits.unit_memory_bytes_max", bytes.as_ref(), &memory)?,
        host_calls_max: source.within("limits.unit_host_calls_max", asked.as_ref(), &calls)?,
    })
}

/// That so many of so many bytes fit into one frame.
fn fits(
    source: &Source<'_>,
    [(key, number), (bytes_key, bytes)]: [(&str, usize); 2],
    [first, second]: [&Option<Spanned<usize>>; 2],
    max: usize,
) -> Result<(), ConfigError> {
    // Without either key they are the defaults, which fit.
    let (key, given) = match (first, second) {
        (_, Some(given)) => (bytes_key, given),
        (Some(given), None) => (key, given),
        (None, None) => return Ok(()),
    };
    if number * bytes <= max {
        return Ok(());
    }
    let what = format!(
        "{}: {number} of {bytes} bytes are {} together, and {max} may be replicated at once: \
         lower one of the two",
        given.get_ref(),
        number * bytes,
    );
    Err(source.error(&format!("limits.{key}"), given.span(), what))
}
