//! The proxy really does what its faults say, and the throw-away servers really are throw-away.

use guildhall_testkit::{Client, FaultProxy, Postgres, Toxic};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

async fn exchange(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn without_faults_bytes_pass_unchanged() {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    let text: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let (mut from, mut to) = stream.split();
    let mut answer = vec![0; text.len()];
    tokio::try_join!(to.write_all(&text), from.read_exact(&mut answer)).unwrap();
    assert!(answer == text);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn slices_and_latency_keep_the_order() {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    let delay = Duration::from_millis(5);
    proxy.set(vec![
        Toxic::Latency { delay, jitter: delay },
        Toxic::Slicer {
            bytes: 3,
            delay: Duration::from_millis(1),
        },
    ]);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    let begun = Instant::now();
    assert_eq!(
        exchange(&mut stream, b"hello, proxy").await.unwrap(),
        b"hello, proxy"
    );
    assert!(begun.elapsed() >= delay * 2, "both directions wait");
}

#[tokio::test]
async fn a_timeout_holds_bytes_until_it_heals() {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    exchange(&mut stream, b"warm").await.unwrap();
    proxy.set(vec![Toxic::Timeout]);
    let held = tokio::time::timeout(Duration::from_millis(200), exchange(&mut stream, b"lost?")).await;
    assert!(held.is_err(), "nothing passes");
    proxy.heal();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"lost?");
}

#[tokio::test]
async fn down_and_sever_end_connections_and_healing_admits_new_ones() {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    exchange(&mut stream, b"x").await.unwrap();
    proxy.sever();
    assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    exchange(&mut stream, b"x").await.unwrap();
    proxy.set(vec![Toxic::Down]);
    assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert!(exchange(&mut refused, b"x").await.is_err());
    proxy.heal();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert_eq!(exchange(&mut stream, b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_limit_cuts_at_the_byte() {
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    proxy.set(vec![Toxic::ResetPeer {
        after: Duration::from_millis(30),
    }]);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    let error = stream
        .read(&mut [0; 1])
        .await
        .expect_err("the connection is reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    proxy.set(vec![Toxic::LimitData { bytes: 4 }]);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    stream.write_all(b"123456").await.unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    assert_eq!(all, b"1234");
}

#[tokio::test]
async fn redis_messages_are_lost_or_doubled_and_replies_are_not() {
    const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n";
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    proxy.set(vec![Toxic::DropMessages(1.0)]);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    stream.write_all(&[MESSAGE, b"+OK\r\n"].concat()).await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+OK\r\n");
    proxy.set(vec![Toxic::DuplicateMessages(1.0)]);
    stream.write_all(MESSAGE).await.unwrap();
    let mut answer = vec![0; MESSAGE.len() * 2];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [MESSAGE, MESSAGE].concat());
}

#[tokio::test]
async fn redis_messages_come_thrice_or_in_another_order_and_none_is_kept() {
    let message = |n: u8| format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n{n}\r\n").into_bytes();
    let proxy = FaultProxy::start(echo().await).await.unwrap();
    proxy.set(vec![Toxic::RepeatMessages(3)]);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    stream.write_all(&message(1)).await.unwrap();
    let mut answer = vec![0; message(1).len() * 3];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, message(1).repeat(3));
    proxy.set(vec![Toxic::ShuffleMessages(Duration::from_millis(50))]);
    let mut orders = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let all: Vec<u8> = (0..10).flat_map(message).collect();
        stream.write_all(&all).await.unwrap();
        let mut answer = vec![0; all.len()];
        stream.read_exact(&mut answer).await.unwrap();
        let mut pieces: Vec<&[u8]> = answer.chunks(message(0).len()).collect();
        orders.insert(answer.clone());
        pieces.sort_unstable();
        assert_eq!(pieces.concat(), all, "each comes once");
    }
    assert!(orders.len() > 1, "the order differs");
}

#[tokio::test]
async fn the_client_tells_an_unreachable_server_from_an_answer() {
    let free = guildhall_provision::port::pick(None).unwrap();
    let error = Client::new(format!("http://127.0.0.1:{free}"))
        .get("/livez")
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_copies_and_survive_a_crash_of_their_server() {
    let server = Postgres::start().await.unwrap();
    let prepare = |config| async move {
        let client = guildhall_testkit::postgres::connect(&config).await?;
        client
            .batch_execute("create table t (n int); insert into t values (1)")
            .await?;
        Ok(())
    };
    let one = server.database_from("template_one", prepare).await.unwrap();
    let two = server.database_from("template_one", prepare).await.unwrap();
    one.client()
        .await
        .unwrap()
        .batch_execute("insert into t values (2)")
        .await
        .unwrap();
    let count = |database: tokio_postgres::Client| async move {
        database
            .query_one("select count(*) from t", &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
    };
    assert_eq!(count(two.client().await.unwrap()).await, 1);
    server.crash().await.unwrap();
    assert!(one.client().await.is_err());
    server.restart().await.unwrap();
    assert_eq!(count(one.client().await.unwrap()).await, 2);
    let name = two.name().to_string();
    drop(two);
    let client = guildhall_testkit::postgres::connect(server.config())
        .await
        .unwrap();
    let left = client
        .query("select 1 from pg_database where datname = $1", &[&name])
        .await
        .unwrap();
    assert!(left.is_empty(), "a dropped database is gone");
}
