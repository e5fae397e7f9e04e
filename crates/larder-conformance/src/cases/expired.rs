//! An expired entry is absent for every operation, each by itself.

use larder_core::{Expiry, Value};

use crate::{
    case::{EXPIRY, KEYS, LEN, Need, RETAINS, TOUCH, VERSIONS, cases},
    check::{self, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "expired":
    is_absent_for_has [4] needs [RETAINS];
    is_absent_for_get_many [4, 12] needs [RETAINS];
    is_absent_for_get_versioned [4] needs [RETAINS, VERSIONS];
    is_absent_for_delete [2, 4] needs [RETAINS];
    is_absent_for_delete_many [2, 4, 12] needs [RETAINS];
    is_absent_for_touch [4] needs [RETAINS, TOUCH];
    is_absent_for_expiry [4] needs [RETAINS, EXPIRY];
    is_absent_for_keys [4] needs [RETAINS, KEYS];
    is_absent_for_len [4] needs [RETAINS, LEN, Need::Private];
    is_absent_after_set_many [4, 12] needs [RETAINS];
    is_absent_after_add [4, 6] needs [RETAINS, VERSIONS];
    is_absent_after_replace [4, 8] needs [RETAINS, VERSIONS];
    leaves_others_alone [4] needs [RETAINS];
}

async fn is_absent_for_has(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("hello")).await?;
    check::equal("has after the deadline", subject.store().has(&key).await?, false)
}

async fn is_absent_for_get_many(subject: &Subject) -> Outcome {
    let [expired, lasting] = subject.keys(["expired", "lasting"])?;
    subject.store().set(&lasting, bytes("here"), FAR).await?;
    subject.expire(&expired, bytes("hello")).await?;
    let mut results = subject.store().get_many(&[expired, lasting]).await.into_iter();
    check::equal("the number of results", results.len(), 2)?;
    check::miss("get_many of an expired key", results.next().transpose()?.flatten())?;
    check::hit("get_many of a key beside it", results.next().transpose()?.flatten(), &bytes("here"))
}

async fn is_absent_for_get_versioned(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("hello")).await?;
    let seen = subject.store().get_versioned(&key).await?;
    check::miss("get_versioned after the deadline", seen.map(|(value, _)| value))
}

async fn is_absent_for_delete(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("hello")).await?;
    check::equal("delete after the deadline", subject.store().delete(&key).await?, false)
}

async fn is_absent_for_delete_many(subject: &Subject) -> Outcome {
    let [expired, lasting] = subject.keys(["expired", "lasting"])?;
    subject.store().set(&lasting, bytes("here"), FAR).await?;
    subject.expire(&expired, bytes("hello")).await?;
    let mut results = Vec::new();
    for result in subject.store().delete_many(&[expired, lasting]).await {
        results.push(result?);
    }
    check::equal("delete_many of an expired key and another", results, [false, true])
}

async fn is_absent_for_touch(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("hello")).await?;
    check::equal("touch after the deadline", subject.store().touch(&key, FAR).await?, false)?;
    subject.misses("get after touch of an expired entry", &key).await
}

async fn is_absent_for_expiry(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("hello")).await?;
    check::equal("expiry after the deadline", subject.store().expiry(&key).await?, None)
}

async fn is_absent_for_keys(subject: &Subject) -> Outcome {
    let [expired, lasting] = subject.keys(["expired", "lasting"])?;
    subject.store().set(&lasting, bytes("here"), FAR).await?;
    subject.expire(&expired, bytes("hello")).await?;
    check::equal("keys after the deadline of one", subject.store().keys(subject.root()).await?, [lasting])
}

async fn is_absent_for_len(subject: &Subject) -> Outcome {
    let [expired, lasting] = subject.keys(["expired", "lasting"])?;
    subject.store().set(&lasting, bytes("here"), FAR).await?;
    subject.expire(&expired, bytes("hello")).await?;
    check::equal("len after the deadline of one of two", subject.store().len().await?, 1)
}

async fn is_absent_after_set_many(subject: &Subject) -> Outcome {
    let [brief, lasting] = subject.keys(["brief", "lasting"])?;
    let entries = vec![
        (brief.clone(), bytes("brief"), Expiry::After(subject.short())),
        (lasting.clone(), bytes("lasting"), FAR),
    ];
    for result in subject.store().set_many(entries).await {
        result?;
    }
    subject.outlive(subject.short()).await;
    subject.misses("get after the deadline given to set_many", &brief).await?;
    subject.finds("get of what set_many stored for longer", &lasting, &bytes("lasting")).await
}

async fn is_absent_after_add(subject: &Subject) -> Outcome {
    let [text, counter] = subject.keys(["text", "counter"])?;
    subject.store().add(&text, bytes("hello"), Expiry::After(subject.short())).await?;
    subject.store().add(&counter, Value::Int(5), Expiry::After(subject.short())).await?;
    subject.outlive(subject.short()).await;
    subject.misses("get after the deadline given to add", &text).await?;
    subject.misses("get of a counter after the deadline given to add", &counter).await
}

async fn is_absent_after_replace(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let added = subject.store().add(&key, bytes("old"), Expiry::Never).await?;
    let version = check::some("add on a free key", added)?;
    let expiry = Expiry::After(subject.short());
    check::some("replace", subject.store().replace(&key, &version, bytes("new"), expiry).await?)?;
    subject.outlive(subject.short()).await;
    subject.misses("get after the deadline given to replace", &key).await
}

async fn leaves_others_alone(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(100)?;
    for (number, key) in keys.iter().enumerate() {
        let expiry = if number % 2 == 0 { Expiry::After(subject.short()) } else { FAR };
        subject.store().set(key, bytes(key.as_str()), expiry).await?;
    }
    subject.outlive(subject.short()).await;
    for (number, key) in keys.iter().enumerate() {
        if number % 2 == 0 {
            subject.misses("get of one of many that expired", key).await?;
        } else {
            subject.finds("get of one of many that did not expire", key, &bytes(key.as_str())).await?;
        }
    }
    Ok(())
}
