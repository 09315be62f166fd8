//! Life cycles of services and what waits in calls (chapter 13.6).

use crate::pair::Pair;
use resilee_core::management::{Changed, TableChange};

/// An operator wants services active, and others inactive.
pub fn want(pair: &mut Pair, activate: &[&str], deactivate: &[&str]) {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let (activate, deactivate) = (owned(activate), owned(deactivate));
    let change = TableChange::Services { activate, deactivate };
    assert_eq!(pair.change(0, change), Some(Changed::Done));
}
