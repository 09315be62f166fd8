//! The status as Prometheus reads it (text format 0.0.4).
//!
//! Names and reasons have only letters, digits, dashes and underscores: no label needs escapes.

use super::{ServerStatus, Status};
use crate::node_state::NodeState;
use std::fmt::{Display, Write};

/// What all names begin with.
const PREFIX: &str = "resilee_balancer_";

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

impl Status {
    /// The document that Prometheus scrapes.
    pub fn to_prometheus(&self) -> String {
        let mut page = Page(String::with_capacity(4_096));
        page.metric("up_seconds", GAUGE, "Time since the process started.");
        page.value("up_seconds", "", seconds(self.up_ms));
        page.metric("view", GAUGE, "Number of the view that the balancer and its seat go by.");
        page.value("view", "", self.view.number);
        page.metric("members", GAUGE, "Runs of nodes in that view.");
        page.value("members", "", self.view.members.len());
        page.metric("serving", GAUGE, "0 while no node serves and clients are told 503.");
        page.value("serving", "", u8::from(self.serving));
        if let Some(pair) = &self.pair {
            let holds = pair.seat.as_ref() == Some(&pair.name);
            page.metric("seat", GAUGE, "1 if it holds the seat of the pair by its view.");
            page.value("seat", "", u8::from(holds));
            page.metric("forwards", GAUGE, "1 if it holds the seat and a lease.");
            page.value("forwards", "", u8::from(pair.serves));
            page.metric("address", GAUGE, "1 if it is at the addresses of the clients.");
            page.value("address", "", u8::from(pair.holds_address));
            page.metric("ready", GAUGE, "0 if it could not serve, and the other one should.");
            page.value("ready", "", u8::from(pair.ready));
        }
        page.metric("state_file_ok", GAUGE, "0 while its vote cannot be stored.");
        page.value("state_file_ok", "", u8::from(self.state_file_error.is_none()));
        page.metric("unavailable_answers_total", COUNTER, "Requests answered 503 by the balancer.");
        page.value("unavailable_answers_total", "", self.unavailable_answers);
        page.metric("dropped_total", COUNTER, "Datagrams and connections dropped, by reason.");
        for (reason, count) in &self.dropped {
            page.value("dropped_total", &format!("reason=\"{reason}\""), count);
        }
        page.metric("reloads_total", COUNTER, "Configurations read again, by what became of them.");
        page.value("reloads_total", "result=\"accepted\"", self.reloads.accepted);
        page.value("reloads_total", "result=\"refused\"", self.reloads.refused);
        page.metric("reload_ok", GAUGE, "0 if the configuration that was read last was refused.");
        page.value("reload_ok", "", u8::from(self.reloads.refusal.is_none()));
        page.servers(&self.servers);
        page.0
    }
}

/// A number of a server.
type Read = fn(&ServerStatus) -> u64;

struct Page(String);

impl Page {
    fn servers(&mut self, servers: &[ServerStatus]) {
        self.metric("server_state", GAUGE, "1 for the state that the server is in.");
        for server in servers {
            for state in NodeState::ALL.map(NodeState::name) {
                let labels = format!("server=\"{}\",state=\"{state}\"", server.name);
                self.value("server_state", &labels, u8::from(server.state == state));
            }
        }
        self.metric("server_heartbeat_age_seconds", GAUGE, "Time since its last heartbeat.");
        for server in servers {
            if let Some(age_ms) = server.heartbeat_age_ms {
                let labels = format!("server=\"{}\"", server.name);
                self.value("server_heartbeat_age_seconds", &labels, seconds(age_ms));
            }
        }
        self.metric("server_responses_total", COUNTER, "Its responses to clients, by class.");
        for server in servers {
            for (class, count) in (1..).zip(server.responses) {
                let labels = format!("server=\"{}\",class=\"{class}xx\"", server.name);
                self.value("server_responses_total", &labels, count);
            }
        }
        let each: [(&str, &str, &str, Read); 7] = [
            ("server_weight", GAUGE, "Its weight.", |it| it.weight.into()),
            ("server_ramp_up_percent", GAUGE, "How much of its weight it has by now.", |it| {
                it.ramp_up_percent.into()
            }),
            ("server_new_calls_total", COUNTER, "New calls that it got.", |it| it.new_calls),
            ("server_new_calls_percent", GAUGE, "Its part of new calls in the window.", |it| {
                it.new_calls_percent
            }),
            ("server_requests_total", COUNTER, "Requests that it got.", |it| it.requests),
            ("server_no_response_percent", GAUGE, "Unanswered requests in the window.", |it| {
                it.no_response_percent
            }),
            ("server_error_percent", GAUGE, "5xx among responses in the window.", |it| {
                it.server_error_percent
            }),
        ];
        for (name, kind, help, value) in each {
            self.metric(name, kind, help);
            for server in servers {
                self.value(name, &format!("server=\"{}\"", server.name), value(server));
            }
        }
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {PREFIX}{name} {help}"));
        self.line(format_args!("# TYPE {PREFIX}{name} {kind}"));
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        match labels {
            "" => self.line(format_args!("{PREFIX}{name} {value}")),
            _ => self.line(format_args!("{PREFIX}{name}{{{labels}}} {value}")),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes all");
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}
