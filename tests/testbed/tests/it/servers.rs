//! Each kind of server: starts, answers, dies, comes back.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use larder_testbed::{
    Memcached, MemcachedOptions, PgBouncer, Postgres, PostgresOptions, Redis, RedisOptions, Reply, Run,
    Server, memcached_url, start_time,
};

/// Killed, paused, and asked to end, it is first away and then back where it was.
fn dies_and_comes_back(server: &Server) {
    let pid = server.pid().unwrap();
    assert!(server.answers());
    server.pause().unwrap();
    assert!(!server.answers(), "{} answers although it is paused", server.name());
    server.resume();
    server.wait_until_it_answers(Duration::from_secs(2)).unwrap();
    assert_eq!(server.pid(), Some(pid));

    server.kill();
    assert_eq!((server.pid(), start_time(pid)), (None, None));
    assert!(!server.answers(), "{} answers although it is down", server.name());
    server.start().unwrap();
    assert!(server.start().is_err(), "it runs already");
    assert!(server.answers());

    server.terminate().unwrap();
    assert!(!server.answers());
    server.start().unwrap();
    server.restart().unwrap();
    assert!(server.answers());
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err()
}

#[test]
fn redis() {
    let run = Run::new().unwrap();
    let redis = Redis::start_with(&run, &RedisOptions::new().set("maxmemory", "8mb")).unwrap();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert_eq!(redis.command(&["SET", "k", "v\r\n"]).unwrap().text(), Some("OK"));
    assert_eq!(redis.command(&["GET", "k"]).unwrap().text(), Some("v\r\n"));
    assert_eq!(redis.command(&["INCR", "n"]).unwrap().int(), Some(1));
    assert!(matches!(redis.command(&["INCR", "k"]).unwrap(), Reply::Error(text) if text.starts_with("ERR")));
    assert_eq!(redis.command(&["CONFIG", "GET", "maxmemory"]).unwrap().list()[1].text(), Some("8388608"));
    dies_and_comes_back(&redis);
    assert_eq!(redis.command(&["GET", "k"]).unwrap(), Reply::Nil, "nothing is kept on disk");
}

#[test]
fn redis_on_a_unix_socket_has_no_port() {
    let run = Run::new().unwrap();
    let redis = Redis::start_with(&run, &RedisOptions::new().unix().set("appendonly", "yes")).unwrap();
    assert_eq!(redis.url(), format!("unix://{}", redis.socket().unwrap().display()));
    assert_eq!(redis.command(&["SET", "k", "v"]).unwrap().text(), Some("OK"));
    dies_and_comes_back(&redis);
    assert_eq!(redis.command(&["GET", "k"]).unwrap().text(), Some("v"), "its data directory is the same");
}

#[test]
fn memcached() {
    let run = Run::new().unwrap();
    let memcached = Memcached::start_with(&run, &MemcachedOptions::new().arg("-m").arg("16")).unwrap();
    assert_eq!(memcached.command("set k 0 0 1\r\nv\r\n", "\r\n").unwrap(), "STORED\r\n");
    assert_eq!(memcached.command("get k\r\n", "END\r\n").unwrap(), "VALUE k 0 1\r\nv\r\nEND\r\n");
    assert!(memcached.command("stats settings\r\n", "END\r\n").unwrap().contains("STAT maxbytes 16777216"));
    dies_and_comes_back(&memcached);
    assert_eq!(memcached.command("get k\r\n", "END\r\n").unwrap(), "END\r\n");
    let other = Memcached::start(&run).unwrap();
    let url = memcached_url(&[&memcached, &other]);
    assert_eq!(url, format!("memcached://127.0.0.1:{},127.0.0.1:{}", memcached.port(), other.port()));
}

#[test]
fn memcached_on_a_unix_socket() {
    let run = Run::new().unwrap();
    let memcached = Memcached::start_with(&run, &MemcachedOptions::new().unix()).unwrap();
    assert_eq!(memcached.url(), format!("memcached+unix://{}", memcached.socket().unwrap().display()));
    assert_eq!(memcached.command("set k 0 0 1\r\nv\r\n", "\r\n").unwrap(), "STORED\r\n");
    dies_and_comes_back(&memcached);
}

#[test]
fn postgres_and_pgbouncer() {
    let run = Run::new().unwrap();
    let postgres = Postgres::start_with(&run, &PostgresOptions::new().set("log_statement", "all")).unwrap();
    let pgbouncer = PgBouncer::start(&run, &postgres).unwrap();
    assert_eq!(
        pgbouncer.url(),
        format!("postgres://larder@127.0.0.1:{}/larder?pgbouncer=true", pgbouncer.port())
    );
    let text = |rows: Vec<Vec<Option<String>>>| rows[0][0].clone().unwrap();
    assert_eq!(text(postgres.sql("SHOW fsync").unwrap()), "on");
    assert_eq!(text(postgres.sql("SHOW max_connections").unwrap()), "200");
    assert_eq!(text(postgres.sql("SHOW ssl").unwrap()), "on");
    assert_eq!(text(postgres.sql("SELECT current_database()").unwrap()), "larder");
    let owner = "SELECT rolname FROM pg_database JOIN pg_roles r ON datdba = r.oid WHERE datname = 'larder' AND NOT rolsuper";
    assert_eq!(text(postgres.sql(owner).unwrap()), "larder");
    assert!(postgres.log_tail().contains("SELECT current_database()"), "log_statement is not heard");
    let error = postgres.sql("SELECT nonsense").unwrap_err();
    assert!(format!("{error:#}").contains("column \"nonsense\" does not exist"), "{error:#}");

    // The one that PgBouncer keeps, which the probe went through.
    assert!(pgbouncer.answers());
    assert_eq!(postgres.terminate_backends().unwrap(), 1);
    assert_eq!(postgres.terminate_backends().unwrap(), 0);

    postgres.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").unwrap();
    dies_and_comes_back(&postgres);
    assert_eq!(text(postgres.sql("SELECT n FROM kept").unwrap()), "7");
    pgbouncer.wait_until_it_answers(Duration::from_secs(2)).unwrap();
    dies_and_comes_back(&pgbouncer);
}

#[test]
fn servers_run_as_somebody_harmless_and_go_with_their_values() {
    let run = Run::new().unwrap();
    let directory = run.path().to_owned();
    let redis = Redis::start(&run).unwrap();
    let (pid, address) = (redis.pid().unwrap(), redis.address());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let uids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert!(uids.split_whitespace().skip(1).all(|uid| uid != "0"), "{uids}");
    drop(run);
    assert!(directory.exists(), "the directory of a server that runs");
    assert!(!refuses(address));
    drop(redis);
    assert_eq!(start_time(pid), None);
    assert!(refuses(address));
    assert!(!directory.exists());
}

#[test]
fn a_server_that_will_not_start_says_why_and_soon() {
    let run = Run::new().unwrap();
    let begin = Instant::now();
    let error = Redis::start_with(&run, &RedisOptions::new().set("maxmemory-polizy", "x")).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("before it answered") && text.contains("maxmemory-polizy"), "{text}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let run = Run::new().unwrap();
    let theirs = run.clone();
    let redis = std::thread::spawn(move || Redis::start(&theirs).unwrap()).join().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(redis.answers());
}

#[test]
fn many_start_at_the_same_time() {
    let run = Run::new().unwrap();
    std::thread::scope(|scope| {
        let servers: Vec<_> = (0..16).map(|_| scope.spawn(|| Memcached::start(&run).unwrap())).collect();
        let servers: Vec<Memcached> = servers.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(servers.iter().all(|server| server.answers()));
    });
}
