//! HTTP triggers: routing, headers, instance reuse, chaining, and what a guest may reach.

use guildhall_host::Mode;
use serde_json::Value;

use crate::support::{App, MODES};

/// All values of a header in the echo of a request.
fn header(echo: &Value, name: &str) -> Vec<String> {
    let headers = echo["headers"].as_array().expect("headers");
    headers
        .iter()
        .filter(|h| h[0] == name)
        .map(|h| h[1].as_str().expect("text").to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_its_component_whole() {
    for mode in MODES {
        let app = App::probe(mode).await;
        let echo = app
            .client
            .send(
                "PUT",
                "/some/path?x=1&y",
                &[("x-mine", "a"), ("x-mine", "b")],
                b"hello".to_vec(),
            )
            .await
            .unwrap()
            .json();
        assert_eq!(echo["method"], "PUT");
        assert_eq!(echo["body"], "hello");
        assert_eq!(
            echo["uri"],
            format!("http://{}/some/path?x=1&y", app.running.address())
        );
        assert_eq!(header(&echo, "x-mine"), ["a", "b"]);
        assert_eq!(header(&echo, "spin-path-info"), ["/some/path"]);
        assert_eq!(header(&echo, "spin-client-addr").len(), 1);
        assert_eq!(header(&echo, "connection"), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_imitate_the_host_are_stripped_in_hardened_mode() {
    for (mode, expected) in [(Mode::Strict, 2), (Mode::Hardened, 1)] {
        let app = App::probe(mode).await;
        let lie = [("spin-client-addr", "6.6.6.6:6"), ("spin-path-match-id", "9")];
        let echo = app
            .client
            .send("GET", "/", &lie, Vec::new())
            .await
            .unwrap()
            .json();
        let addresses = header(&echo, "spin-client-addr");
        assert_eq!(addresses.len(), expected, "{addresses:?}");
        assert_ne!(addresses.last().unwrap(), "6.6.6.6:6");
        assert_eq!(header(&echo, "spin-path-match-id").len(), expected - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_serves_128_requests() {
    for mode in MODES {
        let app = App::probe(mode).await;
        for expected in (1..=128).chain([1]) {
            assert_eq!(app.get("/count").await, expected, "{mode:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_serves_requests_side_by_side() {
    for mode in MODES {
        let app = App::probe(mode).await;
        let requests = (0..48).map(|_| app.get("/sleep?100"));
        let served = futures::future::join_all(requests).await;
        let most = served.iter().filter_map(Value::as_u64).max().unwrap();
        assert!(most > 1, "no instance was shared");
        // Each instance counts its requests as they end, and no more than 16 were in one at once.
        let instances = served.iter().filter(|n| **n == 1).count();
        assert!(instances >= 3, "48 requests in {instances} instances");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_spawned_by_a_handler_outlives_its_response_and_the_idle_time() {
    for mode in MODES {
        let app = App::probe(mode).await;
        app.get("/spawn?2500").await;
        assert!(!app.folder.log("probe").contains("spawned"));
        app.folder.await_log("probe", "spawned work done\n").await;
    }
}

const ROUTES: &str = r#"
[[trigger.http]]
route = "/a/:user_id/..."
component = "front"
[[trigger.http]]
route = "/exact"
component = "front"
[[trigger.http]]
route = { private = true }
component = "back"
[component.front]
source = "{probe}"
allowed_outbound_hosts = ["http://back.spin.internal", "http://self"]
[component.back]
source = "{probe}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn routes_lead_to_components_and_private_ones_only_to_siblings() {
    for mode in MODES {
        let app = App::start(ROUTES, mode).await;
        let echo = app.get("/a/7/x/y").await;
        assert_eq!(header(&echo, "spin-path-match-user-id"), ["7"]);
        assert_eq!(header(&echo, "spin-path-info"), ["/x/y"]);
        assert_eq!(header(&echo, "spin-component-route"), ["/a/:user_id"]);
        assert_eq!(header(&app.get("/exact").await, "spin-path-info"), [""]);
        for unknown in ["/", "/back", "/exact/more", "/.well-known/spin/other"] {
            assert_eq!(app.client.get(unknown).await.unwrap().status, 404, "{unknown}");
        }
        let host = [("host", "back.spin.internal")];
        let reply = app.client.send("GET", "/", &host, Vec::new()).await.unwrap();
        assert_eq!(reply.status, 404, "a Host header must not open a private route");
        assert_eq!(
            app.client.get("/.well-known/spin/health").await.unwrap().text(),
            "OK"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_are_called_in_process_and_oneself_over_the_network() {
    for mode in MODES {
        let app = App::start(&ROUTES.replace("/exact", "/get"), mode).await;
        let chained = app.get("/get?http://back.spin.internal/x?y=1").await;
        assert_eq!(chained["status"], 200);
        let echo: Value = serde_json::from_str(chained["body"].as_str().unwrap()).unwrap();
        assert_eq!(echo["uri"], "http://back.spin.internal/x?y=1");
        assert_eq!(header(&echo, "spin-client-addr"), ["0.0.0.0:0"]);
        assert_eq!(header(&echo, "spin-path-info"), ["/x"]);
        assert_eq!(header(&echo, "spin-matched-route"), ["/..."]);

        let own = app.get("/get?http://self.alt/a/9/z").await;
        let echo: Value = serde_json::from_str(own["body"].as_str().unwrap()).unwrap();
        assert_eq!(header(&echo, "spin-path-match-user-id"), ["9"]);
        assert_ne!(header(&echo, "spin-client-addr"), ["0.0.0.0:0"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sibling_that_is_not_allowed_is_refused() {
    for mode in MODES {
        let app = App::start(
            &ROUTES
                .replace("/exact", "/get")
                .replace("http://back", "https://back"),
            mode,
        )
        .await;
        for url in [
            "http://back.spin.internal/",
            "http://front.spin.internal/",
            "http://nobody.spin.internal/",
        ] {
            let reply = app.client.get(&format!("/get?{url}")).await.unwrap();
            assert_eq!(reply.status, 500);
            assert!(reply.text().contains("HttpRequestDenied"), "{}", reply.text());
        }
    }
}
