//! Storing only where nothing is.

use std::time::Duration;

use larder_core::{Expiry, Value};

use crate::{
    case::{RETAINS, VERSIONS, cases},
    cases::expiry::TRAPS,
    check::{self, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "add":
    wins_on_a_free_key [6] needs [RETAINS, VERSIONS];
    does_not_overwrite [6] needs [RETAINS, VERSIONS];
    does_not_overwrite_any_kind_of_value [6] needs [RETAINS, VERSIONS];
    returns_the_version_of_the_entry [6, 8] needs [RETAINS, VERSIONS];
    wins_after_delete [6] needs [RETAINS, VERSIONS];
    wins_on_an_expired_key [6] needs [RETAINS, VERSIONS];
    never_leaves_a_key_without_its_expiry [6] needs [RETAINS, VERSIONS];
    losing_leaves_the_expiry_alone [6] needs [RETAINS, VERSIONS];
    past_expiry_wins_and_leaves_a_miss [3, 6] needs [RETAINS, VERSIONS];
    past_expiry_on_a_taken_key_loses [3, 6] needs [RETAINS, VERSIONS];
    takes_an_expiry_of_any_size [5, 6] needs [RETAINS, VERSIONS];
}

async fn wins_on_a_free_key(subject: &Subject) -> Outcome {
    for (name, value) in [("text", bytes("hello")), ("empty", bytes("")), ("counter", Value::Int(5))] {
        let key = subject.key(name)?;
        check::some("add on a free key", subject.store().add(&key, value.clone(), FAR).await?)?;
        subject.finds("get after add", &key, &value).await?;
    }
    Ok(())
}

async fn does_not_overwrite(subject: &Subject) -> Outcome {
    let [set, added] = subject.keys(["set", "added"])?;
    subject.store().set(&set, bytes("first"), FAR).await?;
    subject.store().add(&added, bytes("first"), Expiry::Never).await?;
    for key in [&set, &added] {
        for text in ["second", "first"] {
            let seen = subject.store().add(key, bytes(text), FAR).await?;
            check::equal("add on a taken key", seen, None)?;
            subject.finds("get after an add that lost", key, &bytes("first")).await?;
        }
    }
    Ok(())
}

async fn does_not_overwrite_any_kind_of_value(subject: &Subject) -> Outcome {
    for (name, value) in [("empty", bytes("")), ("zero", Value::Int(0)), ("nul", bytes("\0"))] {
        let key = subject.key(name)?;
        subject.store().set(&key, value.clone(), FAR).await?;
        let seen = subject.store().add(&key, bytes("second"), FAR).await?;
        check::equal(&format!("add on a key that holds {}", check::show(&value)), seen, None)?;
        subject.finds("get after an add that lost", &key, &value).await?;
    }
    Ok(())
}

async fn returns_the_version_of_the_entry(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let added = subject.store().add(&key, bytes("hello"), FAR).await?;
    let version = check::some("add on a free key", added)?;
    let seen = subject.store().get_versioned(&key).await?;
    check::equal("get_versioned after add", seen.map(|(_, version)| version), Some(version))?;
    let replaced = subject.store().replace(&key, &version, bytes("new"), FAR).await?;
    check::some("replace by the version that add returned", replaced)?;
    subject.finds("get after that replace", &key, &bytes("new")).await
}

async fn wins_after_delete(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("old"), FAR).await?;
    subject.store().delete(&key).await?;
    check::some("add after delete", subject.store().add(&key, bytes("new"), FAR).await?)?;
    subject.finds("get after delete and add", &key, &bytes("new")).await
}

async fn wins_on_an_expired_key(subject: &Subject) -> Outcome {
    let [text, counter] = subject.keys(["text", "counter"])?;
    subject.store().set(&counter, Value::Int(5), Expiry::After(subject.short())).await?;
    subject.expire(&text, bytes("old")).await?;
    for key in [&text, &counter] {
        check::some("add on an expired key", subject.store().add(key, bytes("new"), FAR).await?)?;
        subject.finds("get after add on an expired key", key, &bytes("new")).await?;
    }
    Ok(())
}

/// Between the value and its expiry there is no gap to fall into: not on a free, an expired or a deleted key.
async fn never_leaves_a_key_without_its_expiry(subject: &Subject) -> Outcome {
    let [free, expired, deleted] = subject.keys(["free", "expired", "deleted"])?;
    subject.expire(&expired, bytes("old")).await?;
    subject.store().set(&deleted, bytes("old"), Expiry::Never).await?;
    subject.store().delete(&deleted).await?;
    for key in [&free, &expired, &deleted] {
        let added = subject.store().add(key, bytes("new"), Expiry::After(subject.short())).await?;
        check::some("add on a free key", added)?;
    }
    subject.outlive(subject.short()).await;
    for key in [&free, &expired, &deleted] {
        subject.misses("get after the deadline given to add", key).await?;
    }
    Ok(())
}

async fn losing_leaves_the_expiry_alone(subject: &Subject) -> Outcome {
    let [brief, lasting] = subject.keys(["brief", "lasting"])?;
    subject.store().set(&lasting, bytes("lasting"), FAR).await?;
    let since = subject.stopwatch();
    subject.store().set(&brief, bytes("brief"), Expiry::After(subject.short())).await?;
    let lost = subject.store().add(&brief, bytes("new"), Expiry::Never).await?;
    if since.within(subject.short()) {
        check::equal("add on a taken key", lost, None)?;
    } else {
        // A machine that stood still: the entry expired first, and there is nothing to see here.
        subject.store().delete(&brief).await?;
    }
    subject.store().add(&lasting, bytes("new"), Expiry::After(subject.short())).await?;
    subject.outlive(subject.short()).await;
    subject.misses("get of a brief entry that an add with a long expiry lost against", &brief).await?;
    subject.finds("get of a lasting entry that an add lost against", &lasting, &bytes("lasting")).await
}

async fn past_expiry_wins_and_leaves_a_miss(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let past = Expiry::After(Duration::ZERO);
    let added = subject.store().add(&key, bytes("hello"), past).await?;
    check::some("add on a free key, with an expiry already past", added)?;
    subject.misses("get after that", &key).await?;
    check::some("add after that", subject.store().add(&key, bytes("new"), FAR).await?)?;
    subject.finds("get after the second add", &key, &bytes("new")).await
}

async fn past_expiry_on_a_taken_key_loses(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("first"), FAR).await?;
    let seen = subject.store().add(&key, bytes("second"), Expiry::After(Duration::ZERO)).await?;
    check::equal("add on a taken key, with an expiry already past", seen, None)?;
    subject.finds("get after that", &key, &bytes("first")).await
}

async fn takes_an_expiry_of_any_size(subject: &Subject) -> Outcome {
    for (number, lifetime) in TRAPS.into_iter().enumerate() {
        let key = subject.key(&format!("long {number}"))?;
        let what = format!("add for {lifetime:?}");
        check::some(&what, subject.store().add(&key, bytes("hello"), Expiry::After(lifetime)).await?)?;
        subject.finds(&what, &key, &bytes("hello")).await?;
    }
    Ok(())
}
