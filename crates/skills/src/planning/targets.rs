//! Which words name the change, the base and the environment.

use super::lexicon::{Class, Form, Op, Other, class};
use super::reading::Item;
use uuid::Uuid;

/// The names that a message gives, by their role; each name once, in the order of the message.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub heads: Vec<String>,
    pub bases: Vec<String>,
    pub environments: Vec<String>,
    /// Words where a branch was expected that cannot be one.
    pub invalid: Vec<String>,
}

/// Whether git takes `name` as the name of a branch (git-check-ref-format) and it cannot be mistaken for an option.
pub fn is_branch_name(name: &str) -> bool {
    // Git would allow a quotation mark; in a message it quotes, in whichever of its many shapes.
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\\"'`\u{7f}".contains(c);
    !name.is_empty()
        && name.len() <= 200
        && name != "@"
        && !name.starts_with(['-', '/'])
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains("//")
        && !name.contains("@{")
        && !name.contains(forbidden)
        && name
            .split('/')
            .all(|part| !part.starts_with('.') && !part.ends_with(".lock"))
}

/// Whether `name` can be the name of an environment: letters, digits, `-` and `_`, at most 64 of them.
pub fn is_environment_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.chars().all(allowed)
}

/// How sure it is that a word names the change. Only the names of the highest rank found are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// An ordinary word where a name could be.
    Weak,
    /// Looks like a name, stands anywhere.
    Free,
    /// Looks like a name and stands where one is expected.
    Placed,
    /// Said to be a branch, or quoted.
    Explicit,
}

/// What the words before lead one to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Nothing,
    /// The object of an operation, or after `on`, `of`, `for`.
    Head,
    Base,
    /// After `to`, `into`.
    Destination,
    /// After `in`.
    Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Head(Rank),
    Base,
    Environment,
    Unused,
}

/// The names in the items, and the unknown words that were not used, with their places.
pub(super) fn find(items: &[Item]) -> (Targets, Vec<(usize, String)>) {
    let deploys = items.iter().any(|item| {
        matches!(
            item.class(),
            Some(Class::Op(Op::Deploy, _) | Class::Other(Other::Push))
        )
    });
    let mut finder = Finder {
        items,
        deploys,
        heads: Vec::new(),
        targets: Targets::default(),
        unused: Vec::new(),
    };
    finder.walk();
    finder.finish()
}

struct Finder<'a> {
    items: &'a [Item],
    deploys: bool,
    heads: Vec<(usize, Rank, String)>,
    targets: Targets,
    unused: Vec<(usize, String)>,
}

