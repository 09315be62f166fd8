//! Every planted fault is found by the simulator's checkers, and what finds it passes without it.

use resilee_membership::PlantedFault;
use resilee_sim::planted::find;

#[test]
fn every_planted_fault_is_found_and_nothing_else() {
    let outcomes: Vec<_> = PlantedFault::ALL.iter().map(|fault| (fault, find(*fault))).collect();
    for (fault, outcome) in &outcomes {
        match outcome {
            Ok(found) => println!("{fault:?}: {} runs: {}", found.runs, found.rule),
            Err(reason) => println!("{fault:?}: {reason}"),
        }
    }
    let missed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
