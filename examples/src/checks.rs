//! The numbered checks of the story: what was promised, and whether it held.

use std::fmt::Display;

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// `8.2`: step and check.
    pub number: String,
    /// What must hold, in a few words.
    pub name: String,
    /// Whether it did.
    pub held: bool,
    /// What was found.
    pub found: String,
}

/// All checks so far.
#[derive(Debug, Default)]
pub struct Checks {
    step: u32,
    in_step: u32,
    done: Vec<Check>,
}

impl Checks {
    /// Checks are numbered within their step.
    pub fn begin_step(&mut self, step: u32) {
        self.step = step;
        self.in_step = 0;
    }

    /// Notes one check and returns it for printing.
    pub fn note(&mut self, name: impl Display, held: bool, found: impl Display) -> Check {
        self.in_step += 1;
        let number = format!("{}.{}", self.step, self.in_step);
        let check = Check { number, name: name.to_string(), held, found: found.to_string() };
        self.done.push(check.clone());
        check
    }

    /// Those that did not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.done.iter().filter(|check| !check.held)
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.done.len()
    }
}
