//! Servers with TLS and passwords, spoken to by a client that checks their certificate.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use larder_testbed::{Certificates, Memcached, MemcachedOptions, Postgres, Redis, RedisOptions, Run};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The password, the port and the path of the CA in an address.
fn parts(url: &str) -> (&str, u16, &str) {
    let (_, rest) = url.split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    let (host, query) = rest.split_once('?').unwrap();
    let (name, port) = host.split('/').next().unwrap().split_once(':').unwrap();
    assert_eq!(name, "localhost");
    let ca = query.split('&').find_map(|pair| pair.strip_prefix("ca=")).unwrap();
    (user.strip_prefix("larder").unwrap().trim_start_matches(':'), port.parse().unwrap(), ca)
}

fn tls(stream: TcpStream, name: &str, ca: &str) -> Result<Stream, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
    stream.flush()?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

fn ask(stream: &mut (impl Read + Write), text: &str, until: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    let mut buffer = [0; 512];
    while !answer.ends_with(until) {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "the connection ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    answer
}

#[test]
fn redis() {
    let run = Run::new().unwrap();
    let certificates = Certificates::make(&run).unwrap();
    let redis = Redis::start_with(&run, &RedisOptions::new().tls(&certificates)).unwrap();
    let url = redis.url();
    let (password, port, ca) = parts(&url);
    assert_eq!(password.len(), 32);
    assert!(tls(connect(port), "example.org", ca).is_err(), "the certificate is of other names");
    let mut stream = tls(connect(port), "localhost", ca).unwrap();
    assert!(ask(&mut stream, "PING\r\n", "\r\n").starts_with("-NOAUTH"));
    assert!(ask(&mut stream, "AUTH larder wrong\r\n", "\r\n").starts_with("-WRONGPASS"));
    assert_eq!(ask(&mut stream, &format!("AUTH larder {password}\r\n"), "\r\n"), "+OK\r\n");
    assert_eq!(ask(&mut stream, "SET k v\r\n", "\r\n"), "+OK\r\n");
    redis.pause().unwrap();
    assert!(!redis.answers());
    redis.resume();
    redis.restart().unwrap();
    assert!(redis.answers());
}

#[test]
fn memcached() {
    let run = Run::new().unwrap();
    let certificates = Certificates::make(&run).unwrap();
    let memcached = Memcached::start_with(&run, &MemcachedOptions::new().tls(&certificates)).unwrap();
    let url = memcached.url();
    let (password, port, ca) = parts(&url);
    let mut stream = tls(connect(port), "localhost", ca).unwrap();
    assert!(ask(&mut stream, "get k\r\n", "\r\n").starts_with("CLIENT_ERROR"));
    let login = format!("larder {password}");
    let login = format!("set auth 0 0 {}\r\n{login}\r\n", login.len());
    assert_eq!(ask(&mut stream, &login, "\r\n"), "STORED\r\n");
    assert_eq!(ask(&mut stream, "set k 0 0 1\r\nv\r\n", "\r\n"), "STORED\r\n");
    memcached.restart().unwrap();
    assert!(memcached.answers());
}

#[test]
fn postgres() {
    let run = Run::new().unwrap();
    let postgres = Postgres::start(&run).unwrap();
    let url = postgres.tls_url();
    assert!(url.contains("?sslmode=require&"), "{url}");
    let (_, port, ca) = parts(&url);
    let mut plain = connect(port);
    // SSLRequest.
    plain.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    plain.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"S");
    let mut stream = tls(plain, "127.0.0.1", ca).unwrap();
    let startup = b"\0\0\0\x25\0\x03\0\0user\0larder\0database\0larder\0\0";
    stream.write_all(startup).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"R", "it asks for no password");
}

#[cfg(unix)]
#[test]
fn the_key_is_for_the_servers_alone() {
    use std::os::unix::fs::PermissionsExt;
    let run = Run::new().unwrap();
    let certificates = Certificates::make(&run).unwrap();
    let mode = certificates.key().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        std::fs::read_to_string(certificates.certificate())
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
}
