//! Writes in process.

#![expect(missing_docs, reason = "criterion's macros")]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{Lane, User, race};
use larder_core::Cache;
use larder_simple::SimpleStore;

use self::support::{KEYS, alike, keys, poll, together};

fn overwrite(criterion: &mut Criterion) {
    let keys = keys();
    let users: Vec<User> = (0..KEYS as u64).map(User::new).collect();
    let moka = alike::<Arc<User>>();
    let cache = Cache::new(SimpleStore::new());
    let (moka, cache, keys, users) = (&moka, &cache, &keys, &users);
    race(
        criterion,
        "set, overwriting",
        vec![
            Lane::new("moka insert", move |bencher| {
                together(bencher, 1, |at| moka.insert(keys[at].clone(), Arc::new(users[at].clone())));
            }),
            Lane::new("cache set", move |bencher| {
                together(bencher, 1, |at| poll(cache.set(keys[at].as_str(), users[at].clone())).unwrap());
            }),
        ],
    );
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = overwrite }
criterion_main!(benches);
