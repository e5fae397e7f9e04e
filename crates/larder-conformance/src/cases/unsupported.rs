//! What a store does not declare, it refuses: no emulated atomics, no silent success.

use larder_core::{ErrorKind, Operations, Value, Version};

use crate::{
    case::{Need, cases},
    check::{self, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "unsupported":
    versions_says_so [13] needs [Need::Lacks(Operations::VERSIONS)];
    increment_says_so [13] needs [Need::Lacks(Operations::INCREMENT)];
    touch_says_so [13] needs [Need::Lacks(Operations::TOUCH)];
    expiry_says_so [13] needs [Need::Lacks(Operations::EXPIRY)];
    clear_says_so [13] needs [Need::Lacks(Operations::CLEAR)];
    keys_says_so [13] needs [Need::Lacks(Operations::KEYS)];
    len_says_so [13] needs [Need::Lacks(Operations::LEN)];
}

const UNSUPPORTED: ErrorKind = ErrorKind::Unsupported;

async fn versions_says_so(subject: &Subject) -> Outcome {
    let [free, taken] = subject.keys(["free", "taken"])?;
    let store = subject.store();
    store.set(&taken, bytes("hello"), FAR).await?;
    for key in [&free, &taken] {
        check::refused("get_versioned", store.get_versioned(key).await, UNSUPPORTED)?;
        check::refused("add", store.add(key, bytes("new"), FAR).await, UNSUPPORTED)?;
        let replaced = store.replace(key, &Version::from(1), bytes("new"), FAR).await;
        check::refused("replace", replaced, UNSUPPORTED)?;
    }
    unchanged(subject).await
}

async fn increment_says_so(subject: &Subject) -> Outcome {
    let [free, taken, counter] = subject.keys(["free", "taken", "counter"])?;
    let store = subject.store();
    store.set(&taken, bytes("hello"), FAR).await?;
    store.set(&counter, Value::Int(5), FAR).await?;
    for key in [&free, &taken, &counter] {
        check::refused("increment", store.increment(key, 1, FAR).await, UNSUPPORTED)?;
    }
    unchanged(subject).await
}

async fn touch_says_so(subject: &Subject) -> Outcome {
    let [free, taken] = subject.keys(["free", "taken"])?;
    let store = subject.store();
    store.set(&taken, bytes("hello"), FAR).await?;
    for key in [&free, &taken] {
        check::refused("touch", store.touch(key, FAR).await, UNSUPPORTED)?;
    }
    unchanged(subject).await
}

async fn expiry_says_so(subject: &Subject) -> Outcome {
    let [free, taken] = subject.keys(["free", "taken"])?;
    let store = subject.store();
    store.set(&taken, bytes("hello"), FAR).await?;
    for key in [&free, &taken] {
        check::refused("expiry", store.expiry(key).await, UNSUPPORTED)?;
    }
    unchanged(subject).await
}

async fn clear_says_so(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("taken")?, bytes("hello"), FAR).await?;
    for namespace in [subject.root(), &subject.child("empty")?] {
        check::refused("clear", subject.store().clear(namespace).await, UNSUPPORTED)?;
    }
    unchanged(subject).await
}

async fn keys_says_so(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("taken")?, bytes("hello"), FAR).await?;
    for namespace in [subject.root(), &subject.child("empty")?] {
        check::refused("keys", subject.store().keys(namespace).await, UNSUPPORTED)?;
    }
    unchanged(subject).await
}

async fn len_says_so(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("taken")?, bytes("hello"), FAR).await?;
    check::refused("len", subject.store().len().await, UNSUPPORTED)?;
    unchanged(subject).await
}

/// A refused operation has done nothing.
async fn unchanged(subject: &Subject) -> Outcome {
    let [free, taken] = subject.keys(["free", "taken"])?;
    subject.misses("get of a free key after a refused operation", &free).await?;
    if subject.capabilities().retains() {
        subject.finds("get of a taken key after a refused operation", &taken, &bytes("hello")).await?;
    }
    Ok(())
}
