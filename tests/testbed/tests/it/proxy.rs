//! The proxy's faults do what they say.

use std::net::SocketAddr;
use std::time::Duration;

use larder_testbed::{Fault, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Longer than a machine under load lags.
const LONG: Duration = Duration::from_secs(10);

/// Answers every byte with itself.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

async fn proxy() -> Proxy {
    Proxy::start(echo().await).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut stream, b"hello").await, b"hello");
    stream
}

async fn ask(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).await.unwrap();
    let mut answer = vec![0; text.len()];
    timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap();
    rest
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn without_a_fault_it_passes_everything() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let big: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut reader, mut writer) = stream.split();
    let mut answer = vec![0; big.len()];
    let (sent, read) = tokio::join!(writer.write_all(&big), reader.read_exact(&mut answer));
    sent.and(read.map(drop)).unwrap();
    assert_eq!(answer, big);
    assert_eq!((proxy.open_connections(), proxy.accepted()), (1, 1));
    drop(stream);
    until("the connection is still open", || proxy.open_connections() == 0).await;
}

#[tokio::test]
async fn delay_delays_and_keeps_order() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let delay = Duration::from_millis(150);
    proxy.set(Fault::Delay(delay));
    let began = Instant::now();
    stream.write_all(b"a").await.unwrap();
    sleep(Duration::from_millis(30)).await;
    assert_eq!(ask(&mut stream, b"b").await, b"a", "the first of both");
    assert!(began.elapsed() >= delay);
    let mut second = [0];
    timeout(LONG, stream.read_exact(&mut second)).await.unwrap().unwrap();
    assert_eq!(&second, b"b");
    proxy.set(Fault::None);
    assert_eq!(ask(&mut stream, b"c").await, b"c");
}

#[tokio::test]
async fn cut_after_cuts_in_the_middle_of_an_answer() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::CutAfter(7));
    stream.write_all(b"0123").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    stream.write_all(b"456789").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"456");
    // For each connection anew.
    let mut other = TcpStream::connect(proxy.address()).await.unwrap();
    other.write_all(b"0123456789").await.unwrap();
    assert_eq!(rest(&mut other).await, b"0123456");
}

#[tokio::test]
async fn trickle_sends_pieces() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let every = Duration::from_millis(200);
    proxy.set(Fault::Trickle { bytes: 3, every });
    let began = Instant::now();
    stream.write_all(b"0123456789").await.unwrap();
    let mut buffer = [0; 64];
    let first = stream.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..first], b"012");
    let mut others = [0; 7];
    stream.read_exact(&mut others).await.unwrap();
    assert_eq!(&others, b"3456789");
    assert!(began.elapsed() >= every * 3);
}

#[tokio::test]
async fn half_close_ends_answers_and_passes_requests() {
    let (requests, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    tokio::spawn(async move {
        let mut byte = [0];
        while server.read_exact(&mut byte).await.is_ok() {
            requests.send(byte[0]).unwrap();
        }
    });
    proxy.set(Fault::HalfClose);
    assert_eq!(timeout(LONG, stream.read(&mut [0])).await.unwrap().unwrap(), 0, "the end of the answers");
    stream.write_all(b"x").await.unwrap();
    assert_eq!(timeout(LONG, taken.recv()).await.unwrap(), Some(b'x'));
    assert_eq!(proxy.open_connections(), 1);
}

#[tokio::test]
async fn refuse_closes_the_port_and_opens_it_again() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Refuse);
    assert_eq!(rest(&mut stream).await, b"");
    let deadline = Instant::now() + LONG;
    while TcpStream::connect(proxy.address()).await.is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
    }
    proxy.set(Fault::None);
    let deadline = Instant::now() + LONG;
    let mut stream = loop {
        match TcpStream::connect(proxy.address()).await {
            Ok(stream) => break stream,
            Err(_) => assert!(Instant::now() < deadline, "it does not listen again"),
        }
    };
    assert_eq!(ask(&mut stream, b"back").await, b"back");
}

#[tokio::test]
async fn stall_holds_answers_until_it_is_over() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Stall);
    stream.write_all(b"late").await.unwrap();
    let mut answer = [0; 4];
    let waited = timeout(Duration::from_millis(150), stream.read_exact(&mut answer)).await;
    assert!(waited.is_err(), "it answered");
    proxy.set(Fault::None);
    timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"late");
}

#[tokio::test]
async fn dropping_it_closes_everything() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let address = proxy.address();
    drop(proxy);
    assert_eq!(rest(&mut stream).await, b"");
    assert!(TcpStream::connect(address).await.is_err());
}
