//! What is on its way in the world: each thing happens at its time.

use crate::orders::Order;
use crate::plan::{Cut, Process};
use resilee_core::Input;
use resilee_membership::VoterState;
use resilee_sbb::{DeliveryId, Outcome};
use resilee_test_kit::{Packet, PhoneCommand};

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Action {
    Outcome {
        node: usize,
        life: u64,
        delivery: DeliveryId,
        outcome: Outcome,
    },
    /// A handler that hung has returned.
    Returned {
        node: usize,
        life: u64,
    },
    Flushed {
        node: usize,
        life: u64,
        number: u64,
    },
    VoteSaved {
        node: usize,
        life: u64,
        number: u64,
        state: Vec<u8>,
    },
    Input {
        node: usize,
        life: u64,
        input: Input,
    },
    Frame {
        to: usize,
        connection: u64,
        bytes: Vec<u8>,
    },
    Dial {
        lives: (u64, u64),
    },
    LinkDown {
        node: usize,
        life: u64,
    },
    /// A datagram waits in a socket of a balancer.
    Arrived {
        balancer: usize,
        packet: Packet,
    },
    Refused {
        balancer: usize,
        server: usize,
        life: u64,
    },
    SeatPersisted {
        balancer: usize,
        life: u64,
        number: u64,
        state: VoterState,
    },
    SeatTold {
        balancer: usize,
        life: u64,
        number: u64,
    },
    /// The phones' address is taken by a balancer's host, or left.
    Address {
        balancer: usize,
        life: u64,
        here: bool,
    },
    /// It was refused, and is tried again.
    TakeAddress {
        balancer: usize,
        life: u64,
    },
    /// The phones' side of a balancer's host has its cable again.
    AllowAddress {
        balancer: usize,
    },
    Start(Process),
    /// Bytes of a phone, or for it, in a stream.
    Stream {
        life: u64,
        phone: usize,
        to_phone: bool,
        bytes: Vec<u8>,
    },
    Command {
        phone: usize,
        command: PhoneCommand,
    },
    Wake {
        process: Process,
        life: u64,
    },
    KillOther(usize),
    Heal(Cut),
    HandOver {
        node: usize,
        every_ms: u64,
        times: u64,
    },
    Force(usize),
    Order(Order),
}
