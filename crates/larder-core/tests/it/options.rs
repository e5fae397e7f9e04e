//! What options do to the entries that are stored.

use std::{sync::Arc, time::Duration};

use larder_core::{
    Cache, CacheStore as _, EarlyRefresh, EntryMeta, EntryOptions, Error, ErrorKind, Expiry, Loaded,
    SeededRandom, Timeout, Timestamp, Value,
};

use crate::{
    doc::MapStore,
    support::{Rig, Scripted, fine},
};

const SECOND: Duration = Duration::from_secs(1);

fn windows() -> EntryOptions {
    EntryOptions::new().timeout(60 * SECOND).stale_while_revalidate(10 * SECOND).stale_if_error(240 * SECOND)
}

/// The metadata of what lies in the store, and how long the store keeps it.
async fn kept(rig: &Rig, text: &str) -> (EntryMeta, Expiry) {
    let key = rig.cache.key(text).unwrap();
    let expiry = rig.store.inner.expiry(&key).await.unwrap().unwrap();
    match rig.stored(text).await.unwrap() {
        Value::Object(object) => (object.meta().clone(), expiry),
        other => panic!("not an object: {other:?}"),
    }
}

fn after(rig: &Rig, time: Duration) -> Timestamp {
    rig.cache.now().saturating_add(time)
}

#[tokio::test]
async fn an_entry_with_windows_outlives_its_timeout_but_is_not_found() {
    let rig = Rig::new();
    rig.cache.set_with("a", "x".to_owned(), windows()).await.unwrap();
    rig.cache.get_or_load_with("b", windows(), || async { fine("x".to_owned()) }).await.unwrap();
    rig.cache.set_many_with([("c", "x".to_owned())], windows()).await.remove(0).unwrap();
    for text in ["a", "b", "c"] {
        let (meta, expiry) = kept(&rig, text).await;
        assert_eq!(meta.stale_at(), after(&rig, 60 * SECOND));
        assert_eq!(meta.expires_at(), after(&rig, 300 * SECOND));
        assert_eq!(expiry, Expiry::After(300 * SECOND));
    }
    rig.clock.advance(60 * SECOND);
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none(), "`get` finds what is fresh");
    assert!(!rig.cache.has("a").await.unwrap());
    assert!(rig.stored("a").await.is_some());
}

#[tokio::test]
async fn windows_survive_the_wire() {
    let rig = Rig::bytes();
    rig.cache.set_with("a", "x".to_owned(), windows()).await.unwrap();
    assert_eq!(rig.stored("a").await.unwrap().expires_at(), Some(after(&rig, 300 * SECOND)));
    rig.clock.advance(59 * SECOND);
    assert_eq!(*rig.cache.get::<String>("a").await.unwrap().unwrap(), "x");
    rig.clock.advance(SECOND);
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
}

#[tokio::test]
async fn an_integer_is_a_counter_unless_it_has_more_to_carry() {
    let rig = Rig::new();
    let of = |options: EntryOptions| rig.cache.set_with("n", 5_u8, options);
    for plain in [EntryOptions::new(), EntryOptions::new().jitter(0.5), windows().timeout(60 * SECOND)] {
        of(plain.clone()).await.unwrap();
        let counter = matches!(rig.stored("n").await.unwrap(), Value::Int(5));
        assert_eq!(counter, plain != windows());
        assert_eq!(*rig.cache.get::<u8>("n").await.unwrap().unwrap(), 5);
    }
    of(EntryOptions::new().tag("t")).await.unwrap();
    assert!(matches!(rig.stored("n").await.unwrap(), Value::Object(_)));
    assert_eq!(rig.cache.increment("n", 1).await.unwrap_err().kind(), ErrorKind::WrongType);
}

#[tokio::test]
async fn a_none_has_a_timeout_of_its_own() {
    let rig = Rig::with(Scripted::default(), |builder| {
        builder.default_options(EntryOptions::new().none_timeout(5 * SECOND))
    });
    let load =
        |key: &'static str, value: Option<u8>| rig.cache.get_or_load(key, move || async move { fine(value) });
    load("nothing", None).await.unwrap();
    load("something", Some(1)).await.unwrap();
    assert_eq!(rig.cache.expiry("nothing").await.unwrap(), Some(Expiry::After(5 * SECOND)));
    assert_eq!(rig.cache.expiry("something").await.unwrap(), Some(Expiry::After(300 * SECOND)));
    let not_kept = EntryOptions::new().none_timeout(Duration::ZERO);
    rig.cache.get_or_load_with("not kept", not_kept, || async { fine(None::<u8>) }).await.unwrap();
    assert!(!rig.cache.has("not kept").await.unwrap());
    let chosen = || async { fine(Loaded::new(None::<u8>).timeout(7 * SECOND)) };
    rig.cache.get_or_load("chosen", chosen).await.unwrap();
    assert_eq!(rig.cache.expiry("chosen").await.unwrap(), Some(Expiry::After(7 * SECOND)));
}

