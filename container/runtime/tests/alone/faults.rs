//! A handler that hangs, and a full disk.

use crate::node::{Client, Said, free_address, start, status};
use actix::System;
use resilee_core::management::Status;
use resilee_sbb::{Context, Descriptor, Event, EventPayload, Failure, LinkedSbb, OnRollBack, Sbb};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};

/// Tells a child process the directory of its node.
const CHILD: &str = "RESILEE_FULL_NODE_CHILD";

/// Does not return from the word `hang` before [`RELEASED`] is set.
#[derive(Default, Serialize, Deserialize)]
struct Listener {
    heard: u64,
}

static RELEASED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

impl Sbb for Listener {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor {
            vendor: "test",
            version: "1",
            initial_events: &[Said::TYPE],
            on_roll_back: OnRollBack::Retry,
            ..Descriptor::named("listener")
        }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        self.heard += 1;
        if event.get::<Said>()?.is_some_and(|said| said.word == "hang") {
            let released = RELEASED.0.lock().expect("nobody panics with it");
            drop(RELEASED.1.wait_while(released, |released| !*released));
        }
        Ok(())
    }
}

/// Never returns from the word `hang`; of the policy that a service has unless it says otherwise.
#[derive(Default, Serialize, Deserialize)]
struct Dropper;

impl Sbb for Dropper {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        Descriptor { initial_events: &[Said::TYPE], ..Descriptor::named("dropper") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
        while event.get::<Said>()?.is_some_and(|said| said.word == "hang") {
            std::thread::park();
        }
        Ok(())
    }
}

fn services() -> Vec<LinkedSbb> {
    vec![LinkedSbb::of::<Listener>()]
}

fn alarm<'a>(status: &'a Status, text: &str) -> Option<&'a str> {
    status.alarms.iter().map(|alarm| alarm.text.as_str()).find(|alarm| alarm.contains(text))
}

#[test]
fn a_handler_that_hangs_costs_its_call_the_service_and_nobody_else_anything() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let address = free_address();
        let runtime = start(dir.path(), address, services()).await.unwrap();
        let asker = runtime.asker();
        status(&asker, |status| status.member).await;
        let client = Client::new(address).await;
        assert_eq!(client.ask("c1 hello").await, "c1 hello");
        client.say("c1 hang").await;
        // Both calls have the one worker; the second one's delivery waits behind the first's.
        client.say("c2 hello").await;
        let answers = [client.hear().await, client.hear().await];
        assert!(answers.contains(&"c1 hang".to_owned()), "its call goes on: {answers:?}");
        assert!(answers.contains(&"c2 hello".to_owned()), "the other call runs: {answers:?}");
        let status = status(&asker, |status| alarm(status, "does not return").is_some()).await;
        assert!(alarm(&status, "worker was replaced").is_some(), "{:?}", status.alarms);
        let delivered = status.services[0].delivered;
        assert_eq!(client.ask("c1 again").await, "c1 again");
        assert_eq!(client.ask("c2 again").await, "c2 again");
        let status = crate::node::status(&asker, |_| true).await;
        assert_eq!(status.services[0].delivered, delivered + 1, "only c2 has the service");
        *RELEASED.0.lock().unwrap() = true;
        RELEASED.1.notify_all();
        let late = "late answer of a handler";
        crate::node::status(&asker, |status| status.dropped.contains_key(late)).await;
    });
}

#[test]
fn one_entity_that_hangs_costs_one_worker_however_many_messages_are_for_it() {
    let dir = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let address = free_address();
        let services = vec![LinkedSbb::of::<Dropper>()];
        let runtime = start(dir.path(), address, services).await.unwrap();
        let asker = runtime.asker();
        status(&asker, |status| status.member).await;
        let client = Client::new(address).await;
        assert_eq!(client.ask("c1 hello").await, "c1 hello");
        for _ in 0..8 {
            client.say("c1 hang").await;
        }
        for _ in 0..8 {
            assert_eq!(client.hear().await, "c1 hang", "its call goes on");
        }
        // Whoever answers now came in behind all that could hang.
        assert_eq!(client.ask("c1 hang").await, "c1 hang");
        let status = status(&asker, |_| true).await;
        let hung = status.alarms.iter().filter(|alarm| alarm.text.contains("does not return"));
        let hung: Vec<_> = hung.map(|alarm| (alarm.count, alarm.text.as_str())).collect();
        assert_eq!(hung.len(), 1, "{hung:?}");
        assert_eq!(hung[0].0, 1, "{hung:?}");
        assert!(hung[0].1.contains("dropper does not return from toy.said"), "{hung:?}");
        assert!(hung[0].1.contains("its worker was replaced, 1 of 16"), "{hung:?}");
    });
}

/// Not a test of its own: the node on a full disk, if it was started to be that.
#[test]
fn the_node_on_a_full_disk() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    System::new().block_on(async {
        let address = free_address();
        let runtime = start(Path::new(&dir), address, services()).await.unwrap();
        let asker = runtime.asker();
        status(&asker, |status| status.member).await;
        let client = Client::new(address).await;
        let noise = |n: u64| (0..40_000).map(|at| char::from(33 + ((at * n) % 90) as u8)).collect();
        let mut calls = 0;
        let status = loop {
            calls += 1;
            let noise: String = noise(calls);
            let answer = client.ask(&format!("c{calls} hello {noise}")).await;
            let status = status(&asker, |_| true).await;
            if answer == "refused" {
                break status;
            }
        };
        assert!(alarm(&status, "nothing is stored any more").is_some(), "{:?}", status.alarms);
        assert!(calls > 3, "{calls}");
        assert_eq!(client.ask("c1 again").await, "c1 again", "a call in progress goes on");
        let refused = "new call while nothing holds it but memory";
        assert_eq!(status.dropped.get(refused), Some(&1));
        eprintln!("all of it was seen");
    });
}

#[test]
fn on_a_full_disk_calls_go_on_with_an_alarm_and_new_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    // A file may have 4,096 blocks of 512 bytes; the signal for more is ignored, so that writes
    // fail as they do on a full disk.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "faults::the_node_on_a_full_disk", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success() && text.contains("all of it was seen"), "{text}");
}
