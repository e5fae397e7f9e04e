//! How soon a connection is there again, whatever became of attempts that began before the server was back.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind};
use larder_postgres::{PostgresStore, PostgresStoreBuilder};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{SERVER, eventually, fresh, key, support};

/// Less than one attempt may take, and long enough for three begun after another, half a second apart: a busy machine may
/// be slow to start the process that serves one of them.
const SOON: Duration = Duration::from_millis(1_750);

/// Something in front of the server that takes every connection, and treats each as it was when that came.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// It never says a word, not later either.
    Silent,
    /// It passes everything on, from so much later on.
    After(Duration),
    /// It passes everything on, once it is in another mood.
    Held,
    /// It passes everything on, and then cuts the connection.
    For(Duration),
}

struct Relay {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    taken: Arc<AtomicUsize>,
    /// Those that it has with the server now.
    passing: Arc<AtomicUsize>,
    /// Ended with the relay.
    _task: JoinSet<()>,
}

impl Relay {
    async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, passing) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (mood, moods) = watch::channel(mood);
        let mut task = JoinSet::new();
        task.spawn(serve(listener, moods, Arc::clone(&taken), Arc::clone(&passing)));
        Self { address, mood, taken, passing, _task: task }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    fn passing(&self) -> usize {
        self.passing.load(Ordering::SeqCst)
    }

    /// A store that reaches the server through it only.
    fn store(&self, table: &str) -> PostgresStoreBuilder {
        let (url, _) = support::server(SERVER);
        let through = url.replace(&at(&url), &self.address.to_string());
        PostgresStore::builder(&through).table(table).create_table(true)
    }
}

/// The host and the port of an address.
fn at(url: &str) -> String {
    let (_, behind) = url.rsplit_once('@').or_else(|| url.split_once("//")).unwrap();
    behind.split_once('/').map_or(behind, |(at, _)| at).to_owned()
}

async fn serve(
    listener: TcpListener,
    moods: watch::Receiver<Mood>,
    taken: Arc<AtomicUsize>,
    through: Arc<AtomicUsize>,
) {
    let server = at(&support::server(SERVER).0);
    let mut passing = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        taken.fetch_add(1, Ordering::SeqCst);
        let (mood, server) = (*moods.borrow(), server.clone());
        let (mut moods, through) = (moods.clone(), Arc::clone(&through));
        passing.spawn(async move {
            match mood {
                Mood::Silent => pending().await,
                Mood::After(pause) => tokio::time::sleep(pause).await,
                Mood::Held => drop(moods.changed().await),
                Mood::For(_) => {}
            }
            let until = async {
                if let Mood::For(time) = mood { tokio::time::sleep(time).await } else { pending().await }
            };
            // Either side may be gone by now.
            if let Ok(mut server) = TcpStream::connect(server).await {
                through.fetch_add(1, Ordering::SeqCst);
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    () = until => {}
                }
                through.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
}

async fn until_there(store: &PostgresStore) {
    eventually("the store is connected", || async { store.ping(0).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_nobody_answers_does_not_hold_up_the_next() {
    drop(fresh("it_unanswered").await);
    let relay = Relay::start(Mood::Silent).await;
    let store = relay.store("it_unanswered").connections(1).build().unwrap();
    eventually("both lanes hang", || async { relay.taken() >= 2 }).await;
    // From here on whoever comes is served; those two never are, for two seconds.
    relay.mood.send_replace(Mood::After(Duration::ZERO));
    let began = Instant::now();
    until_there(&store).await;
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    // And the lane for walks, which no other stands in for.
    store.len().await.unwrap();
    assert!(began.elapsed() < SOON, "walks took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_has_the_whole_time_of_an_attempt() {
    drop(fresh("it_slow").await);
    let pause = Duration::from_millis(1_300);
    let relay = Relay::start(Mood::After(pause)).await;
    let store = relay.store("it_slow").connections(1).build().unwrap();
    let began = Instant::now();
    // Never, if an attempt were given up where the next one begins.
    until_there(&store).await;
    assert!(began.elapsed() >= pause, "it took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_asked_no_more_than_some_times_at_once() {
    drop(fresh("it_silent").await);
    let relay = Relay::start(Mood::Silent).await;
    let limit = Duration::from_millis(400);
    let store = relay.store("it_silent").connections(4).connect_timeout(limit).build().unwrap();
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    // Five at once; then one lane, after rests of 50, 100, 200 and 400 ms beside the time of each attempt.
    let taken = relay.taken();
    assert!((7..=10).contains(&taken), "{taken} attempts");
    assert!(store.ping(0).await.is_err());
    let several = Relay::start(Mood::Silent).await;
    let _store = several.store("it_silent").connections(4).build().unwrap();
    tokio::time::sleep(Duration::from_millis(1_900)).await;
    // The first lane four times, the others once.
    assert!((6..=8).contains(&several.taken()), "{} attempts", several.taken());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_attempts_that_are_answered_together_one_is_kept() {
    drop(fresh("it_together").await);
    let relay = Relay::start(Mood::Held).await;
    let limit = Duration::from_secs(4);
    let store = relay.store("it_together").connections(1).connect_timeout(limit).build().unwrap();
    // Both lanes once, and the first again after a second, and after two.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!((3..=4).contains(&relay.taken()), "{} attempts", relay.taken());
    relay.mood.send_replace(Mood::After(Duration::ZERO));
    until_there(&store).await;
    store.len().await.unwrap();
    let taken = relay.taken();
    eventually("the others are closed", || async { relay.passing() == 2 }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((relay.taken(), relay.passing()), (taken, 2), "no more are made");
    drop(store);
    eventually("all are closed", || async { relay.passing() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_do_not_last_are_made_with_rests_too() {
    drop(fresh("it_cut").await);
    let relay = Relay::start(Mood::For(Duration::from_millis(60))).await;
    let store = relay.store("it_cut").connections(1).build().unwrap();
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    // Of two lanes: after rests of 50, 100, 200, 400, 500 and 500 ms; without rests some eighty.
    let taken = relay.taken();
    assert!((6..=16).contains(&taken), "{taken} connections");
    relay.mood.send_replace(Mood::After(Duration::ZERO));
    let began = Instant::now();
    until_there(&store).await;
    store.len().await.unwrap();
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
}

/// Of a name with several addresses, where nothing answers at the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_to_which_nothing_connects_leaves_time_for_the_next() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queued = Vec::new();
    // Nobody takes them, so the kernel soon lets the next one wait.
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(connected.unwrap());
    }
    let builder = PostgresStore::builder(&format!("postgres://larder@{address}/larder"));
    let builder = builder.connect_timeout(Duration::from_secs(4)).operation_timeout(Duration::from_secs(10));
    let (store, began) = (builder.build().unwrap(), Instant::now());
    let error = store.get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("timed out"), "{error}");
    // A quarter of the whole time.
    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
}
