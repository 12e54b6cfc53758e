//! The rules, a module for each area. A module lists its rules in `RULES` and applies them in `apply`.

mod actions;
pub(crate) mod change;
mod code;
mod container;
mod kubernetes;
pub(crate) mod secrets;
mod sql;
mod terraform;
mod tests_removed;
mod yaml;

use std::sync::LazyLock;

use super::sink::Sink;
use super::source::Source;
use super::{Options, RuleInfo};

static ALL: LazyLock<Vec<RuleInfo>> = LazyLock::new(|| {
    [
        secrets::RULES,
        sql::RULES,
        container::RULES,
        actions::RULES,
        kubernetes::RULES,
        terraform::RULES,
        change::RULES,
        tests_removed::RULES,
        code::RULES,
    ]
    .concat()
});

/// Every rule, by area. Ids are unique and stay as they are.
pub fn rules() -> &'static [RuleInfo] {
    &ALL
}

/// Applies every rule to the files of a diff.
pub(super) fn apply<'a>(files: &'a [Source<'a>], options: &'a Options, sink: &mut Sink<'a>) {
    for source in files {
        secrets::apply(source, sink);
        container::apply(source, sink);
        actions::apply(source, sink);
        kubernetes::apply(source, sink);
        terraform::apply(source, sink);
        code::apply(source, sink);
    }
    let destructive = sql::apply(files, sink);
    change::apply(files, destructive, options, sink);
    tests_removed::apply(files, sink);
}
