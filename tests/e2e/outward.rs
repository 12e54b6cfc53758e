//! What leaves the fleet: requests to remote agents, callbacks, probes; and what must not.

use crate::{
    registry::{bound, card, put},
    target::{TRUSTED, admin, hall},
};
use anyhow::{Context, Result, ensure};
use guildhall_testkit::{Client, Stub, stub::Received};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// No test asserts less; this only ends a hang.
const PATIENCE: Duration = Duration::from_secs(90);

/// Answers by a list, one after the other, and the last one again and again; what came is kept.
#[derive(Clone)]
struct Script {
    answers: Arc<Vec<(u16, Value)>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Script {
    fn new(answers: Vec<(u16, Value)>) -> Script {
        Script {
            answers: Arc::new(answers),
            received: Arc::default(),
        }
    }

    /// Everything that came.
    fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic holds it").clone()
    }

    async fn at(&self, ip: [u8; 4]) -> Result<Stub> {
        let script = self.clone();
        Stub::start_at(ip, move |request| {
            let script = script.clone();
            async move {
                let mut received = script.received.lock().expect("no panic holds it");
                received.push(request);
                let place = (received.len() - 1).min(script.answers.len() - 1);
                script.answers[place].clone()
            }
        })
        .await
    }
}

fn done() -> (u16, Value) {
    (200, json!({"status": "succeeded", "result": {"well": true}}))
}

/// A remote agent `id` with one skill of the same name, reached at `url`.
async fn agent(id: &str, url: &str, more: Value) -> Result<()> {
    let mut body = json!({"card": card(id, &[&id.replace('-', "_")]), "ttl_s": 300, "url": url});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let reply = put(&bound(id).await?, &format!("/v1/agents/{id}"), &body).await?;
    ensure!(reply.status == 201, "{}", reply.text());
    Ok(())
}

async fn submit(client: &Client, skill: &str, more: Value) -> Result<String> {
    let mut body = json!({"skill": skill, "input": {"n": 1}});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let reply = client.post("/v1/requests", &body).await?;
    ensure!(reply.status == 201, "{}", reply.text());
    Ok(reply.json()["id"].as_str().context("an id")?.to_owned())
}

async fn until<T>(what: &str, look: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "{what} never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ended(client: &Client, id: &str) -> Result<Value> {
    until("the end of the request", async || {
        let shown = client.get(&format!("/v1/requests/{id}")).await?.json();
        Ok((!shown["finished_at"].is_null()).then_some(shown))
    })
    .await
}

/// The event of this type about a request.
async fn told(client: &Client, kind: &str, subject: &str) -> Result<Value> {
    until(kind, async || {
        let path = format!("/v1/events?type={kind}&subject={subject}");
        Ok(client.get(&path).await?.json()["items"]
            .get(0)
            .map(|item| item["event"].clone()))
    })
    .await
}

/// Whether a message carries the signature that this key makes.
fn is_signed(received: &Received, key: &str) -> bool {
    let parts = received
        .header("guildhall-signature")
        .and_then(|header| header.strip_prefix("t=")?.split_once(",v1="));
    let Some((time, signature)) = parts else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(&received.body);
    hex::encode(mac.finalize().into_bytes()) == signature
}

#[tokio::test]
async fn a_remote_agent_is_asked_again_until_it_answers() -> Result<()> {
    let Some(_) = hall("a_remote_agent_is_asked_again_until_it_answers").await? else {
        return Ok(());
    };
    let script = Script::new(vec![(500, json!({})), (200, json!("no reply")), done()]);
    let stub = script.at(TRUSTED).await?;
    agent("e2e-far", &stub.url(), json!({})).await?;
    let admin = admin().await?;
    let id = submit(&admin, "e2e_far", json!({})).await?;
    let shown = ended(&admin, &id).await?;
    assert_eq!(shown["state"], "succeeded", "{shown:#}");
    assert_eq!(
        (&shown["attempt"], &shown["result"]["well"]),
        (&json!(3), &json!(true))
    );
    let calls = script.received();
    assert_eq!(calls.len(), 3);
    for (call, attempt) in calls.iter().zip(1..) {
        let body = call.json();
        assert_eq!(
            (call.method.as_str(), call.path.as_str()),
            ("POST", "/agent-request")
        );
        assert_eq!(
            (&body["request_id"], &body["attempt"], &body["epoch"]),
            (&json!(id), &json!(attempt), &json!(attempt)),
            "{body:#}"
        );
        assert_eq!(
            body["idempotency_key"],
            calls[0].json()["idempotency_key"],
            "the same each time"
        );
        assert_eq!(
            (&body["skill"], &body["input"]),
            (&json!("e2e_far"), &json!({"n": 1}))
        );
        assert!(call.header("guildhall-signature").is_some(), "{:?}", call.headers);
        assert!(call.header("authorization").is_none(), "no token of ours leaves");
    }
    Ok(())
}

