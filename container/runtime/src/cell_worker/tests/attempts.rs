//! What was handed to one thread and is another's by now, or nobody's.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a handler waits until it is let go.
struct Barrier {
    entered: AtomicU32,
    open: (Mutex<bool>, Condvar),
}

impl Barrier {
    const fn new() -> Self {
        Barrier { entered: AtomicU32::new(0), open: (Mutex::new(false), Condvar::new()) }
    }

    fn enter(&self) {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let open = self.open.0.lock().expect("nobody panics with it");
        drop(self.open.1.wait_while(open, |open| !*open));
    }

    fn entered(&self) -> u32 {
        self.entered.load(Ordering::SeqCst)
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

/// An SBB that waits at a barrier of its own.
macro_rules! waits_at {
    ($($sbb:ident $name:literal $barrier:ident,)*) => {
        $(
            #[derive(Default, Serialize, Deserialize)]
            struct $sbb;

            static $barrier: Barrier = Barrier::new();

            impl Sbb for $sbb {
                const STATE_VERSION: u32 = 1;

                fn descriptor() -> Descriptor {
                    Descriptor { name: $name, ..Fragile::descriptor() }
                }

                fn on_event(&mut self, _: &mut SbbContext<'_>, _: &Event) -> Result<(), Failure> {
                    $barrier.enter();
                    Ok(())
                }
            }
        )*
    };
}

waits_at! {
    Hanging "hanging" HANGING,
    InFront "in-front" IN_FRONT,
    Busy "busy" BUSY,
    GivenUp "given-up" GIVEN_UP,
    OfOldRun "of-old-run" OF_OLD_RUN,
    Forgotten "forgotten" FORGOTTEN,
}

/// A delivery to an entity of its own.
fn deliver_to_own(id: u64, service: &'static str) -> Box<Deliver> {
    let mut deliver = deliver(id, service);
    deliver.entity.number = u32::try_from(id).unwrap();
    deliver
}

async fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never is");
        tokio::task::yield_now().await;
    }
}

async fn next_delivered(inputs: &mut mpsc::UnboundedReceiver<Input>) -> u64 {
    let input = timeout(DEADLINE, inputs.recv()).await.unwrap().unwrap();
    let Input::Outcome { delivery, outcome } = input else { panic!("{input:?}") };
    assert!(matches!(outcome, Outcome::Delivered { .. }), "{delivery:?}: {outcome:?}");
    delivery.0
}

/// Behind the handler that hung waits another one that takes its time, with many behind it.
#[test]
fn what_was_handed_to_a_fresh_thread_is_neither_run_nor_answered_by_the_one_that_comes_back() {
    const LAST: u64 = 200;
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services =
            [LinkedSbb::of::<Fragile>(), LinkedSbb::of::<Hanging>(), LinkedSbb::of::<InFront>()];
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &services);
        hand(&mut workers, deliver_to_own(1, "hanging"), &sink);
        let old = workers.workers[0].running.clone();
        until(|| old.ran(DeliveryId(1)).is_some()).await;
        hand(&mut workers, deliver_to_own(2, "in-front"), &sink);
        (3..=LAST).for_each(|id| hand(&mut workers, deliver_to_own(id, "fragile"), &sink));
        assert!(matches!(workers.abandon(0, DeliveryId(1), Duration::ZERO), Fate::Hangs(_)));
        until(|| IN_FRONT.entered() == 1).await;
        HANGING.open();
        // It is done with all that it had: nobody else knows what it runs, but these two.
        until(|| IN_FRONT.entered() > 1 || Arc::strong_count(&old) == 2).await;
        IN_FRONT.open();
        assert_eq!(IN_FRONT.entered(), 1, "it is run once");
        let mut delivered = Vec::new();
        for _ in 1..=LAST {
            delivered.push(next_delivered(&mut inputs).await);
        }
        // Entities have no order among each other.
        delivered.sort_unstable();
        assert!(delivered.into_iter().eq(1..=LAST));
        assert!(inputs.try_recv().is_err());
    });
}

#[test]
fn what_was_given_up_while_it_waited_for_its_thread_is_not_run_later() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services =
            [LinkedSbb::of::<Fragile>(), LinkedSbb::of::<Busy>(), LinkedSbb::of::<GivenUp>()];
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &services);
        hand(&mut workers, deliver_to_own(1, "busy"), &sink);
        hand(&mut workers, deliver_to_own(2, "given-up"), &sink);
        until(|| BUSY.entered() == 1).await;
        assert!(matches!(workers.abandon(0, DeliveryId(2), Duration::ZERO), Fate::Early(_)));
        assert_eq!(workers.abandon(0, DeliveryId(2), Duration::ZERO), Fate::Waited);
        GIVEN_UP.open();
        BUSY.open();
        hand(&mut workers, deliver_to_own(3, "fragile"), &sink);
        assert_eq!(next_delivered(&mut inputs).await, 1);
        assert_eq!(next_delivered(&mut inputs).await, 3);
        assert_eq!(GIVEN_UP.entered(), 0);
    });
}

/// The core that waited for it is no more, and would not know of a handler that hangs.
#[test]
fn what_waited_for_its_thread_when_the_next_run_of_the_node_began_is_not_run() {
    System::new().block_on(async {
        let (sender, mut inputs) = mpsc::unbounded_channel();
        let sink = Sink(sender).start().recipient();
        let services = [LinkedSbb::of::<OfOldRun>(), LinkedSbb::of::<Forgotten>()];
        let mut workers = CellWorkers::start(1, ACTORS_MAX, &services);
        hand(&mut workers, deliver_to_own(1, "of-old-run"), &sink);
        hand(&mut workers, deliver_to_own(2, "forgotten"), &sink);
        let old = workers.workers[0].running.clone();
        until(|| OF_OLD_RUN.entered() == 1).await;
        workers.forget();
        FORGOTTEN.open();
        OF_OLD_RUN.open();
        until(|| Arc::strong_count(&old) == 2).await;
        assert_eq!(FORGOTTEN.entered(), 0);
        assert_eq!(next_delivered(&mut inputs).await, 1);
        assert!(inputs.try_recv().is_err());
    });
}
