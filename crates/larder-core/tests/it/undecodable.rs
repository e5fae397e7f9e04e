//! What stands in the store and cannot be read is a miss, counted, and the next load overwrites it.

use larder_core::{EntryMeta, Expiry, Kept, Object, Source, Value};

use crate::support::{Rig, fine};

fn good() -> Vec<u8> {
    let meta = EntryMeta::new(larder_core::Timestamp::from_nanos(1), Expiry::Never);
    Object::new("good".to_owned(), meta).encode().unwrap().to_vec()
}

#[tokio::test]
async fn damaged_bytes_are_a_counted_miss_that_a_load_overwrites() {
    let rig = Rig::bytes();
    let mut later_layout = good();
    later_layout[2] = 2;
    let mut cut = good();
    cut.pop();
    for (n, bytes) in [Vec::new(), b"LR".to_vec(), vec![0xff; 100], later_layout, cut].into_iter().enumerate()
    {
        rig.plant("a", Value::Bytes(bytes.into())).await;
        let before = rig.cache.stats().undecodable;
        assert!(rig.cache.get::<String>("a").await.unwrap().is_none(), "case {n}");
        assert!(!rig.cache.has("a").await.unwrap());
        assert_eq!(rig.cache.expiry("a").await.unwrap(), None);
        assert!(rig.cache.get_many::<String>(["a"]).await[0].as_ref().unwrap().is_none());
        assert!(rig.cache.take::<String>("a").await.unwrap().is_none());
        assert!(!rig.cache.touch("a", larder_core::Timeout::Never).await.unwrap());
        assert_eq!(rig.cache.stats().undecodable, before + 6);
        let loaded = rig.cache.get_or_load("a", || async { fine("new".to_owned()) }).await.unwrap();
        assert_eq!((loaded.as_str(), loaded.source()), ("new", Source::Loaded(Kept::Yes)));
        assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "new");
    }
    assert!(rig.events.count("undecodable") >= 30);
    rig.plant("b", Value::Bytes(good().into())).await;
    assert_eq!(rig.cache.get::<String>("b").await.unwrap().unwrap().as_str(), "good");
    rig.at_rest().await;
}

#[tokio::test]
async fn another_type_is_a_counted_miss() {
    for rig in [Rig::new(), Rig::bytes()] {
        rig.cache.set("a", "text".to_owned()).await.unwrap();
        assert!(rig.cache.get::<Vec<u32>>("a").await.unwrap().is_none());
        assert_eq!(rig.cache.get::<Box<str>>("a").await.unwrap().unwrap().to_string(), "text");
        let stats = rig.cache.stats();
        assert_eq!((stats.undecodable, stats.misses, stats.hits), (1, 1, 1));
        assert!(rig.cache.has("a").await.unwrap(), "the entry stays for those who can read it");
    }
}

#[tokio::test]
async fn an_entry_with_a_lease_and_no_value_is_absent() {
    let rig = Rig::bytes();
    let lease = include_bytes!("../golden/v1-lease-only.bin");
    rig.plant("a", Value::Bytes(lease.as_slice().into())).await;
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
    assert!(!rig.cache.has("a").await.unwrap());
    assert_eq!(rig.cache.stats().undecodable, 0, "it is no damage");
    let loaded = rig.cache.get_or_load("a", || async { fine("new".to_owned()) }).await.unwrap();
    assert_eq!(loaded.source(), Source::Loaded(Kept::Yes));
}

#[tokio::test]
async fn an_entry_past_its_own_expiry_is_a_miss_whatever_the_store_says() {
    let rig = Rig::bytes();
    let meta = EntryMeta::new(rig.cache.now(), Expiry::After(std::time::Duration::from_secs(1)));
    rig.plant("a", Value::Bytes(Object::new(1_u8, meta).encode().unwrap())).await;
    assert!(rig.cache.has("a").await.unwrap());
    rig.clock.advance(std::time::Duration::from_secs(1));
    assert!(!rig.cache.has("a").await.unwrap());
    assert!(rig.cache.get::<u8>("a").await.unwrap().is_none());
    assert_eq!(rig.cache.stats().undecodable, 0);
}
