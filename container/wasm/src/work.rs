//! How much work the functions of a unit are for the compiler. It is looked at before they are
//! compiled: neither time nor memory of the compiler have a limit, and of a function of 9 KB it can
//! have work for a minute. What is counted here is the same at all nodes, whatever their
//! processors.
//!
//! | what is counted                         | since the compiler                              |
//! |-----------------------------------------|-------------------------------------------------|
//! | values at a branch: locals, and what is | passes all of them along, or asks for each of   |
//! | on the stack                            | them whether it is another one there            |
//! | values that branches bring together,    | looks for one place for all that come in, and   |
//! | for each two branches, and each two     | compares each of them with those that have a    |
//! | values                                  | place                                           |
//! | instructions, by the values there are   | has a place for each value at each of them      |
//! | functions, and their parameters         | makes code that calls them from outside         |
//!
//! A value that nobody reads behind the place where branches meet, or that nobody changes before
//! it, is not brought together there. That is what functions of real units are full of.

use crate::component::invalid;
use crate::limits::{
    BLOCK_DEPTH_MAX, BRANCH_VALUES_MAX, LOOP_DEPTH_MAX, PARAMETERS_MAX, RESULTS_MAX,
    SIGNATURES_MAX, VALUES_MAX, WORK_MAX,
};
use wasmparser::{
    BinaryReaderError, CompositeInnerType, FuncToValidate, FuncValidator, FuncValidatorAllocations,
    FunctionBody, Operator, OperatorsReader, Parser, Payload, TypeSectionReader, ValidPayload,
    Validator, ValidatorResources, WasmFeatures,
};

/// Steps of work, each some 0.1 µs at worst: for a function, one of its parameters, an instruction,
/// and a value at a branch.
const FUNCTION: u64 = 300;
const PARAMETER: u64 = 50;
const INSTRUCTION: u64 = 25;
const BRANCH_VALUE: u64 = 8;
/// One step for so many values at an instruction.
const VALUES_OF_A_STEP: u64 = 2;
/// Bytes of a type of a core function at least.
const SIGNATURE_BYTES_MIN: usize = 2;

/// What the functions of a unit are.
#[derive(Debug, Default)]
struct Work {
    signatures: u64,
    steps: u64,
    /// Steps of the largest function, and its number in its module.
    largest: (u64, u32),
}

/// A place where branches meet.
#[derive(Debug)]
struct Label {
    is_loop: bool,
    /// The instruction that begins its block.
    begins: usize,
    /// Branches that come here, with the way that needs none.
    branches: u64,
    /// Values that they bring besides locals.
    passed: u64,
}

/// Where a function reads its locals.
#[derive(Debug)]
struct Reads {
    /// The last instruction that reads each of them.
    last: Vec<usize>,
    /// From where to where loops go that are in no other one, in order.
    loops: Vec<(usize, usize)>,
}

/// Why it is too much work.
pub(crate) fn check_work(component: &[u8]) -> Result<(), String> {
    let read = |error: BinaryReaderError| invalid(error.to_string());
    // What the engine does not take it refuses itself.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut allocations = FuncValidatorAllocations::default();
    let mut work = Work::default();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(read)?;
        match &payload {
            Payload::TypeSection(section) => work.add_signatures(section.clone())?,
            Payload::CoreTypeSection(section) => {
                work.add_signature_count(section.range().len() / SIGNATURE_BYTES_MIN)?;
            }
            _ => {}
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(read)? {
            allocations = work.add_function(function, &body, allocations)?;
        }
    }
    Ok(())
}

impl Work {
    fn add_signature_count(&mut self, count: usize) -> Result<(), String> {
        self.signatures += count as u64;
        at_most(self.signatures, SIGNATURES_MAX, || "it has".to_owned(), "types of functions")
    }

