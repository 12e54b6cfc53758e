//! Workflows that run: branches, retries, waits, approvals, events, children, locks, and what people say to runs.

use crate::{
    flow::{Agent, children, document, ended, output, show, start, tell, until, upload},
    target::{admin, hall, with_scopes},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Barrier, Semaphore};

#[tokio::test]
async fn branches_of_a_fork_are_at_work_at_the_same_time() -> Result<()> {
    let Some(_) = hall("branches_of_a_fork").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    // Nobody is answered before all three have been asked.
    let all = Arc::new(Barrier::new(3));
    let agent = Agent::start("e2e-fork", move |request| {
        let all = all.clone();
        async move {
            all.wait().await;
            Ok(json!({"was": request["input"]["n"]}))
        }
    })
    .await?;
    let call = |n: u32| format!("{{call: agent, with: {{skill: e2e_fork, input: {{n: {n}}}}}}}");
    let tasks = format!(
        "do:\n- all:\n    fork:\n      branches:\n      - one: {}\n      - two: {}\n      - three: {}\n",
        call(1),
        call(2),
        call(3)
    );
    let id = start(&admin, &document("fork", &tasks), json!({})).await?;
    assert_eq!(
        output(&admin, &id).await?,
        json!([{"was": 1}, {"was": 2}, {"was": 3}])
    );
    assert_eq!(agent.inputs().len(), 3);
    let run = show(&admin, &id).await?;
    assert_eq!(
        run.step("two").context("a step")?["step"],
        "/do/0/all/fork/branches/1/two"
    );
    assert_eq!(run.step("two").context("a step")?["agent"], "e2e-fork");
    Ok(())
}

#[tokio::test]
async fn a_failed_call_is_tried_again_under_the_same_key() -> Result<()> {
    let Some(_) = hall("a_failed_call").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let calls = Arc::new(AtomicUsize::new(0));
    let agent = Agent::start("e2e-again", move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            match call {
                0 | 1 => Err(json!({"code": "checks_failed", "detail": format!("not yet: {call}"), "retryable": false})),
                _ => Ok(json!({"calls": call + 1})),
            }
        }
    })
    .await?;
    let tasks = "do:
- attempt:
    try:
    - ask: {call: agent, with: {skill: e2e_again, attempts: 1}}
    catch:
      errors: {with: {type: 'https://guildhall.dev/errors/checks-failed'}}
      retry: {delay: {milliseconds: 100}, backoff: {exponential: {}}, limit: {attempt: {count: 5}}}
";
    let id = start(&admin, &document("again", tasks), json!({})).await?;
    assert_eq!(output(&admin, &id).await?, json!({"calls": 3}));
    let keys = agent.keys();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    // What nobody catches ends the run, and says what the agent said.
    let uncaught = "do:\n- ask: {call: agent, with: {skill: e2e_never, attempts: 1}}\n";
    let _never = Agent::start("e2e-never", |_| async {
        Err(json!({"code": "deploy_failed", "detail": "no disk", "retryable": false}))
    })
    .await?;
    let id = start(&admin, &document("never", uncaught), json!({})).await?;
    let run = ended(&admin, &id).await?;
    assert_eq!(
        (run.status(), run.fault()),
        ("faulted", "deploy_failed"),
        "{:#}",
        run.0
    );
    assert_eq!(
        (&run.0["error"]["detail"], &run.0["error"]["step"]),
        (&json!("no disk"), &json!("/do/0/ask"))
    );
    Ok(())
}

