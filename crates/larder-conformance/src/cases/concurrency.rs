//! Many callers at once, on many threads.

use std::sync::Arc;

use larder_core::{CacheStore, Expiry, Key, Value};
use tokio::task::yield_now;

use crate::{
    case::{CLEAR, INCREMENT, RETAINS, VERSIONS, cases},
    check::{self, Failure, Outcome, same},
    subject::{FAR, Subject, bytes},
    tasks::{all, task, together},
};

cases! { "concurrency":
    one_add_wins [6] needs [RETAINS, VERSIONS];
    one_add_wins_on_an_expired_key [6] needs [RETAINS, VERSIONS];
    one_replace_wins [8] needs [RETAINS, VERSIONS];
    replaces_lose_no_update [8] needs [RETAINS, VERSIONS];
    increments_sum_exactly [7] needs [RETAINS, INCREMENT];
    one_delete_is_true [2] needs [RETAINS];
    values_are_never_torn [14] needs [RETAINS];
    everyone_gets_the_answer_to_his_question [14] needs [RETAINS];
    batches_get_their_own_answers [12, 14] needs [RETAINS];
    sets_of_different_keys_all_stay [5] needs [RETAINS];
    clear_spares_other_namespaces [9] needs [RETAINS, CLEAR];
}

const TASKS: usize = 8;

type Store = Arc<dyn CacheStore>;

/// Each of the tasks, given its number and the store.
async fn each<T, F, R>(subject: &Subject, work: F) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Fn(usize, Store) -> R,
    R: Future<Output = Result<T, Failure>> + Send + 'static,
{
    together((0..TASKS).map(|number| task(work(number, subject.shared()))).collect()).await
}

/// Several tries of who comes first at `key`; each ends with the winner's value in the store.
async fn one_wins(subject: &Subject, key: &Key, what: &str) -> Outcome {
    let won =
        each(subject, |number, store| {
            let key = key.clone();
            async move {
                Ok(store.add(&key, bytes(&number.to_string()), FAR).await?.map(|version| (number, version)))
            }
        })
        .await?;
    let winners: Vec<_> = won.into_iter().flatten().collect();
    check::equal(&format!("how many of {TASKS} adds {what} won"), winners.len(), 1)?;
    let (winner, version) = winners[0];
    let (value, seen) = check::some("get_versioned after add", subject.store().get_versioned(key).await?)?;
    check::hit("the value after concurrent adds", Some(value), &bytes(&winner.to_string()))?;
    check::equal("the version after concurrent adds", seen, version)
}

async fn one_add_wins(subject: &Subject) -> Outcome {
    for key in subject.many_keys(30)? {
        one_wins(subject, &key, "on a free key").await?;
    }
    Ok(())
}

async fn one_add_wins_on_an_expired_key(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(30)?;
    for key in &keys {
        subject.store().set(key, bytes("old"), Expiry::After(subject.short())).await?;
    }
    subject.outlive(subject.short()).await;
    for key in &keys {
        one_wins(subject, key, "on an expired key").await?;
    }
    Ok(())
}

async fn one_replace_wins(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let added = subject.store().add(&key, bytes("old"), FAR).await?;
    let mut version = check::some("add on a free key", added)?;
    for round in 0..30 {
        let value = move |number: usize| bytes(&format!("by {number} in round {round}"));
        let won = each(subject, |number, store| {
            let key = key.clone();
            async move {
                let replaced = store.replace(&key, &version, value(number), FAR).await?;
                Ok(replaced.map(|version| (number, version)))
            }
        })
        .await?;
        let winners: Vec<_> = won.into_iter().flatten().collect();
        check::equal(&format!("how many of {TASKS} replaces by one version won"), winners.len(), 1)?;
        version = winners[0].1;
        subject.finds("get after concurrent replaces", &key, &value(winners[0].0)).await?;
    }
    Ok(())
}

/// Read, add one, replace, and again if that lost: no step is lost.
async fn replaces_lose_no_update(subject: &Subject) -> Outcome {
    const STEPS: i64 = 15;
    let key = subject.key("counter")?;
    subject.store().set(&key, Value::Int(0), FAR).await?;
    each(subject, |_, store| {
        let key = key.clone();
        async move {
            for _ in 0..STEPS {
                loop {
                    let read = check::some("get_versioned of a counter", store.get_versioned(&key).await?)?;
                    let (Value::Int(int), version) = read else {
                        return Err(Failure::new("expected a counter"));
                    };
                    if store.replace(&key, &version, Value::Int(int + 1), FAR).await?.is_some() {
                        break;
                    }
                }
            }
            Ok(())
        }
    })
    .await?;
    let sum = STEPS * i64::try_from(TASKS).unwrap_or(0);
    subject.finds("get after concurrent replaces", &key, &Value::Int(sum)).await
}

