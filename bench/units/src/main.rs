//! `resilee-bench-units`: computes one delivery again and again, by the service as it is linked
//! into this program, or by a unit of it; and sets calls up whose entities then do nothing. One
//! line of JSON says what that took.

mod idle;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Parser;
use mimalloc::MiMalloc;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use resilee_bench_units::{CallTimer, RINGING, Ringing};
use resilee_sbb::{
    ActivityId, CellId, CohortId, Deliver, Event, LinkedSbb, Outcome, Tables, Timestamp,
    UnitCompiler, UnitLimits, encode,
};
use resilee_sip_api::{Invite, Party};
use resilee_wasm::UnitHost;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Batches, of which the best one counts: something else may run beside the others.
const BATCHES: usize = 5;

/// Computes one delivery again and again.
#[derive(Parser)]
struct CommandLine {
    /// The unit; without one the service that is linked
    #[arg(long)]
    unit: Option<PathBuf>,
    /// Deliveries of a batch
    #[arg(long)]
    deliveries: u32,
    /// Entities that do nothing, of which the memory is measured; 0: it is not
    #[arg(long)]
    idle: u32,
}

fn main() -> Result<()> {
    let CommandLine { unit, deliveries, idle } = CommandLine::parse();
    // Nothing is stopped here for the sake of whatever else runs on the machine.
    let limits = UnitLimits::default().with_time_max(Duration::from_secs(10));
    let host = UnitHost::new(limits).map_err(|error| anyhow!(error))?;
    let (mut file_bytes, mut compile_ms, mut compile_cpu_ms) = (0, 0, 0);
    let before = resident_bytes()?;
    let service = match unit {
        None => LinkedSbb::of::<CallTimer>(),
        Some(path) => {
            let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
            let (begin, cpu) = (Instant::now(), micros(ClockId::CLOCK_PROCESS_CPUTIME_ID)?);
            let service = host.compile(&bytes).map_err(|error| anyhow!(error))?;
            compile_ms = begin.elapsed().as_millis();
            compile_cpu_ms = (micros(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - cpu) / 1_000;
            file_bytes = bytes.len();
            service
        }
    };
    let unit_bytes = resident_bytes()?.saturating_sub(before);
    let idle_entity_bytes = match idle {
        0 => None,
        idle => Some(idle::bytes_per_entity(service, &invite(), idle, resident_bytes)?),
    };
    let deliver = deliver();
    let outcome = service.invoke(&deliver);
    ensure!(outcome == LinkedSbb::of::<CallTimer>().invoke(&deliver), "they differ: {outcome:?}");
    let state = outcome.state_of(deliver.entity).map_or(0, |state| state.bytes.len());
    let (mut best, mut slowest) = (u64::MAX, Duration::ZERO);
    for _ in 0..BATCHES {
        let begin = micros(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        for _ in 0..deliveries {
            let begin = Instant::now();
            let outcome = std::hint::black_box(service.invoke(std::hint::black_box(&deliver)));
            slowest = slowest.max(begin.elapsed());
            ensure!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        }
        let spent = micros(ClockId::CLOCK_THREAD_CPUTIME_ID)? - begin;
        best = best.min(spent * 1_000 / u64::from(deliveries));
    }
    let line = serde_json::json!({
        "cpu_ns": best,
        "slowest_us": slowest.as_micros(),
        "file_bytes": file_bytes,
        "compile_ms": compile_ms,
        "compile_cpu_ms": compile_cpu_ms,
        "unit_bytes": unit_bytes,
        "delivery_bytes": deliver.to_unit(&service.descriptor()).len(),
        "state_bytes": state,
        "idle_entity_bytes": idle_entity_bytes,
    });
    println!("{line}");
    Ok(())
}

/// An INVITE, as a node with such a service delivers it.
fn deliver() -> Deliver {
    let cell = CellId { cohort: CohortId(0x1829_1fa1_8997_0195), number: 7 };
    let event = Event::new(ActivityId { cell, number: 1 }, &invite()).expect("plain data");
    let mut deliver = Deliver::first("call-timer", event);
    deliver.now = Timestamp::from_millis(1_800_000_000_000);
    deliver.tables = Tables::of(&[LinkedSbb::of::<CallTimer>().descriptor()]);
    let row = encode(&Ringing { seconds: 20 }).expect("plain data");
    deliver.tables.put(RINGING.name, "sip:bob@resilee.example", row);
    deliver
}

fn invite() -> Invite {
    let party = |user: &str| Party {
        display: user.to_owned(),
        uri: format!("sip:{user}@resilee.example"),
        user: user.to_owned(),
        address_of_record: format!("sip:{user}@resilee.example"),
    };
    Invite {
        call_id: "3848276298220188511@192.0.2.10".to_owned(),
        request_uri: "sip:bob@resilee.example".to_owned(),
        callee: party("bob"),
        caller: party("alice"),
        set_up_at: Timestamp::from_millis(1_800_000_000_000),
        source: "192.0.2.10:5060".to_owned(),
        credentials: None,
        barred_s: None,
    }
}

fn micros(clock: ClockId) -> Result<u64> {
    Ok(clock_gettime(clock)?.num_microseconds().try_into()?)
}

fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kb = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no Pss")?;
    Ok(kb.trim().parse::<u64>()? * 1024)
}