#[tokio::test]
async fn an_agent_that_says_no_and_one_that_may_not_be_called_end_the_request_at_once() -> Result<()> {
    let Some(_) = hall("an_agent_that_says_no_and_one_that_may_not_be_called").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let no = Script::new(vec![(
        200,
        json!({"status": "failed", "error": {"code": "invalid_input", "detail": "not so", "retryable": false}}),
    )]);
    let stub = no.at(TRUSTED).await?;
    agent("e2e-no", &stub.url(), json!({})).await?;
    let shown = ended(&admin, &submit(&admin, "e2e_no", json!({})).await?).await?;
    assert_eq!(
        (&shown["state"], &shown["error"]["detail"]),
        (&json!("rejected"), &json!("not so")),
        "{shown:#}"
    );
    // Its address is one of this machine, which nobody allowed.
    let inwards = Script::new(vec![done()]);
    let stub = inwards.at([127, 0, 0, 1]).await?;
    agent("e2e-inwards", &stub.url(), json!({})).await?;
    let shown = ended(&admin, &submit(&admin, "e2e_inwards", json!({})).await?).await?;
    assert_eq!(
        (&shown["state"], &shown["attempt"]),
        (&json!("failed"), &json!(1)),
        "{shown:#}"
    );
    assert!(
        shown["error"]["detail"].to_string().contains("_not_allowed"),
        "{shown:#}"
    );
    assert!(inwards.received().is_empty(), "somebody went there");
    Ok(())
}

#[tokio::test]
async fn a_callback_is_signed_repeated_and_told_of() -> Result<()> {
    let Some(_) = hall("a_callback_is_signed_repeated_and_told_of").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let worker = Script::new(vec![done()]).at(TRUSTED).await?;
    agent("e2e-called", &worker.url(), json!({})).await?;
    let listener = Script::new(vec![(503, json!({})), (204, json!({}))]);
    let hook = listener.at(TRUSTED).await?;
    let url = format!("{}/hook?x=1", hook.url());
    let id = submit(
        &admin,
        "e2e_called",
        json!({"callback_url": url, "correlation_id": "c-1"}),
    )
    .await?;
    let delivered = told(&admin, "dev.guildhall.callback.delivered.v1", &id).await?;
    assert_eq!(delivered["data"]["attempts"], 2, "{delivered:#}");

    let calls = listener.received();
    assert_eq!(calls.len(), 2);
    let key = admin.get("/v1/requests/callback-key").await?.json();
    let key = key["key"].as_str().context("a key")?.to_owned();
    for call in &calls {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/hook?x=1"));
        assert!(is_signed(call, &key), "{:?}", call.headers);
        assert!(!is_signed(call, "another"), "the key makes the difference");
        assert!(call.header("authorization").is_none(), "no token of ours leaves");
        let event = call.json();
        assert_eq!(event["type"], "dev.guildhall.request.succeeded.v1", "{event:#}");
        assert_eq!(
            (&event["subject"], &event["data"]["correlation_id"]),
            (&json!(id), &json!("c-1"))
        );
        assert_eq!(event["data"]["result"], json!({"well": true}));
    }
    assert_eq!(
        calls[0].json()["id"],
        calls[1].json()["id"],
        "one event, told twice"
    );
    Ok(())
}

