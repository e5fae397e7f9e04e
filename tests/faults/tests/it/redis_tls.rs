//! A Redis cluster that speaks TLS alone.

use std::time::Duration;

use anyhow::{Context, Result};
use larder_core::{CacheStore as _, ErrorKind, Expiry, Key, Namespace, Value};
use larder_redis::{
    RedisStore,
    fred::{
        clients::Client,
        interfaces::ClientLike as _,
        types::{
            ClusterHash, CustomCommand, Value as Answer,
            config::{Config, ServerConfig},
        },
    },
};
use larder_testbed::{Certificates, Redis, RedisOptions, Run};

use crate::{FAR, key, until};

const PASSWORD: &str = "the-same-for-every-node";
const NODES: usize = 2;

/// One node; its Unix socket, which speaks no TLS, is the operator's.
struct Node {
    redis: Redis,
    operator: Client,
}

impl Node {
    async fn start(run: &Run, certificates: &Certificates, number: usize) -> Result<Self> {
        let socket = certificates.ca().with_file_name(format!("operator-{number}"));
        let options = RedisOptions::new()
            .tls(certificates)
            .set("tls-cluster", "yes")
            .set("cluster-enabled", "yes")
            .set("unixsocket", &socket.display().to_string())
            .set("unixsocketperm", "777")
            .set("user", &format!("app on >{PASSWORD} ~* &* +@all"));
        let redis = Redis::start_with(run, &options)?;
        let config = Config {
            server: ServerConfig::Unix { path: socket },
            username: Some("app".to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..Config::default()
        };
        let operator = Client::new(config, None, None, None);
        operator.init().await.context("the operator cannot connect")?;
        Ok(Self { redis, operator })
    }

    async fn says(&self, words: Vec<Answer>) -> Result<Answer> {
        let command = CustomCommand::new("CLUSTER", ClusterHash::Random, false);
        Ok(self.operator.custom(command, words).await?)
    }

    async fn is_whole(&self) -> bool {
        let info: Result<Answer> = self.says(vec!["INFO".into()]).await;
        let info = info.ok().and_then(Answer::into_string).unwrap_or_default();
        info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{NODES}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_tls_is_used_and_its_certificates_are_verified() -> Result<()> {
    let run = Run::new()?;
    let (certificates, strangers) = (Certificates::make(&run)?, Certificates::make(&run)?);
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push(Node::start(&run, &certificates, number).await?);
    }
    for (slots, node) in [(0, 8191), (8192, 16383)].into_iter().zip(&nodes) {
        node.says(vec!["ADDSLOTSRANGE".into(), slots.0.into(), slots.1.into()]).await?;
        node.says(vec!["SET-CONFIG-EPOCH".into(), (1 + slots.0).into()]).await?;
    }
    nodes[0].says(vec!["MEET".into(), "127.0.0.1".into(), nodes[1].redis.port().into()]).await?;
    until("the cluster is whole", Duration::from_secs(30), async || {
        nodes[0].is_whole().await && nodes[1].is_whole().await
    })
    .await;

    let hosts = |name: &str| format!("rediss+cluster://{name}:{}", nodes[0].redis.port());
    let open = |address: &str, certificates: &Certificates| {
        RedisStore::builder(address)
            .username("app")
            .password(PASSWORD)
            .ca(certificates.ca())
            .operation_timeout(Duration::from_secs(5))
            .build()
    };
    // By an address the certificate is good for, and by a name; the nodes tell each other by their addresses.
    for name in ["127.0.0.1", "localhost"] {
        let store = open(&hosts(name), &certificates)?;
        let namespace = Namespace::root().child(name)?;
        let keys: Vec<Key> =
            (0..100).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
        let entries: Vec<(Key, Value, Expiry)> =
            keys.iter().zip(0..).map(|(key, number)| (key.clone(), Value::Int(number), FAR)).collect();
        for written in store.set_many(entries).await {
            written?;
        }
        for (number, found) in (0..).zip(store.get_many(&keys).await) {
            assert!(matches!(found?, Some(Value::Int(int)) if int == number), "{name}: {number}");
        }
        assert_eq!(store.keys(&namespace).await?.len(), keys.len());
        store.clear(&namespace).await?;
        assert_eq!(store.len().await?, 0);
    }
    let error = open(&hosts("127.0.0.1"), &strangers)?.get(&key("distrusted")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    Ok(())
}
