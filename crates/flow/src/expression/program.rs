//! From an expression's text to its value.

use super::instrument::{Names, Weaver, variables};
use super::meter::{Env, Kind, Meter, funs};
use super::value::{to_json, to_val};
use super::{ExpressionError, MAX_EXPRESSION_BYTES};
use jaq_core::load::{Arena, File, Lexer, Loader, parse::Def, parse::Parser, parse::Term};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, Filter, Vars};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How deeply brackets may be nested in an expression.
const MAX_NESTING: usize = 60;

/// Filters that depend on the world, or end the program.
const WORLDLY: &[&str] = &[
    "now",
    "env",
    "input",
    "inputs",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "halt",
    "halt_error",
    "localtime",
    "strflocaltime",
    "input_filename",
    "input_line_number",
    "error_empty_stderr",
];

/// The variables of an expression, by name without `$`.
pub trait Scope {
    /// The value of a variable, where there is one.
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>>;
}

impl Scope for () {
    fn variable(&self, _: &str) -> Option<Cow<'_, Value>> {
        None
    }
}

impl Scope for &[(&str, Value)] {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        let found = self.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| Cow::Borrowed(value))
    }
}

/// A program with the counting filters in it, and the names of the variables it mentions (with `$`).
struct Woven<'s> {
    term: Term<&'s str>,
    called: Names<'s>,
    variables: BTreeSet<&'s str>,
}

fn weave(text: &str) -> Result<Woven<'_>, String> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(format!(
            "it has {} bytes; at most {MAX_EXPRESSION_BYTES} are read",
            text.len()
        ));
    }
    check_nesting(text)?;
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        let error = errors.into_iter().next();
        error.map_or_else(String::new, |(expected, rest)| {
            format!("expected {} at `{}`", expected.as_str(), shown(rest))
        })
    })?;
    let term = Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| {
            let error = errors.into_iter().next();
            error.map_or_else(String::new, |(expected, found)| {
                let place = found.map_or("its end".to_owned(), |token| format!("`{}`", shown(token.0)));
                format!("expected {} at {place}", expected.as_str())
            })
        })?;
    let mut mentioned = BTreeSet::new();
    variables(&term, &mut mentioned);
    let mut weaver = Weaver::new();
    let term = weaver.term(term);
    if let Some(name) = weaver.recursive {
        return Err(format!(
            "`{name}` calls itself; use `until`, `while`, `recurse` or `reduce`, whose work is bounded"
        ));
    }
    if let Some(name) = weaver.reserved {
        return Err(format!(
            "`{name}` may not be defined: names that begin with `__` are ours"
        ));
    }
    Ok(Woven {
        term,
        called: weaver.called,
        variables: mentioned,
    })
}

fn shown(text: &str) -> String {
    text.chars().take(30).collect()
}

/// jaq's parser and compiler descend by the nesting of the text, so it must be bounded before they see it.
fn check_nesting(text: &str) -> Result<(), String> {
    let (mut depth, mut keywords) = (0usize, 0usize);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(format!("brackets are nested more than {MAX_NESTING} deep"));
        }
    }
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
        keywords += usize::from(matches!(
            word,
            "if" | "elif" | "try" | "reduce" | "foreach" | "def" | "label" | "as" | "and" | "or"
        ));
    }
    let operators = text.bytes().filter(|b| b"|,-+*/%<>=?".contains(b)).count();
    if keywords > MAX_NESTING || operators > 16 * MAX_NESTING {
        return Err("it is too complicated; split it over several tasks".into());
    }
    Ok(())
}

/// The definitions of the standard library, woven, and what each calls. Parsing them takes longer than most expressions.
static LIBRARY: LazyLock<Vec<(Def<&'static str>, Names<'static>)>> = LazyLock::new(|| {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let pure = all.filter(|def| !WORLDLY.contains(&def.name));
    pure.map(|def| {
        let mut weaver = Weaver::new();
        let def = weaver.def(def);
        (def, weaver.called)
    })
    .collect()
});

/// The definitions of the standard library that a program needs, woven.
fn prelude<'s>(called: &Names<'s>) -> (Vec<Def<&'s str>>, Names<'s>) {
    let mut needed = called.clone();
    let mut kept = Vec::new();
    // A definition sees only those before it, so one pass from the end finds all.
    for (def, calls) in LIBRARY.iter().rev() {
        if needed.contains(&(def.name, def.args.len())) {
            needed.extend(calls.iter().copied());
            kept.push(def.clone());
        }
    }
    kept.reverse();
    (kept, needed)
}

