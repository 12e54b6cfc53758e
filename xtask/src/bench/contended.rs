//! Many clients that fight for few locks: one that all want, and two that two want crosswise.

use super::{
    cases::{Outcome, Site},
    http::{Answer, Connection},
    load::{Plan, Sample},
};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// Clients of lock-contended.
pub const CONTENDERS: usize = 64;
/// Clients of lock-hand-off: one holds, fifty wait.
pub const IN_LINE: usize = 51;
/// How long each holds the lock in lock-contended.
const INSIDE: Duration = Duration::from_millis(5);
/// Of two that asked within this time nobody outside can say who came first.
const SAME_TIME: Duration = Duration::from_millis(100);

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// From asking to holding.
    Grant,
    /// From the answer to a release to the next holder's answer.
    HandOff,
}

/// What all clients know of each other.
#[derive(Default)]
struct Scene {
    /// Since when each waits.
    waiting: Vec<Option<Instant>>,
    inside: usize,
    last_token: i64,
    released: Option<Instant>,
    sample: Sample,
}

impl Scene {
    /// Notes that `client` was granted `token` at `now`; gives what it waited, or how long nobody held the lock.
    fn granted(&mut self, client: usize, token: i64, now: Instant, timed: Timed) -> Option<Duration> {
        let asked = self.waiting[client].take().unwrap_or(now);
        let overtaken = self
            .waiting
            .iter()
            .flatten()
            .any(|other| *other + SAME_TIME < asked);
        if overtaken {
            self.wrong(format!(
                "client {client} was served before one that had asked long before"
            ));
        }
        if self.inside > 0 {
            self.wrong(format!("client {client} got the lock while another held it"));
        }
        if token <= self.last_token {
            self.wrong(format!("token {token} came after {}", self.last_token));
        }
        self.last_token = self.last_token.max(token);
        self.inside += 1;
        match timed {
            Timed::Grant => Some(now - asked),
            Timed::HandOff => self.released.map(|at| now.saturating_duration_since(at)),
        }
    }

    fn wrong(&mut self, what: String) {
        self.sample.errors += 1;
        self.sample.example.get_or_insert(what);
    }
}

/// Lets so many clients fight for one lock, each holding it for a while. Whoever comes out of turn, together with
/// another or with an older token counts as an error.
pub async fn one_lock(site: &Site, clients: usize, timed: Timed, plan: Plan) -> Outcome {
    let scene = Arc::new(Mutex::new(Scene {
        waiting: vec![None; clients],
        ..Scene::default()
    }));
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.measure;
    let path = format!("/v1/locks/bench-{}-all", site.salt);
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (site, scene, path) = (site.clone(), scene.clone(), path.clone());
            tokio::spawn(async move { contend(&site, client, &path, timed, (begin, end), &scene).await })
        })
        .collect();
    for task in tasks {
        if let Err(error) = task.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    let mut sample = std::mem::take(&mut seen(&scene).sample);
    sample.latencies.sort_unstable();
    sample.elapsed = plan.measure;
    Outcome {
        sample,
        ..Outcome::default()
    }
}

fn seen(scene: &Mutex<Scene>) -> MutexGuard<'_, Scene> {
    scene.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn contend(
    site: &Site,
    client: usize,
    path: &str,
    timed: Timed,
    (begin, end): (Instant, Instant),
    scene: &Mutex<Scene>,
) {
    let mut connection = Connection::new(site.target.clone());
    let holder = format!("bench-{client}");
    while Instant::now() < end {
        seen(scene).waiting[client] = Some(Instant::now());
        let acquired = acquire(&mut connection, path, &holder, 30).await;
        let now = Instant::now();
        let token = match acquired.and_then(|answer| token(&answer)) {
            Ok(token) => token,
            Err(error) => {
                let mut scene = seen(scene);
                scene.waiting[client] = None;
                scene.wrong(error);
                return;
            }
        };
        {
            let mut scene = seen(scene);
            let took = scene.granted(client, token, now, timed);
            if let Some(took) = took
                && (begin..end).contains(&now)
            {
                scene.sample.latencies.push(took);
            }
        }
        hold().await;
        // Another may be inside from the moment that the release is sent.
        seen(scene).inside -= 1;
        let released = release(&mut connection, path, &holder, token).await;
        let mut scene = seen(scene);
        scene.released = Some(Instant::now());
        if let Err(error) = released {
            scene.wrong(error);
            return;
        }
    }
}