#[tokio::test]
async fn a_wait_takes_its_time_and_an_approval_its_person() -> Result<()> {
    let Some(hall) = hall("a_wait_takes_its_time").await? else {
        return Ok(());
    };
    let client = &hall.requester;
    let tasks = "do:
- rest: {wait: {seconds: 2}}
- approve: {call: approval, with: {action: {operation: e2e, what: '${ $workflow.input.what }'}, expires: {minutes: 5}}}
- keep: {set: {by: '${ .decided_by }'}}
";
    let begun = Instant::now();
    let id = start(client, &document("person", tasks), json!({"what": "a test"})).await?;
    let waiting = until(client, &id, "resting", |run| run.step("rest").is_some()).await?;
    assert_eq!(waiting.status(), "waiting");
    let approval = hall.approval(&id).await?;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    let shown = hall
        .approver
        .get(&format!("/v1/approvals/{approval}"))
        .await?
        .json();
    assert_eq!(
        shown["action"],
        json!({"operation": "e2e", "what": "a test"}),
        "{shown:#}"
    );
    hall.approve(&approval).await?;
    assert_eq!(output(client, &id).await?, json!({"by": "ada"}));
    // A refusal can be caught; it is an error of the DSL's own kind.
    let tasks = "do:
- ask:
    try:
    - approve: {call: approval, with: {action: {operation: e2e}}}
    catch:
      errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/authorization}}
      as: why
      do:
      - told: {set: {status: '${ $why.status }', detail: '${ $why.detail }'}}
";
    let id = start(client, &document("refused", tasks), json!({})).await?;
    let approval = hall.approval(&id).await?;
    let path = format!("/v1/approvals/{approval}/reject");
    let refused = hall
        .approver
        .post(&path, &json!({"reason": "not on a Friday"}))
        .await?;
    assert_eq!(refused.status, 200, "{}", refused.text());
    let told = output(client, &id).await?;
    assert_eq!(told["status"], 403, "{told}");
    assert!(told["detail"].to_string().contains("not on a Friday"), "{told}");
    Ok(())
}

#[tokio::test]
async fn an_event_reaches_whoever_listens_from_a_run_and_from_outside() -> Result<()> {
    let admin = admin().await?;
    let listener = "do:
- hear: {listen: {to: {one: {with: {type: e2e.ping, subject: '${ $workflow.input.subject }'}}}}}
- keep: {set: {heard: '${ .[0] }'}}
";
    let listens = |run: &guildhall_tests::RunView| run.status() == "waiting";
    let wait_for = |subject: &str| json!({"subject": subject});
    let mut ids = Vec::new();
    for subject in ["one", "one", "two"] {
        let id = start(&admin, &document("hear", listener), wait_for(subject)).await?;
        until(&admin, &id, "listening", listens).await?;
        ids.push(id);
    }
    let emitter = "do:
- ping:
    emit: {event: {with: {source: '/e2e', type: e2e.ping, subject: one, data: {n: '${ $workflow.input.n }'}, shade: blue}}}
";
    start(&admin, &document("ping", emitter), json!({"n": 1})).await?;
    for id in &ids[..2] {
        assert_eq!(output(&admin, id).await?, json!({"heard": {"n": 1}}));
    }
    assert_eq!(
        show(&admin, &ids[2]).await?.status(),
        "waiting",
        "another subject"
    );
    // From outside, by a token that may do nothing else, and once.
    let (publisher, _) = with_scopes("e2e.publisher", "service", &["events:write"], 600).await?;
    let event = json!({"specversion": "1.0", "id": "e2e-17", "source": "/e2e/outside", "type": "e2e.ping",
        "subject": "two", "data": {"n": 2}});
    let first = publisher.post("/v1/events", &event).await?;
    assert_eq!(
        (first.status, &first.json()["delivered"]),
        (202, &json!(1)),
        "{}",
        first.text()
    );
    let second = publisher.post("/v1/events", &event).await?;
    assert_eq!(
        (second.status, &second.json()["outcome"]),
        (200, &json!("duplicate")),
        "{}",
        second.text()
    );
    assert_eq!(output(&admin, &ids[2]).await?, json!({"heard": {"n": 2}}));
    for wrong in [
        json!({}),
        json!({"specversion": "1.0", "id": "1", "source": "/x"}),
        json!([]),
    ] {
        let reply = publisher.post("/v1/events", &wrong).await?;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (400, Some("invalid_body")),
            "{wrong}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_signal_reaches_one_run_alone() -> Result<()> {
    let admin = admin().await?;
    let tasks = "do:\n- hear: {listen: {to: {one: {with: {type: e2e.signal}}}}}\n";
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = start(&admin, &document("signalled", tasks), json!({})).await?;
        until(&admin, &id, "listening", |run| run.status() == "waiting").await?;
        ids.push(id);
    }
    tell(&admin, &ids[0], "signal", &json!({"type": "e2e.other"})).await?;
    tell(
        &admin,
        &ids[0],
        "signal",
        &json!({"type": "e2e.signal", "data": {"amount": 3}}),
    )
    .await?;
    assert_eq!(output(&admin, &ids[0]).await?, json!([{"amount": 3}]));
    assert_eq!(show(&admin, &ids[1]).await?.status(), "waiting");
    tell(&admin, &ids[1], "cancel", &json!({"reason": "the test is over"})).await
}

