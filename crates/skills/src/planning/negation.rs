//! Which operations are asked for, which are left out, and which are only spoken of.

use super::lexicon::{Class, Form};
use super::reading::{Item, Mention};

/// How an operation is meant where it is mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polarity {
    /// It is asked for.
    Asserted,
    /// It is left out on purpose.
    Negated,
    /// A negation may or may not reach it.
    Ambiguous,
    /// It is a condition or a report: `after testing`, `was deployed`.
    Mentioned,
}

/// Every operation that the items mention, with its polarity.
pub(super) fn polarities(items: &[Item]) -> Vec<Mention> {
    let mut mentions: Vec<Mention> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(Class::Op(op, form)) = item.class() {
            let polarity = if is_mentioned(items, at, form) {
                Polarity::Mentioned
            } else {
                Polarity::Asserted
            };
            mentions.push(Mention {
                op,
                form,
                at,
                polarity,
            });
        }
    }
    for (at, item) in items.iter().enumerate() {
        if item.class() == Some(Class::Negator) {
            negate(items, at, &mut mentions);
        }
    }
    mentions
}

/// Sets the polarity of everything that the negator at `at` reaches.
fn negate(items: &[Item], at: usize, mentions: &mut [Mention]) {
    // `not only review but also deploy` leaves nothing out.
    if matches!(items.get(at + 1).map(Item::lower), Some("only" | "just")) {
        return;
    }
    let Some(first) = (at + 1..items.len())
        .take_while(|&i| !matches!(items[i].class(), None | Some(Class::Turn)))
        .find(|&i| matches!(items[i].class(), Some(Class::Op(..))))
    else {
        return;
    };
    set(mentions, first, Polarity::Negated);
    let Some(Class::Op(_, form)) = items[first].class() else {
        return;
    };

    let group = group(items, first, form);
    let or = group.iter().any(|link| link.joint == Joint::Or);
    let and = group.iter().any(|link| link.joint == Joint::And);
    let listed = form != Form::Base;
    for link in &group {
        let polarity = match link.joint {
            _ if link.apart && link.joint == Joint::Comma => return,
            _ if listed && !link.same_form => return,
            _ if or || listed => Polarity::Negated,
            _ if and => Polarity::Ambiguous,
            _ => return,
        };
        set(mentions, link.at, polarity);
    }
}

fn set(mentions: &mut [Mention], at: usize, polarity: Polarity) {
    for mention in mentions.iter_mut().filter(|mention| mention.at == at) {
        mention.polarity = polarity;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    Comma,
    And,
    Or,
}

/// An operation that is listed together with one before it.
#[derive(Debug)]
struct Link {
    at: usize,
    joint: Joint,
    same_form: bool,
    /// Words other than articles stand between: `deploy fix-1, review it`.
    apart: bool,
}

/// The operations listed together with the one at `first`.
fn group(items: &[Item], first: usize, form: Form) -> Vec<Link> {
    let (mut links, mut joint, mut apart) = (Vec::new(), None, false);
    for (at, item) in items.iter().enumerate().skip(first + 1) {
        match item.class() {
            None if *item == Item::Comma => joint = joint.or(Some(Joint::Comma)),
            None | Some(Class::Turn | Class::Negator) => break,
            Some(Class::And) => joint = Some(Joint::And),
            Some(Class::Or) => joint = Some(Joint::Or),
            Some(Class::Op(_, next)) => {
                let Some(found) = joint.take() else { break };
                links.push(Link {
                    at,
                    joint: found,
                    same_form: next == form,
                    apart,
                });
                apart = false;
            }
            Some(_) => apart |= !item.is_determiner(),
        }
    }
    links
}

/// Whether the operation at `at` is a condition or a report rather than a demand.
fn is_mentioned(items: &[Item], at: usize, form: Form) -> bool {
    let begin = items[..at]
        .iter()
        .rposition(|item| matches!(item, Item::Stop | Item::Comma))
        .map_or(0, |i| i + 1);
    let clause = &items[begin..at];
    if let Some(subordinator) = clause.iter().rposition(is_subordinator) {
        let between = &clause[subordinator + 1..];
        let first = !between
            .iter()
            .any(|item| matches!(item.class(), Some(Class::Op(..))));
        let outcome = between.iter().any(|item| is_outcome(item.lower()));
        let joined = clause
            .last()
            .is_some_and(|item| matches!(item.class(), Some(Class::And | Class::Or)));
        let same = between.iter().rev().find_map(|item| match item.class() {
            Some(Class::Op(_, earlier)) => Some(earlier == form),
            _ => None,
        });
        if (first && !outcome) || form == Form::Noun || form == Form::Past || (joined && same == Some(true)) {
            return true;
        }
    }
    // `I will deploy it`, `we should deploy it`: said of oneself, or a thought.
    let own = clause.iter().position(|item| {
        matches!(
            item.lower(),
            "i" | "we" | "they" | "he" | "she" | "i'll" | "we'll" | "they'll" | "someone"
        )
    });
    if let Some(own) = own {
        let plans = |item: &Item| {
            let word = item.lower();
            word.ends_with("'ll")
                || matches!(
                    word,
                    "will" | "can" | "could" | "may" | "might" | "shall" | "should" | "must" | "going"
                )
        };
        if clause[own..].iter().any(plans) {
            return true;
        }
    }
    if form != Form::Past {
        return false;
    }
    // `I want it reviewed`, `has to be deployed`: asked for; `was deployed`: told.
    let wanted = |item: &Item| {
        matches!(
            item.lower(),
            "want" | "wants" | "need" | "needs" | "get" | "have" | "like" | "be" | "please"
        )
    };
    let sentence = items[..at]
        .iter()
        .rposition(|item| *item == Item::Stop)
        .map_or(0, |i| i + 1);
    !items[sentence..at].iter().any(wanted)
}

/// Whether a condition follows. `after that`, which is one item, only orders the steps.
fn is_subordinator(item: &Item) -> bool {
    const WORDS: &[&str] = &[
        "after", "before", "once", "when", "if", "unless", "until", "because", "since", "while", "prior",
    ];
    WORDS.contains(&item.lower())
}

fn is_outcome(lower: &str) -> bool {
    matches!(
        lower,
        "pass"
            | "passes"
            | "passed"
            | "green"
            | "ok"
            | "okay"
            | "fine"
            | "good"
            | "succeeds"
            | "succeeded"
            | "works"
            | "clean"
            | "ready"
            | "successful"
            | "well"
            | "done"
            | "looks"
    )
}
