//! Listing keys, and counting entries.

use std::collections::BTreeSet;

use larder_core::{Expiry, Key, Namespace, Operations, Value};

use crate::{
    case::{KEYS, LEN, Need, RETAINS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "listing":
    keys_of_nothing_are_none [2] needs [KEYS];
    keys_lists_what_is_in_the_namespace [10] needs [RETAINS, KEYS];
    keys_lists_child_namespaces [9] needs [RETAINS, KEYS];
    keys_lists_nothing_of_other_namespaces [9] needs [RETAINS, KEYS];
    keys_forgets_what_was_deleted [4] needs [RETAINS, KEYS];
    keys_lists_every_kind_of_value [10] needs [RETAINS, KEYS];
    keys_lists_many [13] needs [RETAINS, KEYS];
    keys_of_any_text_come_back_as_they_were [10] needs [RETAINS, KEYS];
    keys_listed_work_in_every_operation [10] needs [RETAINS, KEYS];
    len_counts_entries [4] needs [RETAINS, LEN, Need::Private];
    len_is_never_less_than_what_is_there [4] needs [RETAINS, LEN];
}

/// Fails unless `keys` lists exactly these, each once.
async fn lists(subject: &Subject, namespace: &Namespace, expected: impl IntoIterator<Item = Key>) -> Outcome {
    let listed = subject.store().keys(namespace).await?;
    let expected: BTreeSet<Key> = expected.into_iter().collect();
    let seen: BTreeSet<Key> = listed.iter().cloned().collect();
    let (missing, strange) = (expected.difference(&seen).next(), seen.difference(&expected).next());
    check::ensure(missing.is_none() && strange.is_none() && seen.len() == listed.len(), || {
        format!(
            "keys of {namespace:?}: expected {} keys, saw {}, {} of them different; missing: {missing:?}; strange: {strange:?}",
            expected.len(),
            listed.len(),
            seen.len(),
        )
    })
}

async fn put(subject: &Subject, namespace: &Namespace, text: &str) -> Result<Key, Failure> {
    let key = Key::new(namespace, text)?;
    subject.store().set(&key, bytes(text), FAR).await?;
    Ok(key)
}

async fn keys_of_nothing_are_none(subject: &Subject) -> Outcome {
    check::equal("keys of an empty namespace", subject.store().keys(subject.root()).await?, [])?;
    check::equal("keys of a namespace never used", subject.store().keys(&subject.child("none")?).await?, [])
}

async fn keys_lists_what_is_in_the_namespace(subject: &Subject) -> Outcome {
    let mut expected = Vec::new();
    for text in ["a", "b", "c"] {
        expected.push(put(subject, subject.root(), text).await?);
        put(subject, subject.root(), text).await?;
        lists(subject, subject.root(), expected.clone()).await?;
    }
    Ok(())
}

async fn keys_lists_child_namespaces(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let deep = shop.child("carts")?.child("open")?;
    let outside = put(subject, subject.root(), "42").await?;
    let inside = [put(subject, &shop, "42").await?, put(subject, &deep, "42").await?];
    lists(subject, &deep, [inside[1].clone()]).await?;
    lists(subject, &shop, inside.clone()).await?;
    lists(subject, subject.root(), inside.into_iter().chain([outside])).await
}

async fn keys_lists_nothing_of_other_namespaces(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let inside = put(subject, &shop, "42").await?;
    for name in ["shop2", "shop/", "sho", "Shop", "shop*", "%", "_hop", "*", "s?op"] {
        put(subject, &subject.child(name)?, "42").await?;
    }
    for text in ["shop", "shop/42", "shop/:42"] {
        put(subject, subject.root(), text).await?;
    }
    lists(subject, &shop, [inside]).await?;
    for name in ["%", "_hop", "*", "s?op"] {
        let namespace = subject.child(name)?;
        lists(subject, &namespace, [Key::new(&namespace, "42")?]).await?;
    }
    Ok(())
}

async fn keys_forgets_what_was_deleted(subject: &Subject) -> Outcome {
    let one = put(subject, subject.root(), "one").await?;
    let two = put(subject, subject.root(), "two").await?;
    subject.store().delete(&one).await?;
    lists(subject, subject.root(), [two]).await
}

async fn keys_lists_every_kind_of_value(subject: &Subject) -> Outcome {
    let keys = subject.keys(["text", "empty", "zero", "counter"])?;
    let values = [bytes("hello"), bytes(""), Value::Int(0), Value::Int(5)];
    for (key, value) in keys.iter().zip(values) {
        subject.store().set(key, value, Expiry::Never).await?;
    }
    lists(subject, subject.root(), keys).await
}

/// More than any store looks at in one go.
async fn keys_lists_many(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(1_500)?;
    let entries = keys.iter().map(|key| (key.clone(), bytes("hello"), FAR)).collect();
    for result in subject.store().set_many(entries).await {
        result?;
    }
    lists(subject, subject.root(), keys).await
}

/// Texts that are encoded, that are hashed, and that lie between.
fn any_texts() -> Vec<String> {
    let mut texts: Vec<String> =
        ["", " ", "a b", "\r\n", "\0", "%20", "*", "é", "🦀", "a/b", ":", "A", "~"].map(str::to_owned).into();
    texts.extend(["x".repeat(100), "é".repeat(40), "long ".repeat(2_000), "long ".repeat(2_001)]);
    texts
}

async fn keys_of_any_text_come_back_as_they_were(subject: &Subject) -> Outcome {
    let odd = subject.child("odd *%_é")?;
    let mut expected = Vec::new();
    for text in any_texts() {
        expected.push(put(subject, &odd, &text).await?);
    }
    lists(subject, &odd, expected).await
}

async fn keys_listed_work_in_every_operation(subject: &Subject) -> Outcome {
    let store = subject.store();
    for text in any_texts() {
        store.set(&subject.key(&text)?, Value::Int(5), FAR).await?;
    }
    for key in store.keys(subject.root()).await? {
        let of = |operation: &str| format!("{operation} of {key:?}, as listed");
        subject.finds(&of("get"), &key, &Value::Int(5)).await?;
        check::equal(&of("has"), store.has(&key).await?, true)?;
        if subject.supports(Operations::INCREMENT) {
            check::equal(&of("increment"), store.increment(&key, 1, FAR).await?, 6)?;
        }
        check::equal(&of("delete"), store.delete(&key).await?, true)?;
    }
    lists(subject, subject.root(), []).await
}

async fn len_counts_entries(subject: &Subject) -> Outcome {
    let store = subject.store();
    check::equal("len of a new store", store.len().await?, 0)?;
    let keys = subject.many_keys(10)?;
    for (count, key) in (1..).zip(&keys) {
        store.set(key, bytes("hello"), FAR).await?;
        store.set(key, Value::Int(5), FAR).await?;
        check::equal("len after one more key was set, twice", store.len().await?, count)?;
    }
    store.set(&Key::new(&subject.child("shop")?, "42")?, bytes("hello"), FAR).await?;
    check::equal("len with an entry in another namespace", store.len().await?, 11)?;
    store.delete(&keys[0]).await?;
    store.delete(&keys[0]).await?;
    check::equal("len after delete", store.len().await?, 10)
}

async fn len_is_never_less_than_what_is_there(subject: &Subject) -> Outcome {
    for key in subject.many_keys(30)? {
        subject.store().set(&key, bytes("hello"), FAR).await?;
    }
    let seen = subject.store().len().await?;
    check::ensure(seen >= 30, || format!("len: expected at least the 30 entries just set, saw {seen}"))
}