    /// The compiler makes code of its own for each.
    fn add_signatures(&mut self, section: TypeSectionReader<'_>) -> Result<(), String> {
        for group in section {
            let group = group.map_err(|error| invalid(error.to_string()))?;
            for of_type in group.into_types() {
                self.add_signature_count(1)?;
                if let CompositeInnerType::Func(function) = &of_type.composite_type.inner {
                    let which = || "it has a type of functions with".to_owned();
                    let count = function.params().len() as u64;
                    at_most(count, PARAMETERS_MAX, which, "parameters")?;
                    at_most(function.results().len() as u64, RESULTS_MAX, which, "results")?;
                }
            }
        }
        Ok(())
    }

    fn add_function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
        allocations: FuncValidatorAllocations,
    ) -> Result<FuncValidatorAllocations, String> {
        let read = |error: BinaryReaderError| invalid(error.to_string());
        let mut validator = function.into_validator(allocations);
        let parameters = u64::from(validator.len_locals());
        validator.read_locals(&mut body.get_binary_reader()).map_err(read)?;
        self.largest = self.largest.max((0, validator.index()));
        let before = self.steps;
        self.add(FUNCTION + PARAMETER * parameters, before, validator.index())?;
        let reads = Reads::of(body.get_operators_reader().map_err(read)?, &validator);
        let mut walk = Walk::new(&validator, reads.map_err(read)?);
        let mut operators = body.get_operators_reader().map_err(read)?;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset().map_err(read)?;
            let frame = validator.get_control_frame(0).map_or(0, |frame| frame.height);
            validator.op(at, &operator).map_err(read)?;
            let steps = walk.step(&operator, &validator, frame)?;
            self.add(steps, before, validator.index())?;
        }
        Ok(validator.into_allocations())
    }

    fn add(&mut self, steps: u64, before: u64, function: u32) -> Result<(), String> {
        self.steps = self.steps.saturating_add(steps);
        self.largest = self.largest.max((self.steps - before, function));
        if self.steps <= WORK_MAX {
            return Ok(());
        }
        let (largest, number) = self.largest;
        Err(format!(
            "its functions are {} steps of work for the compiler or more, {WORK_MAX} allowed, of \
             which {largest} are of function {number}: build it with --release, or divide that \
             function",
            self.steps
        ))
    }
}

/// A way through a function.
struct Walk {
    reads: Reads,
    /// The last instruction that changed each local.
    changes: Vec<usize>,
    /// Where the branches out of each open block meet, or those back to a loop, the innermost last.
    labels: Vec<Label>,
    open_loops: u32,
    branch_values: u64,
    /// The instruction it is at.
    at: usize,
}

impl Walk {
    fn new(validator: &FuncValidator<ValidatorResources>, reads: Reads) -> Self {
        let changes = vec![0; validator.len_locals() as usize];
        // To return is to branch behind the function.
        let labels = vec![Label { is_loop: false, begins: 0, branches: 1, passed: 0 }];
        Walk { reads, changes, labels, open_loops: 0, branch_values: 0, at: 0 }
    }

