//! The store as the runtime uses it: durable order, records once, crashes, damage.

use resilee_core::{StoreBatch, StoreOp, Tree};
use resilee_runtime::store::{self, Opened, Store, StoreError, StoreEvent};
use resilee_sbb::{CellId, CohortId};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Nothing here takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);
const BILLS: &str = "call-bills";
/// Tells a child process the directory to write to.
const CHILD: &str = "RESILEE_STORE_TEST_CHILD";

fn cell(number: u64) -> CellId {
    CellId { cohort: CohortId(7), number }
}

fn put(key: u64) -> StoreOp {
    StoreOp::Put { tree: Tree::Cells, key: key.to_be_bytes().to_vec(), value: vec![1; 200] }
}

fn bill(number: u64) -> StoreOp {
    let record = number.to_be_bytes().to_vec();
    StoreOp::Record { journal: BILLS.to_owned(), cell: cell(number), record }
}

struct Running {
    store: Store,
    events: Receiver<StoreEvent>,
}

impl Running {
    fn start(opened: Opened) -> Running {
        let (sender, events) = channel();
        let tell = move |event| drop(sender.send(event));
        Running { store: opened.start(tell).unwrap(), events }
    }

    fn open(dir: &Path) -> Running {
        Running::start(store::open(dir).unwrap())
    }

    fn write(&self, number: u64, ops: Vec<StoreOp>) {
        self.store.handle().write(1, StoreBatch { number, ops }).unwrap();
    }

    fn wait_stored(&self, wanted: u64) {
        loop {
            let event = self.events.recv_timeout(DEADLINE).unwrap();
            let StoreEvent::Stored { run: 1, number } = event else { panic!("{event:?}") };
            if number >= wanted {
                return;
            }
        }
    }

    /// Numbers of the cells of all bills, with their sequences.
    fn bills(&self, from: u64, limit: usize) -> Vec<(u64, u64)> {
        let records = self.store.handle().read(BILLS.to_owned(), from, limit);
        let records = records.blocking_recv().unwrap();
        records.iter().map(|record| (record.sequence, record.cell.number)).collect()
    }
}

#[test]
fn what_was_stored_is_there_after_a_restart_and_a_cell_has_one_record() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(dir.path());
    running.write(1, vec![put(1), put(2), bill(1), bill(1)]);
    running.write(2, vec![StoreOp::Remove { tree: Tree::Cells, key: 1u64.to_be_bytes().to_vec() }]);
    running.write(3, vec![bill(1), bill(2), bill(3)]);
    running.wait_stored(3);
    assert_eq!(running.bills(1, 10), [(1, 1), (2, 2), (3, 3)]);
    drop(running);

    let opened = store::open(dir.path()).unwrap();
    assert_eq!(opened.restored.cells, [(2u64.to_be_bytes().to_vec(), vec![1; 200])]);
    assert_eq!(opened.restored.journals, [BILLS]);
    assert_eq!(opened.notices, Vec::<String>::new());
    let running = Running::start(opened);
    running.write(1, vec![bill(2), bill(4)]);
    running.wait_stored(1);
    assert_eq!(running.bills(2, 2), [(2, 2), (3, 3)]);
    assert_eq!(running.bills(4, 10), [(4, 4)]);
}

#[test]
fn clear_empties_one_tree_and_what_follows_in_the_same_group_stays() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(dir.path());
    let row = StoreOp::Put { tree: Tree::Tables, key: b"r".to_vec(), value: b"v".to_vec() };
    running.write(1, vec![put(1), row]);
    running.wait_stored(1);
    running.write(2, vec![put(2), StoreOp::Clear { tree: Tree::Cells }, put(3)]);
    let restored = running.store.handle().restore().blocking_recv().unwrap();
    assert_eq!(restored.cells, [(3u64.to_be_bytes().to_vec(), vec![1; 200])]);
    assert_eq!(restored.tables, [(b"r".to_vec(), b"v".to_vec())]);
}

#[test]
fn what_a_journal_lost_at_its_end_comes_back_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(dir.path());
    running.write(1, (1..=5).map(bill).collect());
    running.wait_stored(1);
    drop(running);
    // A flushed group is in the log; of the journal's file the disk may have less.
    let file = dir.path().join("journal").join(format!("{BILLS}.log"));
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert_eq!(opened.notices, [""; 0], "a torn end is what a kill leaves");
    let running = Running::start(opened);
    assert_eq!(running.bills(1, 10), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    drop(running);
    // That was a checkpoint: now the journal alone has them.
    fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.notices[0].contains("lost"), "{:?}", opened.notices);
    let running = Running::start(opened);
    assert_eq!(running.bills(1, 10), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    running.write(1, vec![bill(4), bill(5)]);
    running.wait_stored(1);
    assert_eq!(running.bills(4, 10), [(4, 4), (5, 5)]);
}

