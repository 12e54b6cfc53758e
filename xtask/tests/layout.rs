//! The checkout keeps its own rules.

use xtask::tidy::{edges, errors, files};

fn nothing(found: Vec<String>) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_source_file_is_too_long() {
    nothing(files::too_long().unwrap());
}

#[test]
fn nothing_is_marked_as_unfinished() {
    nothing(files::unfinished().unwrap());
}

#[test]
fn crates_import_only_what_the_architecture_allows() {
    nothing(edges::forbidden().unwrap());
}

#[test]
fn pure_crates_ask_nothing_of_the_outside() {
    nothing(edges::impure().unwrap());
}

#[test]
fn every_error_code_has_a_page_and_every_page_a_code() {
    nothing(errors::mismatches().unwrap());
}
