//! Units of the fake node: `linked:NAME` is one with that service, anything else is none.

use crate::fake_node::FakeNode;
use resilee_core::management::{
    Answer, Changed, ServiceState, ServiceStatus, UnitDescription, UnitStatus,
};
use resilee_core::{UNIT_BYTES_MAX, UNIT_PART_BYTES};
use resilee_sbb::{
    AttributeAlias, ChildRelation, Context, Deployment, Descriptor, Event, Failure, FailurePolicy,
    LinkedSbb, OnRollBack, Sbb, UsageParameter,
};
use serde::{Deserialize, Serialize};

const USAGE: &[UsageParameter] = &[UsageParameter::counter("calls_refused")];

/// A child of each unit's service.
#[derive(Default, Serialize, Deserialize)]
struct List;

impl Sbb for List {
    const STATE_VERSION: u32 = 1;

    fn descriptor() -> Descriptor {
        const SHARED: AttributeAlias = AttributeAlias { attribute: "who", alias: "list.who" };
        let (events, attribute_aliases) = (&["list.changed"], &[SHARED]);
        Descriptor { version: "2", events, attribute_aliases, ..Descriptor::named("list") }
    }

    fn on_event(&mut self, _: &mut Context<'_>, _: &Event) -> Result<(), Failure> {
        Ok(())
    }
}

const CHILDREN: &[ChildRelation] =
    &[ChildRelation { name: "lists", sbb: LinkedSbb::of::<List>(), priority: 0 }];

/// The id that the fake node gives to bytes.
pub fn id_of(bytes: &[u8]) -> String {
    format!("{:0<64x}", bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

impl FakeNode {
    pub fn describe_unit(&self, bytes: &[u8]) -> Answer {
        if !self.compiles {
            return Answer::Refused("this node cannot compile units".to_owned());
        }
        assert!(bytes.len() <= UNIT_BYTES_MAX);
        let text = String::from_utf8_lossy(bytes);
        let name = text.strip_prefix("linked:").and_then(|name| name.split(' ').next());
        let Some(name) = name else {
            return Answer::Unit(Err("it is no WebAssembly component".to_owned()));
        };
        let descriptor = Descriptor {
            vendor: "Example Ltd",
            version: "1.2",
            priority: 100,
            initial_events: &["sip.invite"],
            selects_initial_events: true,
            on_roll_back: OnRollBack::Retry,
            events: &["sip.answered", "sip.ended"],
            usage: USAGE,
            children: CHILDREN,
            deployment: Deployment {
                on_repeated_failures: FailurePolicy::Suspend,
                ..Deployment::ALONE
            },
            ..Descriptor::named("")
        };
        let unit = UnitDescription::new(id_of(bytes), bytes.len() as u64, &descriptor);
        let needs = match name {
            "till" => vec!["wallet".to_owned()],
            _ => Vec::new(),
        };
        let (service, permissions) = (name.to_owned(), vec!["call others".to_owned()]);
        let in_the_way = (name == "disk").then(|| "its SBB disk is the container's".to_owned());
        let unit = UnitDescription { service, needs, permissions, in_the_way, ..unit };
        Answer::Unit(Ok(Box::new(unit)))
    }

    pub fn put_unit_part(&mut self, part: u32, bytes: &[u8]) {
        if part == 0 {
            self.upload.clear();
        }
        assert_eq!(self.upload.len(), part as usize * UNIT_PART_BYTES, "in order");
        self.upload.extend_from_slice(bytes);
    }

    pub fn put_unit(&mut self, id: String, service: String, bytes: u64) -> Changed {
        assert_eq!((id_of(&self.upload), self.upload.len() as u64), (id.clone(), bytes));
        let nodes = vec!["server1".to_owned()];
        let put_at = self.status.now;
        self.status.services.push(ServiceStatus {
            name: service.clone(),
            vendor: "Example Ltd".to_owned(),
            version: "1.2".to_owned(),
            unit: service.clone(),
            priority: 100,
            state: ServiceState::Inactive,
            ..self.status.services[0].clone()
        });
        self.status.units.push(UnitStatus {
            id,
            service,
            bytes,
            put_at,
            nodes,
            problem: None,
            is_passing: false,
        });
        Changed::Done
    }

    /// Refused while its service is active.
    pub fn remove_unit(&mut self, id: &str) -> Changed {
        let Some(at) = self.status.units.iter().position(|unit| unit.id == id) else {
            return Changed::Refused(format!("there is no unit {id:?}"));
        };
        let service = self.status.units[at].service.clone();
        let is_it = |it: &ServiceStatus| it.name == service;
        if self.status.services.iter().any(|it| is_it(it) && it.state == ServiceState::Active) {
            return Changed::Refused(format!("{service} is active or has entities"));
        }
        self.status.units.remove(at);
        self.status.services.retain(|it| !is_it(it));
        Changed::Done
    }
}
