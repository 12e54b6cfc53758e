//! A TCP proxy on 127.0.0.1 that does to connections what networks do, with the names that toxiproxy gives faults.

use crate::resp;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A fault. Several act together.
#[derive(Clone, Debug, PartialEq)]
pub enum Toxic {
    /// Each chunk waits this long, plus up to the jitter, in both directions.
    Latency {
        /// The wait.
        delay: Duration,
        /// The most that is added by chance.
        jitter: Duration,
    },
    /// No byte passes; connections stay open.
    Timeout,
    /// Connections end with a TCP reset after this time.
    ResetPeer {
        /// Time from the connection's beginning, or from now for one that is open.
        after: Duration,
    },
    /// Chunks are cut into pieces of at most so many bytes with a pause between them.
    Slicer {
        /// The largest piece.
        bytes: usize,
        /// The pause.
        delay: Duration,
    },
    /// A connection ends once so many bytes came back from the server.
    LimitData {
        /// The number of bytes.
        bytes: u64,
    },
    /// New connections are refused and open ones end.
    Down,
    /// Each Redis pub/sub message is lost with this probability, 0 to 1.
    DropMessages(f64),
    /// Each Redis pub/sub message comes twice with this probability, 0 to 1.
    DuplicateMessages(f64),
    /// Each Redis pub/sub message comes so many times.
    RepeatMessages(usize),
    /// Redis pub/sub messages are held back for up to this time and then come in any order.
    ShuffleMessages(Duration),
}

/// The proxy. Dropped, it stops listening and ends its connections.
pub struct FaultProxy {
    port: u16,
    toxics: watch::Sender<Arc<Vec<Toxic>>>,
    severed: watch::Sender<u64>,
    accepted: Arc<AtomicUsize>,
    listener: JoinHandle<()>,
}

struct Link {
    toxics: watch::Receiver<Arc<Vec<Toxic>>>,
    random: Arc<Mutex<StdRng>>,
}

