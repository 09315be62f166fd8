//! The admin UI on made-up data, for those who work on its looks:
//! `cargo run -p resilee-admin-ui --example preview -- [SCENE] [PORT]`. The scenes are `busy` (two
//! nodes, calls, bills), `degraded` (one node died), `failing` (alarms of all kinds), `broken`
//! (records that cannot be read) and `empty`. No node runs behind it; the token for writes is
//! `preview`.

#[path = "../tests/web/fake_profiles.rs"]
mod fake_profiles;

#[path = "../tests/web/fake_units.rs"]
mod fake_units;

#[path = "../tests/web/fake_node.rs"]
mod fake_node;

use fake_node::{FakeNode, seconds};
use resilee_admin_ui::Ask;
use resilee_core::UNIT_PART_BYTES;
use resilee_core::management::Answer;
use resilee_sbb::{Severity, Timestamp};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PORT: u16 = 8090;
const PEOPLE: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scene = arguments.next().unwrap_or_else(|| "busy".to_owned());
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let mut node = FakeNode::new();
    node.now_is(wall_clock());
    match scene.as_str() {
        "empty" => {}
        "busy" => make_busy(&mut node),
        "degraded" => {
            make_busy(&mut node);
            node.server2_dies();
            node.alarm("cluster", "no backup: server2 is silent", seconds(2), 1);
        }
        "failing" => {
            make_busy(&mut node);
            make_failing(&mut node);
        }
        "broken" => {
            node.bill("alice@example.org", "bob@example.org", seconds(75), seconds(20));
            node.unreadable();
            node.unreadable();
        }
        other => {
            eprintln!("{other:?} is no scene: busy, degraded, failing, broken and empty are");
            std::process::exit(2);
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("scene {scene}: http://127.0.0.1:{port}/  (Ctrl-C ends it)");
    let node = Arc::new(Mutex::new(node));
    let answer = FakeNode::ask(&node);
    let ask: Ask = Arc::new(move |query| {
        node.lock().expect("no other thread panics").now_is(wall_clock());
        answer(query)
    });
    tokio::select! {
        served = resilee_admin_ui::serve(listener, Some("preview".to_owned()), ask) => served,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn deploy(node: &mut FakeNode, bytes: &[u8]) {
    for (part, bytes) in (0..).zip(bytes.chunks(UNIT_PART_BYTES)) {
        node.put_unit_part(part, bytes);
    }
    if let Answer::Unit(Ok(unit)) = node.describe_unit(bytes) {
        node.put_unit(unit.id, unit.service, unit.bytes);
    }
}

fn make_failing(node: &mut FakeNode) {
    let conditions = node.status.alarms.len();
    node.alarm(
        "balancer",
        "the balancer is not heard: no calls come in, and no other node can take over",
        seconds(4),
        1,
    );
    node.alarm("cluster", "the link to server2 is down: it gets no changes", seconds(31), 1);
    node.alarm(
        "store",
        "nothing is stored any more: No space left on device (os error 28)",
        seconds(190),
        1,
    );
    for (alarm, severity) in node.status.alarms[conditions..].iter_mut().zip([
        Severity::Critical,
        Severity::Major,
        Severity::Critical,
    ]) {
        (alarm.severity, alarm.lasting) = (severity, true);
    }
    node.peer_alarm(
        "unit",
        "call-screening is not deployed here: the thread that compiles units is gone: start this \
         node again; remove the unit, or run the same version of Resilee at all nodes",
        seconds(35),
    );
    node.peer_alarm(
        "call-billing",
        "a handler does not return in call 0f3c9a1b2d4e5f60-17, which goes on without: its \
         worker was replaced, 1 of 16 threads may hang",
        seconds(2_400),
    );
    node.peer_alarm(
        "cluster",
        "view 104 was forced: no other vote stands behind it, so another node may serve and bill \
         the same calls; start this node again when all is well",
        seconds(86_400 / 3),
    );
}

fn make_busy(node: &mut FakeNode) {
    let person = |n: usize| format!("{}@example.org", PEOPLE[n % PEOPLE.len()]);
    for n in (0..130_usize).rev() {
        // Spread over a week, with a tail of long calls.
        let talk = Duration::from_millis((n as u64 * 7_919) % 400_000 + 2_500);
        let ago = seconds(n as u64 * n as u64 * 36 + 40);
        node.tariff.currency = if n % 9 == 4 { "USD" } else { "EUR" }.to_owned();
        node.tariff.increment_s = if n.is_multiple_of(3) { 30 } else { 1 };
        let nodes = match n % 12 {
            3 => ["server1", "server2"],
            n if n % 2 == 0 => ["server2", "server2"],
            _ => ["server1", "server1"],
        };
        node.bill_of_nodes(&person(n), &person(n * 5 + 3), talk, ago, nodes);
    }
    node.tariff.currency = "EUR".to_owned();
    node.tariff.increment_s = 1;
    for (n, length) in [4_210, 1_803, 754, 333, 131, 75, 48, 12].into_iter().enumerate() {
        node.talking(&person(n), &person(n + 3), seconds(length));
    }
    node.ringing("+4930901820@gateway.example.net", &person(1), seconds(6));
    node.ringing(
        &person(6),
        "a-very-long-user-name.of.somebody@branch-office.example.org",
        seconds(2),
    );
    for (service, entities) in node.status.services.iter_mut().zip([0, 10, 10]) {
        (service.entities, service.delivered) = (entities, 31_872 + entities * 97);
    }
    for (unit, bytes) in [("call-screening", 183_411), ("call-guard-2", 96_200)] {
        let unit = format!("linked:{unit} {}", "x".repeat(bytes));
        deploy(node, unit.as_bytes());
    }
    if let Some(unit) = node.status.units.last_mut() {
        unit.nodes.push("server2".to_owned());
    }
    (node.status.commits, node.status.gated) = (48_211, 0);
    node.status.dropped.insert("no envelope".to_owned(), 3);
    node.alarm(
        "call-billing",
        "no tariff for \"0190\": the call is billed at zero",
        seconds(540),
        4,
    );
    if let Some(alarm) = node.status.alarms.last_mut() {
        (alarm.alarm_type, alarm.instance) = ("no_tariff".to_owned(), "0190".to_owned());
        alarm.last_at = alarm.last_at + seconds(500);
    }
}
