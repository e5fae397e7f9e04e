//! No key or value is ever a command, and no store sees another's entries.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_postgres::PostgresStore;
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};

use crate::{SERVER, bytes, fresh, key, put, support, text};

/// What has a meaning to some part of the way.
const PIECES: [&str; 12] = [
    "'",
    "\"",
    "\\",
    "\0",
    "\r\n",
    "; DROP TABLE it_hostile; --",
    "$1",
    "%",
    "_",
    "') ON CONFLICT DO NOTHING; --",
    "\u{1F980}",
    "E'\\\\x00'",
];

fn any_text() -> impl Strategy<Value = String> {
    vec(prop_oneof![(0..PIECES.len()).prop_map(|at| PIECES[at].to_owned()), any::<String>()], 0..4)
        .prop_map(|parts| parts.concat())
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, Vec<u8>),
    SetMany(Vec<(String, Vec<u8>)>),
    Delete(String),
    DeleteMany(Vec<String>),
    ClearChild(String),
}

fn any_step() -> impl Strategy<Value = Step> {
    let value = || vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => (any_text(), value()).prop_map(|(text, value)| Step::Set(text, value)),
        2 => vec((any_text(), value()), 0..5).prop_map(Step::SetMany),
        1 => any_text().prop_map(Step::Delete),
        1 => vec(any_text(), 0..4).prop_map(Step::DeleteMany),
        1 => any_text().prop_map(Step::ClearChild),
    ]
}

async fn run(store: &PostgresStore, home: &Namespace, steps: Vec<Step>) {
    let named = |text: &str| Key::new(home, text).unwrap();
    let mut model = BTreeMap::new();
    store.clear(home).await.unwrap();
    for step in steps {
        match step {
            Step::Set(text, value) => {
                let key = named(&text);
                store.set(&key, Value::Bytes(value.clone().into()), Expiry::Never).await.unwrap();
                model.insert(key, value);
            }
            Step::SetMany(entries) => {
                let entries: Vec<_> =
                    entries.into_iter().map(|(text, value)| (named(&text), value)).collect();
                let sent = entries.iter().cloned();
                let sent =
                    sent.map(|(key, value)| (key, Value::Bytes(value.into()), Expiry::Never)).collect();
                store.set_many(sent).await.into_iter().for_each(Result::unwrap);
                model.extend(entries);
            }
            Step::Delete(text) => {
                let was = store.delete(&named(&text)).await.unwrap();
                assert_eq!(was, model.remove(&named(&text)).is_some());
            }
            Step::DeleteMany(texts) => {
                let keys: Vec<_> = texts.iter().map(|text| named(text)).collect();
                for (key, was) in keys.iter().zip(store.delete_many(&keys).await) {
                    assert_eq!(was.unwrap(), model.remove(key).is_some());
                }
            }
            Step::ClearChild(text) => {
                // A child of any name holds none of these keys.
                if let Ok(child) = home.child(&text) {
                    store.clear(&child).await.unwrap();
                }
            }
        }
    }
    let mut listed = store.keys(home).await.unwrap();
    listed.sort();
    assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>());
    for (seen, (key, value)) in store.get_many(&listed).await.into_iter().zip(&model) {
        assert!(matches!(seen.unwrap(), Some(Value::Bytes(bytes)) if bytes == value), "{key:?}");
    }
}

/// After anything at all was said, the server holds exactly what the model says.
#[test]
fn a_key_or_value_is_never_a_command() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, beside) = runtime.block_on(async {
        let builder = fresh("it_hostile").await;
        (builder.clone().build().unwrap(), builder.prefix("beside").build().unwrap())
    });
    runtime.block_on(put(&beside, "witness", "untouched"));
    let home = Namespace::root().child("home '\"\\").unwrap();
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&vec(any_step(), 0..12), |steps| {
        runtime.block_on(run(&store, &home, steps));
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(runtime.block_on(text(&beside, "witness")).as_deref(), Some("untouched"));
}

