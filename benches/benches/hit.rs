//! Hits: typed in process, on one thread and two, and decoded from bytes.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{BytesStore, Lane, User, alike, keys, poll, race, together, without_expiry};
use larder_core::{Cache, Cacheable, Codec, Result};
use larder_simple::SimpleStore;

fn typed(criterion: &mut Criterion) {
    let keys = keys();
    let moka = alike::<Arc<User>>();
    let untimed = without_expiry::<Arc<User>>();
    let cache = Cache::new(SimpleStore::new());
    for (id, key) in (0..).zip(&keys) {
        moka.insert(key.clone(), Arc::new(User::new(id)));
        untimed.insert(key.clone(), Arc::new(User::new(id)));
        poll(cache.set(key, User::new(id))).unwrap();
    }
    for threads in [1, 2] {
        let (moka, untimed, cache, keys) = (&moka, &untimed, &cache, &keys);
        race(
            criterion,
            &format!("typed hit, {threads} thread(s)"),
            vec![
                Lane::new("moka get", move |bencher| {
                    together(bencher, threads, |at| drop(black_box(moka.get(keys[at].as_str()).unwrap())));
                }),
                Lane::new("moka get, no expiry", move |bencher| {
                    together(bencher, threads, |at| drop(black_box(untimed.get(keys[at].as_str()).unwrap())));
                }),
                Lane::new("cache get", move |bencher| {
                    together(bencher, threads, |at| {
                        drop(black_box(poll(cache.get::<User>(keys[at].as_str())).unwrap().unwrap()));
                    });
                }),
                Lane::new("cache get_or_load", move |bencher| {
                    together(bencher, threads, |at| {
                        let load = || async { Err::<User, _>("every key is there") };
                        drop(black_box(poll(cache.get_or_load(keys[at].as_str(), load)).unwrap()));
                    });
                }),
            ],
        );
    }
}

/// Bytes that a store in process keeps as they are.
struct Encoded(Bytes);

impl Cacheable for Encoded {
    fn encode(&self, _codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.0);
        Ok(())
    }

    fn decode(_codec: Codec, payload: Bytes) -> Result<Self> {
        Ok(Self(payload))
    }
}

fn decoded(criterion: &mut Criterion) {
    let keys = keys();
    for (name, codec) in [("MessagePack", Codec::MessagePack), ("JSON", Codec::Json)] {
        let moka = alike::<Bytes>();
        let encoded = Cache::new(SimpleStore::new());
        let cache = Cache::builder(BytesStore::new()).codec(codec).build().unwrap();
        for (id, key) in (0..).zip(&keys) {
            let bytes = codec.encode(&User::new(id)).unwrap();
            moka.insert(key.clone(), bytes.clone());
            poll(encoded.set(key, Encoded(bytes))).unwrap();
            poll(cache.set(key, User::new(id))).unwrap();
        }
        let (moka, encoded, cache, keys) = (&moka, &encoded, &cache, &keys);
        race(
            criterion,
            &format!("decoded hit, {name}"),
            vec![
                Lane::new("get of the bytes, then decode", move |bencher| {
                    together(bencher, 1, |at| {
                        let bytes = poll(encoded.get::<Encoded>(keys[at].as_str())).unwrap().unwrap();
                        drop(black_box(Arc::new(codec.decode::<User>(&bytes.0).unwrap())));
                    });
                }),
                Lane::new("moka get, then decode", move |bencher| {
                    together(bencher, 1, |at| {
                        let bytes = moka.get(keys[at].as_str()).unwrap();
                        drop(black_box(Arc::new(codec.decode::<User>(&bytes).unwrap())));
                    });
                }),
                Lane::new("cache get", move |bencher| {
                    together(bencher, 1, |at| {
                        drop(black_box(poll(cache.get::<User>(keys[at].as_str())).unwrap().unwrap()));
                    });
                }),
            ],
        );
    }
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = typed, decoded }
criterion_main!(benches);
