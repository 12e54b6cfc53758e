//! An optional language model behind an OpenAI-compatible chat completions API.

use crate::{client::Call, trace::Trace, vars};
use guildhall_domain::{Code, request::AgentError};
use guildhall_skills::review::redact;
use serde_json::{Value, json};
use std::time::Duration;

/// Most tokens of what a model adds to a result of rules.
const ADDED_MAX_TOKENS: u32 = 2_000;

/// A model that is set up.
#[derive(Clone, Debug)]
pub struct Model {
    url: String,
    key: String,
    name: String,
}

impl Model {
    /// The model of the variables `llm_url`, `llm_api_key` and `llm_model`; `None` when one of the last two is
    /// empty or not given to the component, which means that this installation has no model.
    pub async fn configured() -> Option<Model> {
        let variable = async |name| vars::optional(name).await.ok().flatten();
        Some(Model {
            url: variable("llm_url").await?,
            key: variable("llm_api_key").await?,
            name: variable("llm_model").await?,
        })
    }

    /// The model, or the error to answer with when a skill cannot work without one.
    pub async fn required() -> Result<Model, AgentError> {
        Model::configured().await.ok_or_else(|| AgentError {
            code: Code::NotConfigured.as_str().into(),
            detail: "This skill needs a language model and none is set up.".into(),
            hint: Some(
                "Set the variables llm_api_key and llm_model (and llm_url for another provider).".into(),
            ),
            retryable: false,
        })
    }

    /// Adds what the model says to a result that rules have made: the text under `key`, and under `model` who said it
    /// or why nobody did. A model that fails takes nothing from the result.
    pub async fn add_to(&self, result: &mut Value, key: &str, trace: &Trace, system: &str, user: &str) {
        match self.complete(trace, system, user, false, ADDED_MAX_TOKENS).await {
            Ok(text) => {
                result[key] = json!(text.trim());
                result["model"] = json!(self.name);
                result["by"] = json!("rules and model");
            }
            Err(error) => result["model_error"] = json!({"code": error.code, "detail": error.detail}),
        }
    }

    /// The model's name, to be named in results that it contributed to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for one answer to `system` and `user`; with `json` the model is asked for a JSON object. At most
    /// `max_tokens` tokens come back within 120 s. Whatever in `user` looks like a credential is taken out before it
    /// leaves ([`redact`]): what files hold is not the provider's business.
    pub async fn complete(
        &self,
        trace: &Trace,
        system: &str,
        user: &str,
        json: bool,
        max_tokens: u32,
    ) -> Result<String, AgentError> {
        let mut body = json!({
            "model": self.name,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": redact(user)}],
            "max_tokens": max_tokens,
            "temperature": 0,
        });
        if json {
            body["response_format"] = json!({"type": "json_object"});
        }
        let answer = Call::post_json(
            format!("{}/v1/chat/completions", self.url.trim_end_matches('/')),
            &body,
        )
        .bearer(&self.key)
        .trace(trace)
        .limit(Duration::from_secs(120))
        .max_answer(4 * 1024 * 1024)
        .send()
        .await
        .map_err(|error| AgentError {
            code: Code::Unreachable.as_str().into(),
            detail: format!("The language model could not be asked at {error}."),
            hint: Some("Check llm_url and the network.".into()),
            retryable: true,
        })?;
        understand(answer.status, &answer.body)
    }
}

fn understand(status: u16, body: &[u8]) -> Result<String, AgentError> {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let text = parsed
        .as_ref()
        .and_then(|answer| answer["choices"][0]["message"]["content"].as_str());
    if let (200, Some(text)) = (status, text) {
        return Ok(text.to_owned());
    }
    // The provider's own words stay out of the error: they may quote the prompt or the key.
    let (code, hint, retryable) = match status {
        401 | 403 => (
            Code::NotConfigured,
            "The provider refused llm_api_key; set a valid one.",
            false,
        ),
        404 => (
            Code::NotConfigured,
            "The provider does not know llm_model or llm_url; correct them.",
            false,
        ),
        429 | 500..=599 => (
            Code::Unreachable,
            "The provider is overloaded or down; it is tried again.",
            true,
        ),
        _ => (
            Code::Unreachable,
            "Check that llm_url is an OpenAI-compatible API.",
            false,
        ),
    };
    Err(AgentError {
        code: code.as_str().into(),
        detail: format!("The language model gave no answer (HTTP {status})."),
        hint: Some(hint.into()),
        retryable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_text_and_a_failure_says_what_to_do() {
        let good = br#"{"choices":[{"message":{"content":"hello"}}]}"#;
        assert_eq!(understand(200, good).as_deref(), Ok("hello"));
        for (status, body, code, retryable) in [
            (401, &b"bad key sk-secret"[..], "not_configured", false),
            (429, b"", "unreachable", true),
            (503, b"", "unreachable", true),
            (200, b"{}", "unreachable", false),
        ] {
            let error = understand(status, body).expect_err("no answer");
            assert_eq!(
                (error.code.as_str(), error.retryable),
                (code, retryable),
                "{status}"
            );
            assert!(!error.detail.contains("secret"));
        }
    }
}
