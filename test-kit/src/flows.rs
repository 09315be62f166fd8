//! Call flows: what the phones do in each is in `test-kit/flows/NAME/PARTY.xml`, scenarios of SIPp;
//! what must be true when it is over is in the table here.
//!
//! They are played with SIPp and real processes (`examples/tests/end_to_end/flows.rs`). Who plays
//! them has the phones registered before, and may kill a node at any time; in the end-to-end tests
//! that is at the `kill` in the caller's log.
//!
//! | in a scenario      | means                                                           |
//! |--------------------|-----------------------------------------------------------------|
//! | `[service]`        | the callee's user name; `-caller`, `-third` behind it: theirs   |
//! | `[domain]`         | the users' domain                                               |
//! | `kill` in the log  | the moment for a kill; the `<pause/>` behind it for a takeover  |
//! | messages in pauses | as good as lost, as SIPp has it: what crosses is made by this   |
//! | `retrans="200"`    | the nodes have T1 of 200 ms, or less                            |

use Ended::{Caller, Either};
use Policy::{Digest, Open};

/// Who ended a call that is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
    /// Whoever was heard first.
    Either,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody.
    Open,
    /// Who proves by digest who they are.
    Digest,
}

/// A phone's part in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It begins.
    Caller,
    /// It is called; registered.
    Callee,
    /// Another phone of the callee's user; registered.
    Contact,
    /// A phone of a third user; registered.
    Third,
}

/// One phone of a flow.
#[derive(Clone, Copy, Debug)]
pub struct FlowParty {
    /// Its part.
    pub role: Role,
    /// What it does: the text of its file.
    pub scenario: &'static str,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Its name, also of its folder and of the callee's user.
    pub name: &'static str,
    /// What happens.
    pub sentence: &'static str,
    /// The cluster that it needs.
    pub policy: Policy,
    /// Its phones, the caller first.
    pub parties: &'static [FlowParty],
    /// The bills that there are in the end, by who ended the calls.
    pub bills: &'static [Ended],
}

impl Role {
    /// As in the names of files.
    pub fn name(self) -> &'static str {
        match self {
            Role::Caller => "caller",
            Role::Callee => "callee",
            Role::Contact => "contact",
            Role::Third => "third",
        }
    }
}

impl Flow {
    /// The user of a phone.
    pub fn user(&self, role: Role) -> String {
        match role {
            Role::Callee | Role::Contact => self.name.to_owned(),
            Role::Caller | Role::Third => format!("{}-{}", self.name, role.name()),
        }
    }

    /// All users that it needs, with accounts.
    pub fn users(&self) -> [String; 3] {
        [Role::Caller, Role::Callee, Role::Third].map(|role| self.user(role))
    }

    /// Whether bills are those that it is to leave, by who ended the calls, in any order.
    pub fn is_billed_by(&self, mut ended: Vec<Ended>) -> bool {
        for expected in self.bills {
            let is_it = |who: &Ended| who == expected || *expected == Either;
            let Some(found) = ended.iter().position(is_it) else { return false };
            ended.remove(found);
        }
        ended.is_empty()
    }
}

macro_rules! flow {
    ($name:literal, $policy:ident, [$($bill:expr),*], $($party:ident)*: $sentence:literal) => {
        Flow {
            name: $name,
            sentence: $sentence,
            policy: $policy,
            parties: &[$(FlowParty {
                role: role!($party),
                scenario: scenario!($name, $party),
            }),*],
            bills: &[$($bill),*],
        }
    };
}

macro_rules! scenario {
    ($name:literal, $party:ident) => {
        include_str!(concat!("../flows/", $name, "/", stringify!($party), ".xml"))
    };
}

macro_rules! role {
    (caller) => {
        Role::Caller
    };
    (callee) => {
        Role::Callee
    };
    (contact) => {
        Role::Contact
    };
    (third) => {
        Role::Third
    };
}