#[tokio::test]
async fn jitter_takes_off_by_chance_and_the_seed_repeats_it() {
    let draw = |seed: u64| async move {
        let rig = Rig::with(Scripted::default(), |builder| {
            let options = EntryOptions::new().timeout(100 * SECOND).jitter(0.2);
            builder.default_options(options).random(Arc::new(SeededRandom::new(seed)))
        });
        let mut expiries = Vec::new();
        for n in 0..50_i64 {
            let key = n.to_string();
            // A counter has jitter too.
            rig.cache.set(key.as_str(), n).await.unwrap();
            let Some(Expiry::After(left)) = rig.cache.expiry(key.as_str()).await.unwrap() else { panic!() };
            assert!((80 * SECOND..100 * SECOND).contains(&left), "{left:?}");
            expiries.push(left);
        }
        expiries
    };
    let expiries = draw(1).await;
    assert_eq!(expiries, draw(1).await);
    assert_ne!(expiries, draw(2).await);
    assert!(expiries.iter().max().unwrap().saturating_sub(*expiries.iter().min().unwrap()) > 10 * SECOND);
}

#[tokio::test]
async fn the_loader_has_the_last_word() {
    let rig = Rig::new();
    let loader = || async {
        fine(
            Loaded::new("x".to_owned())
                .timeout(SECOND)
                .stale_while_revalidate(2 * SECOND)
                .stale_if_error(SECOND),
        )
    };
    rig.cache.get_or_load_with("a", windows(), loader).await.unwrap();
    let (meta, expiry) = kept(&rig, "a").await;
    assert_eq!((meta.stale_at(), expiry), (after(&rig, SECOND), Expiry::After(3 * SECOND)));
    // What it does not mention stays as asked.
    let loader = || async { fine(Loaded::new("x".to_owned()).with_options(SECOND)) };
    rig.cache.get_or_load_with("b", windows(), loader).await.unwrap();
    let (meta, expiry) = kept(&rig, "b").await;
    assert_eq!((meta.stale_at(), expiry), (after(&rig, SECOND), Expiry::After(241 * SECOND)));
}

#[tokio::test]
async fn defaults_hold_where_nothing_else_is_asked_for() {
    let rig = Rig::with(Scripted::default(), |builder| builder.default_options(windows()));
    assert_eq!(rig.cache.default_expiry(), Expiry::After(60 * SECOND));
    rig.cache.set("a", "x".to_owned()).await.unwrap();
    assert_eq!(kept(&rig, "a").await.1, Expiry::After(300 * SECOND));
    rig.cache.set_with("b", "x".to_owned(), SECOND).await.unwrap();
    assert_eq!(kept(&rig, "b").await.1, Expiry::After(241 * SECOND));
    rig.cache.set_with("c", "x".to_owned(), Timeout::Default).await.unwrap();
    assert_eq!(kept(&rig, "c").await.1, Expiry::After(300 * SECOND));
    let none = EntryOptions::new().stale_if_error(Duration::ZERO).stale_while_revalidate(Duration::ZERO);
    rig.cache.set_with("d", "x".to_owned(), none).await.unwrap();
    assert_eq!(kept(&rig, "d").await.1, Expiry::After(60 * SECOND));

    let both = |options: EntryOptions| {
        Cache::builder(MapStore::default()).default_timeout(SECOND).default_options(options).build().unwrap()
    };
    assert_eq!(both(EntryOptions::new().jitter(0.1)).default_expiry(), Expiry::After(SECOND));
    assert_eq!(both(windows()).default_expiry(), Expiry::After(60 * SECOND));
    let last = Cache::builder(MapStore::default()).default_options(windows()).default_timeout(SECOND);
    assert_eq!(last.build().unwrap().default_expiry(), Expiry::After(SECOND));
}

