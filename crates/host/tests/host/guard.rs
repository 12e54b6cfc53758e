//! What a guest may do to others: traps, endless loops, memory.

use std::time::Duration;

use guildhall_host::{Mode, Reuse};

use crate::support::{App, MODES, probe};

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_fails_the_requests_of_its_instance_and_no_others() {
    for mode in MODES {
        let app = App::probe(mode).await;
        // Twelve requests settle in one instance; the thirteenth traps in it.
        assert_eq!(app.get("/count").await, 1);
        let siblings = futures::future::join_all((0..12).map(|_| app.client.get("/sleep?1500")));
        let trap = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            app.client.get("/trap").await.unwrap()
        };
        let (siblings, trap) = tokio::join!(siblings, trap);
        assert_eq!(trap.status, 500);
        let failed = siblings
            .iter()
            .filter(|reply| reply.as_ref().unwrap().status == 500)
            .count();
        assert!(failed <= 15, "{failed} failed");
        assert_eq!(
            app.get("/count").await.as_i64().map(|n| n > 0),
            Some(true),
            "the next request is served"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_request_per_instance_a_trap_fails_only_its_own() {
    let app = App::start_with(&probe(""), Mode::Hardened, |options| {
        let alone = Reuse {
            concurrent: 1,
            ..Reuse::default()
        };
        options.component_reuse.insert("probe".into(), alone);
    })
    .await;
    let siblings = futures::future::join_all((0..12).map(|_| app.client.get("/sleep?500")));
    let (siblings, trap) = tokio::join!(siblings, app.client.get("/trap"));
    assert_eq!(trap.unwrap().status, 500);
    assert!(siblings.iter().all(|reply| reply.as_ref().unwrap().status == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_a_loop_is_interrupted_and_others_are_served_meanwhile() {
    let app = App::start_with(&probe(""), Mode::Hardened, |options| {
        options.limits.http_cpu = Duration::from_millis(1500);
        // Whoever is in an instance with a loop ends with it.
        options.reuse.concurrent = 1;
    })
    .await;
    // More loops than this machine has cores.
    let loops = futures::future::join_all((0..4).map(|_| app.client.get("/spin")));
    let others = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for _ in 0..10 {
            assert_eq!(app.client.get("/count").await.unwrap().status, 200);
        }
    };
    let (loops, ()) = tokio::join!(loops, others);
    for reply in loops {
        assert_eq!(reply.unwrap().status, 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_work_that_mostly_waits_is_not_interrupted() {
    let app = App::start_with(&probe(""), Mode::Hardened, |options| {
        options.limits.http_cpu = Duration::from_millis(200);
    })
    .await;
    // In all it computes for longer than its budget, in pieces of a few milliseconds.
    app.get("/tick?300").await;
    app.folder.await_log("probe", "ticked 300 times\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_memory_is_capped() {
    let app = App::probe(Mode::Hardened).await;
    assert_eq!(app.get("/memory?100").await, 100 << 20);
    assert_eq!(app.client.get("/memory?200").await.unwrap().status, 500);
    assert_eq!(app.client.get("/count").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_strict_mode_memory_is_not_capped() {
    let app = App::probe(Mode::Strict).await;
    assert_eq!(app.get("/memory?200").await, 200 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_hardened_mode_a_flood_is_shed() {
    let app = App::start_with(&probe(""), Mode::Hardened, |options| options.limits.in_flight = 4).await;
    let replies = futures::future::join_all((0..12).map(|_| app.client.get("/sleep?500"))).await;
    let count = |status| {
        replies
            .iter()
            .filter(|r| r.as_ref().unwrap().status == status)
            .count()
    };
    assert_eq!((count(200), count(503)), (4, 8));
    let shed = replies
        .iter()
        .map(|r| r.as_ref().unwrap())
        .find(|r| r.status == 503)
        .unwrap();
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert_eq!(app.client.get("/count").await.unwrap().status, 200);
}