#[tokio::test]
async fn a_child_gives_its_output_or_its_error_and_cancelling_reaches_it() -> Result<()> {
    let Some(_) = hall("a_child_gives_its_output").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let _agent = Agent::start("e2e-child", move |request| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.map_err(|_| json!({}))?.forget();
            Ok(request["input"].clone())
        }
    })
    .await?;
    let child = "do:
- ask: {call: agent, with: {skill: e2e_child, input: '${ . }'}, metadata: {locks: ['e2e:child']}}
- check: {if: '${ .fail }', raise: {error: {type: 'https://e2e.example/errors/too-bad', status: 418, detail: bad}}}
";
    upload(&admin, &document("child", child)).await?;
    let parent = "do:
- inner:
    try:
    - child: {run: {workflow: {namespace: e2e, name: child, version: latest, input: '${ $workflow.input }'}}}
    catch: {as: error, do: [{caught: {set: {caught: '${ $error.status }'}}}]}
";
    let parent = document("parent", parent);
    open.add_permits(2);
    let id = start(&admin, &parent, json!({"n": 1})).await?;
    assert_eq!(output(&admin, &id).await?, json!({"n": 1}));
    let step = show(&admin, &id).await?;
    let step = step.step("child").context("the child's step")?.clone();
    assert_eq!(
        (&step["kind"], &step["status"]),
        (&json!("workflow"), &json!("completed")),
        "{step:#}"
    );
    let id = start(&admin, &parent, json!({"fail": true})).await?;
    assert_eq!(output(&admin, &id).await?, json!({"caught": 418}));

    // Now nobody answers the child: it waits, and holds its lock.
    let id = start(&admin, &parent, json!({})).await?;
    let step = |run: &guildhall_tests::RunView| run.step("child").is_some();
    until(&admin, &id, "running its child", step).await?;
    let begun = children(&admin, &id).await?;
    let child = begun[0]["id"].as_str().context("a child")?;
    let asking = |run: &guildhall_tests::RunView| run.step("ask").is_some();
    until(&admin, child, "asking", asking).await?;
    let lock = admin.get("/v1/locks/e2e%3Achild").await?.json();
    assert!(lock["holder"].to_string().contains(child), "{lock:#}");
    tell(&admin, &id, "cancel", &json!({"reason": "enough"})).await?;
    let gone = ended(&admin, child).await?;
    assert_eq!(gone.status(), "cancelled", "{:#}", gone.0);
    assert_eq!(show(&admin, &id).await?.status(), "cancelled");
    let request = gone.step("ask").context("a step")?;
    assert_eq!(request["error"]["code"], "cancelled", "{request:#}");
    let lock = admin.get("/v1/locks/e2e%3Achild").await?.json();
    assert!(lock["holder"].is_null(), "{lock:#}");
    open.add_permits(1);
    Ok(())
}

