//! The structure of source text, language by language.

use guildhall_skills::code::{Detail, Function, Language, explain, mask, outline};
use proptest::prelude::*;

fn names(functions: &[Function]) -> Vec<(&str, usize, usize, bool)> {
    let seen = functions.iter();
    seen.map(|f| (f.name.as_str(), f.line, f.lines, f.public))
        .collect()
}

#[test]
fn rust_is_read_without_being_fooled_by_strings_and_comments() {
    let text = include_str!("code/sample.rs.txt");
    let found = outline(text, Language::Rust);
    assert_eq!(
        names(&found.functions),
        [
            ("total", 10, 9, true),
            ("helper", 20, 5, false),
            ("new", 32, 3, false)
        ]
    );
    assert_eq!(
        found.functions[0].signature,
        "pub fn total(items: &[Item], most: usize) -> usize"
    );
    assert_eq!(
        found.functions[0].doc.as_deref(),
        Some("Adds up.\n\nNever more than `most`.")
    );
    assert_eq!(found.functions[0].complexity, 4, "if, && and for");
    let types: Vec<_> = found
        .types
        .iter()
        .map(|t| (t.kind.as_str(), t.name.as_str(), t.public))
        .collect();
    assert_eq!(types, [("struct", "Item", true)]);
    assert_eq!(found.imports, ["crate::other", "std::collections::BTreeMap"]);
    assert_eq!(found.marks.len(), 1);
    assert_eq!(found.marks[0].line, 21);
}

#[test]
fn python_go_javascript_and_shell_have_their_own_ways() {
    let python = "import os\nfrom a.b import c\n\nclass Shop:\n    \"\"\"Sells.\"\"\"\n    def _price(self, x: int) -> int:\n        \
        \"\"\"What it costs.\n\n        In cents.\"\"\"\n        if x and x > 1:\n            return 1\n        return 2\n\n\ndef main():\n    pass\n";
    let found = outline(python, Language::Python);
    assert_eq!(
        names(&found.functions),
        [("_price", 6, 7, false), ("main", 15, 2, true)]
    );
    assert_eq!(
        found.functions[0].doc.as_deref(),
        Some("What it costs.\n\nIn cents.")
    );
    assert_eq!(found.functions[0].signature, "def _price(self, x: int) -> int");
    assert_eq!(found.functions[0].complexity, 3);
    assert_eq!(found.imports, ["os", "a.b"]);

    let go = "package x\n\nimport (\n\t\"fmt\"\n)\n\n// Run runs.\nfunc (s *S) Run() error {\n\tif s == nil {\n\t\treturn nil\n\t}\n\treturn fmt.Errorf(\"}\")\n}\n\ntype S struct {\n}\n";
    let found = outline(go, Language::Go);
    assert_eq!(names(&found.functions), [("Run", 8, 6, true)]);
    assert_eq!(found.functions[0].doc.as_deref(), Some("Run runs."));
    assert_eq!(
        (found.imports.as_slice(), found.types[0].name.as_str()),
        (&["fmt".to_owned()][..], "S")
    );

    let script = "import {a} from './a.js';\nexport const add = (x, y) => {\n  return x ? y : `}`;\n};\nfunction inner() { return 1; }\n";
    let found = outline(script, Language::Javascript);
    assert_eq!(
        names(&found.functions),
        [("add", 2, 3, true), ("inner", 5, 1, false)]
    );
    assert_eq!(found.imports, ["./a.js"]);

    let shell = "#!/bin/sh\n# Builds.\nbuild() {\n  if true; then echo \"}\"; fi\n}\n";
    let found = outline(shell, Language::of("build", shell));
    assert_eq!(names(&found.functions), [("build", 3, 3, true)]);
}

#[test]
fn a_language_is_told_by_name_first_line_or_words() {
    for (path, text, language) in [
        ("a/b.RS", "", Language::Rust),
        ("x", "#!/usr/bin/env python3\n", Language::Python),
        ("x", "hello", Language::Text),
        ("Makefile", "all:\n", Language::Text),
    ] {
        assert_eq!(Language::of(path, text), language, "{path}");
    }
    assert_eq!(
        Language::guess("use a::b;\npub fn x() -> u8 { let y = 1; y }\n"),
        Language::Rust
    );
    assert_eq!(Language::guess("def a():\n    import x\n"), Language::Python);
    assert_eq!(Language::guess("nothing special"), Language::Text);
    for name in Language::NAMES {
        assert_eq!(Language::named(name).map(Language::as_str), Some(name));
    }
}

#[test]
fn an_explanation_says_what_is_asked_for_and_no_credential() {
    let secret = ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat();
    let text = format!(
        "/// Uses {secret}.\npub fn a() {{}}\n// {} {secret}\n",
        ["TO", "DO"].concat()
    );
    let full = explain(&text, Language::Rust, Some("a.rs"), Detail::Full);
    assert_eq!(
        (full["by"].as_str(), full["lines"]["total"].as_u64()),
        (Some("rules"), Some(3))
    );
    assert!(!full.to_string().contains(&secret), "{full:#}");
    assert!(full["functions"][0]["doc"].is_string());
    assert!(explain(&text, Language::Rust, None, Detail::Normal)["functions"][0]["doc"].is_null());
    assert!(explain(&text, Language::Rust, None, Detail::Brief)["functions"].is_null());
}

fn languages() -> impl Strategy<Value = Language> {
    (0..Language::NAMES.len()).prop_map(|at| Language::named(Language::NAMES[at]).expect("a name"))
}

proptest! {
    #[test]
    fn masking_keeps_every_line_and_column(text in "[a-z \"'`#/*\\\\\n{}()r-]{0,120}", language in languages()) {
        let masked = mask(&text, language);
        prop_assert_eq!(masked.chars().count(), text.chars().count());
        for (was, is) in text.chars().zip(masked.chars()) {
            prop_assert!(is == was || is == ' ', "{:?} became {:?}", was, is);
            prop_assert_eq!(was == '\n', is == '\n');
        }
    }

    #[test]
    fn what_is_found_lies_inside_the_text(text in any::<String>(), words in "(fn|def|func|class|if|use|\\{|\\}|\\(|\\)|:|;|\n| |x|é){0,60}", language in languages()) {
        let text = format!("{words}{text}{words}");
        let found = outline(&text, language);
        let total = text.lines().count();
        prop_assert_eq!(found.lines.total, total);
        prop_assert_eq!(found.lines.code + found.lines.comment + found.lines.blank, total);
        for function in &found.functions {
            prop_assert!(function.lines >= 1 && function.complexity >= 1);
            prop_assert!(function.line >= 1 && function.line - 1 + function.lines <= total);
        }
    }
}
