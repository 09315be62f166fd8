//! What a unit says that it is: descriptors as plain data, and back.
//!
//! SBBs name their children by the names of their SBBs, so that a tree may be as deep as it likes.
//! Fields may be added and are then missing in older units; none is taken away, and none changes
//! its meaning (`docs/units.md`).

use crate::codec::{CodecError, decode, encode};
use crate::deployment::{Begins, Deployment, FailurePolicy};
use crate::descriptor::{AttributeAlias, ChildRelation, Descriptor, OnRollBack};
use crate::linked::LinkedSbb;
use crate::permission::{Permission, PermissionDescription};
use crate::profile::{Attribute, Index, PROFILE_TABLES_MAX, ProfileTable};
use crate::profile_value::AttributeKind;
use crate::unseen::has_unseen;
use crate::usage::{UsageKind, UsageParameter};
use serde::{Deserialize, Serialize};

/// SBBs of a unit.
pub const UNIT_SBBS_MAX: usize = 64;
/// Bytes of a unit's description.
pub const UNIT_DESCRIPTION_BYTES_MAX: usize = 64 << 10;
/// Permissions of an SBB.
pub const UNIT_PERMISSIONS_MAX: usize = 64;
/// Event types that an SBB gets, those that begin an entity of it among them: a node looks through
/// them at each event, and so through what else is counted here.
pub const UNIT_EVENTS_MAX: usize = 256;
/// Child relations of an SBB.
pub const UNIT_RELATIONS_MAX: usize = 64;
/// Attributes of an SBB that others know by an alias.
pub const UNIT_ALIASES_MAX: usize = 256;
/// What an SBB counts and measures.
pub const UNIT_PARAMETERS_MAX: usize = 1_024;
/// Services that an SBB needs.
pub const UNIT_NEEDS_MAX: usize = 64;
/// Services whose entities an SBB may take.
pub const UNIT_MIGRATES_FROM_MAX: usize = 16;
/// Bytes of the name, vendor or version of an SBB, of each text of a permission, and of the name
/// of an event type, relation, alias, parameter, profile table or attribute.
pub const UNIT_NAME_BYTES_MAX: usize = 128;
/// Bytes of what a profile table says that it is about.
pub const UNIT_ABOUT_BYTES_MAX: usize = 1_024;

/// The services of a unit, and all their SBBs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitDescription {
    /// Names of the root SBBs: the services.
    pub services: Vec<String>,
    /// The root SBBs and all below them.
    pub sbbs: Vec<SbbDescription>,
}

/// A [`Descriptor`] as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SbbDescription {
    /// Its name.
    pub name: String,
    /// Who wrote it.
    pub vendor: String,
    /// Version as shown to operators.
    pub version: String,
    priority: i8,
    initial_events: Vec<String>,
    selects_initial_events: bool,
    events: Vec<String>,
    on_roll_back: OnRollBack,
    children: Vec<Child>,
    /// Attribute and alias.
    attribute_aliases: Vec<(String, String)>,
    usage: Vec<(String, UsageKind)>,
    unit: String,
    needs: Vec<String>,
    profile_tables: Vec<Table>,
    begins: Begins,
    on_repeated_failures: FailurePolicy,
    migrates_from: Vec<String>,
    /// What it may do.
    pub permissions: Vec<PermissionDescription>,
    /// It is built with a version in which whoever suspends events says so. One of an earlier
    /// version may, and operators are told that it may.
    tells_if_it_suspends: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Child {
    name: String,
    sbb: String,
    #[serde(default)]
    priority: i8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    name: String,
    #[serde(default)]
    about: String,
    attributes: Vec<TableAttribute>,
    #[serde(default)]
    named_by: Vec<String>,
    #[serde(default)]
    separator: String,
    profiles_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TableAttribute {
    name: String,
    kind: AttributeKind,
    required: bool,
    index: Index,
    secret: bool,
}

impl UnitDescription {
    /// That of a unit with these services.
    pub fn of(services: &[LinkedSbb]) -> Self {
        let mut description = UnitDescription::default();
        let mut sbbs: Vec<_> = services.iter().map(LinkedSbb::descriptor).collect();
        description.services.extend(sbbs.iter().map(|sbb| sbb.name.to_owned()));
        while let Some(sbb) = sbbs.pop() {
            if description.sbbs.iter().all(|known| known.name != sbb.name) {
                description.sbbs.push(SbbDescription::of(&sbb));
                sbbs.extend(sbb.children.iter().map(|relation| relation.sbb.descriptor()));
            }
        }
        description
    }

    /// What a unit says of itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let (size, max) = (bytes.len(), UNIT_DESCRIPTION_BYTES_MAX);
        if size > max {
            return Err(format!("its description has {size} bytes, {max} allowed"));
        }
        let unreadable = |error: CodecError| format!("its description is not readable: {error}");
        let description: UnitDescription = decode(bytes).map_err(unreadable)?;
        description.check()?;
        Ok(description)
    }

    /// The same as a unit says it.
    ///
    /// # Panics
    /// Never: plain data can be encoded.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self).expect("plain data can be encoded")
    }

    fn check(&self) -> Result<(), String> {
        if self.services.is_empty() {
            return Err("it has no service: give resilee_guest::export! one".to_owned());
        }
        if self.sbbs.len() > UNIT_SBBS_MAX {
            return Err(format!("it has {} SBBs, {UNIT_SBBS_MAX} allowed", self.sbbs.len()));
        }
        let is_there = |name: &String| self.sbbs.iter().any(|sbb| sbb.name == *name);
        let children = self.sbbs.iter().flat_map(|sbb| &sbb.children).map(|child| &child.sbb);
        if let Some(lacking) = self.services.iter().chain(children).find(|name| !is_there(name)) {
            return Err(format!("it names an SBB {lacking:?}, and does not describe it"));
        }
        for (place, sbb) in self.sbbs.iter().enumerate() {
            if self.sbbs[..place].iter().any(|other| other.name == sbb.name) {
                return Err(format!("it describes the SBB {:?} twice", sbb.name));
            }
            sbb.check()?;
        }
        Ok(())
    }

    /// The descriptors, in the order of [`UnitDescription::sbbs`], with what `child` makes of the
    /// SBBs of child relations. Their texts live as long as the process.
    pub fn leaked(&self, child: impl Fn(&str) -> LinkedSbb) -> Vec<Descriptor> {
        self.sbbs.iter().map(|sbb| sbb.leaked(&child)).collect()
    }
}

