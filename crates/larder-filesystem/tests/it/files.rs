use std::fs;

use larder_core::{CacheStore, Expiry, Key, Namespace};

use crate::{bytes, eventually, files, files_in, key, open, put, text};

#[tokio::test]
async fn equal_values_are_independent() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "a", "same").await;
    put(&store, "b", "same").await;
    assert_eq!(files_in(&path, "content-v2").len(), 2);
    assert!(store.delete(&key("a")).await.unwrap());
    assert_eq!(text(&store, "b").await.as_deref(), Some("same"));
}

#[tokio::test]
async fn deleting_leaves_no_files() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    for number in 0..20 {
        put(&store, &number.to_string(), "x").await;
        store
            .touch(&key(&number.to_string()), Expiry::After(std::time::Duration::from_hours(1)))
            .await
            .unwrap();
    }
    for number in 0..20 {
        assert!(store.delete(&key(&number.to_string())).await.unwrap());
    }
    assert_eq!(files(&path.join("spaces")), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_clear_is_seen_at_once_and_spares_what_is_foreign() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let (store, other) = (open(&path).await, open(&path).await);
    let shop = Namespace::root().child("shop").unwrap();
    let spaces = [shop.clone(), shop.child("carts").unwrap(), Namespace::root().child("shopping").unwrap()];
    for namespace in &spaces {
        for number in 0..200 {
            let key = Key::new(namespace, &number.to_string()).unwrap();
            store.set(&key, bytes("x"), Expiry::Never).await.unwrap();
        }
    }
    let foreign = [
        path.join("notes.txt"),
        path.join("spaces/notes.txt"),
        path.join("spaces/1_shop_/notes.txt"),
        path.join("trash/notes.txt"),
    ];
    for file in &foreign {
        fs::write(file, "mine").unwrap();
    }
    let within = path.join("spaces/1_shop_/data/content-v2/notes.txt");
    fs::write(within, "mine").unwrap();
    store.clear(&shop).await.unwrap();
    assert_eq!(other.keys(&shop).await.unwrap(), []);
    assert_eq!(other.keys(&Namespace::root()).await.unwrap().len(), 200);
    // Moved with what it lay in, and not removed.
    eventually("the files are gone", || files(&path.join("trash")).len() == 2).await;
    assert!(files(&path.join("trash")).iter().all(|file| fs::read_to_string(file).unwrap() == "mine"));
    assert!(foreign.iter().all(|file| fs::read_to_string(file).unwrap() == "mine"));
}

#[tokio::test]
async fn namespaces_that_differ_in_case_are_apart() {
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("c")).await;
    let [lower, upper] = ["shop", "SHOP"].map(|name| Namespace::root().child(name).unwrap());
    for namespace in [&lower, &upper] {
        store.set(&Key::new(namespace, "k").unwrap(), bytes("x"), Expiry::Never).await.unwrap();
    }
    store.clear(&lower).await.unwrap();
    assert_eq!(store.keys(&Namespace::root()).await.unwrap(), [Key::new(&upper, "k").unwrap()]);
}

#[tokio::test]
async fn cacache_reads_the_index() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "k", "value").await;
    let data = path.join("spaces/1_/data");
    let found = cacache::metadata_sync(&data, key("k").as_str()).unwrap().unwrap();
    let content = cacache::read_hash_sync(&data, &found.integrity).unwrap();
    assert!(content.ends_with(b"value") && content.len() == found.size);
    assert_eq!(
        cacache::list_sync(&data).map(|entry| entry.unwrap().key).collect::<Vec<_>>(),
        [key("k").as_str()]
    );
}
