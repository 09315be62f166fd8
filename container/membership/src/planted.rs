//! Faults that can be planted, one at a time, to see that the simulator finds them.
//!
//! Without the feature `planted-faults` nothing can be planted: [`Planted::is`] is then always
//! false, and what stands behind it is not compiled into anything. Only the simulator's own test
//! has the feature on.

/// Each fault is written once: the list of all is made of the same names.
macro_rules! planted_faults {
    ($($(#[$meaning:meta])* $name:ident,)*) => {
        /// What the code does wrong on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum PlantedFault {
            $($(#[$meaning])* $name,)*
        }

        impl PlantedFault {
            /// All of them.
            pub const ALL: &[PlantedFault] = &[$(PlantedFault::$name,)*];
        }
    };
}

planted_faults! {
    /// Messages leave before the backup has acknowledged their commit.
    SendBeforeAck,
    /// Messages leave while their turn still runs.
    SendBeforeTurnEnds,
    /// In a pair the local store is the gate.
    StoreGatesPair,
    /// While a joiner is voted on, the local store is no gate.
    StoreNoGateWhileVoting,
    /// Updates are acknowledged, and applied later.
    AckBeforeApplying,
    /// A link hands on updates that it has handed on before.
    LinkTakesTwice,
    /// A link does not send again what was lost.
    LinkForgetsWindow,
    /// What a dead run wanted sent is forgotten.
    DropOutbox,
    /// Cells of a dead run are not woken.
    NoAdoption,
    /// A timer that fired is still set.
    TimerStays,
    /// A timer that is due fires twice.
    FireTimerTwice,
    /// A survivor forgets the moments that a periodic timer missed.
    ForgetMissed,
    /// A message for another member's cell is dropped silently.
    ForgetRelay,
    /// A message for another member's cell is dealt with here.
    OwnerByArrival,
    /// Commits made while a joiner gets its snapshot are not sent to it.
    LoseSnapshotTail,
    /// Who is voted out still gets all commits.
    StreamNotStopped,
    /// A commit's last change does not reach the backup.
    LosePart,
    /// Rows of a commit are not applied by the backup.
    LoseRows,
    /// What a commit counted is not added by the backup.
    LoseNoted,
    /// An operator is told that alarms and figures are gone before the backup knows.
    AnswerOrdersAtOnce,
    /// A second record of a cell is written.
    RecordTwice,
    /// In a pair a record is seen at once.
    RecordBeforeHeld,
    /// What speaks of rows does not wait for them.
    AnswerRowsAtOnce,
    /// What is over stays in the store.
    StoreKeepsOver,
    /// Commits of a run that was voted out are applied.
    HearOutsiders,
    /// A run that was voted out goes on.
    IgnoreVotedOut,
    /// A dead run's row is missing from the next view.
    ForgetCohort,
    /// A joiner that asks again names the same stream.
    JoinSameStream,
    /// A voter votes for two views of one number.
    VoteTwice,
    /// A balancer forwards without a lease as long as it knows of no other holder of the seat.
    ForwardWithoutLease,
    /// A run's own vote decides.
    MajorityOfOne,
    /// The balancer takes what is said by an older view.
    TakeOldView,
    /// Cluster time jumps with the wall clock.
    FollowWallClock,
    /// A start goes by the wall clock alone.
    ForgetStoredTime,
    /// A survivor asks services again where a pending call goes.
    LookUpAgain,
    /// An entity gets some events twice.
    DeliverTwice,
    /// The lowest entity gets an event first.
    LowestFirst,
    /// An event goes to entities that are not attached to its activity context.
    ToUnattached,
    /// An event begins a root entity beside the one of its service that had it.
    SecondRoot,
    /// A service whose handler hung still serves that call.
    ForgetHang,
    /// Masks have no effect.
    ForgetMask,
    /// Who is below a removed entity stays.
    LeaveOrphans,
    /// A removed entity is still attached.
    LeaveAttachment,
    /// A name stays bound to an activity that is over.
    KeepName,
    /// A suspended event that was taken over waits for ever.
    LoseSuspended,
    /// Null activities that nobody holds stay.
    IdleStays,
    /// What a call that nobody has must hear of is not kept.
    ForgetOrphan,
    /// What a call has heard of is kept.
    OrphanStays,
    /// Calls of a rejoiner that nobody else has are dropped.
    DropStranded,
    /// A survivor forgets what cells have posted to others.
    ForgetPosts,
    /// What another cell says twice is heard twice.
    HearTwice,
}

/// The fault that is planted, if any. Without the feature `planted-faults` it has no size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "planted-faults")]
    fault: Option<PlantedFault>,
}

impl Planted {
    /// Nothing is.
    pub const NONE: Planted = Planted {
        #[cfg(feature = "planted-faults")]
        fault: None,
    };

    /// That fault is planted from now on.
    #[cfg(feature = "planted-faults")]
    pub fn new(fault: PlantedFault) -> Self {
        Planted { fault: Some(fault) }
    }

    /// True if that fault is planted.
    #[inline(always)]
    pub fn is(self, fault: PlantedFault) -> bool {
        #[cfg(feature = "planted-faults")]
        return self.fault == Some(fault);
        #[cfg(not(feature = "planted-faults"))]
        {
            let _ = fault;
            false
        }
    }
}
