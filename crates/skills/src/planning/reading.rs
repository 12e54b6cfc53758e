//! From tokens to what a message says: operations with their polarity, names with their roles.

use super::lexicon::{Class, Form, Op, Other, class};
use super::negation::{Polarity, polarities};
use super::targets::{self, Targets};
use super::token::{Kind, Token};
use uuid::Uuid;

/// A word with its class, or a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Word {
        text: String,
        lower: String,
        class: Class,
        quoted: bool,
    },
    Comma,
    Stop,
}

impl Item {
    /// The class of a word; `None` for a break.
    pub(super) fn class(&self) -> Option<Class> {
        match self {
            Item::Word { class, .. } => Some(*class),
            _ => None,
        }
    }

    /// The word in lower case; empty for a break.
    pub(super) fn lower(&self) -> &str {
        match self {
            Item::Word { lower, .. } => lower,
            _ => "",
        }
    }

    /// Whether it is `the`, `a`, `my` and the like.
    pub(super) fn is_determiner(&self) -> bool {
        const DETERMINERS: &[&str] = &[
            "the", "a", "an", "my", "our", "your", "this", "that", "its", "any", "all", "no", "new",
            "another",
        ];
        DETERMINERS.contains(&self.lower())
    }
}

/// An operation where the message mentions it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub op: Op,
    pub form: Form,
    pub at: usize,
    pub polarity: Polarity,
}

/// How the sentence that mentions the first operation is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It asks for something.
    Request,
    /// It asks about something.
    Question,
    /// It asks how something is done.
    HowTo,
    /// It asks whether something should be done.
    Advice,
}

/// What a message says.
#[derive(Debug)]
pub(super) struct Reading {
    pub mentions: Vec<Mention>,
    pub mood: Mood,
    pub targets: Targets,
    pub runs: Vec<Uuid>,
    pub classes: Vec<Class>,
    /// A word after `run` that could be the beginning of a run's id.
    pub partial_run: Option<String>,
    pub ignored: Vec<String>,
    /// Every operation is put as `to deploy`, as in `is it safe to deploy`.
    pub only_infinitives: bool,
    /// Words beside the demand to deploy that were not understood: they may well turn it into something else.
    pub deploy_doubts: Vec<String>,
}

impl Reading {
    /// Whether a word of the class occurs.
    pub(super) fn has(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    /// Whether a word of one of the classes for things that chat does not do occurs.
    pub(super) fn has_other(&self, other: Other) -> bool {
        self.has(Class::Other(other))
    }
}

/// Reads tokens.
pub(super) fn read(tokens: &[Token]) -> Reading {
    let items = items(tokens);
    let mut runs = Vec::new();
    for item in &items {
        if let Ok(run) = Uuid::parse_str(item.lower())
            && !runs.contains(&run)
        {
            runs.push(run);
        }
    }
    let mentions = polarities(&items);
    let mood = mood(&items, mentions.first().map_or(0, |mention| mention.at));
    let (targets, unused) = targets::find(&items);
    let deploy_doubts = deploy_doubts(&items, &mentions, &unused);
    let only_infinitives = mentions
        .iter()
        .all(|mention| mention.form == Form::Base && mention.at > 0 && items[mention.at - 1].lower() == "to");
    let mut ignored: Vec<String> = Vec::new();
    for (_, word) in unused {
        if !ignored.contains(&word) {
            ignored.push(word);
        }
    }
    let classes = items.iter().filter_map(Item::class).collect();
    Reading {
        mentions,
        mood,
        targets,
        runs,
        classes,
        partial_run: partial_run(&items),
        ignored,
        only_infinitives,
        deploy_doubts,
    }
}

/// Gives each word its class; puts words together that mean something else as a pair.
fn items(tokens: &[Token]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let next = tokens
            .get(index + 1)
            .filter(|next| next.kind == Kind::Word)
            .map(|next| next.lower.as_str());
        let (item, taken) = match token.kind {
            Kind::Comma => (Item::Comma, 1),
            Kind::Stop | Kind::Question => (Item::Stop, 1),
            Kind::Quoted => (word(token, Class::Unknown, true), 1),
            Kind::Word => match pair(&token.lower, next) {
                Some(class) => (joined(token, next, class), 2),
                None => (word(token, class(&token.lower), false), 1),
            },
        };
        items.push(item);
        index += taken;
    }
    // `review the fix`, `the release branch`: after a determiner such a word is a thing, not a demand.
    for at in 1..items.len() {
        let after_determiner = items[at - 1].is_determiner();
        let before_branch = items.get(at + 1).and_then(Item::class) == Some(Class::Branch);
        if let (true, Item::Word { class, .. }) = (after_determiner, &mut items[at]) {
            match class {
                Class::Op(..) if before_branch => *class = Class::Unknown,
                Class::Op(_, form @ Form::Base) => *form = Form::Noun,
                Class::Other(Other::Implement) => *class = Class::Filler,
                _ => {}
            }
        }
    }
    items
}

