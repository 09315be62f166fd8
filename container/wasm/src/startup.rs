//! What a module does when an instance of it starts, and what each instance takes of its node's
//! heap. It is looked at before it is compiled.
//!
//! The compiler makes one function of all that a module does at its start: of each element it makes
//! a call, so of one byte of a file more than a kilobyte. What it knows to be the same each time it
//! makes no code of, but that is the engine's to see: here all are counted.
//!
//! An instance has a place for each function, global and data segment, and for each element that is
//! not put into a table. That is no memory of the unit's, so nobody else counts it.

use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, ElementItems, ElementKind, ElementSectionReader,
    Payload, TableInit,
};

/// Instructions of an expression that is a constant, with its end.
const CONSTANT: u32 = 2;

/// What a section has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Elements, and instructions that say what globals are, and where elements and data go.
    pub steps: u32,
    pub data_segments: u32,
    /// What takes a place in each instance.
    pub places: u32,
}

impl Counted {
    pub fn of(payload: &Payload<'_>) -> Result<Self, BinaryReaderError> {
        let mut counted = Counted::default();
        match payload {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    import?;
                    counted.place(1);
                }
            }
            Payload::FunctionSection(section) => counted.place(section.count()),
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    counted.step(instructions(&global?.init_expr)?);
                    counted.place(1);
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    if let TableInit::Expr(element) = table?.init {
                        counted.step(instructions(&element)?);
                    }
                }
            }
            Payload::ElementSection(section) => counted.add_elements(section.clone())?,
            Payload::DataSection(section) => {
                for data in section.clone() {
                    if let DataKind::Active { offset_expr, .. } = data?.kind {
                        counted.step(instructions(&offset_expr)?.saturating_sub(CONSTANT));
                    }
                    counted.data_segments = counted.data_segments.saturating_add(1);
                    counted.place(1);
                }
            }
            _ => {}
        }
        Ok(counted)
    }

    fn step(&mut self, count: u32) {
        self.steps = self.steps.saturating_add(count);
    }

    fn place(&mut self, count: u32) {
        self.places = self.places.saturating_add(count);
    }

    fn add_elements(&mut self, section: ElementSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for segment in section {
            let segment = segment?;
            if let ElementKind::Active { offset_expr, .. } = &segment.kind {
                self.step(instructions(offset_expr)?);
            }
            let count = match segment.items {
                ElementItems::Functions(items) => {
                    self.step(items.count());
                    items.count()
                }
                ElementItems::Expressions(_, items) => {
                    let count = items.count();
                    for item in items {
                        self.step(instructions(&item?)?);
                    }
                    count
                }
            };
            // One without elements is something, too.
            self.step(1);
            self.place(1);
            if let ElementKind::Passive = segment.kind {
                self.place(count);
            }
        }
        Ok(())
    }
}

/// Instructions of an expression, with its end.
fn instructions(expression: &ConstExpr<'_>) -> Result<u32, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let mut count: u32 = 0;
    while !operators.eof() {
        operators.read()?;
        count = count.saturating_add(1);
    }
    Ok(count)
}
