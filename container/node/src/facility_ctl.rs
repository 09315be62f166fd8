//! `resilee ctl usage`, `reset-usage`, `trace-level` and `clear-alarm`: what an operator does with
//! the facilities of the asked node, through its REST interface.

use crate::cluster_ctl::Token;
use crate::ctl::{self, CtlError, segment};
use serde_json::{Value, json};

/// Columns of usage figures: a counter has a value, a sample all others.
const USAGE: [&str; 10] =
    ["parameter", "set", "value", "count", "min", "mean", "p50", "p95", "p99", "max"];

/// A question about a facility, or an order.
#[derive(Debug, clap::Subcommand)]
pub enum FacilityOrder {
    /// What a service counted and measured on the asked node, or on all.
    Usage {
        /// Name of the service.
        service: String,
        /// Of all nodes together, also those that are gone.
        #[arg(long)]
        cluster: bool,
    },
    /// Lets the usage figures of a service begin at zero, at all nodes.
    ResetUsage {
        /// Name of the service.
        service: String,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Gives a tracer a level on all nodes, also after a restart.
    TraceLevel {
        /// `root`, a service's name, or one below it (see tracers).
        tracer: String,
        /// finest, finer, fine, config, info, warning, severe or off; `inherit`: that of the name
        /// above it.
        level: String,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
    /// Clears an alarm of the asked node.
    ClearAlarm {
        /// Its id (see alarms).
        id: u64,
        /// Proves that the order may be given.
        #[command(flatten)]
        token: Token,
    },
}

/// Asks or tells the node at `admin`; what came of it, for people.
///
/// # Errors
/// A token that cannot be read, nobody answers, or the node refuses.
pub fn facility(admin: &str, order: &FacilityOrder) -> Result<String, CtlError> {
    match order {
        FacilityOrder::Usage { service, cluster } => {
            let of = if *cluster { "?of=cluster" } else { "" };
            let path = format!("services/{}/usage{of}", segment(service));
            let answer = ctl::get(&format!("{}/api/v1/{path}", ctl::base(admin)?))?;
            Ok(usage(&answer))
        }
        FacilityOrder::ResetUsage { service, token } => {
            let path = format!("services/{}/usage/reset", segment(service));
            let answer = ctl::post(admin, &path, &token.read()?, &json!({}))?;
            Ok(usage(&answer))
        }
        FacilityOrder::TraceLevel { tracer, level, token } => {
            let level = Some(level).filter(|level| *level != "inherit");
            let (path, body) = (format!("tracers/{}", segment(tracer)), json!({ "level": level }));
            let answer = ctl::post(admin, &path, &token.read()?, &body)?;
            Ok(ctl::table(&["name", "given", "effective"], rows(&answer, "tracers")))
        }
        FacilityOrder::ClearAlarm { id, token } => {
            ctl::post(admin, &format!("alarms/{id}/clear"), &token.read()?, &json!({}))?;
            Ok(format!("alarm {id} is cleared\n"))
        }
    }
}

fn rows<'a>(answer: &'a Value, list: &str) -> &'a [Value] {
    answer[list].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn usage(answer: &Value) -> String {
    let [service, nodes, since] = ["service", "nodes", "since"].map(|key| ctl::cell(&answer[key]));
    let refused = answer["refused"].as_u64().filter(|refused| *refused > 0);
    let refused =
        refused.map(|refused| format!("{refused} changes were for sets beyond the limit\n"));
    let head = format!("{service} on {nodes}, from zero at {since}\n");
    head + &ctl::table(&USAGE, rows(answer, "usage")) + &refused.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_a_table_with_a_row_for_each_parameter_of_each_set() {
        let answer = json!({
            "service": "call-billing", "nodes": ["server1", "server3"],
            "since": "2026-05-01", "refused": 2,
            "usage": [
                { "set": "", "parameter": "bills", "kind": "counter", "value": 3 },
                { "set": "gold", "parameter": "talk_s", "kind": "sample", "count": 3, "min": 1,
                  "mean": 2.5, "p50": 2, "p95": 4, "p99": 4, "max": 4 },
            ],
        });
        let text = "call-billing on server1, server3, from zero at 2026-05-01\n\
                    parameter  set   value  count  min  mean  p50  p95  p99  max\n\
                    bills            3      -      -    -     -    -    -    -\n\
                    talk_s     gold  -      3      1    2.5   2    4    4    4\n\
                    2 changes were for sets beyond the limit\n";
        assert_eq!(usage(&answer), text);
    }

    #[test]
    fn a_name_stays_within_its_segment_of_the_path() {
        assert_eq!(segment("call-billing.rating"), "call-billing.rating");
        assert_eq!(segment("a/b?c d"), "a%2Fb%3Fc%20d");
    }

    #[test]
    fn an_order_without_its_token_is_not_sent() {
        let token = Token { token_file: "no/such/file".into() };
        let order = FacilityOrder::ClearAlarm { id: 1, token };
        let error = facility("http://127.0.0.1:1", &order).unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }
}
