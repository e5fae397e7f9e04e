//! The demonstration site over real HTTP: the quickstart's own router in this process, and the program as a newcomer
//! starts it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(clippy::disallowed_methods, reason = "the clients and the server of a test are its outermost edge")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use larder::{Cache, ManualClock, SimpleStore, Timeout};
use larder_examples::Site;
use tokio::net::TcpListener;

#[expect(dead_code, reason = "the program's own `main` is not called here")]
#[path = "../../examples/quickstart.rs"]
mod example;

const MINUTE: Duration = Duration::from_mins(1);

/// The quickstart's application on a port of its own, over a store with a clock that stands still.
struct Running {
    web: Web,
    site: Site,
    clock: ManualClock,
}

impl Running {
    async fn start(lookup: Duration) -> Self {
        let clock = ManualClock::default();
        let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
        let cache = Cache::builder(store).clock(Arc::new(clock.clone())).build().unwrap();
        let site = Site::open(repository(), lookup).unwrap();
        let app = example::app(cache, site.clone(), Timeout::After(MINUTE)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = Web::new(listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { web, site, clock }
    }
}

/// What a browser is to the site.
struct Web {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<bytes::Bytes>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    /// What the `x-cache` header said.
    cache: String,
    body: String,
}

impl Web {
    fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "*/*").await
    }

    async fn ask(&self, method: Method, path: &str, accept: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(header::ACCEPT, accept)
            // The host is part of a page's key, and the port is another one each time.
            .header(header::HOST, "localhost:3000")
            .body(Empty::new())
            .unwrap();
        let response = self.client.request(request).await.unwrap();
        let cache = response.headers().get("x-cache").map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, cache, body: String::from_utf8(body.into()).unwrap() }
    }

    async fn stats(&self) -> serde_json::Value {
        let answer = self.get("/stats").await;
        assert_eq!(answer.status, StatusCode::OK);
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_who_ask_for_one_cold_user_share_one_lookup() {
    let site = Running::start(Duration::from_millis(300)).await;
    let answers = join_all((0..20).map(|_| site.web.get("/user/ada"))).await;
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.contains("Ada Lovelace"), "{}", answer.body);
    }
    assert_eq!(site.site.users().lookups(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.cache == "miss").count(), 1, "{answers:#?}");
    assert_eq!(site.web.get("/user/ada").await.cache, "hit");
    assert_eq!(site.web.get("/user/grace").await.cache, "miss");
    assert_eq!(site.site.users().lookups(), 2);
}

#[tokio::test]
async fn a_user_expires_to_the_nanosecond() {
    let site = Running::start(Duration::ZERO).await;
    assert_eq!(site.web.get("/user/alan").await.cache, "miss");
    site.clock.advance(Duration::from_nanos(59_999_999_999));
    assert_eq!(site.web.get("/user/alan").await.cache, "hit");
    site.clock.advance(Duration::from_nanos(1));
    assert_eq!(site.web.get("/user/alan").await.cache, "miss");
    assert_eq!(site.site.users().lookups(), 2);
}

#[tokio::test]
async fn someone_unknown_is_404_and_remembered_as_that() {
    let site = Running::start(Duration::ZERO).await;
    let first = site.web.get("/user/%3Cnobody%3E").await;
    assert_eq!((first.status, first.cache.as_str()), (StatusCode::NOT_FOUND, "miss"));
    assert!(!first.body.contains("<nobody>"), "{}", first.body);
    let second = site.web.get("/user/%3Cnobody%3E").await;
    assert_eq!((second.status, second.cache.as_str()), (StatusCode::NOT_FOUND, "hit"));
    assert_eq!(site.site.users().lookups(), 1);
}

#[tokio::test]
async fn pages_are_made_once_until_they_expire() {
    let site = Running::start(Duration::ZERO).await;
    for path in ["/", "/docs/examples/README.md", "/search?q=demonstration+site"] {
        let made = site.web.get(path).await;
        assert_eq!((made.status, made.cache.as_str()), (StatusCode::OK, "miss"), "{path}");
        let kept = site.web.get(path).await;
        assert_eq!(kept.cache, "hit", "{path}");
        assert_eq!(kept.body, made.body, "{path}");
    }
    // The query is part of what a page is.
    assert_eq!(site.web.get("/search?q=demonstration").await.cache, "miss");
    site.clock.advance(MINUTE);
    assert_eq!(site.web.get("/").await.cache, "miss");
}

#[tokio::test]
async fn a_search_finds_and_marks_the_words() {
    let site = Running::start(Duration::ZERO).await;
    let found = site.web.get("/search?q=demonstration+site").await.body;
    let first = found.find("<li>").map(|at| &found[at..]).unwrap();
    assert!(
        first.starts_with("<li><a href=\"/docs/examples/README.md\">The demonstration site</a>"),
        "{first}"
    );
    assert!(first.contains("<mark>demonstration</mark> <mark>site</mark>"), "{first}");
    assert!(site.web.get("/search?q=zyzzyva").await.body.contains("0 of "));
}