#[tokio::test]
async fn a_lock_is_held_over_a_wait_and_keeps_others_out() -> Result<()> {
    let admin = admin().await?;
    let tasks = "do:
- alone:
    metadata: {locks: ['e2e:wait', '${ \"e2e:\" + $workflow.input.other }']}
    do:
    - rest: {wait: {seconds: 1}}
    - keep: {set: {at: '${ $task.startedAt.epoch.milliseconds }'}}
";
    let mut ids = Vec::new();
    for other in ["a", "b", "c"] {
        ids.push(start(&admin, &document("alone", tasks), json!({"other": other})).await?);
    }
    let mut held_by = std::collections::BTreeSet::new();
    let begun = Instant::now();
    loop {
        let lock = admin.get("/v1/locks/e2e%3Await").await?.json();
        if let Some(holder) = lock["holder"].as_str() {
            held_by.insert(holder.to_owned());
        }
        let mut done = 0;
        for id in &ids {
            done += usize::from(show(&admin, id).await?.ended());
        }
        if done == ids.len() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{lock:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut ends = Vec::new();
    for id in &ids {
        ends.push(output(&admin, id).await?["at"].as_i64().context("a time")?);
        assert!(
            held_by
                .iter()
                .any(|holder| holder.starts_with(&format!("run/{id}"))),
            "{held_by:?}"
        );
    }
    ends.sort_unstable();
    assert!(
        ends.windows(2).all(|pair| pair[1] - pair[0] >= 1000),
        "they overlapped: {ends:?}"
    );
    for name in ["wait", "a", "b", "c"] {
        let lock = admin.get(&format!("/v1/locks/e2e%3A{name}")).await?.json();
        assert!(lock["holder"].is_null(), "{lock:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_run_begins_nothing_until_it_is_resumed() -> Result<()> {
    let Some(_) = hall("a_paused_run").await? else {
        return Ok(());
    };
    let admin = admin().await?;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let agent = Agent::start("e2e-pause", move |request| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.map_err(|_| json!({}))?.forget();
            Ok(request["input"].clone())
        }
    })
    .await?;
    let tasks = "do:
- first: {call: agent, with: {skill: e2e_pause, input: {n: 1}}}
- second: {call: agent, with: {skill: e2e_pause, input: {n: 2}}}
";
    let id = start(&admin, &document("pause", tasks), json!({})).await?;
    let asked =
        |run: &guildhall_tests::RunView| run.step("first").is_some_and(|step| step["status"] == "running");
    until(&admin, &id, "asking", asked).await?;
    tell(&admin, &id, "pause", &json!({})).await?;
    until(&admin, &id, "suspended", |run| run.status() == "suspended").await?;
    open.add_permits(2);
    let first = |run: &guildhall_tests::RunView| {
        run.step("first")
            .is_some_and(|step| step["status"] == "completed")
    };
    until(&admin, &id, "done with the first step", first).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let run = show(&admin, &id).await?;
    assert_eq!(
        (run.status(), run.steps()),
        ("suspended", vec!["first"]),
        "{:#}",
        run.0
    );
    let listed = admin.get("/v1/runs?status=suspended&limit=200").await?.json();
    let found = listed["items"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|item| item["id"] == id.as_str());
    assert!(found, "{listed:#}");
    tell(&admin, &id, "resume", &json!({})).await?;
    assert_eq!(output(&admin, &id).await?, json!({"n": 2}));
    assert_eq!(agent.inputs(), [json!({"n": 1}), json!({"n": 2})]);
    let journal = admin.get(&format!("/v1/runs/{id}/journal")).await?.json();
    let events: Vec<&str> = journal["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry: &Value| entry["data"]["event"].as_str())
        .collect();
    assert_eq!(
        events,
        ["pause", "completed", "resume", "completed"],
        "{journal:#}"
    );
    Ok(())
}
