//! The store's calls about locks, beyond one holder and one resource.

use crate::support::prepared;
use guildhall_domain::lock::{LockKey, LockMode, LockOutcome, LockWish};
use guildhall_store::lock::{self, Claim};
use guildhall_store_native::{NativeDb, NativeDbOptions};

#[tokio::test(flavor = "multi_thread")]
async fn waiting_several_at_once_and_the_views() {
    let database = prepared().await;
    let db = &NativeDb::new(database.config().clone(), NativeDbOptions::default()).expect("a pool");
    let wishes = [
        LockWish {
            resource: "b".into(),
            mode: LockMode::Shared,
        },
        LockWish {
            resource: "a/x".into(),
            mode: LockMode::Exclusive,
        },
    ];
    let taken = lock::acquire_all(db, &wishes, &Claim::now("h", None, 30, "x"))
        .await
        .expect("acquires");
    assert_eq!((taken.outcome, taken.locks.len()), (LockOutcome::Acquired, 2));
    let keys: Vec<LockKey> = taken
        .locks
        .iter()
        .map(|lock| LockKey {
            resource: lock.resource.clone(),
            fencing_token: lock.fencing_token,
        })
        .collect();
    let waits = Claim {
        wait_s: 10,
        ..Claim::now("i", None, 30, "x")
    };
    let waiting = lock::acquire(db, "a", LockMode::Exclusive, None, &waits)
        .await
        .expect("answers");
    let ticket = waiting.ticket.expect("a ticket");
    assert_eq!(waiting.outcome, LockOutcome::Waiting);
    assert_eq!(waiting.blockers.expect("blockers")[0].holder, "h");
    assert_eq!(lock::graph(db).await.expect("a graph")["edges"][0]["holder"], "i");
    assert_eq!(
        lock::wait_status(db, ticket, "i").await.expect("answers").outcome,
        LockOutcome::Waiting
    );
    assert_eq!(
        lock::renew_all(db, &keys, "h", 60).await.expect("renews").outcome,
        LockOutcome::Renewed
    );
    let released = lock::release_all(db, &keys, "h").await.expect("releases");
    assert_eq!(
        (released.outcome, released.bells),
        (LockOutcome::Released, vec![ticket])
    );
    let got = lock::wait_cancel(db, ticket, "i").await.expect("answers");
    assert_eq!(
        (got.outcome, got.locks[0].holder.as_deref()),
        (LockOutcome::Acquired, Some("i"))
    );
    assert_eq!(
        lock::get(db, "a")
            .await
            .expect("reads")
            .expect("is there")
            .holders
            .len(),
        1
    );
    let forced = lock::force_release(db, "a", "ada", "x").await.expect("forces");
    assert_eq!(forced.outcome, LockOutcome::Forced);
    let history = lock::history(db, Some("a"), None, 10).await.expect("lists");
    assert_eq!(history.items[0].ended_how, "forced");
    assert_eq!(lock::statistics(db, 1).await.expect("counts")["forced"], 1);
    // The clock stands still, so nobody waited for any time.
    assert!(lock::contention(db, 10).await.expect("lists").is_empty());
}
