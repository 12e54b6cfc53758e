//! Redis, called by guests and calling them.

use guildhall_host::{ErrorKind, ExitReason, Host, HostOptions, Mode};
use guildhall_testkit::{FaultProxy, Redis};
use serde_json::{Value, json};

use crate::support::{App, Folder, MODES, eventually, probe};

/// The probe beside a subscriber of the channel `work`, both with `redis` as their variable.
fn manifest() -> String {
    format!(
        "[variables]\nredis = {{ required = true }}\ntrigger = {{ required = true }}\n\
         [application.trigger.redis]\naddress = \"{{{{trigger}}}}\"\n{}\
         [component.probe.variables]\nredis = \"{{{{redis}}}}\"\n\
         [[trigger.redis]]\nchannel = \"work\"\ncomponent = \"listener\"\n\
         [component.listener]\nsource = \"{{listener}}\"\n\
         allowed_outbound_hosts = [\"redis://127.0.0.1:*\", \"http://probe.spin.internal\", \"http://self\"]\n\
         [component.listener.variables]\nredis = \"{{{{redis}}}}\"\n",
        probe("allowed_outbound_hosts = [\"redis://127.0.0.1:*\"]")
    )
}

/// Values for `server`, with the trigger going through `port`.
fn variables(server: &Redis, port: u16) -> impl FnOnce(&mut HostOptions) + use<> {
    let url = server.url().to_string();
    let trigger = url.replace(&format!(":{}", server.port()), &format!(":{port}"));
    move |options| {
        options.variables.insert("redis".into(), url);
        options.variables.insert("trigger".into(), trigger);
    }
}

async fn start(server: &Redis, mode: Mode) -> App {
    App::start_with(&manifest(), mode, variables(server, server.port())).await
}

/// Publishes to the channel `work`; gives how many subscribers there were.
async fn publish(app: &App, message: &str) -> i64 {
    // The probe splits its line at blanks, so the message goes in by a script.
    let script = format!(
        "EVAL return{}redis.call('PUBLISH','work','{}') 0",
        '\t',
        message.replace(' ', "\\032")
    );
    app.post("/redis", &script).await[0].as_i64().expect("a number")
}

