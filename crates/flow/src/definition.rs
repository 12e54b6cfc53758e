//! What a run does: named steps, one after the other.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// Most steps in a definition.
pub const MAX_STEPS: usize = 64;

/// A versioned sequence of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, for example `deliver-change`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The steps, in order.
    #[serde(rename = "do")]
    pub steps: Vec<Step>,
}

/// One named step: `{ "review": { "call": "agent", … } }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Unique within the definition.
    pub name: String,
    /// What it does.
    pub call: Call,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Ask an agent for a skill.
    Agent(AgentCall),
    /// Ask a person to agree to an action.
    Approval(ApprovalCall),
}

/// A request to whichever agent has the skill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCall {
    /// The wanted skill.
    pub skill: String,
    /// A particular agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The skill's input, an object.
    #[serde(default = "empty_object")]
    pub input: Value,
    /// More input: key to a JSON pointer into the results so far, an object by step name
    /// (`/approve/approval_id`). What the pointer does not find is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input_from: BTreeMap<String, String>,
    /// Seconds until the request times out, over all attempts.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u32,
    /// How often it is tried.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u16,
    /// What the result must say for the run to go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Requirement>,
}

/// An approval that the run waits for. Its result is `{approval_id, decided_by}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalCall {
    /// Exactly what would be done.
    pub action: Value,
    /// The risk assessment.
    pub risk: Value,
    /// Seconds until it lapses.
    pub expires_s: u32,
}

/// A condition on a step's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// JSON pointer into the result.
    pub pointer: String,
    /// The values that let the run go on.
    pub one_of: Vec<Value>,
    /// The error code of the run otherwise.
    pub code: String,
    /// Why, for people; the result's `summary` is added.
    pub reason: String,
}

fn empty_object() -> Value {
    Value::Object(Default::default())
}

fn default_timeout_s() -> u32 {
    600
}

fn default_max_attempts() -> u16 {
    3
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.name, &self.call)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = BTreeMap::<String, Call>::deserialize(deserializer)?;
        match (map.len(), map.pop_first()) {
            (1, Some((name, call))) => Ok(Step { name, call }),
            (n, _) => Err(D::Error::custom(format!(
                "a step is an object with one key, its name; this has {n}"
            ))),
        }
    }
}

/// Why a definition cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionError {
    /// JSON pointer to the place.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            if self.pointer.is_empty() {
                "/"
            } else {
                &self.pointer
            },
            self.reason
        )
    }
}

impl std::error::Error for DefinitionError {}

impl Definition {
    /// The step's name in the journal: its JSON pointer in the definition (RFC 6901), for example `/do/0/review`.
    pub fn pointer(&self, index: usize) -> String {
        let name = self.steps.get(index).map_or("", |step| step.name.as_str());
        format!("/do/{index}/{}", name.replace('~', "~0").replace('/', "~1"))
    }

    /// Checks what the types cannot: names, limits, and that steps only look back.
    pub fn validate(&self) -> Result<(), DefinitionError> {
        let error = |pointer: String, reason: String| Err(DefinitionError { pointer, reason });
        if self.name.is_empty() {
            return error("/name".into(), "the name is empty".into());
        }
        if self.steps.is_empty() || self.steps.len() > MAX_STEPS {
            return error(
                "/do".into(),
                format!("there must be 1 to {MAX_STEPS} steps, not {}", self.steps.len()),
            );
        }
        for (index, step) in self.steps.iter().enumerate() {
            let pointer = self.pointer(index);
            if step.name.is_empty() || step.name.len() > 64 {
                return error(
                    format!("/do/{index}"),
                    "a step's name has 1 to 64 characters".into(),
                );
            }
            if self.steps[..index]
                .iter()
                .any(|earlier| earlier.name == step.name)
            {
                return error(pointer, format!("there is an earlier step named `{}`", step.name));
            }
            match &step.call {
                Call::Agent(call) => self.validate_agent_call(index, &pointer, call)?,
                Call::Approval(call) if call.expires_s == 0 => {
                    return error(
                        format!("{pointer}/expires_s"),
                        "an approval needs time: at least 1 s".into(),
                    );
                }
                Call::Approval(_) => {}
            }
        }
        Ok(())
    }

    fn validate_agent_call(
        &self,
        index: usize,
        pointer: &str,
        call: &AgentCall,
    ) -> Result<(), DefinitionError> {
        let error = |key: &str, reason: String| {
            Err(DefinitionError {
                pointer: format!("{pointer}/{key}"),
                reason,
            })
        };
        if call.skill.is_empty() {
            return error("skill", "the skill is empty".into());
        }
        if !call.input.is_object() {
            return error("input", "the input must be an object".into());
        }
        if call.timeout_s == 0 || call.max_attempts == 0 {
            return error(
                "timeout_s",
                "timeout_s and max_attempts must be at least 1".into(),
            );
        }
        for (key, from) in &call.input_from {
            let source = from.strip_prefix('/').and_then(|rest| rest.split('/').next());
            let known = source.is_some_and(|name| {
                let name = name.replace("~1", "/").replace("~0", "~");
                self.steps[..index].iter().any(|earlier| earlier.name == name)
            });
            if !known {
                return error(
                    &format!("input_from/{key}"),
                    format!("`{from}` does not begin with an earlier step"),
                );
            }
        }
        for requirement in &call.require {
            if requirement.one_of.is_empty() {
                return error(
                    "require",
                    "`one_of` is empty, so the step could never pass".into(),
                );
            }
        }
        Ok(())
    }
}