#[tokio::test]
async fn stores_with_different_prefixes_never_see_each_other() {
    let builder = fresh("it_prefix").await;
    // The last two look like a namespace of the first, and like a prefix of the second.
    let prefixes = ["", "shop", "1/shop/", "sho"];
    let stores: Vec<_> =
        prefixes.iter().map(|prefix| builder.clone().prefix(*prefix).build().unwrap()).collect();
    let shop = Namespace::root().child("shop").unwrap();
    for (store, prefix) in stores.iter().zip(prefixes) {
        put(store, "a", prefix).await;
        store.set(&Key::new(&shop, "b").unwrap(), bytes(prefix), Expiry::Never).await.unwrap();
        store.increment(&key("n"), 1, Expiry::Never).await.unwrap();
    }
    for (store, prefix) in stores.iter().zip(prefixes) {
        assert_eq!(text(store, "a").await.as_deref(), Some(prefix));
        assert_eq!(store.len().await.unwrap(), 3, "{prefix}");
        assert_eq!(store.keys(&Namespace::root()).await.unwrap().len(), 3, "{prefix}");
        assert!(matches!(store.get(&key("n")).await.unwrap(), Some(Value::Int(1))));
    }
    stores[0].clear(&shop).await.unwrap();
    stores[0].clear(&Namespace::root()).await.unwrap();
    assert_eq!(stores[0].len().await.unwrap(), 0);
    for store in &stores[1..] {
        assert_eq!(store.len().await.unwrap(), 3);
    }
}

#[tokio::test]
async fn no_key_or_value_is_shown_by_an_error() {
    let builder = fresh("it_shown").await;
    let store = builder.max_value_bytes(10).build().unwrap();
    put(&store, "geheim", "verbrgn").await;
    let version = larder_core::Version::from(1);
    let errors = [
        store.increment(&key("geheim"), 1, Expiry::Never).await.map(drop).unwrap_err(),
        store.set(&key("geheim"), bytes("verbrgn is too large"), Expiry::Never).await.unwrap_err(),
        store
            .replace(&key("geheim"), &version, bytes("verbrgn is too large"), Expiry::Never)
            .await
            .map(drop)
            .unwrap_err(),
    ];
    let shown =
        format!("{errors:?} {store:?} {store:#?} {}", errors.each_ref().map(ToString::to_string).join(" "));
    assert!(!shown.contains("geheim") && !shown.contains("verbrgn"), "{shown}");
}

#[tokio::test]
async fn what_another_program_wrote_is_a_miss_or_left_out() {
    let store = open_with_foreign_rows().await;
    assert_eq!(text(&store, "neither").await, None);
    let listed = store.keys(&Namespace::root()).await.unwrap();
    assert_eq!(listed, [key("neither")], "a key that no Larder encodes is left out");
    assert!(support::server(SERVER).1.is_empty());
}

async fn open_with_foreign_rows() -> PostgresStore {
    let store = crate::open("it_foreign_rows").await;
    store.len().await.unwrap();
    crate::admin()
        .await
        .batch_execute(
            "INSERT INTO it_foreign_rows (k, ver, salt, exp, written) VALUES \
             ('1/:neither', 1, 1, 'infinity', now()), ('1/no key', 1, 1, 'infinity', now()), \
             ('\\xff00', 1, 1, 'infinity', now()), ('', 1, 1, 'infinity', now())",
        )
        .await
        .unwrap();
    store
}

/// What the client logged that is secret, as text or as a list of bytes.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static RECORDS: AtomicUsize = AtomicUsize::new(0);

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("tokio_postgres")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        RECORDS.fetch_add(1, Ordering::Relaxed);
        let said = record.args().to_string();
        let listed = |secret: &str| format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned();
        if SECRETS.iter().any(|secret| said.contains(secret) || said.contains(&listed(secret))) {
            LOGGED.lock().unwrap().push(said);
        }
    }

    fn flush(&self) {}
}

const SECRETS: [&str; 2] = ["geheimnis", "verbrgnes"];

#[tokio::test]
async fn no_key_or_value_is_logged_by_the_client() {
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let store = crate::open("it_log").await;
    let [name, value] = SECRETS;
    put(&store, name, value).await;
    assert_eq!(text(&store, name).await.as_deref(), Some(value));
    store.set_many(vec![(key(name), bytes(value), Expiry::Never)]).await.remove(0).unwrap();
    store.get_many(&[key(name)]).await.remove(0).unwrap();
    store.clear(&Namespace::root()).await.unwrap();
    assert!(RECORDS.load(Ordering::Relaxed) > 0, "the client logs something");
    assert!(LOGGED.lock().unwrap().is_empty(), "{:?}", LOGGED.lock().unwrap());
}
