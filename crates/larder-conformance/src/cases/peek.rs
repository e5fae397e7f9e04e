//! What `peek` answers is what `get` would.

use std::time::Duration;

use larder_core::{Expiry, Key, Operations, Value};

use crate::{
    case::{INCREMENT, RETAINS, VERSIONS, cases},
    check::{self, Outcome, same, show_read},
    subject::{FAR, Subject, bytes, object},
};

cases! { "peek":
    equals_get_on_a_miss [1, 15] needs [];
    equals_get_on_a_hit [15] needs [RETAINS];
    equals_get_on_an_expired_entry [4, 15] needs [RETAINS];
    equals_get_at_the_time_it_is_given [4, 15] needs [RETAINS];
    equals_get_after_every_change [15] needs [RETAINS];
    equals_get_after_add_and_replace [15] needs [RETAINS, VERSIONS];
    equals_get_after_increment [15] needs [RETAINS, INCREMENT];
    is_empty_handed_only_where_get_is_too [15] needs [RETAINS];
}

/// Fails unless `peek` says what `get` says, or nothing.
async fn agree(subject: &Subject, key: &Key, when: &str) -> Outcome {
    let peeked = subject.store().peek(key, subject.now());
    let got = subject.store().get(key).await?;
    let Some(peeked) = peeked else { return Ok(()) };
    let equal = match (&peeked, &got) {
        (Some(peeked), Some(got)) => same(peeked, got) || same(got, peeked),
        (None, None) => true,
        _ => false,
    };
    check::ensure(equal, || {
        let (peeked, got) = (show_read(peeked.as_ref()), show_read(got.as_ref()));
        format!("peek {when}: expected what get says, {got}, saw {peeked}")
    })
}

async fn equals_get_on_a_miss(subject: &Subject) -> Outcome {
    agree(subject, &subject.key("never set")?, "at a missing key").await
}

async fn equals_get_on_a_hit(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [bytes("hello"), bytes(""), Value::Int(0), object(subject, "hello", FAR)] {
        subject.store().set(&key, value.clone(), FAR).await?;
        agree(subject, &key, &format!("at {}", check::show(&value))).await?;
        // Before anyone has asked `get`.
        subject.store().set(&key, value.clone(), FAR).await?;
        if let Some(seen) = subject.store().peek(&key, subject.now()) {
            check::hit("peek right after set", seen, &value)?;
        }
    }
    Ok(())
}

async fn equals_get_on_an_expired_entry(subject: &Subject) -> Outcome {
    let [text, counter] = subject.keys(["text", "counter"])?;
    subject.store().set(&counter, Value::Int(5), Expiry::After(subject.short())).await?;
    subject.expire(&text, bytes("hello")).await?;
    for key in [&text, &counter] {
        if let Some(seen) = subject.store().peek(key, subject.now()) {
            check::miss("peek after the deadline", seen)?;
        }
        agree(subject, key, "after the deadline").await?;
    }
    Ok(())
}

/// The caller has read the clock already: the store judges by that reading.
async fn equals_get_at_the_time_it_is_given(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let before = subject.now();
    subject.store().set(&key, bytes("hello"), Expiry::After(Duration::from_secs(1_000))).await?;
    if let Some(seen) = subject.store().peek(&key, before) {
        check::hit("peek at the time of the set", seen, &bytes("hello"))?;
        let later = subject.now().saturating_add(Duration::from_secs(1_001) + subject.resolution());
        if let Some(seen) = subject.store().peek(&key, later) {
            check::miss("peek at a time after the deadline", seen)?;
        }
    }
    Ok(())
}

async fn equals_get_after_every_change(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let store = subject.store();
    for round in 0..20 {
        store.set(&key, bytes(&round.to_string()), FAR).await?;
        agree(subject, &key, "after set").await?;
        store.set(&key, bytes("gone"), Expiry::After(Duration::ZERO)).await?;
        agree(subject, &key, "after set with an expiry already past").await?;
        store.set_many(vec![(key.clone(), bytes("many"), FAR)]).await;
        agree(subject, &key, "after set_many").await?;
        store.delete(&key).await?;
        agree(subject, &key, "after delete").await?;
        store.set(&key, bytes("again"), FAR).await?;
        if subject.supports(Operations::TOUCH) {
            store.touch(&key, Expiry::After(Duration::ZERO)).await?;
            agree(subject, &key, "after touch with an expiry already past").await?;
        }
        store.set(&key, bytes("again"), FAR).await?;
        if subject.supports(Operations::CLEAR) {
            store.clear(subject.root()).await?;
            agree(subject, &key, "after clear").await?;
        }
        store.delete_many(std::slice::from_ref(&key)).await;
        agree(subject, &key, "after delete_many").await?;
    }
    Ok(())
}

async fn equals_get_after_add_and_replace(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let store = subject.store();
    agree(subject, &key, "before add").await?;
    let added = store.add(&key, bytes("added"), FAR).await?;
    agree(subject, &key, "after add").await?;
    let version = check::some("add on a free key", added)?;
    store.replace(&key, &version, bytes("replaced"), FAR).await?;
    agree(subject, &key, "after replace").await?;
    store.replace(&key, &version, bytes("lost"), FAR).await?;
    agree(subject, &key, "after a replace that lost").await
}

async fn equals_get_after_increment(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    for _ in 0..3 {
        subject.store().increment(&key, 1, FAR).await?;
        agree(subject, &key, "after increment").await?;
    }
    Ok(())
}

async fn is_empty_handed_only_where_get_is_too(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(100)?;
    for key in &keys {
        subject.store().set(key, bytes(key.as_str()), FAR).await?;
    }
    for key in &keys {
        if let Some(seen) = subject.store().peek(key, subject.now()) {
            check::hit("peek of one of many keys", seen, &bytes(key.as_str()))?;
        }
        agree(subject, key, "of one of many keys").await?;
    }
    Ok(())
}
