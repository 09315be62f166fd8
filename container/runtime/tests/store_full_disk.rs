//! A node on a full disk: its store fails and says so, and what it had is kept.
//!
//! Processes are started here, which have all open files of this one until they become another
//! program, locks of stores among them: so no other test is in this program, and one runs at a
//! time.

mod stores;

use resilee_core::StoreBatch;
use resilee_runtime::store::{self, StoreEvent};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use stores::{DEADLINE, bill, bills, fill, put, start, vote, voter};

/// Tells a child process the directory to write to.
const CHILD: &str = "RESILEE_FULL_DISK_CHILD";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Not a test of its own: fills a store until it takes nothing any more, if it was started to.
#[test]
fn the_process_on_a_full_disk() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (store, events) = start(store::open(Path::new(&dir)).unwrap());
    for number in 1.. {
        let ops = vec![put(number, 100_000), bill(number), vote(1)];
        let refused = store.handle().write(1, StoreBatch { number, ops });
        match events.recv_timeout(DEADLINE).unwrap() {
            StoreEvent::Stored { number, .. } => eprintln!("stored {number}"),
            StoreEvent::Failed { reason, .. } => {
                eprintln!("failed {refused:?} {reason}");
                break;
            }
            other => panic!("{other:?} was not asked for"),
        }
    }
    let state = resilee_sbb::encode(&voter(7)).unwrap();
    store.handle().save_vote(1, 3, state).unwrap();
    assert_eq!(events.recv_timeout(DEADLINE).unwrap(), StoreEvent::VoteSaved { run: 1, number: 3 });
}

/// Not a test of its own: opens a store, if it was started to.
#[test]
fn the_process_that_starts_on_a_full_disk() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    eprintln!("refused: {}", store::open(Path::new(&dir)).expect_err("nothing can be written"));
}

/// What a child process says on a disk that takes files of so many blocks of 512 bytes.
fn on_a_full_disk(dir: &Path, blocks: u32, test: &str) -> String {
    // The signal for more is ignored, so that writes fail as they do on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{text}");
    text
}

#[test]
fn a_sound_store_stays_where_it_is_when_a_node_starts_on_a_full_disk() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let text = on_a_full_disk(dir.path(), 0, "the_process_that_starts_on_a_full_disk");
    assert!(text.contains("refused: "), "{text}");
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("broken")), "{names:?}");
    let opened = store::open(dir.path()).unwrap();
    assert_eq!(opened.restored.cells.len(), 10, "{:?}", opened.notices);
    assert_eq!(bills(opened), (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_is_a_failed_store_and_no_dead_process() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let text = on_a_full_disk(dir.path(), 4_096, "the_process_on_a_full_disk");
    assert!(text.contains("failed Ok(())"), "{text}");
    let stored = text.lines().filter(|line| line.starts_with("stored ")).count();
    assert!(stored > 3, "{text}");
    // With space again, what was reported as stored is there.
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.restored.cells.len() >= stored, "{text}");
    assert_eq!(opened.restored.voter, Some(voter(7)));
    assert!(bills(opened).len() >= stored, "{text}");
}
