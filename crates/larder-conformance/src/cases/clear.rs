//! Emptying a namespace, and nothing else.

use larder_core::{Expiry, Key, Namespace, Operations, Value};

use crate::{
    case::{CLEAR, RETAINS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "clear":
    of_an_empty_namespace_is_fine [2, 9] needs [CLEAR];
    removes_what_is_in_it [9] needs [RETAINS, CLEAR];
    removes_child_namespaces [9] needs [RETAINS, CLEAR];
    leaves_the_parent_and_siblings [9] needs [RETAINS, CLEAR];
    leaves_names_that_start_alike [9] needs [RETAINS, CLEAR];
    takes_pattern_characters_as_they_are [9] needs [RETAINS, CLEAR];
    removes_long_keys [9, 10] needs [RETAINS, CLEAR];
    is_complete_when_it_returns [9, 13] needs [RETAINS, CLEAR];
    is_complete_for_every_operation [9] needs [RETAINS, CLEAR];
    takes_what_has_expired [4, 9] needs [RETAINS, CLEAR];
    can_be_filled_again [9] needs [RETAINS, CLEAR];
}

/// Stores under `key` a value of its own.
async fn put(subject: &Subject, namespace: &Namespace, text: &str) -> Result<Key, Failure> {
    let key = Key::new(namespace, text)?;
    subject.store().set(&key, bytes(key.as_str()), FAR).await?;
    Ok(key)
}

async fn gone(subject: &Subject, keys: &[Key]) -> Outcome {
    for key in keys {
        subject.misses(&format!("get of {key:?} after its namespace was cleared"), key).await?;
    }
    Ok(())
}

async fn kept(subject: &Subject, keys: &[Key]) -> Outcome {
    for key in keys {
        let what = format!("get of {key:?} after another namespace was cleared");
        subject.finds(&what, key, &bytes(key.as_str())).await?;
    }
    Ok(())
}

async fn of_an_empty_namespace_is_fine(subject: &Subject) -> Outcome {
    for _ in 0..2 {
        subject.store().clear(&subject.child("nothing here")?).await?;
        subject.store().clear(subject.root()).await?;
    }
    Ok(())
}

async fn removes_what_is_in_it(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let mut inside = Vec::new();
    for text in ["a", "", "a/b", "a:b", "*", "shop"] {
        inside.push(put(subject, &shop, text).await?);
    }
    let counter = Key::new(&shop, "counter")?;
    subject.store().set(&counter, Value::Int(5), Expiry::Never).await?;
    inside.push(counter);
    subject.store().clear(&shop).await?;
    gone(subject, &inside).await
}

async fn removes_child_namespaces(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let carts = shop.child("carts")?;
    let open = carts.child("open")?;
    let deep = open.child("1")?;
    let mut inside = Vec::new();
    for namespace in [&shop, &carts, &open, &deep] {
        inside.push(put(subject, namespace, "42").await?);
    }
    subject.store().clear(&carts).await?;
    kept(subject, &inside[..1]).await?;
    gone(subject, &inside[1..]).await?;
    put(subject, &deep, "42").await?;
    subject.store().clear(&shop).await?;
    gone(subject, &inside).await
}

async fn leaves_the_parent_and_siblings(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let inside = put(subject, &shop, "42").await?;
    let outside = [
        put(subject, subject.root(), "42").await?,
        put(subject, &subject.child("blog")?, "42").await?,
        put(subject, &subject.child("blog")?.child("shop")?, "42").await?,
        put(subject, &subject.child("sho")?, "42").await?,
        put(subject, &subject.child("Shop")?, "42").await?,
    ];
    subject.store().clear(&shop).await?;
    gone(subject, &[inside]).await?;
    kept(subject, &outside).await
}

async fn leaves_names_that_start_alike(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let inside = put(subject, &shop, "42").await?;
    let mut outside = Vec::new();
    for name in ["shop2", "shops", "shop/x", "shop:x", "shop/", "shop:", "shop ", "shop%2F"] {
        outside.push(put(subject, &subject.child(name)?, "42").await?);
    }
    for text in ["shop", "shop/42", "shop:42", "shop/:42", "shop/", "/shop/42"] {
        outside.push(put(subject, subject.root(), text).await?);
    }
    subject.store().clear(&shop).await?;
    gone(subject, &[inside]).await?;
    kept(subject, &outside).await
}

async fn takes_pattern_characters_as_they_are(subject: &Subject) -> Outcome {
    let names = [
        "*", "?", "[ab]", "[^a]", "a*", "a?", "%", "_", "a%", "a_", "\\", "\\*", "\\%", "^", "$", "{a}",
        "{a,b}", "'", "\"", ";", "(a|b)", ".*", ".", "..", "~", "#", "\n", "\0", "ä", "🦀",
    ];
    let plain = ["a", "b", "ab", "aa", "abc", "x"];
    let mut all = Vec::new();
    for name in names.into_iter().chain(plain) {
        all.push((name, put(subject, &subject.child(name)?, "42").await?));
    }
    for name in names {
        subject.store().clear(&subject.child(name)?).await?;
        let at = all.iter().position(|(other, _)| *other == name).unwrap_or_default();
        let (_, inside) = all.remove(at);
        gone(subject, &[inside]).await?;
        for (other, key) in &all {
            let what = format!("get in the namespace {other:?} after {name:?} was cleared");
            subject.finds(&what, key, &bytes(key.as_str())).await?;
        }
    }
    Ok(())
}

async fn removes_long_keys(subject: &Subject) -> Outcome {
    let (shop, blog) = (subject.child("shop")?, subject.child("blog")?);
    let long = "a long story ".repeat(400);
    let inside = [
        put(subject, &shop, &long).await?,
        put(subject, &shop.child("carts")?, &long).await?,
        put(subject, &shop, &"é".repeat(55)).await?,
    ];
    let outside = [put(subject, &blog, &long).await?, put(subject, subject.root(), &long).await?];
    subject.store().clear(&shop).await?;
    gone(subject, &inside).await?;
    kept(subject, &outside).await
}

/// More entries than any store looks at in one go.
async fn is_complete_when_it_returns(subject: &Subject) -> Outcome {
    let (shop, blog) = (subject.child("shop")?, subject.child("blog")?);
    let mut entries = Vec::new();
    for number in 0..1_500 {
        let key = Key::new(&shop, &format!("item {number}"))?;
        entries.push((key.clone(), bytes(key.as_str()), FAR));
    }
    let keys: Vec<Key> = entries.iter().map(|(key, ..)| key.clone()).collect();
    for result in subject.store().set_many(entries).await {
        result?;
    }
    let outside = put(subject, &blog, "42").await?;
    subject.store().clear(&shop).await?;
    for (key, seen) in keys.iter().zip(subject.store().get_many(&keys).await) {
        check::miss(&format!("get_many of {key:?}, one of many, after clear"), seen?)?;
    }
    kept(subject, &[outside]).await
}

async fn is_complete_for_every_operation(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let store = subject.store();
    let key = put(subject, &shop, "42").await?;
    store.clear(&shop).await?;
    check::equal("has after clear", store.has(&key).await?, false)?;
    check::equal("delete after clear", store.delete(&key).await?, false)?;
    if let Some(seen) = store.peek(&key, subject.now()) {
        check::miss("peek after clear", seen)?;
    }
    if subject.supports(Operations::KEYS) {
        check::equal("keys after clear", store.keys(&shop).await?, [])?;
    }
    if subject.supports(Operations::TOUCH) {
        check::equal("touch after clear", store.touch(&key, FAR).await?, false)?;
    }
    if subject.supports(Operations::EXPIRY) {
        check::equal("expiry after clear", store.expiry(&key).await?, None)?;
    }
    if subject.supports(Operations::INCREMENT) {
        check::equal("increment after clear", store.increment(&key, 2, FAR).await?, 2)?;
        store.clear(&shop).await?;
    }
    if subject.supports(Operations::VERSIONS) {
        let seen = store.get_versioned(&key).await?;
        check::miss("get_versioned after clear", seen.map(|(value, _)| value))?;
        check::some("add after clear", store.add(&key, bytes("new"), FAR).await?)?;
    }
    Ok(())
}

async fn takes_what_has_expired(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    let expired = Key::new(&shop, "expired")?;
    let inside = put(subject, &shop, "42").await?;
    subject.expire(&expired, bytes("old")).await?;
    subject.store().clear(&shop).await?;
    gone(subject, &[expired, inside]).await
}

async fn can_be_filled_again(subject: &Subject) -> Outcome {
    let shop = subject.child("shop")?;
    for _ in 0..3 {
        let key = put(subject, &shop, "42").await?;
        let only = std::slice::from_ref(&key);
        kept(subject, only).await?;
        subject.store().clear(&shop).await?;
        gone(subject, only).await?;
    }
    Ok(())
}
