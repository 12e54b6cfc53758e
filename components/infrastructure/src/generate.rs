//! `generate_infrastructure`: by rules from facts, or by a model from a description; reviewed, and committed by nobody.

use guildhall_guest::{
    agent::AgentCall,
    domain::{Code, request::AgentError},
    llm::Model,
    repository,
};
use guildhall_skills::{
    infra::{self, Made, Provider},
    inputs::{self, GenerateInfrastructure},
    review,
};
use serde_json::{Value, json};

/// Most tokens of a model's answer.
const ANSWER_MAX_TOKENS: u32 = 6_000;

pub(crate) async fn generate_infrastructure(call: &AgentCall) -> Result<Value, AgentError> {
    let input: GenerateInfrastructure = inputs::read(&call.skill, &call.input)?;
    let by_rules = input
        .service
        .as_ref()
        .and_then(|service| infra::make(input.provider, service));
    // A description asks for more than the facts say, and rules can not give that.
    match (by_rules, &input.description) {
        (Some(made), None) => Ok(told(&made, "rules", None)),
        (made, _) => {
            let model = Model::required().await?;
            let prompt = prompt(&input, made.as_ref());
            let answer = model
                .complete(
                    call.trace(),
                    infra::INSTRUCTIONS,
                    &prompt,
                    true,
                    ANSWER_MAX_TOKENS,
                )
                .await?;
            let made = infra::read_answer(&answer).map_err(|why| AgentError {
                retryable: true,
                ..repository::refused(
                    Code::ToolFailed,
                    format!("The model's answer is not a file that can be used: {why}."),
                    "Try again, describe it more closely, or set llm_model to a stronger model.",
                )
            })?;
            Ok(told(&made, "model", Some(model.name())))
        }
    }
}

fn prompt(input: &GenerateInfrastructure, made: Option<&Made>) -> String {
    let kind = match input.provider {
        Provider::Compose => "Docker Compose",
        Provider::Kubernetes => "Kubernetes",
        Provider::Terraform => "Terraform",
    };
    let mut prompt = format!("Write a {kind} file.\n");
    if let Some(description) = &input.description {
        prompt.push_str(&format!("\nDescription:\n{description}\n"));
    }
    if let Some(service) = &input.service {
        prompt.push_str(&format!(
            "\nService: {} from {}, port {:?}\n",
            service.name, service.image, service.port
        ));
    }
    if let Some(made) = made {
        prompt.push_str(&format!(
            "\nBegin with this file, made from the facts:\n{}\n",
            made.content
        ));
    }
    prompt
}

fn told(made: &Made, by: &str, model: Option<&str>) -> Value {
    let review = review::review_diff(
        &review::added(&made.path, &made.content),
        &review::Options::default(),
    );
    json!({
        "by": by,
        "model": model,
        "path": made.path,
        "content": made.content,
        "notes": made.notes,
        "summary": format!("Wrote {} by {by}. {}", made.path, review.summary),
        "review": review,
    })
}