impl SbbDescription {
    fn of(sbb: &Descriptor) -> Self {
        let deployment = &sbb.deployment;
        let child = |relation: &ChildRelation| Child {
            name: relation.name.to_owned(),
            sbb: relation.sbb.descriptor().name.to_owned(),
            priority: relation.priority,
        };
        let alias = |it: &AttributeAlias| (it.attribute.to_owned(), it.alias.to_owned());
        SbbDescription {
            name: sbb.name.to_owned(),
            vendor: sbb.vendor.to_owned(),
            version: sbb.version.to_owned(),
            priority: sbb.priority,
            initial_events: owned(sbb.initial_events),
            selects_initial_events: sbb.selects_initial_events,
            events: owned(sbb.events),
            on_roll_back: sbb.on_roll_back,
            children: sbb.children.iter().map(child).collect(),
            attribute_aliases: sbb.attribute_aliases.iter().map(alias).collect(),
            usage: sbb.usage.iter().map(|it| (it.name.to_owned(), it.kind)).collect(),
            unit: deployment.unit.to_owned(),
            needs: owned(deployment.needs),
            profile_tables: deployment.profile_tables.iter().map(|it| Table::of(it)).collect(),
            begins: deployment.begins,
            on_repeated_failures: deployment.on_repeated_failures,
            migrates_from: owned(deployment.migrates_from),
            permissions: deployment.permissions.iter().map(Into::into).collect(),
            tells_if_it_suspends: true,
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || !name.bytes().all(is_part) {
            return Err(format!(
                "{name:?} is no name of an SBB: letters, digits, -, _ and . are expected"
            ));
        }
        let counts = [
            (self.initial_events.len() + self.events.len(), UNIT_EVENTS_MAX, "event types"),
            (self.attribute_aliases.len(), UNIT_ALIASES_MAX, "attribute aliases"),
            (self.children.len(), UNIT_RELATIONS_MAX, "child relations"),
            (self.usage.len(), UNIT_PARAMETERS_MAX, "usage parameters"),
            (self.profile_tables.len(), PROFILE_TABLES_MAX, "profile tables"),
            (self.needs.len(), UNIT_NEEDS_MAX, "services that it needs"),
            (self.permissions.len(), UNIT_PERMISSIONS_MAX, "permissions"),
        ];
        if let Some((count, max, what)) = counts.into_iter().find(|(count, max, _)| count > max) {
            return Err(format!("{name} has {count} {what}, {max} allowed"));
        }
        let own = [name, &self.vendor, &self.version, &self.unit];
        let pairs = self.attribute_aliases.iter().flat_map(|(own, alias)| [own, alias]);
        let children = self.children.iter().map(|child| &child.name);
        let texts = own.into_iter().chain(&self.initial_events).chain(&self.events).chain(pairs);
        let texts = texts.chain(self.usage.iter().map(|(name, _)| name)).chain(children);
        let permissions = self.permissions.iter().flat_map(PermissionDescription::texts);
        let tables = self.profile_tables.iter().flat_map(Table::texts);
        let texts =
            texts.chain(&self.needs).chain(&self.migrates_from).chain(permissions).chain(tables);
        if let Some(long) = texts.clone().find(|text| text.len() > UNIT_NAME_BYTES_MAX) {
            let start: String = long.chars().take(32).collect();
            return Err(format!(
                "{name} has a name of {} bytes, {UNIT_NAME_BYTES_MAX} allowed: {start:?}…",
                long.len()
            ));
        }
        let (count, max) = (self.migrates_from.len(), UNIT_MIGRATES_FROM_MAX);
        if count > max || self.migrates_from.iter().any(String::is_empty) {
            return Err(format!(
                "{name} takes entities of {count} services, of which each has a name, {max} allowed"
            ));
        }
        // That may have several lines.
        let abouts = self.profile_tables.iter().map(|table| &table.about);
        let abouts = abouts.map(|about| about.replace(['\n', '\t'], " "));
        if let Some(text) = texts.cloned().chain(abouts).find(|text| has_unseen(text)) {
            let text: String = text.chars().take(UNIT_NAME_BYTES_MAX).collect();
            return Err(format!("{name} has a text with a character that nobody sees: {text:?}"));
        }
        let mut tables = self.profile_tables.iter();
        if let Some(long) = tables.find(|table| table.about.len() > UNIT_ABOUT_BYTES_MAX) {
            let (size, max) = (long.about.len(), UNIT_ABOUT_BYTES_MAX);
            let table = &long.name;
            return Err(format!("{size} bytes tell what {table} is about, {max} allowed"));
        }
        // What has a slash is an attribute of one SBB alone.
        if let Some((_, bad)) = self.attribute_aliases.iter().find(|(_, it)| it.contains('/')) {
            return Err(format!("{name} has an alias {bad:?}: call it without a slash"));
        }
        let twice = |child: &&Child| {
            self.children.iter().filter(|other| other.name == child.name).count() > 1
        };
        match self.children.iter().find(twice) {
            Some(child) => Err(format!("{name} has two child relations {:?}", child.name)),
            None => Ok(()),
        }
    }

    fn leaked(&self, child: &impl Fn(&str) -> LinkedSbb) -> Descriptor {
        let relation = |it: &Child| ChildRelation {
            name: leak(&it.name),
            sbb: child(&it.sbb),
            priority: it.priority,
        };
        let alias = |(attribute, alias): &(String, String)| AttributeAlias {
            attribute: leak(attribute),
            alias: leak(alias),
        };
        let parameter =
            |(name, kind): &(String, UsageKind)| UsageParameter { name: leak(name), kind: *kind };
        let may = self.permissions.iter().map(PermissionDescription::leaked);
        let may_besides = (!self.tells_if_it_suspends).then_some(Permission::Suspend);
        Descriptor {
            name: leak(&self.name),
            vendor: leak(&self.vendor),
            version: leak(&self.version),
            priority: self.priority,
            initial_events: leak_all(&self.initial_events, |it| leak(it)),
            selects_initial_events: self.selects_initial_events,
            events: leak_all(&self.events, |it| leak(it)),
            on_roll_back: self.on_roll_back,
            children: leak_all(&self.children, relation),
            attribute_aliases: leak_all(&self.attribute_aliases, alias),
            usage: leak_all(&self.usage, parameter),
            deployment: Deployment {
                unit: leak(&self.unit),
                needs: leak_all(&self.needs, |it| leak(it)),
                profile_tables: leak_all(&self.profile_tables, Table::leaked),
                begins: self.begins,
                on_repeated_failures: self.on_repeated_failures,
                migrates_from: leak_all(&self.migrates_from, |it| leak(it)),
                permissions: may.chain(may_besides).collect::<Vec<_>>().leak(),
                is_uploaded: false,
            },
        }
    }
}

impl Table {
    fn of(table: &ProfileTable) -> Self {
        let attribute = |it: &Attribute| TableAttribute {
            name: it.name.to_owned(),
            kind: it.kind,
            required: it.required,
            index: it.index,
            secret: it.secret,
        };
        Table {
            name: table.name.to_owned(),
            about: table.about.to_owned(),
            attributes: table.attributes.iter().map(attribute).collect(),
            named_by: owned(table.named_by),
            separator: table.separator.to_owned(),
            profiles_max: table.profiles_max,
        }
    }

    /// Its names.
    fn texts(&self) -> impl Iterator<Item = &String> + Clone {
        let attributes = self.attributes.iter().map(|attribute| &attribute.name);
        [&self.name, &self.separator].into_iter().chain(attributes).chain(&self.named_by)
    }

    fn leaked(&self) -> &'static ProfileTable {
        let attribute = |it: &TableAttribute| Attribute {
            name: leak(&it.name),
            kind: it.kind,
            required: it.required,
            index: it.index,
            secret: it.secret,
        };
        Box::leak(Box::new(ProfileTable {
            name: leak(&self.name),
            about: leak(&self.about),
            attributes: leak_all(&self.attributes, attribute),
            named_by: leak_all(&self.named_by, |it| leak(it)),
            separator: leak(&self.separator),
            profiles_max: self.profiles_max,
        }))
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

fn leak_all<T, R>(items: &[T], leaked: impl Fn(&T) -> R) -> &'static [R] {
    items.iter().map(leaked).collect::<Vec<_>>().leak()
}
