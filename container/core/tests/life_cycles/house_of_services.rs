//! Services that count, in two versions and with a dependency, on a pair.

use crate::pair::Pair;
use crate::toy::{Front, Said};
use resilee_core::management::{Changed, ServiceState, ServiceStatus, TableChange};
use resilee_sbb::{
    Begins, Context, Deployment, Descriptor, Event, Failure, LinkedSbb, Sbb, Tables,
};
use serde::{Deserialize, Serialize};

/// A service with this name, priority and deployment, which counts what it gets.
macro_rules! service {
    ($type:ident, $name:literal, $priority:literal, $deployment:expr) => {
        #[derive(Default, Serialize, Deserialize)]
        pub struct $type {
            count: u32,
        }

        impl Sbb for $type {
            const STATE_VERSION: u32 = 1;

            fn descriptor() -> Descriptor {
                let (name, priority, deployment) = ($name, $priority, $deployment);
                Descriptor { name, priority, deployment, ..Front::descriptor() }
            }

            fn on_event(&mut self, _: &mut Context<'_>, event: &Event) -> Result<(), Failure> {
                self.count += u32::from(event.get::<Said>()?.is_some());
                Ok(())
            }
        }
    };
}

service!(Old, "counter", 10, Deployment { unit: "counting", ..Deployment::ALONE });
service!(
    New,
    "counter-2",
    9,
    Deployment { unit: "counting-2", begins: Begins::Inactive, ..Deployment::ALONE }
);
service!(Base, "base", 1, Deployment { unit: "shop", ..Deployment::ALONE });
service!(Till, "till", 0, Deployment { unit: "shop", needs: &["base"], ..Deployment::ALONE });

pub const ALL: [LinkedSbb; 4] = [
    LinkedSbb::of::<Old>(),
    LinkedSbb::of::<New>(),
    LinkedSbb::of::<Base>(),
    LinkedSbb::of::<Till>(),
];

/// Both nodes are up, with all of these services.
pub fn pair() -> Pair {
    Pair::of(&ALL, Tables::default()).whole()
}

pub fn change(activate: &[&str], deactivate: &[&str]) -> TableChange {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    TableChange::Services { activate: owned(activate), deactivate: owned(deactivate) }
}

/// A change that must be made.
pub fn make(pair: &mut Pair, node: usize, wanted: TableChange) {
    assert_eq!(pair.change(node, wanted), Some(Changed::Done));
}

/// Why a change was refused.
pub fn refused(pair: &mut Pair, wanted: TableChange) -> String {
    match pair.change(0, wanted) {
        Some(Changed::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub fn service(pair: &Pair, node: usize, name: &str) -> ServiceStatus {
    let services = pair.status(node).services;
    services.into_iter().find(|service| service.name == name).expect("it is deployed")
}

/// The state that both nodes give a service.
pub fn state(pair: &Pair, name: &str) -> ServiceState {
    let states = [0, 1].map(|node| service(pair, node, name).state);
    assert_eq!(states[0], states[1], "the nodes agree");
    states[0]
}

/// Services that have got an event of a call, in the order of the deliveries.
pub fn served(pair: &Pair, node: usize) -> Vec<&'static str> {
    pair.nodes[node].delivered.iter().map(|deliver| deliver.service).collect()
}
