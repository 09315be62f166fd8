//! What may be deployed together: names, dependencies and profile tables, checked before a node
//! starts.

use anyhow::bail;
use resilee_sbb::{Descriptor, LinkedSbb, PROFILE_TABLES_MAX, ProfileTable};
use std::collections::BTreeMap;

/// Checks the services of a node.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn check(services: &[LinkedSbb]) -> anyhow::Result<()> {
    let services: Vec<Descriptor> = services.iter().map(|sbb| sbb.descriptor()).collect();
    check_descriptors(&services)
}

fn check_descriptors(services: &[Descriptor]) -> anyhow::Result<()> {
    let mut names: Vec<_> = services.iter().map(|service| service.name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two services are named {:?}: names must differ", pair[0]);
    }
    for service in services {
        if names.contains(&service.unit()) && service.unit() != service.name {
            let (name, unit) = (service.name, service.unit());
            bail!("the unit of {name} has the name of the service {unit}: names must differ");
        }
        let lacking = service.deployment.needs.iter().find(|needed| !names.contains(needed));
        if let Some(lacking) = lacking {
            bail!("{} needs {lacking}, which is not deployed: deploy it as well", service.name);
        }
    }
    check_tables(services)
}

fn check_tables(services: &[Descriptor]) -> anyhow::Result<()> {
    let mut tables: BTreeMap<&str, (&str, &ProfileTable)> = BTreeMap::new();
    for service in services {
        for table in service.deployment.profile_tables {
            if let Err(error) = table.check_schema() {
                bail!("{}: {error}", service.name);
            }
            let (other, known) = *tables.entry(table.name).or_insert((service.name, table));
            if known != *table {
                let (name, table) = (service.name, table.name);
                bail!("{other} and {name} declare the profile table {table} differently");
            }
        }
    }
    if tables.len() > PROFILE_TABLES_MAX {
        bail!("{} profile tables, {PROFILE_TABLES_MAX} allowed", tables.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_call_billing::CallBilling;
    use resilee_call_control::CallControl;
    use resilee_registrar::Registrar;
    use resilee_sbb::{Deployment, Sbb};

    fn standard() -> Vec<Descriptor> {
        vec![CallControl::descriptor(), Registrar::descriptor(), CallBilling::descriptor()]
    }

    fn error(other: Descriptor) -> String {
        let services = [standard(), vec![other]].concat();
        check_descriptors(&services).expect_err("it is wrong").to_string()
    }

    #[test]
    fn the_standard_services_go_together() {
        assert!(check_descriptors(&standard()).is_ok());
    }

    #[test]
    fn a_service_without_what_it_needs_keeps_the_node_from_starting() {
        let text = error(Descriptor {
            name: "prepaid",
            deployment: Deployment { needs: &["wallet"], ..Deployment::ALONE },
            ..CallControl::descriptor()
        });
        assert_eq!(text, "prepaid needs wallet, which is not deployed: deploy it as well");
    }

    #[test]
    fn a_name_is_given_once_and_a_table_has_one_schema() {
        let text = error(CallControl::descriptor());
        assert_eq!(text, "two services are named \"call-control\": names must differ");
        const OTHER: ProfileTable =
            ProfileTable { profiles_max: 1, ..resilee_call_billing::TARIFF_PROFILES };
        let text = error(Descriptor {
            name: "prepaid",
            deployment: Deployment { profile_tables: &[&OTHER], ..Deployment::ALONE },
            ..CallControl::descriptor()
        });
        let expected = "call-billing and prepaid declare the profile table tariffs differently";
        assert_eq!(text, expected);
    }
}
