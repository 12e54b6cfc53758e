//! What guests reach, and what they do not: HTTP, raw sockets, variables, standard output.

use std::net::SocketAddr;

use guildhall_host::{LogSink, Mode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{App, MODES, probe};

/// A server that answers each connection with `answer` after having read something.
async fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                while stream.read(&mut head).await.is_ok_and(|n| n > 0) {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    address
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_hosts_are_reached_over_http() {
    let (listed, other) = (server(HELLO).await, server(HELLO).await);
    for mode in MODES {
        let app = App::start(
            &probe(&format!("allowed_outbound_hosts = [\"http://{listed}\"]")),
            mode,
        )
        .await;
        let path = format!("/get?http://{listed}/");
        assert_eq!(app.get(&path).await, json!({ "status": 200, "body": "hello" }));
        for refused in [
            format!("http://{other}/"),
            format!("https://{listed}/"),
            "http://self.alt/".into(),
        ] {
            let reply = app.client.get(&format!("/get?{refused}")).await.unwrap();
            assert_eq!(reply.status, 500);
            assert!(
                reply.text().contains("HttpRequestDenied"),
                "{refused}: {}",
                reply.text()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_server_is_reported_as_what_it_is() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let babbling = server("this is not HTTP\r\n\r\n").await;
    let app = App::start(
        &probe("allowed_outbound_hosts = [\"*://127.0.0.1:*\"]"),
        Mode::Hardened,
    )
    .await;
    for (address, scheme, code) in [
        (closed, "http", "ConnectionRefused"),
        (babbling, "http", "HttpProtocolError"),
        (babbling, "https", "TlsProtocolError"),
    ] {
        let reply = app
            .client
            .get(&format!("/get?{scheme}://{address}/"))
            .await
            .unwrap();
        assert!(
            reply.text().contains(code),
            "{scheme}://{address}: {}",
            reply.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_networks_win_over_allowed_hosts() {
    let address = server(HELLO).await;
    let hosts = format!("allowed_outbound_hosts = [\"*://{address}\"]");
    let app = App::start_with(&probe(&hosts), Mode::Hardened, |options| {
        let path = options.state_dir.join("runtime-config.toml");
        std::fs::write(&path, "[outbound_networking]\nblock_networks = [\"private\"]\n").unwrap();
        options.runtime_config = Some(path);
    })
    .await;
    let reply = app.client.get(&format!("/get?http://{address}/")).await.unwrap();
    assert!(
        reply.text().contains("DestinationIpProhibited"),
        "{}",
        reply.text()
    );
    let reply = app.send(&format!("/tcp?{address}"), "x").await;
    assert_eq!(reply.status, 500, "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_sockets_keep_to_the_same_list_and_look_up_no_names() {
    let (listed, other) = (server("pong").await, server("pong").await);
    for mode in MODES {
        let app = App::start(
            &probe(&format!("allowed_outbound_hosts = [\"*://{listed}\"]")),
            mode,
        )
        .await;
        assert_eq!(app.post(&format!("/tcp?{listed}"), "ping").await, "pong");
        assert_eq!(app.send(&format!("/tcp?{other}"), "ping").await.status, 500);
        assert_eq!(app.client.get("/lookup?localhost:80").await.unwrap().status, 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_come_from_their_sources_in_order() {
    let manifest = format!(
        "[variables]\nfirst = {{ default = \"d1\" }}\nsecond = {{ default = \"d2\" }}\nthird = {{ default = \"d3\" }}\n\
         fourth = {{ required = true, secret = true }}\n{}[component.probe.variables]\n\
         all = \"{{{{first}}}} {{{{ second }}}} {{{{third}}}} {{{{fourth}}}}\"\n",
        probe("")
    );
    for mode in MODES {
        let app = App::start_with(&manifest, mode, |options| {
            let folder = options.manifest.parent().unwrap().to_path_buf();
            std::fs::write(
                folder.join("runtime-config.toml"),
                "[[variables_provider]]\ntype = \"static\"\nvalues = { first = \"s1\", second = \"s2\" }\n",
            )
            .unwrap();
            std::fs::write(
                folder.join(".env"),
                "# mine\nSPIN_VARIABLE_SECOND=e2\nSPIN_VARIABLE_FOURTH='e 4'\n",
            )
            .unwrap();
            options.runtime_config = Some(folder.join("runtime-config.toml"));
            options.variables = [("first".to_string(), "c1".to_string())].into();
        })
        .await;
        assert_eq!(app.get("/variable?all").await, "c1 s2 d3 e 4");
        let reply = app.client.get("/variable?first").await.unwrap();
        assert_eq!(reply.status, 500, "a component sees its own variables only");
        assert!(
            reply.text().contains("[component.probe.variables]"),
            "{}",
            reply.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_sees_its_own_environment_and_not_the_hosts() {
    let app = App::start(&probe("environment = { MINE = \"1\" }"), Mode::Hardened).await;
    let environment: Vec<(String, String)> = serde_json::from_value(app.get("/environment").await).unwrap();
    assert_eq!(environment, [("MINE".to_string(), "1".to_string())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_goes_to_the_components_log() {
    for mode in MODES {
        let app = App::probe(mode).await;
        app.get("/log?this").await;
        app.folder.await_log("probe", "said this\n").await;
        app.folder.await_log("probe", "complained this\n").await;
    }
    let app = App::start_with(&probe(""), Mode::Hardened, |options| {
        options.log = LogSink::Discard
    })
    .await;
    assert_eq!(app.get("/log?this").await, Value::Null);
    assert_eq!(app.folder.log("probe"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_plays_a_service_for_who_may_reach_it() {
    let stand_in = server(HELLO).await;
    let app = App::start_with(
        &probe("allowed_outbound_hosts = [\"https://api.invalid\", \"https://real.invalid\"]"),
        Mode::Hardened,
        |options| {
            for service in ["api.invalid:443", "other.invalid:443", "api.invalid:80"] {
                options.stand_ins.insert(service.into(), stand_in);
            }
        },
    )
    .await;
    let hello = json!({ "status": 200, "body": "hello" });
    assert_eq!(app.get("/get?https://API.invalid/").await, hello);
    for (url, code) in [
        ("https://other.invalid/", "HttpRequestDenied"),
        ("http://api.invalid/", "HttpRequestDenied"),
        ("https://real.invalid/", "DnsError"),
    ] {
        let reply = app.client.get(&format!("/get?{url}")).await.unwrap();
        assert_eq!(reply.status, 500);
        assert!(reply.text().contains(code), "{url}: {}", reply.text());
    }
}