/// All flows.
pub const FLOWS: &[Flow] = &[
    flow!("caller-hangs-up", Open, [Caller], caller callee:
        "two talk, and the caller hangs up"),
    flow!("callee-hangs-up", Open, [Ended::Callee], caller callee:
        "two talk, and the callee hangs up"),
    flow!("busy", Open, [], caller callee:
        "the callee is busy"),
    flow!("declined", Open, [], caller callee:
        "the callee declines with a 6xx"),
    flow!("no-answer", Open, [], caller callee:
        "it rings, and nobody answers"),
    flow!("silent-phone", Open, [], caller callee:
        "a registered phone is not there any more: 408 from the server"),
    flow!("not-registered", Open, [], caller:
        "the callee has an account and no phone: 480"),
    flow!("unknown-callee", Open, [], caller:
        "nobody has that name: 404"),
    flow!("too-many-hops", Open, [], caller:
        "an INVITE with Max-Forwards 0: 483"),
    flow!("session-too-short", Open, [], caller:
        "a session that lasts 30 s: 422"),
    flow!("bad-extension", Open, [], caller callee:
        "the callee cannot do what the caller asks for: 420"),
    flow!("cancelled-ringing", Open, [], caller callee:
        "the caller gives up while it rings"),
    flow!("cancelled-early", Open, [], caller callee:
        "the caller gives up before the callee has said anything"),
    flow!("answer-after-cancel", Open, [Caller], caller callee:
        "the callee answers while the CANCEL is on its way"),
    flow!("cancel-too-late", Open, [Caller], caller callee:
        "a CANCEL when the call is up, then a BYE"),
    flow!("redirected", Open, [Caller], caller callee third:
        "the callee answers 302, and the caller calls there"),
    flow!("transferred", Open, [Caller, Caller], caller callee third:
        "the caller refers the callee to a third phone, within the call"),
    flow!("transferred-blind", Open, [Caller, Caller], caller callee third:
        "the same, and the caller hangs up at once: it hears how that went when its call is over"),
    flow!("forked-answer", Open, [Caller], caller callee contact:
        "two phones of the callee ring; one answers, the other is cancelled"),
    flow!("forked-one-busy", Open, [Caller], caller callee contact:
        "two phones of the callee: one is busy, the other one answers"),
    flow!("forked-all-fail", Open, [], caller callee contact:
        "two phones of the callee fail; the caller gets the better failure"),
    flow!("forked-cancelled", Open, [], caller callee contact:
        "the caller gives up while two phones ring"),
    flow!("forked-both-answer", Open, [Caller], caller callee contact:
        "two phones of the callee answer at once; the caller hangs one of them up, then the other"),
    flow!("forked-slow-cancel", Open, [Caller], caller callee contact:
        "two phones ring; one answers, and the other is slow to hear that it is cancelled"),
    flow!("early-media", Open, [Caller], caller callee:
        "183 with a session, sent reliably: PRACK"),
    flow!("early-update", Open, [Caller], caller callee:
        "PRACK, then another offer by UPDATE before the answer"),
    flow!("early-media-cancelled", Open, [], caller callee:
        "PRACK, then the caller gives up"),
    flow!("offer-in-answer", Open, [Caller], caller callee:
        "an INVITE without an offer: it is in the 200, its answer in the ACK"),
    flow!("hold", Open, [Caller], caller callee:
        "the caller holds the call, and takes it back"),
    flow!("held-by-callee", Open, [Caller], caller callee:
        "the callee holds the call"),
    flow!("hold-refused", Open, [Caller], caller callee:
        "a re-INVITE is refused with 488, and the call goes on"),
    flow!("hold-cancelled", Open, [Caller], caller callee:
        "a re-INVITE is cancelled, and the call goes on"),
    flow!("glare", Open, [Caller], caller callee:
        "both send a re-INVITE at once, and both answer 491"),
    flow!("talk-of-many-things", Open, [Caller], caller callee:
        "INFO, OPTIONS and MESSAGE within the call"),
    flow!("session-refreshed", Open, [Caller], caller callee:
        "the session is refreshed by UPDATE"),
    flow!("both-hang-up", Open, [Either], caller callee:
        "two BYEs cross"),
    flow!("repeated-bye", Open, [Caller], caller callee:
        "the callee is slow to answer the BYE"),
    flow!("forgotten-call", Open, [Caller], caller callee:
        "the callee answers the BYE with 481"),
    flow!("late-ack", Open, [Caller], caller callee:
        "the ACK comes late: the callee repeats its 200"),
    flow!("lost-ack", Open, [Ended::Callee], caller callee:
        "the ACK never comes, and the callee hangs up"),
    flow!("bye-before-ack", Open, [Caller], caller callee:
        "the BYE overtakes the ACK"),
    flow!("repeated-invite", Open, [Caller], caller callee:
        "the callee is slow to say anything: the INVITE is repeated"),
    flow!("out-of-order", Open, [Caller], caller callee:
        "a request within the call whose CSeq is too low: the callee answers 500"),
    flow!("oversized", Open, [Caller], caller callee:
        "INVITE and 200 of more than 6,000 bytes"),
    flow!("password", Digest, [Caller], caller callee:
        "the caller proves who it is"),
    flow!("wrong-password", Digest, [], caller:
        "the caller does not know its password: 407, and again"),
    flow!("no-call", Open, [], caller callee:
        "MESSAGE and OPTIONS outside a call"),
    flow!("subscribed", Open, [], caller callee:
        "SUBSCRIBE and NOTIFY, and again when the subscription ends"),
    flow!("subscribed-beyond-call", Open, [Caller], caller callee:
        "SUBSCRIBE and NOTIFY within a call, and again when that is over"),
    flow!("behind-a-proxy", Open, [Caller], caller callee:
        "a phone registers with its password and a Path, and is called along it"),
];
