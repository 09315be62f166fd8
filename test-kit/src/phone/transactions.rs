//! The table of a phone's transactions: matches messages to them (RFC 3261 §17.1.3, §17.2.3) and
//! runs their machines. What the messages mean is not here.

use super::call::CallNumber;
use resilee_sbb::Timestamp;
use resilee_sip_proto::{
    ClientInvite, ClientNonInvite, Message, Outputs, ServerInvite, ServerNonInvite, TimerConfig,
    TransactionOutput,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Most transactions at once; a further request is dropped.
const TRANSACTIONS_MAX: usize = 1024;

/// What a client transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    Invite(CallNumber),
    Cancel,
    Bye(CallNumber),
}

/// What comes out of the table, in this order.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Send; `is_repeat` if the same was sent before.
    Send { destination: SocketAddr, bytes: Vec<u8>, is_repeat: bool },
    /// A response to one of ours.
    Response { purpose: Purpose, bytes: Vec<u8> },
    /// No final response came in time. `is_over`: the transaction ended with it.
    Timeout { purpose: Purpose, is_over: bool },
    /// No ACK came for a failure; the call was over before.
    NoAck,
}

/// Branch and method of the CSeq; a CANCEL has the branch of its INVITE.
type ClientKey = (String, String);

/// Branch, sent-by and method of a request; an ACK is looked up as its INVITE.
pub(super) type ServerKey = (String, String, String);

#[derive(Clone, Debug)]
enum ClientMachine {
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

#[derive(Clone, Debug)]
struct Client {
    machine: ClientMachine,
    destination: SocketAddr,
    purpose: Purpose,
}

#[derive(Clone, Debug)]
enum ServerMachine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

#[derive(Clone, Debug)]
struct Server {
    machine: ServerMachine,
    destination: SocketAddr,
}

/// All transactions of one phone.
#[derive(Clone, Debug)]
pub(super) struct Transactions {
    timers: TimerConfig,
    clients: BTreeMap<ClientKey, Client>,
    servers: BTreeMap<ServerKey, Server>,
}

impl Transactions {
    pub(super) fn new(timers: TimerConfig) -> Self {
        Transactions { timers, clients: BTreeMap::new(), servers: BTreeMap::new() }
    }

    /// Sends a request of ours.
    pub(super) fn start_client(
        &mut self,
        now: Timestamp,
        purpose: Purpose,
        destination: SocketAddr,
        request: Vec<u8>,
    ) -> Vec<Step> {
        let message = Message::parse(&request).expect("a phone builds messages that can be read");
        let key = client_key(&message);
        let is_invite = message.method() == Some("INVITE");
        let (machine, outputs) = if is_invite {
            let (machine, outputs) = ClientInvite::start(now, &self.timers, request);
            (ClientMachine::Invite(machine), outputs)
        } else {
            let (machine, outputs) = ClientNonInvite::start(now, &self.timers, request);
            (ClientMachine::NonInvite(machine), outputs)
        };
        let client = Client { machine, destination, purpose };
        let steps = client.steps(outputs, false);
        self.clients.insert(key, client);
        steps
    }

    /// Takes a response; `None` if it belongs to no transaction.
    pub(super) fn on_response(
        &mut self,
        now: Timestamp,
        response: &Message<'_>,
    ) -> Option<Vec<Step>> {
        let key = client_key(response);
        let status = response.status()?;
        let client = self.clients.get_mut(&key)?;
        let bytes = response.bytes();
        let outputs = match &mut client.machine {
            ClientMachine::Invite(it) => it.on_response(now, &self.timers, bytes, status),
            ClientMachine::NonInvite(it) => it.on_response(now, &self.timers, bytes, status),
        };
        let is_repeat = !outputs.iter().any(|out| matches!(out, TransactionOutput::ToUser(_)));
        let steps = client.steps(outputs, is_repeat);
        self.forget_terminated();
        Some(steps)
    }

    /// The INVITE of `call` as it was sent last, if its transaction may still be cancelled.
    pub(super) fn pending_invite(&self, call: CallNumber) -> Option<(Vec<u8>, SocketAddr, bool)> {
        use resilee_sip_proto::transaction::ClientInviteState::{Calling, Proceeding};
        self.clients.values().find_map(|client| match &client.machine {
            ClientMachine::Invite(it)
                if client.purpose == Purpose::Invite(call)
                    && matches!(it.state(), Calling | Proceeding) =>
            {
                let is_proceeding = it.state() == Proceeding;
                Some((it.request().to_vec(), client.destination, is_proceeding))
            }
            _ => None,
        })
    }

    /// A CANCEL was sent for the INVITE of `call`.
    pub(super) fn on_cancel_sent(&mut self, now: Timestamp, call: CallNumber) {
        for client in self.clients.values_mut() {
            if let ClientMachine::Invite(it) = &mut client.machine
                && client.purpose == Purpose::Invite(call)
            {
                it.on_cancel_sent(now, &self.timers);
            }
        }
    }

    /// Takes a request that came before; `None` if it is a new one.
    pub(super) fn on_repeated_request(&mut self, request: &Message<'_>) -> Option<Vec<Step>> {
        let server = self.servers.get_mut(&server_key(request))?;
        let outputs = match &mut server.machine {
            ServerMachine::Invite(it) => it.on_request(request.bytes()),
            ServerMachine::NonInvite(it) => it.on_request(request.bytes()),
        };
        Some(server.steps(outputs, true))
    }