impl FaultProxy {
    /// Listens on a free port and passes everything to `upstream`, for example `127.0.0.1:5432`. Chance comes from
    /// [`seed`](crate::seed::seed).
    pub async fn start(upstream: SocketAddr) -> anyhow::Result<FaultProxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (toxics, watching) = watch::channel(Arc::new(Vec::new()));
        let (severed, severing) = watch::channel(0);
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        let random = Arc::new(Mutex::new(StdRng::seed_from_u64(crate::seed::seed())));
        let listener = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    Ok((client, _)) = listener.accept() => {
                        counter.fetch_add(1, Ordering::Relaxed);
                        let link = Link { toxics: watching.clone(), random: random.clone() };
                        connections.spawn(serve(client, upstream, link, severing.clone()));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(FaultProxy {
            port,
            toxics,
            severed,
            accepted,
            listener,
        })
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Replaces the faults, for open connections too.
    pub fn set(&self, toxics: Vec<Toxic>) {
        self.toxics.send_replace(Arc::new(toxics));
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.set(Vec::new());
    }

    /// Ends every open connection with a TCP reset, once.
    pub fn sever(&self) {
        self.severed.send_modify(|count| *count += 1);
    }

    /// How many connections have been made so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// One connection, until either side closes it or a fault does.
async fn serve(mut client: TcpStream, upstream: SocketAddr, link: Link, mut severing: watch::Receiver<u64>) {
    severing.mark_unchanged();
    if down(&link.toxics.borrow()) {
        return reset(client);
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return reset(client);
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let mut watching = link.toxics.clone();
    let broken = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let mut up = std::pin::pin!(pump(from_client, to_server, link.copy(), false));
        let mut back = std::pin::pin!(pump(from_server, to_client, link.copy(), true));
        let mut client_talks = true;
        loop {
            tokio::select! {
                () = &mut up, if client_talks => client_talks = false,
                () = &mut back => break false,
                _ = severing.changed() => break true,
                () = fatal(&mut watching) => break true,
            }
        }
    };
    if broken {
        reset(client);
        reset(server);
    }
}

impl Link {
    fn copy(&self) -> Link {
        Link {
            toxics: self.toxics.clone(),
            random: self.random.clone(),
        }
    }
}

fn down(toxics: &[Toxic]) -> bool {
    toxics.contains(&Toxic::Down)
}

/// Waits until the faults say that the connection must end.
async fn fatal(watching: &mut watch::Receiver<Arc<Vec<Toxic>>>) {
    loop {
        let now = watching.borrow_and_update().clone();
        if down(&now) {
            return;
        }
        let after = now.iter().find_map(|toxic| match toxic {
            Toxic::ResetPeer { after } => Some(*after),
            _ => None,
        });
        let reset = async {
            match after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = reset => return,
            changed = watching.changed() => if changed.is_err() { return },
        }
    }
}

/// Closing without linger sends a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Copies one direction under the faults of the moment until the stream or a fault ends it.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut link: Link, downstream: bool) {
    let mut chunk = vec![0u8; 16 * 1024];
    let mut held = Held::default();
    let mut passed: u64 = 0;
    loop {
        let length = tokio::select! {
            read = from.read(&mut chunk) => match read {
                Ok(length) if length > 0 => length,
                _ => break,
            },
            () = held.ripe() => 0,
        };
        let toxics = link.awake().await;
        let mut bytes = match length {
            0 => link.shuffled(&mut held),
            _ => link.messages(&toxics, &mut held, &chunk[..length], downstream),
        };
        let limit = toxics.iter().find_map(|toxic| match toxic {
            Toxic::LimitData { bytes } if downstream => Some(bytes.saturating_sub(passed) as usize),
            _ => None,
        });
        bytes.truncate(limit.unwrap_or(usize::MAX));
        passed += bytes.len() as u64;
        if link.deliver(&toxics, &mut to, &bytes).await.is_err()
            || limit.is_some_and(|limit| bytes.len() >= limit)
        {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// What a direction has taken in and not passed on.
#[derive(Default)]
struct Held {
    /// The beginning of an incomplete reply.
    incomplete: Vec<u8>,
    /// Whole messages that wait to be shuffled, and until when.
    messages: Vec<Vec<u8>>,
    until: Option<tokio::time::Instant>,
}

impl Held {
    /// Waits until messages have been held back for long enough; for ever when there are none.
    async fn ripe(&self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}

impl Link {
    /// The messages that were held back, in any order.
    fn shuffled(&self, held: &mut Held) -> Vec<u8> {
        held.until = None;
        let mut random = self
            .random
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        held.messages.shuffle(&mut *random);
        std::mem::take(&mut held.messages).concat()
    }

    /// The faults of the moment, once nothing says that no byte may pass.
    async fn awake(&mut self) -> Arc<Vec<Toxic>> {
        loop {
            let toxics = self.toxics.borrow_and_update().clone();
            if !toxics.contains(&Toxic::Timeout) || self.toxics.changed().await.is_err() {
                return toxics;
            }
        }
    }

    fn chance(&self, probability: f64) -> bool {
        self.random
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .random_bool(probability)
    }

    /// Loses, repeats and holds back pub/sub messages. What does not pass is in `held`.
    fn messages(&self, toxics: &[Toxic], held: &mut Held, chunk: &[u8], downstream: bool) -> Vec<u8> {
        let touched = toxics.iter().any(|toxic| {
            matches!(
                toxic,
                Toxic::DropMessages(_)
                    | Toxic::DuplicateMessages(_)
                    | Toxic::RepeatMessages(_)
                    | Toxic::ShuffleMessages(_)
            )
        });
        if !downstream || !touched {
            let mut passed = self.shuffled(held);
            passed.append(&mut held.incomplete);
            passed.extend_from_slice(chunk);
            return passed;
        }
        held.incomplete.extend_from_slice(chunk);
        let mut passed = Vec::new();
        while let Some(reply) = resp::take_reply(&mut held.incomplete) {
            if !resp::is_message(&reply) {
                passed.extend_from_slice(&reply);
                continue;
            }
            let (copies, hold) = self.fate(toxics);
            let copies = std::iter::repeat_n(reply, copies);
            match hold {
                Some(hold) => {
                    held.until
                        .get_or_insert_with(|| tokio::time::Instant::now() + hold);
                    held.messages.extend(copies);
                }
                None => passed.extend(copies.flatten()),
            }
        }
        passed
    }

    /// How often a message comes, and for how long it may be held back.
    fn fate(&self, toxics: &[Toxic]) -> (usize, Option<Duration>) {
        let (mut copies, mut hold) = (1, None);
        for toxic in toxics {
            match toxic {
                Toxic::DropMessages(probability) if self.chance(*probability) => copies = 0,
                Toxic::DuplicateMessages(probability) if self.chance(*probability) => copies *= 2,
                Toxic::RepeatMessages(times) => copies *= times,
                Toxic::ShuffleMessages(time) => hold = Some(*time),
                _ => {}
            }
        }
        (copies, hold)
    }

    async fn deliver(&self, toxics: &[Toxic], to: &mut WriteHalf<'_>, bytes: &[u8]) -> std::io::Result<()> {
        let mut slices = (usize::MAX, Duration::ZERO);
        for toxic in toxics {
            match toxic {
                Toxic::Latency { delay, jitter } => {
                    let share: f64 = self
                        .random
                        .lock()
                        .unwrap_or_else(|poisoned| poisoned.into_inner())
                        .random();
                    tokio::time::sleep(*delay + jitter.mul_f64(share)).await;
                }
                Toxic::Slicer { bytes, delay } => slices = ((*bytes).max(1), *delay),
                _ => {}
            }
        }
        for piece in bytes.chunks(slices.0.min(bytes.len().max(1))) {
            to.write_all(piece).await?;
            if !slices.1.is_zero() {
                tokio::time::sleep(slices.1).await;
            }
        }
        Ok(())
    }
}