#[tokio::test]
async fn what_is_out_of_range_is_named() {
    let with = EntryOptions::new;
    let long = "x".repeat(EntryOptions::MAX_TAG_LEN + 1);
    let many: Vec<String> = (0..=EntryOptions::MAX_TAGS).map(|n| n.to_string()).collect();
    let cache = Cache::new(MapStore::default());
    for (options, kind, named) in [
        (with().jitter(-0.1), ErrorKind::Config, "jitter"),
        (with().jitter(1.1), ErrorKind::Config, "jitter"),
        (with().jitter(f64::NAN), ErrorKind::Config, "jitter"),
        (with().early_refresh(EarlyRefresh::After(1.1)), ErrorKind::Config, "early_refresh"),
        (with().early_refresh(EarlyRefresh::After(f64::NAN)), ErrorKind::Config, "early_refresh"),
        (with().early_refresh(EarlyRefresh::XFetch { beta: 0.0 }), ErrorKind::Config, "early_refresh"),
        (
            with().early_refresh(EarlyRefresh::XFetch { beta: f64::INFINITY }),
            ErrorKind::Config,
            "early_refresh",
        ),
        (with().load_timeout(Duration::ZERO), ErrorKind::Config, "load_timeout"),
        (with().tag(""), ErrorKind::InvalidKey, "tag"),
        (with().tags(["fine", &long]), ErrorKind::InvalidKey, "tag"),
        (with().tags(many), ErrorKind::InvalidKey, "tags"),
    ] {
        let built = Cache::builder(MapStore::default()).default_options(options.clone()).build().map(drop);
        let set = cache.set_with("a", 1_u8, options.clone()).await;
        let added = cache.add_with("a", 1_u8, options.clone()).await.map(drop);
        let many = cache.set_many_with([("a", 1_u8)], options).await.remove(0);
        for (at, result) in [("build", built), ("set", set), ("add", added), ("set_many", many)] {
            let error: Error = result.unwrap_err();
            assert!(
                error.to_string().contains(named) && error.kind() == kind,
                "{at}: {error} {:?}",
                error.kind()
            );
        }
    }
    assert!(!cache.has("a").await.unwrap());
    let edges =
        with().jitter(1.0).early_refresh(EarlyRefresh::After(0.0)).tag("x".repeat(EntryOptions::MAX_TAG_LEN));
    cache.set_with("a", 1_u8, edges.clone()).await.unwrap();
    Cache::builder(MapStore::default()).default_options(edges.jitter(0.0)).build().unwrap();
}

#[tokio::test]
async fn tags_of_the_cache_count_too() {
    let tags = |from: usize| EntryOptions::new().tags((from..from + 100).map(|n| n.to_string()));
    let cache = Cache::builder(MapStore::default()).default_options(tags(0)).build().unwrap();
    cache.set_with("a", 1_u8, tags(0)).await.unwrap();
    let error = cache.set_with("a", 1_u8, tags(100)).await.unwrap_err();
    assert!(error.to_string().contains("200 tags"), "{error}");
}

#[tokio::test]
async fn a_touched_entry_keeps_its_windows() {
    for (rig, bytes) in [(Rig::new(), false), (Rig::bytes(), true)] {
        rig.cache.set_with("a", "x".to_owned(), windows()).await.unwrap();
        rig.clock.advance(30 * SECOND);
        assert!(rig.cache.touch("a", 100 * SECOND).await.unwrap());
        assert_eq!(rig.stored("a").await.unwrap().expires_at(), Some(after(&rig, 340 * SECOND)));
        if !bytes {
            let (meta, expiry) = kept(&rig, "a").await;
            assert_eq!((meta.stale_at(), expiry), (after(&rig, 100 * SECOND), Expiry::After(340 * SECOND)));
        }
        rig.clock.advance(99 * SECOND);
        assert!(rig.cache.has("a").await.unwrap());
        rig.clock.advance(SECOND);
        assert!(!rig.cache.has("a").await.unwrap());
    }
    let rig = Rig::new();
    rig.cache.set_with("a", "x".to_owned(), windows()).await.unwrap();
    assert!(rig.cache.touch("a", Timeout::Never).await.unwrap());
    assert_eq!(rig.cache.expiry("a").await.unwrap(), Some(Expiry::Never));
    assert!(rig.cache.touch("a", Duration::ZERO).await.unwrap());
    assert!(!rig.cache.has("a").await.unwrap());
}

#[test]
fn options_show_what_is_set_and_nothing_else() {
    assert_eq!(format!("{:?}", EntryOptions::new()), "EntryOptions");
    let options = windows().tag("t").late_tags(true).jitter(0.5);
    let shown = "EntryOptions { timeout: After(60s), tags: [\"t\"], stale_while_revalidate: 10s, \
                 stale_if_error: 240s, jitter: 0.5, late_tags: true }";
    assert_eq!(format!("{options:?}"), shown);
}
