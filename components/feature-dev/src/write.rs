//! Having a model write code into its answer. What it writes is reviewed by the rules and committed by nobody.

use guildhall_guest::{agent::AgentCall, domain::request::AgentError, llm::Model};
use guildhall_skills::{
    code::{Language, outline},
    generate,
    inputs::{self, GenerateCode, RefactorCode},
    review,
};
use serde_json::{Value, json};

/// Most tokens of the model's answer.
const ANSWER_MAX_TOKENS: u32 = 8_000;

pub(crate) async fn generate_code(call: &AgentCall) -> Result<Value, AgentError> {
    let input: GenerateCode = inputs::read(&call.skill, &call.input)?;
    let model = Model::required().await?;
    let language = input.language.as_deref();
    let prompt = generate::generate_prompt(&input.requirements, language, input.context.as_deref());
    let code = ask(call, &model, generate::GENERATE, &prompt).await?;
    let mut result = written(&model, language, &code);
    result["summary"] = json!(format!(
        "{} wrote {} lines. {}",
        model.name(),
        code.lines().count(),
        result["review"]["summary"].as_str().unwrap_or_default()
    ));
    Ok(result)
}

pub(crate) async fn refactor_code(call: &AgentCall) -> Result<Value, AgentError> {
    let input: RefactorCode = inputs::read(&call.skill, &call.input)?;
    let model = Model::required().await?;
    let language = input.language.as_deref();
    let prompt = generate::refactor_prompt(&input.code, input.goals.as_deref(), language);
    let code = ask(call, &model, generate::REFACTOR, &prompt).await?;
    let mut result = written(&model, language, &code);
    let (before, after) = (structure(&input.code, language), structure(&code, language));
    result["summary"] = json!(format!(
        "{} made {} lines of {}. Whether it still does the same, only the tests can tell.",
        model.name(),
        after["lines"],
        before["lines"]
    ));
    result["before"] = before;
    result["after"] = after;
    Ok(result)
}

async fn ask(call: &AgentCall, model: &Model, system: &str, prompt: &str) -> Result<String, AgentError> {
    let answer = model
        .complete(call.trace(), system, prompt, false, ANSWER_MAX_TOKENS)
        .await?;
    generate::read_code(&answer)
        .map_err(|why| crate::implement::unusable(&format!("code that can be used: {why}")))
}

fn written(model: &Model, language: Option<&str>, code: &str) -> Value {
    let name = generate::file_name(language, code);
    let review = review::review_diff(&review::added(&name, code), &review::Options::default());
    json!({"by": "model", "model": model.name(), "language": language, "code": code, "review": review})
}

fn structure(code: &str, language: Option<&str>) -> Value {
    let language = language
        .and_then(Language::named)
        .unwrap_or_else(|| Language::guess(code));
    let found = outline(code, language);
    let hardest = found.functions.iter().map(|function| function.complexity).max();
    json!({"lines": found.lines.total, "functions": found.functions.len(), "highest_complexity": hardest})
}