/// The native filters that a program needs.
fn natives(needed: &Names<'_>) -> Vec<Fun<Kind>> {
    let core = jaq_core::funs::<Kind>()
        .chain(jaq_std::funs::<Kind>())
        .chain(jaq_json::funs::<Kind>());
    core.filter(|(name, args, _)| needed.contains(&(*name, args.len())) && !WORLDLY.contains(name))
        .chain(funs())
        .collect()
}

fn compile<'s>(woven: &Woven<'s>, variables: &[&'s str]) -> Result<Filter<Kind>, String> {
    let (mut defs, needed) = prelude(&woven.called);
    defs.push(Def {
        name: "__main",
        args: Vec::new(),
        body: woven.term.clone(),
    });
    let arena = Arena::default();
    let main = File {
        code: "__main",
        path: (),
    };
    // The variables are known to the main program only; so it is handed over as an argument-free definition that is
    // compiled within reach of them.
    let modules = Loader::new(defs).load(&arena, main);
    let modules = modules.map_err(|_| "it could not be loaded".to_owned())?;
    let compiler = Compiler::default()
        .with_funs(natives(&needed))
        .with_global_vars(variables.iter().copied());
    compiler.compile(modules).map_err(|errors| {
        let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
        first.map_or_else(
            || "it could not be compiled".to_owned(),
            |(name, undefined)| match WORLDLY.contains(&name) {
                true => format!(
                    "`{name}` is not there: an expression must give the same value whenever it is evaluated"
                ),
                false => format!("{} `{name}` is not defined", undefined.as_str()),
            },
        )
    })
}

fn failed(text: &str, reason: impl Into<String>) -> ExpressionError {
    ExpressionError {
        expression: text.to_owned(),
        reason: reason.into(),
    }
}

/// Whether an expression can be evaluated where the variables in `known` (without `$`) are there.
pub fn check(text: &str, known: &[&str]) -> Result<(), ExpressionError> {
    let woven = weave(text).map_err(|reason| failed(text, reason))?;
    for name in ["$secrets", "$authorization"] {
        if woven.variables.contains(name) {
            let reason = format!(
                "`{name}` is not given to expressions, so that no secret gets into a run's history; name the secret in \
                 the call's `authentication` (`use: NAME`)"
            );
            return Err(failed(text, reason));
        }
    }
    let names: Vec<String> = known.iter().map(|name| format!("${name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    compile(&woven, &names)
        .map(drop)
        .map_err(|reason| failed(text, reason))
}

/// The one value that an expression gives on `input`; null where it gives none.
pub fn evaluate(text: &str, input: &Value, scope: &dyn Scope) -> Result<Value, ExpressionError> {
    let woven = weave(text).map_err(|reason| failed(text, reason))?;
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for name in &woven.variables {
        if let Some(value) = scope.variable(name.trim_start_matches('$')) {
            names.push(*name);
            values.push(to_val(&value));
        }
    }
    let filter = compile(&woven, &names).map_err(|reason| failed(text, reason))?;
    let meter = Meter::new();
    let env = Env {
        lut: &filter.lut,
        meter: &meter,
    };
    let ctx = Ctx::<Kind>::new(env, Vars::new(values));
    let mut outputs = filter.id.run((ctx, to_val(input)));
    let mut next = || match outputs.next() {
        None => Ok(None),
        Some(Ok(val)) => match meter.measure(&val) {
            Ok(()) => Ok(Some(val)),
            Err(()) => Err(String::new()),
        },
        Some(Err(exception)) => Err(match exception.get_err() {
            Ok(error) => error.to_string(),
            Err(_) => "it ends the program".to_owned(),
        }),
    };
    let outcome = next().and_then(|first| match (first, next()?) {
        (_, Some(_)) => {
            Err("it gives more than one value; put `[ ]` around it to make them a list".to_owned())
        }
        (first, None) => first.map_or(Ok(Value::Null), |val| to_json(&val)),
    });
    match meter.spent() {
        Some(reason) => Err(failed(text, reason)),
        None => outcome.map_err(|reason| failed(text, reason)),
    }
}
