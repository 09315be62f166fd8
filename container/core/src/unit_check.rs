//! Whether the service of a unit may be deployed beside what is there: it takes no name of
//! somebody else.
//!
//! | a name of                    | is refused if                                               |
//! |------------------------------|-------------------------------------------------------------|
//! | the service                  | another service, unit or SBB has it                         |
//! | the service, or a child SBB  | the container raises alarms or keeps rows under it, or it   |
//! |                              | is that of a resource adaptor                               |
//! | a child SBB                  | a service has it: the child would share its attributes      |
//! | a profile table that nobody  | a service may write rows of it, or has: from then on they   |
//! | declares yet                 | would have to be profiles. Rows that are some already are   |
//! |                              | those that an earlier unit has left; what was secret of     |
//! |                              | them has to be so again                                     |

use crate::alarms::sources::ALARM_SOURCES;
use crate::core::Core;
use resilee_sbb::{Descriptor, PROFILE_TABLES_MAX, Permission, Profile, ProfileTable};
use std::collections::BTreeSet;

/// How names of the container's own tables, tracers and events begin.
const OF_CONTAINER: &str = "slee.";

impl Core {
    /// # Errors
    /// Why the service of a unit is not deployed.
    pub(crate) fn check_deployable(&self, service: &Descriptor) -> Result<(), String> {
        if self.deployed().any(|it| [it.name, it.unit()].contains(&service.name)) {
            return Err(format!("there is a service or unit {} already", service.name));
        }
        self.check_names(service)?;
        for table in service.deployment.profile_tables {
            self.check_table(table)?;
        }
        let known = self.deployed().flat_map(|it| it.deployment.profile_tables);
        let all = known.chain(service.deployment.profile_tables).map(|table| table.name);
        match all.collect::<BTreeSet<_>>().len() <= PROFILE_TABLES_MAX {
            true => Ok(()),
            false => Err(format!("there would be more than {PROFILE_TABLES_MAX} profile tables")),
        }
    }

    fn check_names(&self, service: &Descriptor) -> Result<(), String> {
        for sbb in service.all_sbbs() {
            let name = sbb.name;
            let is_container_s = name.starts_with(OF_CONTAINER) || ALARM_SOURCES.contains(&name);
            if is_container_s || self.adaptors.named(name).is_some() {
                let text = "is a name of the container or of a resource adaptor";
                return Err(format!("its SBB {name} {text}: call it otherwise"));
            }
            if self.is_deployed(name) {
                return Err(format!(
                    "its child SBB {name} has the name of a service that is deployed: call it \
                     otherwise"
                ));
            }
        }
        let has = |it: &&Descriptor| it.all_sbbs().iter().any(|sbb| sbb.name == service.name);
        match self.deployed().find(has) {
            Some(other) => {
                let (name, other) = (service.name, other.name);
                Err(format!("{other} has a child SBB {name}: call the service otherwise"))
            }
            None => Ok(()),
        }
    }

    fn check_table(&self, table: &ProfileTable) -> Result<(), String> {
        table.check_schema().map_err(|error| error.to_string())?;
        let mut known = self.deployed().flat_map(|it| it.deployment.profile_tables);
        let name = table.name;
        match known.find(|other| other.name == name) {
            Some(other) if **other == *table => return Ok(()),
            Some(_) => return Err(format!("it declares the profile table {name} differently")),
            None => {}
        }
        let writes =
            |it: &&Descriptor| it.deployment.permissions.contains(&Permission::Write(name));
        if let Some(other) = self.deployed().find(writes) {
            let other = other.name;
            return Err(format!(
                "it declares the profile table {name}, which {other} writes as rows of its own: \
                 call the table otherwise"
            ));
        }
        let left = self.left_table(name).filter(|_| self.tables.len(name) > 0);
        if let Some((left, secret)) = left.as_ref().and_then(|it| Some((it, it.shown_by(table)?))) {
            let service = &left.service;
            return Err(format!(
                "it declares the profile table {name}, of which {service} has left profiles with a \
                 secret attribute {secret}, and does not declare that as secret: do so, or upload \
                 {service} again and remove the profiles"
            ));
        }
        let was_one = left.is_some();
        let is_profile = |(_, row): (&str, &[u8])| Profile::from_row(row).is_ok();
        let are_profiles =
            self.has_profiles_of(table) || was_one && self.tables.rows(name).any(is_profile);
        match self.tables.len(name) == 0 || are_profiles {
            true => Ok(()),
            false => Err(format!(
                "it declares the profile table {name}, under whose name there are rows that are no \
                 profiles of it: call the table otherwise"
            )),
        }
    }
}