#[tokio::test]
async fn a_callback_does_not_go_where_others_point() -> Result<()> {
    let Some(_) = hall("a_callback_does_not_go_where_others_point").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let worker = Script::new(vec![done()]).at(TRUSTED).await?;
    agent("e2e-pointed", &worker.url(), json!({})).await?;
    let inwards = Script::new(vec![(200, json!({}))]);
    let secret = inwards.at([127, 0, 0, 1]).await?;
    let port = secret.address().port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "https://ops.spin.internal/internal/wake".into(),
    ] {
        let id = submit(&admin, "e2e_pointed", json!({"callback_url": url})).await?;
        let failed = told(&admin, "dev.guildhall.callback.failed.v1", &id).await?;
        assert_eq!(failed["data"]["attempts"], 1, "{url}: {failed:#}");
    }
    assert!(inwards.received().is_empty(), "somebody went there");
    Ok(())
}

#[tokio::test]
async fn a_good_probe_keeps_an_agent_alive_that_lives_by_probes() -> Result<()> {
    let Some(_) = hall("a_good_probe_keeps_an_agent_alive").await? else {
        return Ok(());
    };
    let script = Script::new(vec![(200, json!({"secret": "of the agent"})), (302, json!({}))]);
    let stub = script.at(TRUSTED).await?;
    let health = format!("{}/health", stub.url());
    agent(
        "e2e-probed",
        &stub.url(),
        json!({"liveness": "probe", "health_url": health, "ttl_s": 120}),
    )
    .await?;
    let admin = admin().await?;
    let shown = until("the first probe", async || {
        let shown = admin.get("/v1/agents/e2e-probed").await?.json();
        Ok((!shown["probe_detail"].is_null()).then_some(shown))
    })
    .await?;
    let detail = shown["probe_detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("answered 200"), "{shown:#}");
    assert!(
        !shown.to_string().contains("of the agent"),
        "a probe keeps no body"
    );
    let (beat, registered) = (&shown["heartbeat_at"], &shown["registered_at"]);
    assert!(
        beat.as_str() > registered.as_str(),
        "it counts as a heartbeat: {shown:#}"
    );
    let call = &script.received()[0];
    assert_eq!((call.method.as_str(), call.path.as_str()), ("GET", "/health"));
    Ok(())
}

#[tokio::test]
async fn a_broadcast_asks_everybody_and_the_same_key_asks_once() -> Result<()> {
    let Some(_) = hall("a_broadcast_asks_everybody_and_the_same_key_asks_once").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let script = Script::new(vec![done()]);
    let stub = script.at(TRUSTED).await?;
    for id in ["e2e-choir-1", "e2e-choir-2", "e2e-choir-3"] {
        let body = json!({"card": card(id, &["sing_along"]), "ttl_s": 300, "url": stub.url()});
        ensure!(
            put(&bound(id).await?, &format!("/v1/agents/{id}"), &body)
                .await?
                .status
                == 201
        );
    }
    let body = json!({"skill": "sing_along", "input": {"song": "x"}, "exclude": ["e2e-choir-2"]}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "e2e-choir"),
    ];
    let send = || {
        admin.send(
            "POST",
            "/v1/requests/broadcasts",
            &headers,
            body.clone().into_bytes(),
        )
    };
    let first = send().await?;
    assert_eq!(first.status, 201, "{}", first.text());
    let id = first.json()["id"].as_str().context("an id")?.to_owned();
    let shown = until("the answers", async || {
        let shown = admin.get(&format!("/v1/requests/broadcasts/{id}")).await?.json();
        Ok((shown["open"] == 0).then_some(shown))
    })
    .await?;
    let answers = shown["answers"].as_array().cloned().unwrap_or_default();
    let agents: Vec<&str> = answers
        .iter()
        .filter_map(|answer| answer["agent"].as_str())
        .collect();
    assert_eq!(agents, ["e2e-choir-1", "e2e-choir-3"], "{shown:#}");
    assert!(
        answers.iter().all(|answer| answer["state"] == "succeeded"),
        "{shown:#}"
    );
    // What was accepted stays accepted, also when nobody could be asked any more.
    for id in ["e2e-choir-1", "e2e-choir-2", "e2e-choir-3"] {
        let path = format!("/v1/agents/{id}");
        ensure!(
            bound(id)
                .await?
                .send("DELETE", &path, &[], Vec::new())
                .await?
                .status
                == 204
        );
    }
    let again = send().await?;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (200, &json!(id)),
        "{}",
        again.text()
    );
    assert_eq!(script.received().len(), 2);
    Ok(())
}
