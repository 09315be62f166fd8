//! Activities and SBB entities that services begin in one turn are as many as a node is told.
//!
//! What ends in the turn is no measure. A service that begins the next activity at the end of each,
//! or the next child at the removal of each, has never many of them; but its turn would not end, so
//! nothing of it would be committed: not what other services did in it, not the bill of the call.

use crate::cell::Cell;
use crate::limits::Limits;
use resilee_sbb::{Effect, EntityState};

/// How many a delivery begins.
pub(crate) fn births(entities: &[EntityState], effects: &[Effect]) -> usize {
    let starts = |effect: &&Effect| {
        matches!(effect, Effect::StartActivity { .. } | Effect::StartActivityOf { .. })
    };
    let born = entities.iter().filter(|entity| entity.born.is_some()).count();
    born + effects.iter().filter(starts).count()
}

impl Cell {
    /// Why a delivery is rolled back: with what it begins there were too many in this turn.
    pub fn refuse_births(
        &self,
        entities: &[EntityState],
        effects: &[Effect],
        limits: &Limits,
    ) -> Option<String> {
        let more = births(entities, effects);
        let before = self.turn.as_ref().map_or(0, |turn| turn.births);
        let max = limits.births_per_turn_max;
        (more > 0 && before + more > max).then(|| {
            format!(
                "one message or timer may make services begin {max} activities and SBB entities of \
                 a call (births_per_turn_max): go on with a timer"
            )
        })
    }
}
