//! The steps of a task: a header before each, its time after it, the total at the end.
//!
//! A step's error gets the step's name; whether to go on is the caller's `?`. What a step does is
//! not here.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Times the steps of one task.
pub struct Steps {
    started: Instant,
    done: usize,
}

impl Steps {
    /// Starts the clock of the whole task.
    pub fn new() -> Self {
        Self { started: Instant::now(), done: 0 }
    }

    /// Runs one step between its header and its time.
    pub fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n==> {name}");
        let started = Instant::now();
        let outcome = step();
        let seconds = seconds(started.elapsed());
        match &outcome {
            Ok(_) => println!("<== {name}: ok, {seconds}"),
            Err(_) => println!("<== {name}: failed, {seconds}"),
        }
        self.done += 1;
        outcome.with_context(|| format!("step `{name}`"))
    }

    /// Prints the total of a task whose steps all went well.
    pub fn finish(&self) {
        let steps = if self.done == 1 { "step" } else { "steps" };
        println!("\n{} {steps} ok, {} in all", self.done, seconds(self.started.elapsed()));
    }
}

fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds / 60 {
        0 => format!("{:.1} s", elapsed.as_secs_f64()),
        minutes => format!("{minutes} min {} s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_failed_step_is_named_in_the_error() {
        let outcome: Result<()> = Steps::new().run("clippy", || bail!("two warnings"));
        assert_eq!(format!("{:#}", outcome.unwrap_err()), "step `clippy`: two warnings");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
