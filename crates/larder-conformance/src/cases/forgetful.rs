//! Stores that keep nothing, and answer everything all the same.

use larder_core::{Expiry, Value, Version};

use crate::{
    case::{CLEAR, EXPIRY, INCREMENT, KEYS, LEN, Need, TOUCH, VERSIONS, cases},
    check::{self, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "forgetful":
    reads_never_hit [1] needs [Need::Forgets];
    batches_never_hit [1, 12] needs [Need::Forgets];
    delete_is_false [2] needs [Need::Forgets];
    add_always_wins [6] needs [Need::Forgets, VERSIONS];
    replace_always_loses [8] needs [Need::Forgets, VERSIONS];
    increment_always_starts_anew [7] needs [Need::Forgets, INCREMENT];
    touch_is_false [4] needs [Need::Forgets, TOUCH];
    expiry_is_none [4] needs [Need::Forgets, EXPIRY];
    clear_is_ok [9] needs [Need::Forgets, CLEAR];
    keys_are_none [10] needs [Need::Forgets, KEYS];
    len_is_zero [4] needs [Need::Forgets, LEN];
}

async fn reads_never_hit(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let store = subject.store();
    for (value, expiry) in [(bytes("hello"), FAR), (Value::Int(5), Expiry::Never)] {
        store.set(&key, value, expiry).await?;
        subject.misses("get after set, in a store that keeps nothing", &key).await?;
        check::equal("has after set, in a store that keeps nothing", store.has(&key).await?, false)?;
        if let Some(seen) = store.peek(&key, subject.now()) {
            check::miss("peek after set, in a store that keeps nothing", seen)?;
        }
    }
    Ok(())
}

async fn batches_never_hit(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(10)?;
    let entries: Vec<_> = keys.iter().map(|key| (key.clone(), bytes("hello"), FAR)).collect();
    let results = subject.store().set_many(entries).await;
    check::equal("the number of results of set_many", results.len(), keys.len())?;
    for result in results {
        result?;
    }
    let results = subject.store().get_many(&keys).await;
    check::equal("the number of results of get_many", results.len(), keys.len())?;
    for seen in results {
        check::miss("get_many, in a store that keeps nothing", seen?)?;
    }
    let results = subject.store().delete_many(&keys).await;
    check::equal("the number of results of delete_many", results.len(), keys.len())?;
    for deleted in results {
        check::equal("delete_many, in a store that keeps nothing", deleted?, false)?;
    }
    Ok(())
}

async fn delete_is_false(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    check::equal("delete, in a store that keeps nothing", subject.store().delete(&key).await?, false)
}

async fn add_always_wins(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let first = check::some("add", subject.store().add(&key, bytes("hello"), FAR).await?)?;
    let second = check::some("a second add", subject.store().add(&key, bytes("hello"), FAR).await?)?;
    check::ensure(first != second, || {
        format!("expected another version of the second add, saw {second:?} again")
    })?;
    let seen = subject.store().get_versioned(&key).await?;
    check::miss("get_versioned after add, in a store that keeps nothing", seen.map(|(value, _)| value))
}

async fn replace_always_loses(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let version = subject.store().add(&key, bytes("hello"), FAR).await?.unwrap_or_else(|| Version::from(1));
    let seen = subject.store().replace(&key, &version, bytes("new"), FAR).await?;
    check::equal("replace, in a store that keeps nothing", seen, None)
}

async fn increment_always_starts_anew(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    for delta in [5, 2, -1, i64::MAX, i64::MAX, i64::MIN] {
        let seen = subject.store().increment(&key, delta, FAR).await?;
        check::equal("increment, in a store that keeps nothing", seen, delta)?;
    }
    subject.misses("get after increment, in a store that keeps nothing", &key).await
}

async fn touch_is_false(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    check::equal("touch, in a store that keeps nothing", subject.store().touch(&key, FAR).await?, false)
}

async fn expiry_is_none(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    check::equal("expiry, in a store that keeps nothing", subject.store().expiry(&key).await?, None)
}

async fn clear_is_ok(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("greeting")?, bytes("hello"), FAR).await?;
    Ok(subject.store().clear(subject.root()).await?)
}

async fn keys_are_none(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("greeting")?, bytes("hello"), FAR).await?;
    check::equal("keys, in a store that keeps nothing", subject.store().keys(subject.root()).await?, [])
}

async fn len_is_zero(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("greeting")?, bytes("hello"), FAR).await?;
    check::equal("len, in a store that keeps nothing", subject.store().len().await?, 0)
}
