//! What an initial event selector answers: the convergence name
//! (`javax.slee.InitialEventSelector`).

use crate::event::Event;

/// Which root entity gets an initial event: the one whose convergence name has the same values of
/// all chosen variables. If there is none it is created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitialEvent {
    /// False: the event is not initial after all.
    is_initial: bool,
    activity_context: bool,
    cell: bool,
    event_type: bool,
    address: Option<String>,
    custom_name: Option<String>,
}

impl InitialEvent {
    /// One root entity for each activity context: what a service without a selector has.
    pub fn by_activity_context() -> Self {
        InitialEvent { is_initial: true, activity_context: true, ..InitialEvent::default() }
    }

    /// One root entity for each value of the variables that are added, in the whole cluster unless
    /// [`InitialEvent::activity_context`] or [`InitialEvent::cell`] is one of them.
    pub fn by() -> Self {
        InitialEvent { is_initial: true, ..InitialEvent::default() }
    }

    /// The event is not initial after all.
    pub fn none() -> Self {
        InitialEvent::default()
    }

    /// The activity context counts.
    #[must_use]
    pub fn activity_context(mut self) -> Self {
        self.activity_context = true;
        self
    }

    /// The call counts: one root entity for all activities of the event's cell, in that cell.
    #[must_use]
    pub fn cell(mut self) -> Self {
        self.cell = true;
        self
    }

    /// The event's type counts.
    #[must_use]
    pub fn event_type(mut self) -> Self {
        self.event_type = true;
        self
    }

    /// An address counts, for example the callee's.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// A name of the service's own counts.
    #[must_use]
    pub fn custom_name(mut self, name: impl Into<String>) -> Self {
        self.custom_name = Some(name.into());
        self
    }

    /// The name; `None` if the event is not initial. Its parts cannot run into each other, since
    /// each names its length.
    pub(crate) fn convergence_name(&self, event: &Event) -> Option<String> {
        if !self.is_initial {
            return None;
        }
        let part = |tag: char, text: &str| format!("{tag}{}:{text}", text.len());
        let activity = self.activity_context.then(|| event.activity.number.to_string());
        let parts = [
            activity.map(|activity| part('a', &activity)),
            self.cell.then(|| part('c', "")),
            self.event_type.then(|| part('t', &event.event_type)),
            self.address.as_ref().map(|address| part('d', address)),
            self.custom_name.as_ref().map(|name| part('n', name)),
        ];
        Some(parts.into_iter().flatten().collect())
    }
}

/// True if a convergence name names an activity context or a cell: its root entity is in the cell
/// of the event. Any other name is one root entity in the whole cluster.
pub fn is_of_one_cell(convergence_name: &str) -> bool {
    convergence_name.starts_with(['a', 'c'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ActivityId, CellId, CohortId};

    #[test]
    fn two_names_are_equal_if_and_only_if_all_chosen_variables_are() {
        let cell = CellId { cohort: CohortId(1), number: 1 };
        let activity = ActivityId { cell, number: 3 };
        let event = Event { event_type: "x".to_owned(), activity, payload: Vec::new() };
        let name = |it: InitialEvent| it.convergence_name(&event).expect("initial");
        let by = InitialEvent::by;
        let names = [
            name(by().address("a").custom_name("b")),
            name(by().address("a1:b")),
            name(by().custom_name("b")),
            name(by().event_type()),
            name(by()),
            name(InitialEvent::by_activity_context()),
            name(by().cell().custom_name("b")),
        ];
        let of_one_cell = names.iter().map(|name| is_of_one_cell(name)).collect::<Vec<_>>();
        assert_eq!(of_one_cell, [false, false, false, false, false, true, true]);
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        assert_eq!(names[0], name(by().custom_name("b").address("a")));
        assert_eq!(InitialEvent::none().convergence_name(&event), None);
    }
}