async fn increments_sum_exactly(subject: &Subject) -> Outcome {
    const STEPS: i64 = 100;
    let [set, free] = subject.keys(["set", "free"])?;
    subject.store().set(&set, Value::Int(1_000), FAR).await?;
    each(subject, |number, store| {
        let (set, free) = (set.clone(), free.clone());
        async move {
            // Half of them go down, by less.
            let delta = if number % 2 == 0 { 3 } else { -1 };
            for _ in 0..STEPS {
                store.increment(&set, delta, FAR).await?;
                store.increment(&free, delta, FAR).await?;
            }
            Ok(())
        }
    })
    .await?;
    let sum = STEPS * i64::try_from(TASKS).unwrap_or(0);
    subject
        .finds("a counter that was set, after concurrent increments", &set, &Value::Int(1_000 + sum))
        .await?;
    subject.finds("a counter that was not, after concurrent increments", &free, &Value::Int(sum)).await
}

async fn one_delete_is_true(subject: &Subject) -> Outcome {
    for key in subject.many_keys(30)? {
        subject.store().set(&key, bytes("hello"), FAR).await?;
        let deleted = each(subject, |_, store| {
            let key = key.clone();
            async move { Ok(store.delete(&key).await?) }
        })
        .await?;
        let count = deleted.into_iter().filter(|was| *was).count();
        check::equal(&format!("how many of {TASKS} deletes of one key were true"), count, 1)?;
    }
    Ok(())
}

/// Half of the tasks write, each its own pattern; the others must see one pattern or another, whole.
async fn values_are_never_torn(subject: &Subject) -> Outcome {
    let key = subject.key("contested")?;
    let pattern = |number: usize| {
        let byte = u8::try_from(number + 1).unwrap_or(b'x');
        Value::Bytes(vec![byte; 3_000 + number * 1_700].into())
    };
    subject.store().set(&key, pattern(0), FAR).await?;
    each(subject, |number, store| {
        let key = key.clone();
        async move {
            for _ in 0..40 {
                if number % 2 == 0 {
                    store.set(&key, pattern(number), FAR).await?;
                    continue;
                }
                // Between reads, let the others write.
                yield_now().await;
                let seen = store.get(&key).await?;
                let whole =
                    seen.as_ref().is_some_and(|seen| (0..TASKS).any(|number| same(seen, &pattern(number))));
                check::ensure(whole, || {
                    format!("expected one of the values written, saw {}", check::show_read(seen.as_ref()))
                })?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

async fn everyone_gets_the_answer_to_his_question(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(60)?;
    for key in &keys[..50] {
        subject.store().set(key, bytes(key.as_str()), FAR).await?;
    }
    each(subject, |number, store| {
        let keys = keys.clone();
        async move {
            for step in 0..120 {
                let at = (step * 7 + number * 13) % keys.len();
                let (key, seen) = (&keys[at], store.get(&keys[at]).await?);
                if at < 50 {
                    check::hit("get while others read other keys", seen, &bytes(key.as_str()))?;
                } else {
                    check::miss("get of a missing key while others read", seen)?;
                }
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

async fn batches_get_their_own_answers(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(60)?;
    for key in &keys {
        subject.store().set(key, bytes(key.as_str()), FAR).await?;
    }
    each(subject, |number, store| {
        let mut keys = keys.clone();
        keys.rotate_left(number * 5);
        keys.truncate(10 + number);
        async move {
            for _ in 0..15 {
                let results = store.get_many(&keys).await;
                check::equal("the number of results of get_many", results.len(), keys.len())?;
                for (key, seen) in keys.iter().zip(results) {
                    check::hit("get_many while others read others", seen?, &bytes(key.as_str()))?;
                }
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

async fn sets_of_different_keys_all_stay(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(TASKS * 50)?;
    each(subject, |number, store| {
        let mine = keys[number * 50..(number + 1) * 50].to_vec();
        async move {
            for key in &mine {
                store.set(key, bytes(key.as_str()), FAR).await?;
            }
            Ok(())
        }
    })
    .await?;
    for key in &keys {
        subject.finds("get of one of many keys set at once", key, &bytes(key.as_str())).await?;
    }
    Ok(())
}

async fn clear_spares_other_namespaces(subject: &Subject) -> Outcome {
    let (shop, blog) = (subject.child("shop")?, subject.child("blog")?);
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let (store, shop, blog) = (subject.shared(), shop.clone(), blog.clone());
        tasks.push(task(async move {
            for step in 0..20 {
                if number == 0 {
                    store.clear(&shop).await?;
                    continue;
                }
                let text = format!("{number} {step}");
                store.set(&Key::new(&shop, &text)?, bytes("in shop"), FAR).await?;
                let key = Key::new(&blog, &text)?;
                store.set(&key, bytes(&text), FAR).await?;
                check::hit("get while another namespace is cleared", store.get(&key).await?, &bytes(&text))?;
            }
            Ok(())
        }));
    }
    all(tasks).await?;
    for number in 1..TASKS {
        for step in 0..20 {
            let text = format!("{number} {step}");
            let key = Key::new(&blog, &text)?;
            subject.finds("get after another namespace was cleared", &key, &bytes(&text)).await?;
        }
    }
    Ok(())
}
