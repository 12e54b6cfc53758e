//! Starting, shutting down, and what is left behind.

use std::time::Duration;

use guildhall_host::{ErrorKind, ExitReason, Host, Mode};

use crate::support::{App, Folder, MODES, probe};

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_requests_in_progress_are_finished() {
    let App {
        running,
        client,
        folder,
    } = App::probe(Mode::Hardened).await;
    let address = running.address();
    let request = tokio::spawn(async move { client.get("/sleep?1000").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(matches!(running.shutdown().await, ExitReason::Shutdown));
    assert_eq!(request.await.unwrap().unwrap().status, 200);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_the_drain_has_an_end() {
    let App {
        running,
        client,
        folder,
    } = App::start_with(&probe(""), Mode::Hardened, |options| {
        options.limits.drain = Duration::from_millis(200);
    })
    .await;
    let request = tokio::spawn(async move { client.get("/sleep?20000").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(matches!(running.shutdown().await, ExitReason::Shutdown));
    assert!(
        request.await.unwrap().is_ok_and(|reply| reply.status == 500),
        "the request fails with its guest"
    );
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_strict_mode_requests_in_progress_are_cut_off() {
    let App {
        running,
        client,
        folder,
    } = App::probe(Mode::Strict).await;
    let request = tokio::spawn(async move { client.get("/sleep?20000").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(matches!(running.shutdown().await, ExitReason::Shutdown));
    assert!(request.await.unwrap().is_err());
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_end_with_their_application_even_in_an_endless_loop() {
    for mode in MODES {
        let App {
            running,
            client,
            folder,
        } = App::probe(mode).await;
        client.get("/tick?1000000").await.unwrap();
        let looping = tokio::spawn(async move { client.timeout(Duration::from_secs(60)).get("/spin").await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(running);
        // The connection ends only when the guest has let go of its thread.
        let reply = tokio::time::timeout(Duration::from_secs(20), looping)
            .await
            .expect("the loop ended")
            .unwrap();
        assert!(reply.is_err() || reply.is_ok_and(|r| r.status == 500), "{mode:?}");
        drop(folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_can_be_asked_for_from_elsewhere() {
    let app = App::probe(Mode::Hardened).await;
    let handle = app.running.shutdown_handle();
    let waiting = tokio::spawn(app.running.wait());
    handle.shutdown();
    assert!(matches!(waiting.await.unwrap(), ExitReason::Shutdown));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new(&probe(""));
    let mut options = folder.options(Mode::Hardened);
    options.listen = taken.local_addr().unwrap();
    let error = Host::start(options).await.expect_err("the address is taken");
    assert_eq!(error.kind(), ErrorKind::Listen);
    assert!(
        error
            .to_string()
            .contains(&taken.local_addr().unwrap().to_string()),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn selected_components_run_alone() {
    let manifest = format!(
        "{}[[trigger.http]]\nroute = \"/other\"\ncomponent = \"other\"\n[component.other]\nsource = \"missing.wasm\"\n",
        probe("")
    );
    let app = App::start_with(&manifest, Mode::Strict, |options| {
        options.components = Some(vec!["probe".into()])
    })
    .await;
    assert_eq!(app.get("/count").await, 1);
    let unknown = App::try_start_with(&manifest, Mode::Strict, |o| {
        o.components = Some(vec!["nobody".into()])
    })
    .await;
    let error = unknown.err().expect("there is no such component");
    assert!(error.to_string().contains("\"nobody\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_applications_run_side_by_side() {
    let apps = futures::future::join_all((0..4).map(|_| App::probe(Mode::Hardened))).await;
    for app in &apps {
        assert_eq!(app.get("/count").await, 1);
    }
}
