//! With a language model: what it says is used, and no credential ever reaches it. The model is a stand-in on loopback
//! that speaks the API of OpenAI's chat completions.

use crate::{skills::ask, target::service_binary};
use anyhow::{Context, Result};
use guildhall_tests::{Hall, Pace};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

const KEY: &str = "sk-of-the-stand-in";

/// A server that answers each question by what its system message asks for, and remembers what it was sent.
struct StandIn {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    fn start() -> Result<StandIn> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = log.clone();
                // A connection may stay open between questions, so each has a thread of its own.
                std::thread::spawn(move || while serve(&stream, &log).is_some() {});
            }
        });
        Ok(StandIn { url, asked })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().map(|asked| asked.clone()).unwrap_or_default()
    }
}

fn serve(stream: &TcpStream, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let question: Value = serde_json::from_slice(&body).ok()?;
    log.lock().ok()?.push(format!("{head}\n{question}"));
    let system = question["messages"][0]["content"].as_str().unwrap_or_default();
    let text = answer(system);
    let answer = json!({"choices": [{"message": {"content": text}}]}).to_string();
    write!(
        &mut &*stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

fn answer(system: &str) -> String {
    match system {
        s if s.contains("Write the code") => "```rust\npub fn answer() -> u8 {\n    42\n}\n```".into(),
        s if s.contains("Rewrite the code") => "fn short() {}".into(),
        s if s.contains("infrastructure file") => {
            json!({"path": "main.tf", "content": "# nothing yet\n", "notes": ["a note"]}).to_string()
        }
        s if s.contains("a change") => json!({
            "message": "Add a note", "files": [{"path": "by-model.txt", "content": "written by the stand-in\n"}]
        })
        .to_string(),
        s if s.contains("explain source code") => "It keeps settings.".into(),
        s if s.contains("introduction") => "These are the settings.".into(),
        other => format!("unexpected: {other}"),
    }
}

#[tokio::test]
async fn what_the_model_says_is_used_and_no_credential_reaches_it() -> Result<()> {
    if std::env::var("GUILDHALL_E2E_URL").is_ok() {
        println!("skipped: what_the_model_says: needs a fleet with the tests' own model");
        return Ok(());
    }
    let model = StandIn::start()?;
    let env = [
        ("SPIN_VARIABLE_LLM_URL", model.url.as_str()),
        ("SPIN_VARIABLE_LLM_API_KEY", KEY),
        ("SPIN_VARIABLE_LLM_MODEL", "stand-in-1"),
    ];
    let hall = Hall::start("strict", Pace::QUICK, service_binary(), &env).await?;
    let admin = hall.fleet.admin();
    let secret = ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat();
    let leaky = format!("aws_access_key_id = {secret}\n");
    let feature = |branch: &str| {
        json!({"description": format!("Add a note. Our key is {secret}."), "branch": branch, "base": "leaked-credential",
            "context_files": ["settings.ini"]})
    };
    let at = json!({"path": "settings.ini", "revision": "leaked-credential"});
    let cases = [
        (
            "feature-dev",
            "generate_code",
            json!({"requirements": "the answer", "language": "rust", "context": leaky}),
            "/code",
            "pub fn answer() -> u8 {\n    42\n}\n",
        ),
        (
            "feature-dev",
            "refactor_code",
            json!({"code": leaky}),
            "/code",
            "fn short() {}\n",
        ),
        (
            "feature-dev",
            "implement_feature",
            feature("model-1"),
            "/model",
            "stand-in-1",
        ),
        (
            "feature-dev",
            "implement_and_review",
            feature("model-2"),
            "/review/verdict",
            "approve",
        ),
        (
            "code-review",
            "explain_code",
            at.clone(),
            "/explanation",
            "It keeps settings.",
        ),
        (
            "documentation",
            "explain_code",
            at.clone(),
            "/explanation",
            "It keeps settings.",
        ),
        (
            "documentation",
            "generate_docs",
            at,
            "/introduction",
            "These are the settings.",
        ),
        (
            "infrastructure",
            "generate_infrastructure",
            json!({"provider": "terraform", "description": leaky}),
            "/path",
            "main.tf",
        ),
    ];
    let asked_for = cases.len();
    for (agent, skill, input, pointer, wanted) in cases {
        let request = ask(&admin, agent, skill, input).await?;
        assert_eq!(request["state"], "succeeded", "{agent} {skill}: {request:#}");
        let result = &request["result"];
        assert_eq!(
            result.pointer(pointer),
            Some(&json!(wanted)),
            "{agent} {skill}: {result:#}"
        );
        assert_eq!(result["model"], "stand-in-1", "{agent} {skill}: {result:#}");
        assert!(
            !result.to_string().contains(KEY) && !result.to_string().contains(&secret),
            "{agent} {skill}"
        );
    }
    for branch in ["model-1", "model-2"] {
        let text = hall
            .repository
            .git(&["show", &format!("{branch}:by-model.txt")])?;
        assert_eq!(text, "written by the stand-in");
    }
    let asked = model.asked();
    assert_eq!(asked.len(), asked_for, "one question for each");
    for question in &asked {
        assert!(!question.contains(&secret), "a credential was sent: {question}");
        assert!(question.contains(&format!("Bearer {KEY}")), "{question}");
        assert!(question.contains("POST /v1/chat/completions"), "{question}");
    }
    let shown = asked
        .iter()
        .find(|question| question.contains("Content of settings.ini"))
        .context("the file was shown")?;
    assert!(shown.contains("[redacted]"), "{shown}");
    Ok(())
}