    /// Takes an ACK; true if it was that of a failure, which ends with the transaction.
    pub(super) fn on_ack(&mut self, now: Timestamp, ack: &Message<'_>) -> bool {
        let Some(server) = self.servers.get_mut(&server_key(ack)) else { return false };
        let ServerMachine::Invite(it) = &mut server.machine else { return false };
        let outputs = it.on_ack(now, &self.timers, ack.bytes());
        // Over TCP it is over with that, and no timer comes.
        self.forget_terminated();
        !outputs.iter().any(|output| matches!(output, TransactionOutput::ToUser(_)))
    }

    /// Begins a transaction for a new request; false if there are too many.
    pub(super) fn start_server(
        &mut self,
        now: Timestamp,
        request: &Message<'_>,
        destination: SocketAddr,
    ) -> bool {
        if self.clients.len() + self.servers.len() >= TRANSACTIONS_MAX {
            return false;
        }
        let machine = if request.method() == Some("INVITE") {
            ServerMachine::Invite(ServerInvite::start(now, &self.timers))
        } else {
            ServerMachine::NonInvite(ServerNonInvite::start(now, &self.timers))
        };
        self.servers.insert(server_key(request), Server { machine, destination });
        true
    }

    /// Responds to a request.
    pub(super) fn respond(
        &mut self,
        now: Timestamp,
        request: &Message<'_>,
        status: u16,
        response: Vec<u8>,
    ) -> Vec<Step> {
        let Some(server) = self.servers.get_mut(&server_key(request)) else { return Vec::new() };
        let outputs = match &mut server.machine {
            ServerMachine::Invite(it) => it.respond(now, &self.timers, status, response),
            ServerMachine::NonInvite(it) => it.respond(now, &self.timers, status, response),
        };
        let steps = server.steps(outputs, false);
        self.forget_terminated();
        steps
    }

    /// Fires all timers that are due.
    pub(super) fn on_timeout(&mut self, now: Timestamp) -> Vec<Step> {
        let timers = self.timers;
        let mut steps = Vec::new();
        for client in self.clients.values_mut() {
            let outputs = match &mut client.machine {
                ClientMachine::Invite(it) => it.on_timeout(now, &timers),
                ClientMachine::NonInvite(it) => it.on_timeout(now, &timers),
            };
            steps.extend(client.steps(outputs, true));
        }
        for server in self.servers.values_mut() {
            let outputs = match &mut server.machine {
                ServerMachine::Invite(it) => it.on_timeout(now, &timers),
                ServerMachine::NonInvite(it) => it.on_timeout(now, &timers),
            };
            steps.extend(server.steps(outputs, true));
        }
        self.forget_terminated();
        steps
    }

    pub(super) fn next_timeout(&self) -> Option<Timestamp> {
        let clients = self.clients.values().filter_map(|client| match &client.machine {
            ClientMachine::Invite(it) => it.next_timeout(),
            ClientMachine::NonInvite(it) => it.next_timeout(),
        });
        let servers = self.servers.values().filter_map(|server| match &server.machine {
            ServerMachine::Invite(it) => it.next_timeout(),
            ServerMachine::NonInvite(it) => it.next_timeout(),
        });
        clients.chain(servers).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty()
    }

    fn forget_terminated(&mut self) {
        self.clients.retain(|_, client| match &client.machine {
            ClientMachine::Invite(it) => !it.is_terminated(),
            ClientMachine::NonInvite(it) => !it.is_terminated(),
        });
        self.servers.retain(|_, server| match &server.machine {
            ServerMachine::Invite(it) => !it.is_terminated(),
            ServerMachine::NonInvite(it) => !it.is_terminated(),
        });
    }
}

impl Client {
    fn steps(&self, outputs: Outputs, is_repeat: bool) -> Vec<Step> {
        let is_over = outputs.contains(&TransactionOutput::Terminated);
        let step = |output| match output {
            TransactionOutput::Send(bytes) => {
                Some(Step::Send { destination: self.destination, bytes, is_repeat })
            }
            TransactionOutput::ToUser(bytes) => {
                Some(Step::Response { purpose: self.purpose, bytes })
            }
            TransactionOutput::Timeout => Some(Step::Timeout { purpose: self.purpose, is_over }),
            TransactionOutput::Terminated => None,
        };
        outputs.into_iter().filter_map(step).collect()
    }
}

impl Server {
    fn steps(&self, outputs: Outputs, is_repeat: bool) -> Vec<Step> {
        let step = |output| match output {
            TransactionOutput::Send(bytes) => {
                Some(Step::Send { destination: self.destination, bytes, is_repeat })
            }
            TransactionOutput::Timeout => Some(Step::NoAck),
            // Requests are given to the phone by whoever found them new.
            TransactionOutput::ToUser(_) | TransactionOutput::Terminated => None,
        };
        outputs.into_iter().filter_map(step).collect()
    }
}

fn client_key(message: &Message<'_>) -> ClientKey {
    let branch = message.top_via().branch().unwrap_or_default();
    (branch.to_owned(), message.cseq().1.to_owned())
}

fn server_key(request: &Message<'_>) -> ServerKey {
    let via = request.top_via();
    let method = match request.method() {
        Some("ACK") | None => "INVITE",
        Some(method) => method,
    };
    let branch = via.branch().unwrap_or_default();
    (branch.to_owned(), via.sent_by().to_owned(), method.to_owned())
}