async fn list(app: &App, key: &str) -> Value {
    app.post("/redis", &format!("LRANGE {key} 0 -1")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_run_commands() {
    let server = Redis::start().unwrap();
    for mode in MODES {
        let app = start(&server, mode).await;
        let key = format!("k{mode:?}");
        for (line, answer) in [
            (format!("SET {key} v"), json!([{ "status": "OK" }])),
            (format!("GET {key}"), json!(["v"])),
            ("GET absent".into(), json!([null])),
            (format!("RPUSH {key}list a b"), json!([2])),
            (format!("LRANGE {key}list 0 -1"), json!(["a", "b"])),
        ] {
            assert_eq!(app.post("/redis", &line).await, answer, "{line}");
        }
        let wrong = app.send("/redis", &format!("LPUSH {key} x")).await;
        assert!(
            wrong.status == 500 && wrong.text().contains("WRONGTYPE"),
            "{}",
            wrong.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_their_component() {
    let server = Redis::start().unwrap();
    for mode in MODES {
        let app = start(&server, mode).await;
        let key = format!("got{mode:?}");
        eventually("the subscription", async || {
            publish(&app, &format!("push {key} one")).await == 1
        })
        .await;
        // What fails takes nothing else with it.
        publish(&app, "trap").await;
        publish(&app, "nonsense").await;
        publish(&app, &format!("push {key} two")).await;
        eventually("both messages", async || {
            list(&app, &key).await.as_array().unwrap().last() == Some(&json!("two"))
        })
        .await;
        app.folder.await_log("listener", "not understood: nonsense").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_reaches_neither_siblings_nor_itself_over_http() {
    let server = Redis::start().unwrap();
    for mode in MODES {
        let app = start(&server, mode).await;
        let key = format!("reached{mode:?}");
        publish(&app, &format!("get http://probe.spin.internal/ {key}")).await;
        publish(&app, &format!("get http://self.alt/ {key}")).await;
        eventually("both outcomes", async || {
            list(&app, &key).await.as_array().unwrap().len() == 2
        })
        .await;
        for outcome in list(&app, &key).await.as_array().unwrap() {
            let outcome = outcome.as_str().unwrap();
            assert!(
                outcome.contains("DnsError") || outcome.contains("HttpRequestUriInvalid"),
                "{outcome}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_mode_handles_one_message_at_a_time_and_hardened_several() {
    let server = Redis::start().unwrap();
    for (mode, order) in [
        (Mode::Strict, json!(["slow", "quick"])),
        (Mode::Hardened, json!(["quick", "slow"])),
    ] {
        let app = start(&server, mode).await;
        let key = format!("order{mode:?}");
        publish(&app, &format!("slow 1500 {key} slow")).await;
        publish(&app, &format!("push {key} quick")).await;
        eventually("both messages", async || {
            list(&app, &key).await.as_array().unwrap().len() == 2
        })
        .await;
        assert_eq!(list(&app, &key).await, order, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_strict_mode_a_lost_server_ends_the_application() {
    let server = Redis::start().unwrap();
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into())
        .await
        .unwrap();
    let app = App::start_with(&manifest(), Mode::Strict, variables(&server, proxy.port())).await;
    assert_eq!(publish(&app, "push before 1").await, 1);
    let address = app.running.address();
    let waiting = app.running.wait();
    tokio::pin!(waiting);
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(500), &mut waiting).await;
    assert!(quiet.is_err(), "it ended by itself: {}", quiet.unwrap());
    proxy.sever();
    let reason = waiting.await;
    assert!(
        matches!(&reason, ExitReason::Redis(e) if e.kind() == ErrorKind::Redis),
        "{reason}"
    );
    assert!(reason.to_string().contains("disconnected"), "{reason}");
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "HTTP went with it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_strict_mode_there_is_no_start_without_the_server() {
    let folder = Folder::new(&manifest());
    let mut options = folder.options(Mode::Strict);
    options
        .variables
        .insert("redis".into(), "redis://127.0.0.1:1".into());
    options
        .variables
        .insert("trigger".into(), "redis://:secret@127.0.0.1:1".into());
    let error = Host::start(options).await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Redis);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_the_subscription_comes_back_and_http_stays() {
    let mut server = Redis::start().unwrap();
    let app = start(&server, Mode::Hardened).await;
    eventually("the subscription", async || {
        publish(&app, "push before 1").await == 1
    })
    .await;
    server.kill();
    assert_eq!(app.get("/count").await.as_i64().map(|n| n > 0), Some(true));
    server.restart().unwrap();
    eventually("the subscription again", async || {
        publish(&app, "push after 1").await == 1
    })
    .await;
    eventually("its message", async || list(&app, "after").await != json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_the_server_may_come_later() {
    let mut server = Redis::start().unwrap();
    server.kill();
    let app = start(&server, Mode::Hardened).await;
    assert_eq!(app.get("/count").await, 1);
    server.restart().unwrap();
    eventually("the subscription", async || {
        publish(&app, "push late 1").await == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_let_us_in_is_reported() {
    let server = Redis::start().unwrap();
    let folder = Folder::new(&manifest());
    let mut options = folder.options(Mode::Strict);
    options.variables.insert("redis".into(), server.url().into());
    options.variables.insert(
        "trigger".into(),
        format!("redis://:wrong@127.0.0.1:{}", server.port()),
    );
    let error = Host::start(options).await.expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::Redis);
    assert!(!error.to_string().contains("wrong"), "{error}");

    let mut options = folder.options(Mode::Strict);
    options.variables.insert("redis".into(), server.url().into());
    options
        .variables
        .insert("trigger".into(), format!("redis://127.0.0.1:{}", server.port()));
    let error = Host::start(options).await.expect_err("no password");
    assert!(error.to_string().contains("refuses us"), "{error}");
}