/// The numbers of the keys and the length of their values.
fn held(cells: &[(Vec<u8>, Vec<u8>)]) -> Vec<(u64, usize)> {
    let number = |key: &Vec<u8>| u64::from_be_bytes(key.as_slice().try_into().unwrap());
    cells.iter().map(|(key, value)| (number(key), value.len())).collect()
}

#[test]
fn checkpoints_bring_the_last_state_into_sled_while_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(dir.path());
    let put = |key: u64, bytes: usize| StoreOp::Put {
        tree: Tree::Cells,
        key: key.to_be_bytes().to_vec(),
        value: vec![7; bytes],
    };
    let remove = |key: u64| StoreOp::Remove { tree: Tree::Cells, key: key.to_be_bytes().to_vec() };
    // 25 MB in all: three segments and a part of one.
    for number in 1..=50u64 {
        let old = number.saturating_sub(3);
        running.write(number, vec![put(number, 500_000), put(number - 1, 9), remove(old)]);
    }
    running.wait_stored(50);
    let expected = vec![(48, 9), (49, 9), (50, 500_000)];
    let restored = running.store.handle().restore().blocking_recv().unwrap();
    assert_eq!(held(&restored.cells), expected);
    drop(running);
    let segments = fs::read_dir(dir.path().join("store/log")).unwrap();
    let segments: Vec<_> = segments.map(|entry| entry.unwrap().file_name()).collect();
    assert!(segments.len() == 1 && segments[0] != "000000000001.log", "{segments:?}");
    let opened = store::open(dir.path()).unwrap();
    assert_eq!(held(&opened.restored.cells), expected);
    assert_eq!(opened.notices, Vec::<String>::new());
}

#[test]
fn a_broken_store_is_moved_aside_and_the_bills_are_still_there() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(dir.path());
    running.write(1, vec![put(1), bill(1), bill(2)]);
    running.wait_stored(1);
    drop(running);
    fs::write(dir.path().join("store/conf"), b"this was a store").unwrap();
    let opened = store::open(dir.path()).unwrap();
    assert!(opened.restored.is_empty());
    assert!(opened.notices.iter().any(|notice| notice.contains("store.broken-")));
    assert_eq!(Running::start(opened).bills(1, 10), [(1, 1), (2, 2)]);
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().starts_with("store.broken-")));
}

#[test]
fn a_directory_has_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let _running = Running::open(dir.path());
    let error = store::open(dir.path()).expect_err("in use");
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
}

#[test]
fn a_store_of_a_later_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::open(dir.path());
    running.write(1, vec![put(1)]);
    running.wait_stored(1);
    drop(running);
    let later = (resilee_core::FORMAT + 1).to_string();
    fs::write(dir.path().join("format"), &later).unwrap();
    let names = || fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let before: std::collections::BTreeSet<_> = names().collect();
    let error = store::open(dir.path()).expect_err("refused").to_string();
    assert!(error.contains(&later) && error.contains("another data_dir"), "{error}");
    assert_eq!(before, names().collect(), "nothing was moved or made");
}

/// Not a test of its own: writes and reports until it is killed, if it was started to do so.
#[test]
fn the_writing_process() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let opened = store::open(Path::new(&dir)).unwrap();
    let first = 1 + opened.restored.cells.len() as u64;
    let running = Running::start(opened);
    let report = |event| {
        let StoreEvent::Stored { number, .. } = event else { panic!("{event:?}") };
        eprintln!("stored {}", first + number - 1);
        number
    };
    let mut reported = 0;
    for number in 1u64.. {
        let id = first + number - 1;
        running.write(number, vec![put(id), bill(id)]);
        while number - reported > 300 {
            reported = report(running.events.recv_timeout(DEADLINE).unwrap());
        }
    }
}

#[test]
fn nothing_that_was_reported_as_stored_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_writing_process", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let stored = |line: &str| line.strip_prefix("stored ").map(|id| id.parse::<u64>().unwrap());
        let mut reports = lines.map_while(Result::ok).filter_map(|line| stored(&line));
        for _ in 0..10 * round {
            reports.next().expect("the child writes");
        }
        child.kill().unwrap();
        // What it said until it was dead counts as well.
        let last = reports.last();
        child.wait().unwrap();

        let opened = store::open(dir.path()).unwrap();
        let cells = opened.restored.cells.len() as u64;
        assert!(last.is_none_or(|last| cells >= last), "{cells} cells, {last:?} reported");
        let running = Running::start(opened);
        let bills = running.bills(1, usize::MAX);
        let expected: Vec<_> = (1..=bills.len() as u64).map(|number| (number, number)).collect();
        assert_eq!(bills, expected, "each once, in order");
        assert!(bills.len() as u64 >= cells);
    }
}
