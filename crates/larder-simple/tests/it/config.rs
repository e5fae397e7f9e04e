use larder_core::{CacheStore, ErrorKind, Expiry, Operations};
use larder_simple::{Eviction, SimpleStore, SimpleStoreBuilder};

use crate::{bytes, key};

fn refusal(builder: SimpleStoreBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn a_bound_that_holds_nothing_is_refused_by_name() {
    assert_eq!(
        refusal(SimpleStore::builder().max_entries(0)),
        "`max_entries` is 0: a store keeps at least one entry (use the null store to keep nothing)"
    );
    assert_eq!(
        refusal(SimpleStore::builder().max_bytes(0)),
        "`max_bytes` is 0: one entry takes up to 600 bytes besides its value"
    );
    assert!(refusal(SimpleStore::builder().max_bytes(600).max_entries(5)).starts_with("`max_bytes` is 600"));
}

#[test]
fn any_other_bound_is_accepted() {
    for bound in [601, 1 << 32, 1 << 40, u64::MAX] {
        SimpleStore::builder().max_bytes(bound).build().unwrap();
        SimpleStore::builder().max_bytes(bound).max_entries(u64::MAX).build().unwrap();
        SimpleStore::builder().max_entries(bound).build().unwrap();
    }
}

#[test]
fn it_weighs_only_where_bytes_are_bounded() {
    let plain = SimpleStore::new().capabilities();
    assert!(plain.supports(Operations::ALL) && !plain.weighs());
    assert_eq!(plain.max_value_bytes(), None);
    let bounded = SimpleStore::builder().max_bytes(10_000).build().unwrap().capabilities();
    assert!(bounded.weighs());
    assert_eq!(bounded.max_value_bytes(), Some(9_400));
}

#[tokio::test]
async fn debug_shows_bounds_and_no_contents() {
    let store = SimpleStore::builder().max_bytes(10_000).eviction(Eviction::TinyLfu).build().unwrap();
    store.set(&key("secret-key"), bytes(10), Expiry::Never).await.unwrap();
    assert_eq!(store.len().await.unwrap(), 1);
    let shown = format!("{store:?}");
    assert_eq!(
        shown,
        "SimpleStore { max_entries: None, max_bytes: Some(10000), eviction: TinyLfu, entries: 1, .. }"
    );
}
