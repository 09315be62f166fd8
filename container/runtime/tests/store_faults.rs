//! A store under damage: each fault is said, none takes the node down or a bill away.

mod stores;

use resilee_core::StoreBatch;
use resilee_runtime::store::{self, StoreEvent};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use stores::{BILLS, DEADLINE, bill, bills, fill, put, start, vote, voter};

/// Writes noise over a part of a file.
fn damage(file: &Path, from: u64, bytes: usize) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&vec![0xa5; bytes], from).unwrap();
}

#[test]
fn whatever_is_overwritten_in_the_store_is_said_and_all_bills_are_there() {
    for (from, bytes) in [(0, 64), (0, 4_096), (500, 3_000), (0, 200_000)] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        damage(&dir.path().join("store/db"), from, bytes);
        let opened = store::open(dir.path()).unwrap();
        let cells = opened.restored.cells.len();
        let told = opened.notices.iter().any(|notice| notice.contains("store"));
        assert!(cells == 10 || told, "{bytes} bytes: {cells} cells, {:?}", opened.notices);
        assert_eq!(bills(opened), (1..=10).collect::<Vec<_>>(), "{bytes} bytes from {from}");
    }
}

#[test]
fn a_store_that_is_gone_is_made_anew_from_the_journal_and_said() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert!(
        opened.notices.iter().any(|notice| notice.contains("was gone")),
        "{:?}",
        opened.notices
    );
    assert_eq!(bills(opened), (1..=10).collect::<Vec<_>>());
}

#[test]
fn that_a_store_was_gone_is_said_also_after_a_death_while_it_was_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let store = dir.path().join("store");
    fs::remove_dir_all(&store).unwrap();
    fs::create_dir_all(store.join("log")).unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.notices.iter().any(|notice| notice.contains("was gone")));
}

#[test]
fn a_journal_that_lost_what_a_checkpoint_had_is_said() {
    for kept_bytes in [0, 500] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        // Each start is a checkpoint.
        drop(store::open(dir.path()).unwrap());
        let journal = dir.path().join("journal").join(format!("{BILLS}.log"));
        match kept_bytes {
            0 => fs::remove_file(&journal).unwrap(),
            bytes => OpenOptions::new().write(true).open(&journal).unwrap().set_len(bytes).unwrap(),
        }
        let opened = store::open(dir.path()).unwrap();
        assert!(opened.notices[0].contains("lost"), "{:?}", opened.notices);
        drop(opened);
        // The log has no part in it: that is told once, and the next bill follows what is there.
        assert_eq!(store::open(dir.path()).unwrap().notices, Vec::<String>::new());
    }
}

#[test]
fn a_vote_survives_its_store_and_its_files_but_not_both() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=2 {
        let (store, events) = start(store::open(dir.path()).unwrap());
        let batch = StoreBatch { number: 1, ops: vec![vote(number), bill(number)] };
        store.handle().write(1, batch).unwrap();
        assert!(matches!(events.recv_timeout(DEADLINE), Ok(StoreEvent::Stored { .. })));
    }
    let remembered = || store::open(dir.path()).unwrap().restored.voter;
    assert_eq!(remembered(), Some(voter(2)));
    damage(&dir.path().join("voter"), 9, 5);
    damage(&dir.path().join("voter.other"), 9, 5);
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.restored.notices[0].contains("voter"), "{:?}", opened.restored.notices);
    assert_eq!(opened.restored.voter, Some(voter(2)));
    let (store, events) = start(opened);
    store.handle().write(1, StoreBatch { number: 1, ops: vec![vote(3)] }).unwrap();
    assert!(matches!(events.recv_timeout(DEADLINE), Ok(StoreEvent::Stored { .. })));
    drop(store);
    fs::write(dir.path().join("store/conf"), b"this was a store").unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.notices.iter().any(|notice| notice.contains("moved to")));
    assert!(opened.restored.is_empty(), "a vote is nothing to start from");
    assert_eq!(opened.restored.voter, Some(voter(3)));
    drop(opened);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(remembered(), Some(voter(3)));
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    fs::remove_file(dir.path().join("voter")).unwrap();
    fs::remove_file(dir.path().join("voter.other")).unwrap();
    assert_eq!(remembered(), None);
}

#[test]
fn a_store_that_lacks_what_was_before_its_log_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    // Each start is a checkpoint.
    drop(store::open(dir.path()).unwrap());
    fs::remove_file(dir.path().join("store/db")).unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.restored.is_empty());
    assert!(opened.notices.iter().any(|notice| notice.contains("moved to")));
    assert_eq!(bills(opened), (1..=10).collect::<Vec<_>>());
}

#[test]
fn of_a_damaged_log_the_state_before_the_damage_and_all_bills_count() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events) = start(store::open(dir.path()).unwrap());
    for number in 1..=4 {
        let ops = vec![put(number, 2_000), bill(number)];
        store.handle().write(1, StoreBatch { number, ops }).unwrap();
        assert!(matches!(events.recv_timeout(DEADLINE), Ok(StoreEvent::Stored { .. })));
    }
    drop(store);
    damage(&dir.path().join("store/log/000000000001.log"), 3_000, 10);
    let opened = store::open(dir.path()).unwrap();
    assert_eq!(opened.restored.cells.len(), 1);
    assert!(opened.notices.iter().any(|notice| notice.contains("log is damaged")));
    assert_eq!(bills(opened), (1..=4).collect::<Vec<_>>());
}

#[test]
fn a_first_start_is_nothing_to_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let opened = store::open(&dir.path().join("not/there/yet")).unwrap();
    assert_eq!(opened.notices, Vec::<String>::new());
}

#[test]
fn a_vote_that_no_file_takes_is_said_to_be_on_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events) = start(store::open(dir.path()).unwrap());
    fs::create_dir(dir.path().join("voter")).unwrap();
    let state = resilee_sbb::encode(&voter(7)).unwrap();
    store.handle().save_vote(1, 3, state.clone()).unwrap();
    let event = events.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(event, StoreEvent::VoteNotSaved { run: 1, number: 3, .. }), "{event:?}");
    fs::remove_dir(dir.path().join("voter")).unwrap();
    store.handle().save_vote(1, 3, state).unwrap();
    assert_eq!(events.recv_timeout(DEADLINE).unwrap(), StoreEvent::VoteSaved { run: 1, number: 3 });
    drop(store);
    assert_eq!(store::open(dir.path()).unwrap().restored.voter, Some(voter(7)));
}
