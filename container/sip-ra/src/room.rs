//! How much the activities of a Call-ID keep. Each is marshalled into the frame that goes to the
//! backup, which has room for 1 MiB of them (`docs/limits.md`): whatever the ends of a call send,
//! what is known of the call must go there, and a BYE must get through.
//!
//! | what comes                                 | what happens                                   |
//! |--------------------------------------------|------------------------------------------------|
//! | request that is too large to go on, or has | 513                                            |
//! | too many header lines for that             |                                                |
//! | INVITE, UPDATE whose sender has too long   | 513: they are in each request of ours to or    |
//! | names and ways                             | from it                                        |
//! | request for which there is no room         | 503, a large one 513                           |
//! | BYE of usual size                          | goes on; only their number is bounded          |
//! | more targets than there is room for        | 513 to the sender; a redirection is refused    |
//! | 2xx to an INVITE, too long names and ways  | nothing, and it is counted: as nobody could    |
//! |                                            | end its dialog; the phone hangs up itself      |
//! | 1xx of the same                            | passed on; it begins no dialog                 |
//! | large 1xx                                  | passed on; repeated is the one before          |
//! | large final, not to an INVITE              | passed on, and the request is forgotten:       |
//! |                                            | repeated, it is proxied again, and its target  |
//! |                                            | repeats the answer. In a fork it counts as     |
//! |                                            | silence unless it is a 2xx                     |
//! | large failure of an INVITE                 | its status in our own words, as it has to be   |
//! |                                            | repeated until the ACK comes                   |
//!
//! The body of a response cannot be left away instead (RFC 3261 §16.7 step 9 forwards it as it is).
//! What comes to it later, answers and BYEs of usual size, is twice [`KEPT_BYTES_MAX`] at most, as
//! their numbers are bounded.

use crate::activity::Activity;
use crate::adaptor::{SipRa, of_cell};
use crate::incoming::Incoming;
use crate::refusal::Refusal;
use resilee_sbb::{ActivityId, CellId};
use resilee_sip_api::{SipCommand, Target};
use resilee_sip_proto::message::HEADERS_MAX;
use resilee_sip_proto::transaction::RESPONSE_KEPT_MAX;
use resilee_sip_proto::{HeaderName, Message, framing};

/// Bytes that the activities of a Call-ID keep, with those that one more request may need.
const KEPT_BYTES_MAX: usize = 320 * 1024;

/// Most bytes of a request that needs no room of its own if it is a BYE.
const USUAL_BYTES_MAX: usize = 4_096;

/// So few usual requests have room, whatever there is.
const FEW: usize = 8;

/// Most bytes of a request that goes on: what may also come over TCP. It gets some headers on its
/// way, and has to fit into the datagram to the balancer.
const REQUEST_BYTES_MAX: usize = framing::STREAM_MESSAGE_BYTES_MAX;

/// Most header lines that a request gets on its way: Via, two Record-Routes, Routes of its target,
/// session timer, Max-Breadth and others.
const LINES_ADDED_MAX: usize = 32;

/// Most bytes of names and ways of an end: tag and URI, Contact, Record-Routes, Call-ID.
const LEG_BYTES_MAX: usize = 4_096;

/// Why a call is not redirected.
pub(crate) const NO_ROOM_FOR_TARGETS: &str =
    "the INVITE is too large to be kept for so many more targets";

/// What is wrong with the size of any request.
pub(crate) fn fault_of_size(request: &Message<'_>) -> Option<Refusal> {
    if request.bytes().len() > REQUEST_BYTES_MAX
        || request.header_lines() > HEADERS_MAX - LINES_ADDED_MAX
    {
        return Some(Refusal::new(513));
    }
    let names_its_sender = matches!(request.method(), Some("INVITE" | "UPDATE"));
    (names_its_sender && has_large_leg(request, HeaderName::From)).then(|| Refusal::new(513))
}

/// Whether names and ways of who has sent a message are too long to be kept; `name` is its own.
pub(crate) fn has_large_leg(message: &Message<'_>, name: HeaderName) -> bool {
    let is_part =
        |it: HeaderName| it == name || matches!(it, HeaderName::Contact | HeaderName::RecordRoute);
    let parts = message.headers().filter(|(it, _, _)| is_part(*it));
    let bytes = || parts.map(|(_, _, value)| value.len()).sum::<usize>();
    message.bytes().len() > LEG_BYTES_MAX && message.call_id().len() + bytes() > LEG_BYTES_MAX
}

impl SipRa {
    /// Refuses a request that belongs to no transaction, if there is no room for it.
    pub(crate) fn refuse_for_room(&self, cell: CellId, incoming: &Incoming<'_>) -> Option<Refusal> {
        let bytes = incoming.message.bytes().len();
        let is_usual = bytes <= USUAL_BYTES_MAX;
        let is_free = match incoming.method() {
            "ACK" | "CANCEL" => true,
            method => is_usual && (method == "BYE" || self.has_few(cell)),
        };
        if is_free {
            return None;
        }
        // As it came and as it goes on; its headers also in its key or CANCEL, and by then in what
        // it changes.
        let headers = bytes - incoming.message.body().len();
        let needed = 2 * bytes + 2 * headers + 2 * RESPONSE_KEPT_MAX;
        let has_room = self.kept_bytes(cell) + needed <= KEPT_BYTES_MAX;
        (!has_room).then(|| Refusal::new(if is_usual { 503 } else { 513 }))
    }

    /// Whether the request that began an activity may go to the targets of a command, too.
    pub(crate) fn has_room_for(&self, activity: ActivityId, command: &SipCommand) -> bool {
        let (SipCommand::Proxy { targets } | SipCommand::Redirect { targets, .. }) = command else {
            return true;
        };
        let request = self.activities.get(&activity).map_or(0, Activity::request_bytes);
        if request <= USUAL_BYTES_MAX && targets.len() <= 2 && self.has_few(activity.cell) {
            return true;
        }
        let ways = |it: &Target| it.uri.len() + it.routes.iter().map(String::len).sum::<usize>();
        // The INVITE and its CANCEL; instead of both, the ACK; the failure.
        let needed = |it: &Target| 2 * (request + ways(it)) + RESPONSE_KEPT_MAX;
        let needed: usize = targets.iter().map(needed).sum();
        self.kept_bytes(activity.cell) + needed <= KEPT_BYTES_MAX
    }

    fn has_few(&self, cell: CellId) -> bool {
        let of_cell = self.activities.range(of_cell(cell));
        of_cell.map(|(_, activity)| activity.requests()).sum::<usize>() < FEW
    }

    fn kept_bytes(&self, cell: CellId) -> usize {
        let of_cell = self.activities.range(of_cell(cell));
        of_cell.map(|(_, activity)| activity.marshal().len()).sum()
    }
}
