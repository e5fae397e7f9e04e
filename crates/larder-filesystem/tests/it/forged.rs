//! Lines of the index that somebody wrote who knows how.

use std::{fs, path::Path, time::Duration};

use larder_core::CacheStore;

use crate::{LARGE, eventually, files_in, hostile::only, key, open, put, text};

/// Changes what the line of an index file says, with the checksum that belongs to that.
fn rewrite(file: &Path, change: impl FnOnce(&str) -> String) {
    use sha2::{Digest as _, Sha256};
    let bytes = fs::read(file).unwrap();
    let end = 1 + bytes[1..].iter().position(|byte| *byte == b'\n').unwrap();
    let (_, json) = std::str::from_utf8(&bytes[1..end]).unwrap().split_once('\t').unwrap();
    let json = change(json);
    let mut text = format!("\n{}\t{json}\n", hex::encode(Sha256::digest(&json))).into_bytes();
    text.extend_from_slice(&bytes[end + 1..]);
    fs::write(file, text).unwrap();
}

fn resize(file: &Path, size: u64) {
    rewrite(file, |json| {
        let (before, rest) = json.split_once("\"size\":").unwrap();
        let after = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        format!("{before}\"size\":{size}{after}")
    });
}

#[tokio::test]
async fn a_line_that_says_an_impossible_size_is_a_miss() {
    for value in ["v".to_owned(), "v".repeat(LARGE)] {
        for size in [u64::MAX, u64::MAX - 100, 1 << 62, 0] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("c");
            let store = open(&path).await;
            put(&store, "k", &value).await;
            resize(&only(&path, "index-v5"), size);
            assert_eq!(store.expiry(&key("k")).await.unwrap(), None, "{size}");
            assert!(!store.has(&key("k")).await.unwrap(), "{size}");
            assert_eq!(text(&store, "k").await, None, "{size}");
            put(&store, "k", "next").await;
            assert_eq!(text(&store, "k").await.as_deref(), Some("next"), "{size}");
        }
    }
}

#[tokio::test]
async fn an_entry_whose_value_is_gone_takes_no_room_from_others() {
    for size in [LARGE as u64, 1 << 50] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c");
        let store = open(&path).await;
        put(&store, "hollow", &"v".repeat(LARGE)).await;
        let hollow = only(&path, "index-v5");
        resize(&hollow, size);
        fs::remove_file(only(&path, "content-v2")).unwrap();
        put(&store, "old", "kept").await;
        drop(store);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let store = open(&path).await;
        eventually("taken out", || !hollow.exists()).await;
        eventually("counted", || format!("{store:?}").contains("entries: 1,")).await;
        assert_eq!(text(&store, "old").await.as_deref(), Some("kept"));
    }
}

#[tokio::test]
async fn a_line_that_leads_to_another_keys_value_gives_none() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "a", &"a".repeat(LARGE)).await;
    let (index_of_a, content_of_a) = (only(&path, "index-v5"), only(&path, "content-v2"));
    put(&store, "b", &"b".repeat(LARGE)).await;
    let index_of_b = files_in(&path, "index-v5").into_iter().find(|file| *file != index_of_a).unwrap();
    let content_of_b = files_in(&path, "content-v2").into_iter().find(|file| *file != content_of_a).unwrap();
    let name = |file: &Path| {
        let parts: Vec<_> = file.iter().rev().take(3).map(|part| part.to_str().unwrap()).collect();
        parts.into_iter().rev().collect::<String>()
    };
    rewrite(&index_of_b, |json| {
        assert!(json.contains(&name(&content_of_b)));
        json.replace(&name(&content_of_b), &name(&content_of_a))
    });
    assert_eq!(text(&store, "b").await, None);
}