impl Finder<'_> {
    fn walk(&mut self) {
        let (mut expect, mut previous) = (Expect::Nothing, Role::Unused);
        let mut joined = false;
        for (at, item) in self.items.iter().enumerate() {
            let Item::Word {
                text,
                class: kind,
                quoted,
                ..
            } = item
            else {
                joined = *item == Item::Comma && joined_to_name(self.items, at);
                if *item == Item::Stop {
                    expect = Expect::Nothing;
                }
                continue;
            };
            match kind {
                Class::Unknown | Class::EnvironmentName | Class::Mainline
                    if Uuid::parse_str(text).is_err() =>
                {
                    let role = match previous {
                        Role::Unused => None,
                        role => joined.then_some(role),
                    };
                    let role = role.unwrap_or_else(|| self.role(at, *kind, *quoted, expect));
                    self.take(at, text, role);
                    if role != Role::Unused {
                        expect = Expect::Nothing;
                    }
                    (previous, joined) = (role, false);
                    continue;
                }
                Class::And | Class::Or => {
                    joined |= joined_to_name(self.items, at);
                    continue;
                }
                Class::Op(_, Form::Past) => expect = Expect::Nothing,
                Class::Op(..) | Class::Of | Class::Other(_)
                    if expect != Expect::Base || *kind != Class::Of =>
                {
                    expect = Expect::Head;
                }
                Class::Against => expect = Expect::Base,
                Class::To if expect != Expect::Base => expect = Expect::Destination,
                Class::In => expect = Expect::Place,
                Class::Turn | Class::Negator => expect = Expect::Nothing,
                _ => {}
            }
            joined = false;
        }
    }

    /// The role of the name at `at`.
    fn role(&self, at: usize, kind: Class, quoted: bool, expect: Expect) -> Role {
        let text = match &self.items[at] {
            Item::Word { text, .. } => text.as_str(),
            _ => "",
        };
        if self.beside(at, Class::Environment) {
            return Role::Environment;
        }
        let explicit = quoted || self.beside(at, Class::Branch);
        let strong = explicit || looks_like_name(text);
        match expect {
            Expect::Base => {
                return if strong || kind != Class::Unknown {
                    Role::Base
                } else {
                    Role::Unused
                };
            }
            Expect::Destination if kind == Class::Mainline => return Role::Base,
            Expect::Destination if self.deploys && !self.beside(at, Class::Branch) => {
                return Role::Environment;
            }
            Expect::Destination if strong => return Role::Base,
            Expect::Place if kind == Class::EnvironmentName && !explicit => return Role::Environment,
            Expect::Place if strong && self.deploys && !self.heads.is_empty() => return Role::Environment,
            _ => {}
        }
        if kind == Class::EnvironmentName && self.deploys && !explicit {
            // `when staging is well` speaks of an environment and does not name the one to deploy to.
            let spoken_of = at > 0 && self.items[at - 1].class() == Some(Class::Turn);
            return if spoken_of {
                Role::Unused
            } else {
                Role::Environment
            };
        }
        match (explicit, strong, expect) {
            (true, _, _) => Role::Head(Rank::Explicit),
            (_, true, Expect::Nothing) => Role::Head(Rank::Free),
            (_, true, _) => Role::Head(Rank::Placed),
            (_, _, Expect::Head) if is_plain_name(text) => Role::Head(Rank::Weak),
            _ => Role::Unused,
        }
    }

    /// Whether the word at `at` follows `class` (with `called` in between or not), or stands before it while
    /// `class` is followed by no name of its own.
    fn beside(&self, at: usize, class: Class) -> bool {
        let class_at = |index: Option<usize>| index.and_then(|i| self.items.get(i)).and_then(Item::class);
        let before = class_at(at.checked_sub(1));
        let before = if before == Some(Class::Called) {
            class_at(at.checked_sub(2))
        } else {
            before
        };
        let next_is_name = matches!(
            class_at(Some(at + 2)),
            Some(Class::Unknown | Class::EnvironmentName | Class::Mainline | Class::Called)
        );
        before == Some(class) || (class_at(Some(at + 1)) == Some(class) && !next_is_name)
    }

    fn take(&mut self, at: usize, text: &str, role: Role) {
        match role {
            Role::Unused => self.unused.push((at, text.to_owned())),
            Role::Environment if is_environment_name(text) => add(&mut self.targets.environments, text),
            Role::Base if is_branch_name(text) => add(&mut self.targets.bases, text),
            Role::Head(rank) => match range(text) {
                Some((base, head)) => {
                    add(&mut self.targets.bases, base);
                    self.heads.push((at, Rank::Explicit, head.to_owned()));
                }
                None if is_branch_name(text) => self.heads.push((at, rank, text.to_owned())),
                None => add(&mut self.targets.invalid, text),
            },
            _ => add(&mut self.targets.invalid, text),
        }
    }

    fn finish(mut self) -> (Targets, Vec<(usize, String)>) {
        let best = self.heads.iter().map(|(_, rank, _)| *rank).max();
        // An ordinary word is taken for a name only when no other word is left that could be meant instead.
        let usable = best.is_some_and(|best| best > Rank::Weak || self.unused.is_empty());
        for (at, rank, name) in self.heads {
            if usable && Some(rank) == best {
                add(&mut self.targets.heads, &name);
            } else if rank == Rank::Weak && class(&name.to_lowercase()) == Class::EnvironmentName {
                add(&mut self.targets.environments, &name);
            } else {
                self.unused.push((at, name));
            }
        }
        self.unused.sort();
        self.unused.retain(|(_, word)| !self.targets.heads.contains(word));
        (self.targets, self.unused)
    }
}

fn add(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

/// Whether the word before the joint at `at` could be a name.
fn joined_to_name(items: &[Item], at: usize) -> bool {
    let before = items[..at]
        .iter()
        .rev()
        .find(|item| !matches!(item, Item::Comma))
        .and_then(Item::class);
    matches!(
        before,
        Some(Class::Unknown | Class::EnvironmentName | Class::Mainline)
    )
}

/// `base..head` or `base...head`, as git writes a range.
fn range(text: &str) -> Option<(&str, &str)> {
    let (base, head) = text.split_once("..")?;
    let head = head.strip_prefix('.').unwrap_or(head);
    (is_branch_name(base) && is_branch_name(head)).then_some((base, head))
}

/// Whether a word has marks that ordinary words lack.
fn looks_like_name(text: &str) -> bool {
    let marked = text.contains(['/', '_', '-', '.']) || text.chars().any(|c| c.is_ascii_digit());
    marked && text.chars().any(char::is_alphabetic)
}

fn is_plain_name(text: &str) -> bool {
    text.len() > 1 && !text.ends_with("ly") && text.chars().all(char::is_alphabetic)
}
