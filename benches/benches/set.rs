//! Writes in process.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{KEYS, Lane, User, alike, keys, poll, race, together};
use larder_core::Cache;
use larder_simple::SimpleStore;

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