fn word(token: &Token, class: Class, quoted: bool) -> Item {
    Item::Word {
        text: token.text.clone(),
        lower: token.lower.clone(),
        class,
        quoted,
    }
}

/// Two words as one; looked up no more by its first word.
fn joined(token: &Token, next: Option<&str>, class: Class) -> Item {
    let text = format!("{} {}", token.text, next.unwrap_or_default());
    Item::Word {
        lower: text.to_lowercase(),
        text,
        class,
        quoted: false,
    }
}

fn pair(first: &str, second: Option<&str>) -> Option<Class> {
    Some(match (first, second?) {
        ("release", "notes") | ("change", "log") => Class::Op(Op::Document, Form::Noun),
        ("roll", "out") | ("go", "live") => Class::Op(Op::Deploy, Form::Base),
        ("rolling", "out") => Class::Op(Op::Deploy, Form::Gerund),
        ("roll", "back") | ("rolling", "back") => Class::Other(Other::Rollback),
        ("pull" | "merge", "request" | "requests") => Class::Other(Other::PullRequest),
        ("leave", "out") => Class::Negator,
        ("sign", "off") => Class::Approve,
        ("after" | "before", "that" | "this" | "which") => Class::Turn,
        ("next", "week" | "month") | ("this", "evening") => Class::Other(Other::Schedule),
        ("no", "need") => Class::Negator,
        _ => return None,
    })
}

/// The mood of the sentence around the item at `at`.
fn mood(items: &[Item], at: usize) -> Mood {
    let begin = items[..at.min(items.len())]
        .iter()
        .rposition(|item| *item == Item::Stop)
        .map_or(0, |stop| stop + 1);
    let mut words = items[begin..]
        .iter()
        .take_while(|item| **item != Item::Stop)
        .filter(|item| {
            let polite = matches!(item.lower(), "please" | "pls" | "so" | "ok" | "okay");
            !polite && !matches!(item.class(), None | Some(Class::Help | Class::And))
        });
    let (Some(first), second) = (words.next(), words.next()) else {
        return Mood::Request;
    };
    let second_class = second.and_then(Item::class);
    match first.class() {
        Some(Class::Interrogative) if first.lower() == "how" => match second.map(Item::lower) {
            Some("do" | "to" | "can" | "would" | "should") => Mood::HowTo,
            _ => Mood::Question,
        },
        // `have it reviewed` demands, `have you reviewed it` and `have the tests passed` ask.
        Some(Class::Auxiliary) if first.lower() == "have" => {
            let asks = second_class == Some(Class::You) || second.is_some_and(|item| item.lower() == "the");
            if asks { Mood::Question } else { Mood::Request }
        }
        Some(Class::Interrogative | Class::Auxiliary) => Mood::Question,
        Some(Class::Modal) if second_class == Some(Class::You) => Mood::Request,
        Some(Class::Modal | Class::Advice) => Mood::Advice,
        _ if first.lower() == "do" && matches!(second.map(Item::lower), Some("you" | "we" | "i")) => {
            Mood::Question
        }
        _ => Mood::Request,
    }
}

fn deploy_doubts(items: &[Item], mentions: &[Mention], unused: &[(usize, String)]) -> Vec<String> {
    let sentence = |at: usize| items[..at].iter().filter(|item| **item == Item::Stop).count();
    let deploys: Vec<usize> = mentions
        .iter()
        .filter(|mention| mention.op == Op::Deploy && mention.polarity == Polarity::Asserted)
        .map(|mention| sentence(mention.at))
        .collect();
    unused
        .iter()
        .filter(|(at, _)| deploys.contains(&sentence(*at)))
        .map(|(_, word)| word.clone())
        .collect()
}

fn partial_run(items: &[Item]) -> Option<String> {
    items.windows(2).find_map(|pair| {
        let [
            run,
            Item::Word {
                text,
                lower,
                class: Class::Unknown,
                ..
            },
        ] = pair
        else {
            return None;
        };
        let looks_so = lower.len() >= 4 && lower.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        (run.class() == Some(Class::Run) && looks_so && Uuid::parse_str(lower).is_err()).then(|| text.clone())
    })
}
