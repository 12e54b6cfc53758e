//! Inputs against the JSON Schemas of skills, before anything is accepted.
//!
//! Each instance remembers compiled schemas by digest. A submission names the digest that its input was validated
//! against; the database compares it with the current one in the same statement and answers with the schema when it
//! is another. So in the steady state validation costs no round trip, and nothing is accepted under an old schema.

use guildhall_domain::{Code, Problem, problem::Misfit};
use jsonschema::Validator;
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap, future::Future, rc::Rc};

/// Most schemas that one instance remembers.
const REMEMBERED: usize = 256;
/// Most places that one refusal names.
const MAX_MISFITS: usize = 20;
/// How often a schema may change under one submission.
const TRIES: usize = 4;

#[derive(Clone)]
struct Known {
    digest: String,
    validator: Rc<Validator>,
}

thread_local! {
    static KNOWN: RefCell<BTreeMap<(String, Option<String>), Known>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a submission came to.
pub enum Submission<T> {
    /// It was decided.
    Done(T),
    /// Nothing was done: the current schema is this one.
    Schema {
        /// The schema.
        schema: Value,
        /// Its digest.
        digest: String,
    },
}

/// Validates `input` and submits, again whenever the schema turns out to have changed. `submit` is given the digest of
/// the schema that the input fits. The problem is [`Code::InvalidInput`] with a pointer to each place.
pub async fn submit<T, E, F, R>(skill: &str, agent: Option<&str>, input: &Value, submit: F) -> Result<T, E>
where
    F: Fn(Option<String>) -> R,
    R: Future<Output = Result<Submission<T>, E>>,
    E: From<Problem>,
{
    let key = (skill.to_owned(), agent.map(str::to_owned));
    let mut current = None;
    for _ in 0..TRIES {
        let known = KNOWN.with_borrow(|known| known.get(&key).cloned());
        let digest = match &known {
            None => None,
            Some(known) => {
                let misfits = misfits(&known.validator, input);
                if misfits.is_empty() {
                    Some(known.digest.clone())
                } else if current.as_ref() == Some(&known.digest) {
                    return Err(refusal(skill, misfits).into());
                } else {
                    // What is remembered may be old: only the current schema may refuse.
                    None
                }
            }
        };
        match submit(digest).await? {
            Submission::Done(done) => return Ok(done),
            Submission::Schema { schema, digest } => {
                let validator = compile(&schema).map_err(|why| unusable(skill, &why))?;
                current = Some(digest.clone());
                KNOWN.with_borrow_mut(|known| {
                    if known.len() >= REMEMBERED {
                        known.clear();
                    }
                    let validator = Rc::new(validator);
                    known.insert(key.clone(), Known { digest, validator });
                });
            }
        }
    }
    Err(Problem::new(
        Code::Overloaded,
        format!("The schema of `{skill}` changed {TRIES} times while the input was validated."),
    )
    .into())
}

fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::draft202012::options()
        .build(schema)
        .map_err(|error| error.to_string())
}

fn misfits(validator: &Validator, input: &Value) -> Vec<Misfit> {
    validator
        .iter_errors(input)
        .take(MAX_MISFITS)
        .map(|error| Misfit {
            pointer: error.instance_path().to_string(),
            detail: error.masked().to_string(),
        })
        .collect()
}

fn refusal(skill: &str, misfits: Vec<Misfit>) -> Problem {
    let first = misfits.first().map_or(String::new(), |misfit| {
        let place = if misfit.pointer.is_empty() {
            "the input"
        } else {
            &misfit.pointer
        };
        format!(": at {place}, {}", misfit.detail)
    });
    let mut problem = Problem::new(
        Code::InvalidInput,
        format!("The input does not fit the schema of `{skill}`{first}."),
    )
    .hint("The agent's card, at GET /v1/agents, has the skill's input schema.");
    problem.errors = misfits;
    problem
}

fn unusable(skill: &str, why: &str) -> Problem {
    Problem::new(
        Code::NotConfigured,
        format!("The input schema of `{skill}` in its agent's card cannot be used: {why}."),
    )
    .hint("Register the agent again with a self-contained JSON Schema 2020-12 (no remote `$ref`).")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use serde_json::json;

    /// A database with one schema, which accepts what was validated against it.
    async fn database(
        schema: Value,
        digest: &'static str,
        given: Option<String>,
    ) -> Result<Submission<&'static str>, Problem> {
        Ok(match given.as_deref() == Some(digest) {
            true => Submission::Done("accepted"),
            false => Submission::Schema {
                schema,
                digest: digest.into(),
            },
        })
    }

    fn ask(schema: &Value, digest: &'static str, input: &Value) -> Result<&'static str, Problem> {
        block_on(submit("fly", None, input, |given| {
            database(schema.clone(), digest, given)
        }))
    }

    #[test]
    fn only_the_current_schema_accepts_and_refuses() {
        let old = json!({"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]});
        let new = json!({"type": "object", "properties": {"to": {"type": "integer"}}});
        assert_eq!(ask(&old, "1", &json!({"to": "x"})), Ok("accepted"));
        let refused = ask(&old, "1", &json!({"to": 1})).expect_err("the current one refuses");
        assert_eq!((refused.code.as_str(), refused.status), ("invalid_input", 422));
        assert_eq!(refused.errors[0].pointer, "/to");
        assert_eq!(
            ask(&new, "2", &json!({"to": 1})),
            Ok("accepted"),
            "the old one no longer does"
        );
        assert!(ask(&new, "2", &json!({"to": "x"})).is_err(), "nor does it accept");
        assert_eq!(
            ask(&old, "1", &json!({})).expect_err("`to` is required").errors[0].pointer,
            ""
        );
    }

    #[test]
    fn a_schema_from_elsewhere_is_not_fetched() {
        let remote = json!({"$ref": "https://example.test/schema.json"});
        let refused = ask(&remote, "3", &json!({})).expect_err("it cannot be compiled");
        assert_eq!(refused.code, "not_configured");
    }
}
