//! What all cells hold, counted in one pass over them: a status is asked for each second by each
//! page that is open, and no heartbeat leaves while it is made.

use crate::adaptors::AdaptorId;
use crate::core::Core;
use resilee_sbb::CohortId;
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Census<'a> {
    /// Cells of each cohort.
    pub cells: BTreeMap<CohortId, u64>,
    /// Activities, whoever has them.
    pub activities: u64,
    services: BTreeMap<&'a str, OfService>,
    adaptors: BTreeMap<AdaptorId, OfAdaptor>,
}

/// SBB entities of a service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfService {
    /// In the cluster.
    pub all: u64,
    /// In cells that are owned here.
    pub owned: u64,
    /// Root entities that are created once their first event is taken.
    pub to_come: u64,
}

/// Living activities of an adaptor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfAdaptor {
    /// In the cluster.
    pub all: u64,
    /// In cells that are owned here.
    pub owned: u64,
}

impl<'a> Census<'a> {
    /// Counts all cells of a node, its own and those that it holds as backup.
    pub fn of(core: &'a Core) -> Self {
        let mut census = Census::default();
        // Most cells that follow each other are of one cohort.
        let mut last = None;
        for (id, cell) in &core.cells {
            let owned = match last {
                Some((cohort, owned)) if cohort == id.cohort => owned,
                _ => core.owns(*id),
            };
            last = Some((id.cohort, owned));
            *census.cells.entry(id.cohort).or_default() += 1;
            census.activities += cell.activities.len() as u64;
            for activity in cell.activities.values().filter(|activity| activity.is_adaptors()) {
                let count = census.adaptors.entry(activity.adaptor).or_default();
                count.all += 1;
                count.owned += u64::from(owned);
            }
            for entity in cell.entities.values() {
                let count = census.services.entry(&entity.service).or_default();
                count.all += 1;
                count.owned += u64::from(owned);
            }
            let to_come = |(number, _): &(&u32, _)| !cell.entities.contains_key(number);
            for (_, retry) in cell.retries.iter().filter(to_come) {
                census.services.entry(&retry.service).or_default().to_come += 1;
            }
        }
        census
    }

    /// What there is of a service.
    pub fn of_service(&self, name: &str) -> OfService {
        self.services.get(name).copied().unwrap_or_default()
    }

    /// What there is of an adaptor.
    pub fn of_adaptor(&self, id: AdaptorId) -> OfAdaptor {
        self.adaptors.get(&id).copied().unwrap_or_default()
    }
}
