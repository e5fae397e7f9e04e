use std::fs;

use larder_core::{CacheStore, Expiry, Key, Namespace};

use crate::{LARGE, bytes, eventually, files, files_in, key, open, put, text};

#[tokio::test]
async fn equal_values_are_independent() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    let large = "same".repeat(LARGE);
    for (value, contents) in [("same", 0), (&large, 2)] {
        put(&store, "a", value).await;
        put(&store, "b", value).await;
        assert_eq!(files_in(&path, "content-v2").len(), contents);
        assert!(store.delete(&key("a")).await.unwrap());
        assert_eq!(text(&store, "b").await.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn deleting_leaves_no_files() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    for number in 0..20 {
        put(&store, &number.to_string(), &"x".repeat(number % 2 * LARGE + 1)).await;
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
    let within = path.join("spaces/1_shop_/data/index-v5/notes.txt");
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
async fn cacache_reads_the_index_and_the_contents() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "small", "value").await;
    put(&store, "large", &"value".repeat(LARGE)).await;
    let data = path.join("spaces/1_/data");
    let found = cacache::metadata_sync(&data, key("small").as_str()).unwrap().unwrap();
    // The value is in the index file, after a byte for its kind.
    let file =
        fs::read(files_in(&path, "index-v5").into_iter().find(|file| len(file) < 1_024).unwrap()).unwrap();
    let value = &file[file.len() - found.size..];
    assert!(value.len() == 6 && value.ends_with(b"value"));
    found.integrity.check(value).unwrap();
    let found = cacache::metadata_sync(&data, key("large").as_str()).unwrap().unwrap();
    let content = cacache::read_hash_sync(&data, &found.integrity).unwrap();
    assert!(content.ends_with(b"value") && content.len() == found.size);
    let mut names: Vec<_> = cacache::list_sync(&data).map(|entry| entry.unwrap().key).collect();
    names.sort();
    assert_eq!(names, [key("large").as_str(), key("small").as_str()]);
}

#[tokio::test]
async fn a_value_of_any_size_is_kept_and_replaced_by_one_of_any_other() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    let limit = LARGE - 1;
    let sizes = [0, 1, 8_000, 9_000, limit - 1, limit, limit + 1, 3 * limit, 0, limit + 1, 5, limit - 1];
    for (number, size) in sizes.into_iter().enumerate() {
        let value = char::from(b'a' + u8::try_from(number).unwrap()).to_string().repeat(size);
        put(&store, "k", &value).await;
        assert_eq!(text(&store, "k").await.as_deref(), Some(&*value), "{size}");
        assert!(store.touch(&key("k"), Expiry::After(std::time::Duration::from_hours(1))).await.unwrap());
        assert_eq!(text(&store, "k").await.as_deref(), Some(&*value), "{size}");
        assert_eq!(files_in(&path, "index-v5").len(), 1);
        assert_eq!(files_in(&path, "content-v2").len(), usize::from(size >= limit), "{size}");
        assert_eq!(files_in(&path, "tmp").len(), 0, "{size}");
    }
}

fn len(file: &std::path::Path) -> u64 {
    fs::metadata(file).unwrap().len()
}
