//! Weaves the counting filter `__step` into a parsed program, wherever it can loop or make something larger.

use jaq_core::load::{lex::StrPart, parse::BinaryOp, parse::Def, parse::Pattern, parse::Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};
use std::collections::BTreeSet;

/// Names and arities of filters.
pub(super) type Names<'s> = BTreeSet<(&'s str, usize)>;

/// What is known while walking a program.
pub(super) struct Weaver<'s> {
    /// The definitions around the place.
    around: Vec<(&'s str, usize)>,
    /// What the program calls, or may.
    pub(super) called: Names<'s>,
    /// A definition that calls itself.
    pub(super) recursive: Option<&'s str>,
    /// A definition whose name is not free.
    pub(super) reserved: Option<&'s str>,
}

fn piped<'s>(left: Term<&'s str>, pattern: Option<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    let op = BinaryOp::Pipe(pattern.map(Pattern::Var));
    Term::BinOp(Box::new(left), op, Box::new(right))
}

fn step<'s>() -> Term<&'s str> {
    Term::Call("__step", Vec::new())
}

fn counted(term: Term<&str>) -> Term<&str> {
    piped(term, None, step())
}

fn math<'s>(left: Term<&'s str>, op: Math, right: Term<&'s str>) -> Term<&'s str> {
    match op {
        // `r as $__r | l as $__l | __product($__l; $__r) | $__l * $__r`
        Math::Mul => {
            let (l, r) = (|| Term::Var("$__l"), || Term::Var("$__r"));
            let product = Term::BinOp(Box::new(l()), BinaryOp::Math(op), Box::new(r()));
            let checked = piped(Term::Call("__product", vec![l(), r()]), None, counted(product));
            piped(right, Some("$__r"), piped(left, Some("$__l"), checked))
        }
        _ => counted(Term::BinOp(Box::new(left), BinaryOp::Math(op), Box::new(right))),
    }
}

impl<'s> Weaver<'s> {
    pub(super) fn new() -> Self {
        Self {
            around: Vec::new(),
            called: Names::new(),
            recursive: None,
            reserved: None,
        }
    }

    fn boxed(&mut self, mut term: Box<Term<&'s str>>) -> Box<Term<&'s str>> {
        *term = self.term(std::mem::take(&mut *term));
        term
    }

    fn all(&mut self, terms: Vec<Term<&'s str>>) -> Vec<Term<&'s str>> {
        terms.into_iter().map(|term| self.term(term)).collect()
    }

    /// A definition, which counts its calls where it calls itself.
    pub(super) fn def(&mut self, def: Def<&'s str>) -> Def<&'s str> {
        let Def { name, args, body } = def;
        if name.starts_with("__") {
            self.reserved = Some(name);
        }
        self.around.push((name, args.len()));
        let before = self.recursive.take();
        let body = self.term(body);
        self.around.pop();
        let body = match self.recursive {
            Some(_) => piped(step(), None, body),
            None => body,
        };
        self.recursive = before.or(self.recursive);
        Def { name, args, body }
    }

    pub(super) fn term(&mut self, term: Term<&'s str>) -> Term<&'s str> {
        match term {
            Term::Id | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => term,
            Term::Recurse => counted(term),
            Term::Str(format, parts) => self.text(format, parts),
            Term::Arr(Some(inner)) => counted(Term::Arr(Some(self.boxed(inner)))),
            Term::Obj(entries) => {
                let entry =
                    |(key, value): (_, Option<_>)| (self.term(key), value.map(|value| self.term(value)));
                counted(Term::Obj(entries.into_iter().map(entry).collect()))
            }
            Term::Neg(inner) => Term::Neg(self.boxed(inner)),
            Term::BinOp(left, op, right) => self.operation(*left, op, *right),
            Term::Label(name, inner) => Term::Label(name, self.boxed(inner)),
            Term::Fold(name, over, pattern, args) => {
                let over = self.boxed(over);
                let pattern = self.pattern(pattern);
                let mut args = self.all(args);
                if let Some(update) = args.get_mut(1) {
                    *update = counted(std::mem::take(update));
                }
                Term::Fold(name, over, pattern, args)
            }
            Term::TryCatch(inner, catch) => {
                Term::TryCatch(self.boxed(inner), catch.map(|catch| self.boxed(catch)))
            }
            Term::IfThenElse(cases, otherwise) => {
                let cases = cases
                    .into_iter()
                    .map(|(when, then)| (self.term(when), self.term(then)));
                let cases = cases.collect();
                Term::IfThenElse(cases, otherwise.map(|otherwise| self.boxed(otherwise)))
            }
            Term::Def(defs, inner) => {
                let defs = defs.into_iter().map(|def| self.def(def)).collect();
                Term::Def(defs, self.boxed(inner))
            }
            Term::Call(name, args) => {
                let signature = (name, args.len());
                self.called.insert(signature);
                let args = self.all(args);
                if self.around.contains(&signature) {
                    // Left bare, so that a call in the last place stays one.
                    self.recursive = Some(name);
                    return Term::Call(name, args);
                }
                counted(Term::Call(name, args))
            }
            Term::Path(base, Path(parts)) => {
                let loops = parts
                    .iter()
                    .any(|(part, _)| matches!(part, Part::Range(None, None)));
                let base = self.boxed(base);
                let parts = parts
                    .into_iter()
                    .map(|(part, opt)| (self.part(part), opt))
                    .collect();
                let path = Term::Path(base, Path(parts));
                if loops { counted(path) } else { path }
            }
        }
    }

    fn text(
        &mut self,
        format: Option<&'s str>,
        parts: Vec<StrPart<&'s str, Term<&'s str>>>,
    ) -> Term<&'s str> {
        let grows = parts.iter().any(|part| matches!(part, StrPart::Term(_)));
        self.called.extend(format.map(|format| (format, 0)));
        if grows {
            self.called.insert(("tostring", 0));
        }
        let part = |part| match part {
            StrPart::Term(term) => StrPart::Term(self.term(term)),
            other => other,
        };
        let text = Term::Str(format, parts.into_iter().map(part).collect());
        if grows { counted(text) } else { text }
    }

    fn operation(
        &mut self,
        left: Term<&'s str>,
        op: BinaryOp<&'s str>,
        right: Term<&'s str>,
    ) -> Term<&'s str> {
        let (left, right) = (self.term(left), self.term(right));
        match op {
            BinaryOp::Math(op) => math(left, op, right),
            // `r as $__u | l |= . * $__u`
            BinaryOp::UpdateMath(op) => {
                let update = Box::new(math(Term::Id, op, Term::Var("$__u")));
                let update = Term::BinOp(Box::new(left), BinaryOp::Update, update);
                piped(right, Some("$__u"), counted(update))
            }
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => {
                counted(Term::BinOp(Box::new(left), op, Box::new(right)))
            }
            BinaryOp::Pipe(pattern) => {
                let op = BinaryOp::Pipe(pattern.map(|pattern| self.pattern(pattern)));
                Term::BinOp(Box::new(left), op, Box::new(right))
            }
            BinaryOp::Comma | BinaryOp::Alt | BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => {
                Term::BinOp(Box::new(left), op, Box::new(right))
            }
        }
    }

    fn pattern(&mut self, pattern: Pattern<&'s str>) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(name) => Pattern::Var(name),
            Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(|item| self.pattern(item)).collect()),
            Pattern::Obj(entries) => {
                let entry = |(key, value)| (self.term(key), self.pattern(value));
                Pattern::Obj(entries.into_iter().map(entry).collect())
            }
        }
    }

