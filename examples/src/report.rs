//! What the reader sees: a line per step with its time, a spinner while something is waited for,
//! a line per check.

use crate::checks::Checks;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// Columns before the time of a step.
const WIDTH: usize = 84;

/// The report of one run.
#[derive(Debug)]
pub struct Report {
    /// What was checked so far.
    pub checks: Checks,
    step: u32,
    step_began: Instant,
    /// Lines that stand below the step's own, which is written when it is done.
    details: Vec<String>,
    is_open: bool,
    spinner: ProgressBar,
}

impl Report {
    /// A report with nothing in it yet.
    pub(crate) fn new() -> Self {
        Report {
            checks: Checks::default(),
            step: 0,
            step_began: Instant::now(),
            details: Vec::new(),
            is_open: false,
            spinner: ProgressBar::hidden(),
        }
    }

    /// A line above all steps.
    pub fn title(&self, text: impl Display) {
        println!("{text}");
    }

    /// The next step begins: a spinner with `text` turns until [`Self::done`].
    pub fn step(&mut self, step: u32, text: impl Display) {
        if step != self.step {
            self.checks.begin_step(step);
        }
        self.step = step;
        self.step_began = Instant::now();
        self.is_open = true;
        self.spinner.finish_and_clear();
        self.spinner = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{prefix:>2}  {spinner} {msg} {elapsed:.dim}");
        // The template is a constant of ours; should it ever not parse, the default will do.
        self.spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        self.spinner.set_prefix(step.to_string());
        self.spinner.set_message(text.to_string());
        self.spinner.enable_steady_tick(Duration::from_millis(100));
    }

    /// What the spinner waits for now.
    pub fn waiting(&self, text: impl Display) {
        self.spinner.set_message(text.to_string());
    }

    /// The step is done: its line with the time it took, then the lines below it.
    pub fn done(&mut self, text: impl Display) {
        self.spinner.finish_and_clear();
        let took = self.step_began.elapsed().as_secs_f64();
        let line = format!("{:>2}  {text}", self.step);
        println!("{line:<WIDTH$} {took:>7.2} s");
        self.write_details();
    }

    /// A line, or several, below the step.
    pub fn detail(&mut self, text: impl Display) {
        self.details.extend(text.to_string().lines().map(str::to_owned));
        if !self.is_open {
            self.write_details();
        }
    }

    /// Notes and prints a check; the story goes on in any case.
    pub fn check(&mut self, name: impl Display, held: bool, found: impl Display) {
        let check = self.checks.note(name, held, found);
        let mark = if held { "ok" } else { "FAILED" };
        self.detail(format!("{mark} {} {}: {}", check.number, check.name, check.found));
    }

    /// The story is over, perhaps in the middle of a step.
    pub fn stop(&mut self) {
        self.spinner.finish_and_clear();
        self.write_details();
    }

    fn write_details(&mut self) {
        self.is_open = false;
        for line in self.details.drain(..) {
            println!("      {line}");
        }
    }
}
