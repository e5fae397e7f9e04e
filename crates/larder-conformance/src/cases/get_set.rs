//! Storing and reading.

use larder_core::{Expiry, Value};

use crate::{
    case::{RETAINS, cases},
    check::{self, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "get_set":
    missing_is_none [1] needs [];
    set_then_get [5] needs [RETAINS];
    set_replaces_the_value [3] needs [RETAINS];
    set_replaces_the_kind_of_value [3] needs [RETAINS];
    keys_are_separate [5] needs [RETAINS];
    namespaces_are_separate [5] needs [RETAINS];
    has_agrees_with_get [4] needs [RETAINS];
    reading_changes_nothing [4] needs [RETAINS];
    every_new_key_is_readable_next [5] needs [RETAINS];
}

async fn missing_is_none(subject: &Subject) -> Outcome {
    let key = subject.key("never set")?;
    for _ in 0..2 {
        subject.misses("get of a key that was never set", &key).await?;
        check::equal("has of a key that was never set", subject.store().has(&key).await?, false)?;
    }
    Ok(())
}

async fn set_then_get(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let value = bytes("hello");
    subject.store().set(&key, value.clone(), Expiry::Never).await?;
    subject.finds("get after set", &key, &value).await?;
    subject.finds("a second get after set", &key, &value).await
}

async fn set_replaces_the_value(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for text in ["short", "a good deal longer than before", "s", "short"] {
        let value = bytes(text);
        subject.store().set(&key, value.clone(), FAR).await?;
        subject.finds("get after set over another value", &key, &value).await?;
    }
    Ok(())
}

async fn set_replaces_the_kind_of_value(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [Value::Int(5), bytes("5"), Value::Int(-5), bytes("hello")] {
        subject.store().set(&key, value.clone(), FAR).await?;
        subject.finds("get after set over a value of another kind", &key, &value).await?;
    }
    Ok(())
}

async fn keys_are_separate(subject: &Subject) -> Outcome {
    let keys = subject.keys(["a", "b", "ab", "c"])?;
    for (key, text) in keys.iter().zip(["of a", "of b", "of ab"]) {
        subject.store().set(key, bytes(text), FAR).await?;
    }
    for (key, text) in keys.iter().zip(["of a", "of b", "of ab"]) {
        subject.finds("get of one of several keys", key, &bytes(text)).await?;
    }
    subject.misses("get of a key between others", &keys[3]).await
}

async fn namespaces_are_separate(subject: &Subject) -> Outcome {
    let (one, two) = (subject.child("one")?, subject.child("two")?);
    let key_in = |namespace| larder_core::Key::new(namespace, "same");
    subject.store().set(&key_in(&one)?, bytes("in one"), FAR).await?;
    subject.misses("get of the same text in another namespace", &key_in(&two)?).await?;
    subject.misses("get of the same text in the parent namespace", &key_in(subject.root())?).await?;
    subject.store().set(&key_in(&two)?, bytes("in two"), FAR).await?;
    subject.finds("get in the first namespace", &key_in(&one)?, &bytes("in one")).await?;
    subject.finds("get in the second namespace", &key_in(&two)?, &bytes("in two")).await
}

async fn has_agrees_with_get(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let store = subject.store();
    store.set(&key, bytes("hello"), FAR).await?;
    check::equal("has after set", store.has(&key).await?, true)?;
    store.delete(&key).await?;
    check::equal("has after delete", store.has(&key).await?, false)
}

async fn reading_changes_nothing(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let value = bytes("hello");
    subject.store().set(&key, value.clone(), FAR).await?;
    for _ in 0..100 {
        subject.finds("get, over and over", &key, &value).await?;
    }
    check::equal("has after a hundred reads", subject.store().has(&key).await?, true)
}

/// An admission policy may prefer other keys later, but not before the new one could be read once.
async fn every_new_key_is_readable_next(subject: &Subject) -> Outcome {
    let hot = subject.many_keys(20)?;
    for key in &hot {
        subject.store().set(key, bytes("hot"), FAR).await?;
        for _ in 0..5 {
            subject.finds("get of a key read often", key, &bytes("hot")).await?;
        }
    }
    for number in 0..1_200 {
        let key = subject.key(&format!("new {number}"))?;
        let value = bytes(&number.to_string());
        subject.store().set(&key, value.clone(), FAR).await?;
        subject.finds("get of a new key right after its set", &key, &value).await?;
    }
    Ok(())
}