    /// Steps of work of an instruction, behind which the validator is; the stack of the innermost
    /// block began there before it.
    fn step(
        &mut self,
        operator: &Operator<'_>,
        validator: &FuncValidator<ValidatorResources>,
        frame: usize,
    ) -> Result<u64, String> {
        self.at += 1;
        let height = validator.operand_stack_height();
        let values = self.changes.len() as u64 + u64::from(height);
        let number = validator.index();
        let which = || format!("its function {number} has");
        at_most(values, VALUES_MAX, which, "values at once")?;
        let mut merged = 0;
        let branches = match operator {
            Operator::Block { .. } | Operator::TryTable { .. } => {
                self.open(false, 1, 0);
                1
            }
            // The way round it, or to its other half.
            Operator::If { .. } => {
                self.open(false, 2, 0);
                2
            }
            Operator::Loop { .. } => {
                let begins = validator.get_control_frame(0).map_or(0, |frame| frame.height);
                self.open(true, 1, u64::from(height).saturating_sub(begins as u64));
                1
            }
            Operator::Else | Operator::Return => 1,
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => {
                self.branch(*relative_depth);
                1
            }
            Operator::BrTable { targets } => {
                for target in targets.targets() {
                    self.branch(target.map_err(|error| invalid(error.to_string()))?);
                }
                self.branch(targets.default());
                u64::from(targets.len()) + 1
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                if let Some(change) = self.changes.get_mut(*local_index as usize) {
                    *change = self.at;
                }
                0
            }
            Operator::End => {
                merged = self.close(u64::from(height).saturating_sub(frame as u64));
                0
            }
            _ => 0,
        };
        self.branch_values += branches * values;
        at_most(self.branch_values, BRANCH_VALUES_MAX, which, "values at its branches")?;
        at_most(self.labels.len() as u64, BLOCK_DEPTH_MAX, which, "blocks within one another")?;
        at_most(self.open_loops.into(), LOOP_DEPTH_MAX, which, "loops within one another")?;
        let of_all = INSTRUCTION + values / VALUES_OF_A_STEP;
        Ok(of_all + BRANCH_VALUE.saturating_mul(branches * values).saturating_add(merged))
    }

    fn open(&mut self, is_loop: bool, branches: u64, passed: u64) {
        self.open_loops += u32::from(is_loop);
        self.labels.push(Label { is_loop, begins: self.at, branches, passed });
    }

    fn branch(&mut self, depth: u32) {
        let target = self.labels.iter_mut().rev().nth(depth as usize);
        target.into_iter().for_each(|label| label.branches += 1);
    }

    /// Steps of work for what meets at the label of the block that ends, besides what it leaves.
    fn close(&mut self, left: u64) -> u64 {
        let Some(label) = self.labels.pop() else { return 0 };
        self.open_loops -= u32::from(label.is_loop);
        let passed = if label.is_loop { label.passed } else { left };
        let read_from = match self.reads.loop_around(label.begins) {
            Some(begins) => begins,
            // Whoever returns reads no more.
            None if self.labels.is_empty() => usize::MAX,
            None => self.at,
        };
        let changed = self.changes.iter().zip(&self.reads.last);
        let merged = changed.filter(|(change, read)| **change > label.begins && **read > read_from);
        let merged = merged.count() as u64 + passed;
        let others = label.branches.saturating_add(2 * self.changes.len() as u64);
        merged.saturating_mul(label.branches).saturating_mul(others)
    }
}

impl Reads {
    fn of(
        mut operators: OperatorsReader<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> Result<Self, BinaryReaderError> {
        let mut reads = Reads { last: vec![0; validator.len_locals() as usize], loops: Vec::new() };
        let mut open: Vec<Option<usize>> = Vec::new();
        let (mut at, mut open_loops) = (0, 0);
        while !operators.eof() {
            at += 1;
            match operators.read()? {
                Operator::LocalGet { local_index } => {
                    let read = reads.last.get_mut(local_index as usize);
                    read.into_iter().for_each(|read| *read = at);
                }
                Operator::Loop { .. } => {
                    open_loops += 1;
                    open.push(Some(at));
                }
                Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                    open.push(None);
                }
                Operator::End => {
                    let Some(Some(begins)) = open.pop() else { continue };
                    open_loops -= 1;
                    if open_loops == 0 {
                        reads.loops.push((begins, at));
                    }
                }
                _ => {}
            }
        }
        Ok(reads)
    }

    /// Where the outermost loop begins that this instruction is in, or begins.
    fn loop_around(&self, at: usize) -> Option<usize> {
        let next = self.loops.partition_point(|(_, ends)| *ends < at);
        self.loops.get(next).map(|(begins, _)| *begins).filter(|begins| *begins <= at)
    }
}

fn at_most(count: u64, max: u64, which: impl Fn() -> String, what: &str) -> Result<(), String> {
    match count > max {
        true => Err(format!(
            "{} {count} {what} or more, {max} allowed: build it with --release, or smaller",
            which()
        )),
        false => Ok(()),
    }
}
