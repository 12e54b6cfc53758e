//! The structure of source text by rules: language, lines, functions, types, imports, marks of unfinished work.
//!
//! No compiler is asked: comments and strings are blanked first ([`mask`]), then declarations are found by their first
//! words and bodies by braces or indentation. What macros make is not seen, and complexity is an estimate: one, and one
//! more for each word or operator that branches.

mod explain;
mod language;
mod mask;
mod outline;
mod rules;
mod said;

pub use explain::{Detail, INSTRUCTIONS, explain, prompt};
pub use language::Language;
pub use mask::mask;
pub use outline::{Function, Item, Lines, Mark, Outline, outline};
