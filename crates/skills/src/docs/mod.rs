//! What the documentation agent knows: change-log entries in the style of Keep a Changelog 1.1.0, built from what
//! really happened, and put into an existing file without touching the rest of it; references made from the code; one
//! section of a README.

mod entry;
mod insert;
mod reference;
mod section;

pub use entry::{Commit, Entry, Evidence, Section, entry};
pub use insert::{Inserted, insert};
pub use reference::{Format, Source, reference};
pub use section::{Heading, SectionOutcome, Sectioned, headings, put_section};