/// Holds the lock for [`INSIDE`]. The runtime's own timer counts whole milliseconds and would make it six.
async fn hold() {
    if let Err(error) = tokio::task::spawn_blocking(|| std::thread::sleep(INSIDE)).await {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Makes two clients wait for each other again and again; what is timed is from the request that closes the circle
/// to the answer of the one that has to give way.
pub async fn deadlock(site: &Site, plan: Plan) -> Outcome {
    let begin = Instant::now();
    let mut sample = Sample::default();
    let mut round = 0;
    while begin.elapsed() < plan.warm_up + plan.measure {
        round += 1;
        match circle(site, round).await {
            Ok(took) if begin.elapsed() >= plan.warm_up => sample.latencies.push(took),
            Ok(_) => {}
            Err(error) => {
                sample.errors += 1;
                sample.example.get_or_insert(error);
                break;
            }
        }
    }
    sample.latencies.sort_unstable();
    sample.elapsed = begin.elapsed().saturating_sub(plan.warm_up);
    Outcome {
        sample,
        ..Outcome::default()
    }
}

async fn circle(site: &Site, round: u64) -> Result<Duration, String> {
    let path = |name: &str| format!("/v1/locks/bench-{}-{round}-{name}", site.salt);
    let (left, right) = (path("left"), path("right"));
    let mut first = Connection::new(site.target.clone());
    let mut second = Connection::new(site.target.clone());
    let first_token = token(&acquire(&mut first, &left, "bench-first", 0).await?)?;
    let second_token = token(&acquire(&mut second, &right, "bench-second", 0).await?)?;
    let waiting = tokio::spawn({
        let right = right.clone();
        async move {
            let answer = acquire(&mut first, &right, "bench-first", 20).await;
            (answer, Instant::now(), first)
        }
    });
    // Long enough for the first wait to have begun, which no answer tells.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let closed = Instant::now();
    let closing = tokio::spawn({
        let left = left.clone();
        async move {
            let answer = acquire(&mut second, &left, "bench-second", 20).await;
            (answer, Instant::now(), second)
        }
    });
    // Whoever is told gives its lock back, and so lets the other on.
    let mut both = [
        (waiting, &left, "bench-first", first_token),
        (closing, &right, "bench-second", second_token),
    ];
    let victim = loop {
        if let Some(ended) = both.iter().position(|(task, ..)| task.is_finished()) {
            break ended;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    };
    let (task, own, holder, held) = &mut both[victim];
    let (answer, told, mut connection) = task.await.map_err(|error| error.to_string())?;
    let answer = answer?;
    release(&mut connection, own, holder, *held).await?;
    let (task, own, holder, held) = &mut both[1 - victim];
    let (survivor, _, mut connection) = task.await.map_err(|error| error.to_string())?;
    let got = token(&survivor?)?;
    let other = if *own == &left { &right } else { &left };
    release(&mut connection, other, holder, got).await?;
    release(&mut connection, own, holder, *held).await?;
    match (answer.status, answer.json()?["code"].as_str()) {
        (StatusCode::CONFLICT, Some("deadlock")) => Ok(told - closed),
        _ => Err(format!("a deadlock was expected: {}", answer.excerpt())),
    }
}

async fn acquire(
    connection: &mut Connection,
    path: &str,
    holder: &str,
    wait_s: u64,
) -> Result<Answer, String> {
    let mut body = json!({"holder": holder, "ttl_s": 60, "reason": "bench"});
    if wait_s > 0 {
        body["wait_s"] = json!(wait_s);
    }
    let path = format!("{path}/acquire");
    connection
        .send(Method::POST, &path, Some(body.to_string().into()))
        .await
}

fn token(answer: &Answer) -> Result<i64, String> {
    answer
        .json()?
        .pointer("/lock/fencing_token")
        .and_then(Value::as_i64)
        .filter(|_| answer.status.is_success())
        .ok_or_else(|| format!("no lock was given ({}): {}", answer.status, answer.excerpt()))
}

async fn release(connection: &mut Connection, path: &str, holder: &str, token: i64) -> Result<(), String> {
    let body = json!({"holder": holder, "fencing_token": token}).to_string();
    let path = format!("{path}/release");
    connection
        .send_ok(Method::POST, &path, Some(body.into()))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(waiting: Vec<Option<Instant>>) -> Scene {
        Scene {
            waiting,
            ..Scene::default()
        }
    }

    #[test]
    fn what_is_in_turn_is_timed_and_what_is_not_is_counted() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut fair = scene(vec![Some(now), Some(later)]);
        let end = later + Duration::from_secs(1);
        assert_eq!(
            fair.granted(0, 1, end, Timed::Grant),
            Some(Duration::from_secs(2))
        );
        fair.inside -= 1;
        fair.released = Some(later);
        assert_eq!(
            fair.granted(1, 2, end, Timed::HandOff),
            Some(Duration::from_secs(1))
        );
        assert_eq!(fair.sample.errors, 0);

        let mut unfair = scene(vec![Some(now), Some(later)]);
        unfair.granted(1, 2, end, Timed::Grant);
        assert_eq!(unfair.sample.errors, 1, "overtaken");
        unfair.granted(0, 2, end, Timed::Grant);
        assert_eq!(unfair.sample.errors, 3, "not alone, and no newer token");
    }

    #[test]
    fn who_asked_at_about_the_same_time_may_come_in_any_order() {
        let now = Instant::now();
        let mut scene = scene(vec![Some(now), Some(now + SAME_TIME / 2)]);
        scene.granted(1, 1, now + SAME_TIME, Timed::Grant);
        assert_eq!(scene.sample.errors, 0);
    }
}
