//! A received request with the mark of where it came from, and the way back for its responses.

use crate::element::DEFAULT_PORT;
use crate::party::contact_uri;
use resilee_membership::{Flow, Transport};
use resilee_sip_api::SourceNetwork;
use resilee_sip_proto::{Edit, Message, SipUri, Via};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// A received request, its top Via amended.
pub(crate) struct Incoming<'a> {
    pub(crate) message: &'a Message<'a>,
    /// Where it came from and where it arrived.
    pub(crate) flow: Flow,
}

impl Incoming<'_> {
    /// Where responses go (RFC 3261 §18.2.2, RFC 3581 §4): back to the source, and to its port
    /// if the client asked for that.
    pub(crate) fn reply_to(&self) -> Flow {
        reply_to(self.message.top_via(), &self.flow)
    }

    /// Where requests to its sender go: to its source, as behind a NAT nothing else reaches it. But
    /// a phone that does not ask for that (RFC 3581) may send from a port where it does not
    /// listen; what its Contact names at the very address of the source is not behind a NAT.
    pub(crate) fn home(&self) -> Flow {
        let is_udp = self.flow.transport == Transport::Udp;
        let asks = self.message.top_via().rport().is_some();
        let contact = contact_uri(self.message).filter(|_| is_udp && !asks);
        let port = contact.as_deref().and_then(SipUri::parse).and_then(|uri| {
            let ip: IpAddr = uri.host.parse().ok()?;
            let is_here = ip.to_canonical() == self.flow.remote.ip().to_canonical();
            is_here.then(|| uri.port.unwrap_or(DEFAULT_PORT))
        });
        let port = port.filter(|port| *port != 0).unwrap_or(self.flow.remote.port());
        Flow { remote: SocketAddr::new(self.flow.remote.ip(), port), ..self.flow }
    }

    /// Whether its sender may be who is reached there.
    pub(crate) fn is_from_network_of(&self, flow: &Flow) -> bool {
        SourceNetwork::of(self.flow.remote.ip()) == SourceNetwork::of(flow.remote.ip())
    }

    /// Method of the request.
    pub(crate) fn method(&self) -> &str {
        self.message.method().unwrap_or_default()
    }
}

/// Where the responses of a request with this top Via go, which came by this way.
pub(crate) fn reply_to(via: &Via<'_>, flow: &Flow) -> Flow {
    if flow.transport == Transport::Tcp {
        // RFC 3261 §18.2.2: the connection, while it is there.
        return *flow;
    }
    let port = match via.rport() {
        Some(_) => flow.remote.port(),
        None => via.port().unwrap_or(DEFAULT_PORT),
    };
    Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..*flow }
}

/// The request with `received` and `rport` in its top Via.
pub(crate) fn amended(request: &Message<'_>, flow: &Flow) -> Vec<u8> {
    let mut edit = Edit::new(request);
    if flow.transport == Transport::Tcp {
        edit.ask_for_rport();
    }
    edit.amend_top_via(flow.remote.ip(), flow.remote.port()).finish()
}

/// What a request and its retransmissions share (RFC 3261 §17.2.3).
///
/// Call-ID and CSeq number are in it for clients of RFC 2543, whose branches may repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransactionKey {
    branch: String,
    sent_by: String,
    method: String,
    call_id: String,
    cseq_number: u32,
}

impl TransactionKey {
    pub(crate) fn of(request: &Message<'_>) -> Self {
        let via = request.top_via();
        TransactionKey {
            branch: via.branch().unwrap_or_default().to_owned(),
            sent_by: via.sent_by().to_ascii_lowercase(),
            method: transaction_method(request).to_owned(),
            call_id: request.call_id().to_owned(),
            cseq_number: request.cseq().0,
        }
    }

    /// Whether the transaction is of this method (RFC 3261 §17.1.3).
    pub(crate) fn is_of_method(&self, method: &str) -> bool {
        self.method == method
    }

    /// Whether a request belongs to this transaction; ACK and CANCEL belong to their INVITE's.
    pub(crate) fn matches(&self, request: &Message<'_>) -> bool {
        self.method == transaction_method(request) && self.is_of_same_branch(request)
    }

    /// Whether a CANCEL is of this transaction, whatever its method (RFC 3261 §9.2).
    pub(crate) fn is_cancelled_by(&self, cancel: &Message<'_>) -> bool {
        cancel.method() == Some("CANCEL") && self.is_of_same_branch(cancel)
    }

    fn is_of_same_branch(&self, request: &Message<'_>) -> bool {
        let via = request.top_via();
        self.branch == via.branch().unwrap_or_default()
            && self.sent_by.eq_ignore_ascii_case(via.sent_by())
            && self.call_id == request.call_id()
            && self.cseq_number == request.cseq().0
    }
}

fn transaction_method<'a>(request: &Message<'a>) -> &'a str {
    match request.method().unwrap_or_default() {
        "ACK" | "CANCEL" => "INVITE",
        method => method,
    }
}
