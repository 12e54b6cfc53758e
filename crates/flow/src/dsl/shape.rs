//! How the value of a property is read.

/// When an expression is evaluated, which decides on the variables it has (dsl.md, "Runtime expression arguments").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The workflow's `input.from`.
    WorkflowInput,
    /// The workflow's `output.as`.
    WorkflowOutput,
    /// A task's `if` and `input.from`.
    If,
    /// A task's definition and `output.as`.
    Task,
    /// A task's `export.as`.
    Export,
    /// An event filter; `.` is the attribute, in `from` the event.
    Event,
    /// A retry policy, which sees the error.
    Retry,
}

impl Phase {
    /// The variables, without `$`.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::WorkflowInput => &["workflow", "runtime"],
            Self::WorkflowOutput => &["context", "workflow", "runtime"],
            Self::If => &["context", "task", "workflow", "runtime"],
            Self::Task | Self::Event => &["context", "input", "task", "workflow", "runtime"],
            Self::Export => &["context", "input", "output", "task", "workflow", "runtime"],
            Self::Retry => &["context", "input", "task", "workflow", "runtime", "error"],
        }
    }
}

/// How a value is read.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Not supported, and why.
    Refused(&'static str),
    /// Anything; expressions in it are not evaluated.
    Any,
    /// Text.
    Text,
    /// Text that is a name: letters, digits, `-` and `_`.
    Name,
    /// Text that is the name of a variable.
    Variable,
    /// A whole number, not negative.
    Whole,
    /// True or false.
    Flag,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of names.
    Names,
    /// An expression, bare or in `${ }`.
    Expression(Phase),
    /// A value whose texts may hold expressions; a bare text where the property takes only an expression.
    Template(Phase),
    /// An object of a kind.
    Object(&'static str),
    /// An empty object.
    Empty,
    /// Something that has at least one entry.
    NonEmpty(&'static Shape),
    /// A list of objects of a kind.
    Objects(&'static str),
    /// Objects of a kind, by name.
    Map(&'static str),
    /// The name of a reusable component, or an object of its kind.
    Either(&'static str),
    /// The first of these that has the value's type.
    OneOf(&'static [Shape]),
    /// Tasks in order, each an object with one key.
    Tasks,
    /// Tasks by name.
    Functions,
    /// Cases of a switch, each an object with one key.
    Cases,
    /// Correlations by name.
    Correlations,
    /// A flow directive.
    Directive,
    /// A duration: an object, ISO 8601, or an expression.
    Duration,
    /// A URI template, an expression, or an object.
    Endpoint,
}