    fn part(&mut self, part: Part<Term<&'s str>>) -> Part<Term<&'s str>> {
        match part {
            Part::Index(term) => Part::Index(self.term(term)),
            Part::Range(from, to) => {
                Part::Range(from.map(|from| self.term(from)), to.map(|to| self.term(to)))
            }
        }
    }
}

/// The variables that a program mentions, its own included.
pub(super) fn variables<'s>(term: &Term<&'s str>, into: &mut BTreeSet<&'s str>) {
    match term {
        Term::Var(name) => {
            into.insert(name);
        }
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    variables(term, into);
                }
            }
        }
        Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => variables(inner, into),
        Term::Obj(entries) => {
            for (key, value) in entries {
                variables(key, into);
                value.iter().for_each(|value| variables(value, into));
            }
        }
        Term::BinOp(left, op, right) => {
            variables(left, into);
            variables(right, into);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                in_pattern(pattern, into);
            }
        }
        Term::Fold(_, over, pattern, args) => {
            variables(over, into);
            in_pattern(pattern, into);
            args.iter().for_each(|arg| variables(arg, into));
        }
        Term::TryCatch(inner, catch) => {
            variables(inner, into);
            catch.iter().for_each(|catch| variables(catch, into));
        }
        Term::IfThenElse(cases, otherwise) => {
            for (when, then) in cases {
                variables(when, into);
                variables(then, into);
            }
            otherwise.iter().for_each(|otherwise| variables(otherwise, into));
        }
        Term::Def(defs, inner) => {
            defs.iter().for_each(|def| variables(&def.body, into));
            variables(inner, into);
        }
        Term::Call(_, args) => args.iter().for_each(|arg| variables(arg, into)),
        Term::Path(base, Path(parts)) => {
            variables(base, into);
            for (part, _) in parts {
                match part {
                    Part::Index(term) => variables(term, into),
                    Part::Range(from, to) => [from, to]
                        .into_iter()
                        .flatten()
                        .for_each(|term| variables(term, into)),
                }
            }
        }
    }
}

/// Object patterns like `{$x}` hold keys, which are terms.
fn in_pattern<'s>(pattern: &Pattern<&'s str>, into: &mut BTreeSet<&'s str>) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter().for_each(|item| in_pattern(item, into)),
        Pattern::Obj(entries) => {
            for (key, value) in entries {
                variables(key, into);
                in_pattern(value, into);
            }
        }
    }
}
