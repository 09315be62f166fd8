//! The resource adaptors of a node: a small fixed list, in an order that is the same everywhere.
//!
//! An adaptor is known by its place in the list. Records name it by that number, and the first one
//! not at all: what was written when there was one adaptor is its own. So a program's list may only
//! grow at its end.
//!
//! | what belongs to one adaptor | how it is known                                                |
//! |-----------------------------|----------------------------------------------------------------|
//! | a message in or out         | [`Ingress::adaptor`](crate::Ingress), stamped by the core      |
//! | an activity                 | its record; a null activity has none                           |
//! | a key of a cell             | the adaptor is part of [`CellKey`], so that those of two never |
//! |                             | meet                                                           |
//!
//! A cell is nobody's: an SBB of a call may start an activity of another adaptor in it.

use crate::adaptor_life_cycles::WantedAdaptor;
use crate::core::Core;
use crate::resource_adaptor::{Egress, Ingress, ResourceAdaptor, Scope};
use resilee_sbb::{ActivityId, CellId};
use serde::{Deserialize, Serialize};

/// Adaptors that a node may have.
pub const ADAPTORS_MAX: usize = 8;

/// The place of an adaptor in the list of its node.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct AdaptorId(pub u8);

impl AdaptorId {
    /// The one whose clients come by the balancer, if there is one.
    pub const FIRST: AdaptorId = AdaptorId(0);

    /// True for [`AdaptorId::FIRST`].
    pub fn is_first(&self) -> bool {
        *self == AdaptorId::FIRST
    }
}

/// What all messages of one cell share; one living cell has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CellKey {
    /// Whose messages.
    pub adaptor: AdaptorId,
    /// Kind of cell.
    pub scope: Scope,
    /// The adaptor's own hash.
    pub key: u64,
}

/// One of them.
struct Deployed {
    name: &'static str,
    adaptor: Box<dyn ResourceAdaptor>,
    /// What an operator wants of it.
    wanted: WantedAdaptor,
    /// The last cell of which it was asked to look at its activities.
    examined: Option<CellId>,
}

/// The adaptors of a node, by name.
pub struct Adaptors {
    list: Vec<Deployed>,
    /// One of them asks about references.
    ask_about_references: bool,
}

impl Adaptors {
    /// The first adaptor, under a name that operators and services know.
    pub fn first(name: &'static str, adaptor: Box<dyn ResourceAdaptor>) -> Self {
        Adaptors { list: Vec::new(), ask_about_references: false }.and(name, adaptor)
    }

    /// One more, behind those before.
    ///
    /// # Panics
    /// If the name is taken, or there are [`ADAPTORS_MAX`] already.
    #[must_use]
    pub fn and(mut self, name: &'static str, adaptor: Box<dyn ResourceAdaptor>) -> Self {
        assert!(self.named(name).is_none(), "two adaptors are called {name}");
        assert!(self.list.len() < ADAPTORS_MAX, "a node has {ADAPTORS_MAX} adaptors at most");
        self.ask_about_references |= adaptor.asks_about_references();
        let wanted = WantedAdaptor::default();
        self.list.push(Deployed { name, adaptor, wanted, examined: None });
        self
    }

    /// The place of the adaptor with this name.
    pub fn named(&self, name: &str) -> Option<AdaptorId> {
        let at = self.list.iter().position(|known| known.name == name)?;
        u8::try_from(at).ok().map(AdaptorId)
    }

    /// An adaptor; `None` for one that this program does not have.
    pub(crate) fn get(&self, id: AdaptorId) -> Option<&dyn ResourceAdaptor> {
        self.list.get(usize::from(id.0)).map(|it| it.adaptor.as_ref())
    }

    /// The same, to be told something.
    pub(crate) fn get_mut(&mut self, id: AdaptorId) -> Option<&mut dyn ResourceAdaptor> {
        match self.list.get_mut(usize::from(id.0)) {
            Some(deployed) => Some(deployed.adaptor.as_mut()),
            None => None,
        }
    }

    /// All of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = AdaptorId> + use<> {
        (0..ADAPTORS_MAX.min(self.list.len()) as u8).map(AdaptorId)
    }

    /// The name of a deployed one.
    pub(crate) fn name(&self, id: AdaptorId) -> &'static str {
        self.list.get(usize::from(id.0)).map_or("unknown", |it| it.name)
    }

    /// What an operator wants of a deployed one.
    pub(crate) fn wanted(&self, id: AdaptorId) -> &WantedAdaptor {
        &self.list[usize::from(id.0)].wanted
    }

    /// The same, to be changed.
    pub(crate) fn wanted_mut(&mut self, id: AdaptorId) -> &mut WantedAdaptor {
        &mut self.list[usize::from(id.0)].wanted
    }

    /// How far a deployed one has looked at its activities.
    pub(crate) fn examined_mut(&mut self, id: AdaptorId) -> &mut Option<CellId> {
        &mut self.list[usize::from(id.0)].examined
    }

    /// True if one of them wants to hear of activities that nobody is attached to.
    pub(crate) fn ask_about_references(&self) -> bool {
        self.ask_about_references
    }

    /// An activity is over, or not here any more; whose it was need not be known.
    pub(crate) fn forget(&mut self, activity: ActivityId) {
        self.list.iter_mut().for_each(|it| it.adaptor.forget(activity));
    }
}

impl Core {
    /// Whose an activity is; `None` for a null activity, a mirror, and one that is not there.
    pub(crate) fn adaptor_of(&self, activity: ActivityId) -> Option<AdaptorId> {
        let known = self.cells.get(&activity.cell)?.activities.get(&activity.number)?;
        known.is_adaptors().then_some(known.adaptor)
    }

    /// Answers a message outside any cell.
    pub(crate) fn answer_by(
        &mut self,
        ingress: &Ingress,
        answer: impl FnOnce(&mut dyn ResourceAdaptor) -> Vec<Egress>,
    ) {
        let Some(adaptor) = self.adaptors.get_mut(ingress.adaptor) else { return };
        let answers = of_adaptor(ingress.adaptor, answer(adaptor));
        self.answer(answers);
    }
}

/// Messages bear the adaptor that says them, whatever it wrote.
pub(crate) fn of_adaptor(adaptor: AdaptorId, mut egress: Vec<Egress>) -> Vec<Egress> {
    egress.iter_mut().for_each(|egress| egress.adaptor = adaptor);
    egress
}