#[tokio::test]
async fn what_is_not_there_is_404_every_time_and_never_a_hit() {
    let site = Running::start(Duration::ZERO).await;
    for path in ["/docs/nothing.md", "/docs/..%2f..%2fetc%2fpasswd", "/nothing"] {
        for _ in 0..2 {
            let answer = site.web.get(path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert_ne!(answer.cache, "hit", "{path}");
        }
    }
}

#[tokio::test]
async fn a_reset_empties_pages_and_users() {
    let site = Running::start(Duration::ZERO).await;
    for _ in 0..2 {
        site.web.get("/").await;
        site.web.get("/user/grace").await;
    }
    assert_eq!(site.web.get("/reset").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(site.web.get("/user/grace").await.cache, "hit");

    let reset = site.web.ask(Method::POST, "/reset", "*/*").await;
    assert_eq!((reset.status, reset.body.as_str()), (StatusCode::OK, "The cache is empty.\n"));
    assert_eq!(site.web.get("/").await.cache, "miss");
    assert_eq!(site.web.get("/user/grace").await.cache, "miss");
    assert_eq!(site.site.users().lookups(), 2);
}

#[tokio::test]
async fn a_reset_during_a_lookup_is_not_undone_by_it() {
    let site = Running::start(Duration::from_millis(300)).await;
    let before = site.web.get("/user/grace");
    let reset_and_after = async {
        while site.site.users().lookups() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        site.web.ask(Method::POST, "/reset", "*/*").await;
        site.web.get("/user/grace").await
    };
    let (before, after) = tokio::join!(before, reset_and_after);
    assert_eq!((before.status, after.status), (StatusCode::OK, StatusCode::OK));
    // Whoever came after the reset is not given what was looked up before it.
    assert_eq!(site.site.users().lookups(), 2);
}

#[tokio::test]
async fn stats_count_hits_and_misses_and_what_they_saved() {
    let site = Running::start(Duration::ZERO).await;
    let fresh = site.web.stats().await;
    assert_eq!((fresh["hits"].as_u64(), fresh["misses"].as_u64()), (Some(0), Some(0)));
    for _ in 0..4 {
        site.web.get("/user/tony").await;
    }
    let after = site.web.stats().await;
    assert_eq!((after["hits"].as_u64(), after["misses"].as_u64()), (Some(3), Some(1)), "{after}");
    assert_eq!(after["hit_ratio"].as_f64(), Some(0.75), "{after}");
    assert!(after["time_saved_seconds"].is_number(), "{after}");

    let page = site.web.ask(Method::GET, "/stats", "text/html,*/*;q=0.8").await.body;
    assert!(page.starts_with("<!doctype html>") && page.contains("75.0 %"), "{page}");
}

/// The program itself. Ends it when the test does, however the test ends.
struct Program {
    child: Child,
    web: Web,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Program {
    fn start(options: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut child = Command::new(cargo)
            .args(["run", "--quiet", "--example", "quickstart", "--", "--port", "0"])
            .args(options)
            .current_dir(repository())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the program prints where it listens").unwrap();
        let address =
            first.strip_prefix("Listening on http://").expect("the address comes first").parse().unwrap();
        Self { child, web: Web::new(address), lines }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended is as good as ended.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test]
async fn the_program_does_all_this_as_a_newcomer_starts_it() {
    let mut program = Program::start(&["--timeout", "1h"]);
    let started = Instant::now();
    assert_eq!(program.web.get("/user/ada").await.cache, "miss");
    assert!(started.elapsed() >= Duration::from_secs(1), "the lookup takes a second");
    for path in ["/user/ada", "/search?q=cache", "/search?q=cache", "/nothing"] {
        program.web.get(path).await;
    }
    let stats = program.web.stats().await;
    assert!(stats["time_saved_seconds"].as_f64().unwrap() >= 1.0, "{stats}");

    let mut printed = Vec::new();
    while !printed.last().is_some_and(|line: &String| line.contains("/stats") && line.starts_with("GET")) {
        printed.push(program.lines.next().unwrap().unwrap());
    }
    let requests: Vec<Vec<&str>> = printed
        .iter()
        .filter(|line| line.starts_with("GET"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let said: Vec<_> = requests.iter().map(|words| (words[1], words[2], words[4])).collect();
    let expected = [
        ("200", "miss", "/user/ada"),
        ("200", "hit", "/user/ada"),
        ("200", "miss", "/search?q=cache"),
        ("200", "hit", "/search?q=cache"),
        ("404", "-", "/nothing"),
        ("200", "-", "/stats"),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn another_store_is_another_address_and_nothing_else() {
    let program = Program::start(&["--cache", "null://"]);
    for _ in 0..2 {
        let answer = program.web.get("/").await;
        assert_eq!((answer.status, answer.cache.as_str()), (StatusCode::OK, "miss"));
    }
    assert_eq!(program.web.ask(Method::POST, "/reset", "*/*").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_directory_keeps_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("file://{}/cache", directory.path().display());
    let asked = ["/user/ada", "/", "/search?q=cache"];
    {
        let program = Program::start(&["--cache", &address, "--timeout", "1h"]);
        for path in asked {
            assert_eq!(program.web.get(path).await.cache, "miss", "{path}");
        }
    }
    // The first is killed; the second finds what it kept, by a file that describes the same store.
    let config = directory.path().join("larder.toml");
    std::fs::write(&config, format!("[cache]\nurl = \"{address}\"\ntimeout = \"1h\"\n")).unwrap();
    let program = Program::start(&["--config", config.to_str().unwrap()]);
    for path in asked {
        assert_eq!(program.web.get(path).await.cache, "hit", "{path}");
    }
    assert_eq!(program.web.ask(Method::POST, "/reset", "*/*").await.status, StatusCode::OK);
    for path in asked {
        assert_eq!(program.web.get(path).await.cache, "miss", "{path}");
    }
}

#[tokio::test]
async fn the_configuration_that_comes_with_the_example_works() {
    let program = Program::start(&["--config", "examples/larder.toml"]);
    for expected in ["miss", "hit"] {
        assert_eq!(program.web.get("/").await.cache, expected);
    }
}
