//! A unit as REST and pages show it: what the node says of it, beside what it says of its service
//! and of other nodes.

use crate::moment;
use resilee_core::management::{ServiceState, Status, UnitStatus};
use serde::Serialize;

/// Source of alarms about units.
const SOURCE: &str = "unit";

/// A unit with all that is known of it.
#[derive(Serialize)]
pub struct UnitView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Name of its service.
    pub service: &'a str,
    /// Its bytes.
    pub bytes: u64,
    /// When it was uploaded.
    pub put_at: String,
    /// State of its service, once this node has compiled it.
    pub state: Option<ServiceState>,
    /// Nodes that have compiled it.
    pub nodes: &'a [String],
    /// Members that have not.
    pub missing: Vec<&'a str>,
    /// Why nodes cannot deploy it.
    pub problems: Vec<UnitProblem<'a>>,
}

/// Why a node cannot deploy a unit.
#[derive(Serialize)]
pub struct UnitProblem<'a> {
    /// The node.
    pub node: &'a str,
    /// What it says.
    pub text: &'a str,
    /// That may pass: it tries again to compile the unit.
    pub passing: bool,
}

impl<'a> UnitView<'a> {
    /// A unit in the account of a node.
    pub fn new(unit: &'a UnitStatus, status: &'a Status) -> Self {
        let members = status.view.members.iter().map(|run| run.node.as_str());
        let lacks = |node: &&str| !unit.nodes.iter().any(|has| has == node);
        let own = status.run.node.as_str();
        let here = unit.problem.iter().map(|text| UnitProblem {
            node: own,
            text,
            passing: unit.is_passing,
        });
        // Of other nodes only the alarms are known.
        let [lasts, passes] = ["deployed here:", "compiled here yet:"]
            .map(|what| format!("{} is not {what}", unit.service));
        let elsewhere = status.peer_alarms.iter().flat_map(|(node, alarms)| {
            let of_unit = alarms.iter().filter(|it| it.source == SOURCE);
            of_unit.map(|it| UnitProblem {
                node: node.as_str(),
                text: it.text.as_str(),
                passing: it.text.starts_with(&passes),
            })
        });
        let elsewhere: Vec<_> =
            elsewhere.filter(|it| it.passing || it.text.starts_with(&lasts)).collect();
        let service = status.services.iter().find(|it| it.name == unit.service);
        UnitView {
            id: &unit.id,
            service: &unit.service,
            bytes: unit.bytes,
            put_at: moment::iso(unit.put_at),
            state: service.map(|it| it.state),
            nodes: &unit.nodes,
            missing: members.filter(lacks).collect(),
            problems: here.chain(elsewhere).collect(),
        }
    }
}
