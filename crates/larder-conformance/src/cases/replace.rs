//! Storing only where nothing has changed since.

use std::time::Duration;

use larder_core::{Expiry, Key, Value, Version};

use crate::{
    case::{CLEAR, INCREMENT, RETAINS, VERSIONS, cases},
    cases::expiry::TRAPS,
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "replace":
    wins_by_the_current_version [8] needs [RETAINS, VERSIONS];
    returns_the_next_version [8] needs [RETAINS, VERSIONS];
    of_a_missing_key_loses [1, 8] needs [RETAINS, VERSIONS];
    loses_to_a_made_up_version [8] needs [RETAINS, VERSIONS];
    loses_after_set [8] needs [RETAINS, VERSIONS];
    loses_after_set_of_equal_bytes [8] needs [RETAINS, VERSIONS];
    loses_after_another_replace [8] needs [RETAINS, VERSIONS];
    loses_after_delete [8] needs [RETAINS, VERSIONS];
    loses_after_readding_equal_bytes [8] needs [RETAINS, VERSIONS];
    loses_after_expiry [8] needs [RETAINS, VERSIONS];
    loses_after_expiry_and_readding [8] needs [RETAINS, VERSIONS];
    loses_after_increment [7, 8] needs [RETAINS, VERSIONS, INCREMENT];
    loses_after_clear [8, 9] needs [RETAINS, VERSIONS, CLEAR];
    loses_by_the_version_of_another_key [8] needs [RETAINS, VERSIONS];
    losing_leaves_the_expiry_alone [8] needs [RETAINS, VERSIONS];
    replaces_the_expiry [3, 8] needs [RETAINS, VERSIONS];
    past_expiry_deletes_on_condition [3, 8] needs [RETAINS, VERSIONS];
    takes_an_expiry_of_any_size [5, 8] needs [RETAINS, VERSIONS];
}

/// Stores a value and tells the version it has.
async fn stored(subject: &Subject, key: &Key, value: Value, expiry: Expiry) -> Result<Version, Failure> {
    subject.store().set(key, value, expiry).await?;
    version(subject, key).await
}

async fn version(subject: &Subject, key: &Key) -> Result<Version, Failure> {
    let seen = subject.store().get_versioned(key).await?;
    Ok(check::some("get_versioned of a key that is there", seen)?.1)
}

/// Fails unless `replace` by `version` is refused.
async fn loses(subject: &Subject, what: &str, key: &Key, version: &Version) -> Outcome {
    let seen = subject.store().replace(key, version, bytes("from the loser"), FAR).await?;
    check::equal(&format!("replace {what}"), seen, None)
}

async fn wins_by_the_current_version(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [bytes("hello"), bytes(""), Value::Int(5)] {
        let version = stored(subject, &key, value, FAR).await?;
        let replaced = subject.store().replace(&key, &version, bytes("new"), FAR).await?;
        check::some("replace by the current version", replaced)?;
        subject.finds("get after replace", &key, &bytes("new")).await?;
    }
    Ok(())
}

async fn returns_the_next_version(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let mut current = stored(subject, &key, bytes("0"), FAR).await?;
    for number in 1..10 {
        let value = bytes(&number.to_string());
        // Reading is no change.
        subject.store().get(&key).await?;
        check::equal("get_versioned, nothing having changed", version(subject, &key).await?, current)?;
        let replaced = subject.store().replace(&key, &current, value.clone(), FAR).await?;
        current = check::some("replace by the version that replace returned", replaced)?;
        subject.finds("get after replace", &key, &value).await?;
    }
    check::equal("get_versioned after replace", version(subject, &key).await?, current)
}

async fn of_a_missing_key_loses(subject: &Subject) -> Outcome {
    let key = subject.key("never set")?;
    let seen = subject.store().get_versioned(&key).await?;
    check::miss("get_versioned of a missing key", seen.map(|(value, _)| value))?;
    loses(subject, "of a missing key", &key, &Version::from(1)).await?;
    subject.misses("get after a replace that lost", &key).await
}

async fn loses_to_a_made_up_version(subject: &Subject) -> Outcome {
    let [free, taken] = subject.keys(["free", "taken"])?;
    let current = stored(subject, &taken, bytes("hello"), FAR).await?;
    for made_up in [&b""[..], b"0", b"*", &[0; 8], &[0xff; Version::MAX_LEN], "caf\u{e9}\0'\"".as_bytes()] {
        let made_up = Version::new(made_up)?;
        loses(subject, "of a free key by a made-up version", &free, &made_up).await?;
        if made_up != current {
            loses(subject, "of a taken key by a made-up version", &taken, &made_up).await?;
        }
    }
    subject.misses("get of the free key", &free).await?;
    subject.finds("get of the taken key", &taken, &bytes("hello")).await
}

async fn loses_after_set(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let old = stored(subject, &key, bytes("first"), FAR).await?;
    subject.store().set(&key, bytes("second"), FAR).await?;
    loses(subject, "after set", &key, &old).await?;
    subject.finds("get after a replace that lost", &key, &bytes("second")).await
}

async fn loses_after_set_of_equal_bytes(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [bytes("same"), Value::Int(5)] {
        let old = stored(subject, &key, value.clone(), FAR).await?;
        subject.store().set(&key, value.clone(), FAR).await?;
        loses(subject, "after set of the same value", &key, &old).await?;
        subject.finds("get after a replace that lost", &key, &value).await?;
    }
    Ok(())
}

async fn loses_after_another_replace(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let old = stored(subject, &key, bytes("same"), FAR).await?;
    check::some("the first replace", subject.store().replace(&key, &old, bytes("same"), FAR).await?)?;
    loses(subject, "by a version already used", &key, &old).await?;
    subject.finds("get after a replace that lost", &key, &bytes("same")).await
}

async fn loses_after_delete(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let old = stored(subject, &key, bytes("hello"), FAR).await?;
    subject.store().delete(&key).await?;
    loses(subject, "after delete", &key, &old).await?;
    subject.misses("get after a replace that lost", &key).await
}

async fn loses_after_readding_equal_bytes(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let mut old = vec![stored(subject, &key, bytes("same"), FAR).await?];
    for _ in 0..50 {
        subject.store().delete(&key).await?;
        let added = subject.store().add(&key, bytes("same"), FAR).await?;
        let added = check::some("add after delete", added)?;
        for version in &old {
            loses(subject, "after delete and add of the same bytes", &key, version).await?;
        }
        old.push(added);
    }
    subject.finds("get after many replaces that lost", &key, &bytes("same")).await
}

async fn loses_after_expiry(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let since = subject.stopwatch();
    subject.store().set(&key, bytes("hello"), Expiry::After(subject.short())).await?;
    let Some((_, old)) = subject.store().get_versioned(&key).await? else {
        return check::ensure(!since.within(subject.short()), || "expected a version, saw none".to_owned());
    };
    subject.outlive(subject.short()).await;
    loses(subject, "after expiry", &key, &old).await?;
    subject.misses("get after a replace that lost", &key).await
}

async fn loses_after_expiry_and_readding(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let since = subject.stopwatch();
    subject.store().set(&key, bytes("same"), Expiry::After(subject.short())).await?;
    let Some((_, old)) = subject.store().get_versioned(&key).await? else {
        return check::ensure(!since.within(subject.short()), || "expected a version, saw none".to_owned());
    };
    subject.outlive(subject.short()).await;
    check::some("add after expiry", subject.store().add(&key, bytes("same"), FAR).await?)?;
    loses(subject, "after expiry and add of the same bytes", &key, &old).await?;
    subject.finds("get after a replace that lost", &key, &bytes("same")).await
}

async fn loses_after_increment(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    let old = stored(subject, &key, Value::Int(5), FAR).await?;
    subject.store().increment(&key, 1, FAR).await?;
    subject.store().increment(&key, -1, FAR).await?;
    loses(subject, "after increments that leave the same sum", &key, &old).await?;
    subject.finds("get after a replace that lost", &key, &Value::Int(5)).await
}

async fn loses_after_clear(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let old = stored(subject, &key, bytes("same"), FAR).await?;
    subject.store().clear(subject.root()).await?;
    loses(subject, "after clear", &key, &old).await?;
    check::some("add after clear", subject.store().add(&key, bytes("same"), FAR).await?)?;
    loses(subject, "after clear and add of the same bytes", &key, &old).await
}

async fn loses_by_the_version_of_another_key(subject: &Subject) -> Outcome {
    let [one, two] = subject.keys(["one", "two"])?;
    let of_one = stored(subject, &one, bytes("same"), FAR).await?;
    let of_two = stored(subject, &two, bytes("same"), FAR).await?;
    loses(subject, "by the version of another key", &two, &of_one).await?;
    loses(subject, "by the version of another key", &one, &of_two).await?;
    subject.finds("get after a replace that lost", &one, &bytes("same")).await?;
    subject.finds("get after a replace that lost", &two, &bytes("same")).await
}

async fn losing_leaves_the_expiry_alone(subject: &Subject) -> Outcome {
    let [brief, lasting] = subject.keys(["brief", "lasting"])?;
    let old = stored(subject, &lasting, bytes("lasting"), FAR).await?;
    subject.store().set(&lasting, bytes("lasting"), FAR).await?;
    subject.store().set(&brief, bytes("brief"), Expiry::After(subject.short())).await?;
    let lost = subject.store().replace(&lasting, &old, bytes("new"), Expiry::After(subject.short())).await?;
    check::equal("replace by an old version", lost, None)?;
    let lost = subject.store().replace(&brief, &old, bytes("new"), Expiry::Never).await?;
    check::equal("replace by the version of another key", lost, None)?;
    subject.outlive(subject.short()).await;
    subject.misses("get of a brief entry that a replace lost against", &brief).await?;
    subject.finds("get of a lasting entry that a replace lost against", &lasting, &bytes("lasting")).await
}

async fn replaces_the_expiry(subject: &Subject) -> Outcome {
    let [shortened, extended] = subject.keys(["shortened", "extended"])?;
    let version = stored(subject, &shortened, bytes("old"), Expiry::Never).await?;
    let short = Expiry::After(subject.short());
    check::some("replace", subject.store().replace(&shortened, &version, bytes("new"), short).await?)?;
    let since = subject.stopwatch();
    let added = subject.store().add(&extended, bytes("old"), short).await?;
    let version = check::some("add on a free key", added)?;
    let replaced = subject.store().replace(&extended, &version, bytes("new"), Expiry::Never).await?;
    let in_time = since.within(subject.short());
    subject.outlive(subject.short()).await;
    subject.misses("get of an entry replaced for a short time", &shortened).await?;
    if in_time {
        check::some("replace", replaced)?;
        subject.finds("get of an entry replaced to stay for ever", &extended, &bytes("new")).await?;
    }
    Ok(())
}

async fn past_expiry_deletes_on_condition(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let past = Expiry::After(Duration::ZERO);
    let old = stored(subject, &key, bytes("first"), FAR).await?;
    let current = stored(subject, &key, bytes("second"), FAR).await?;
    let lost = subject.store().replace(&key, &old, bytes("gone"), past).await?;
    check::equal("replace by an old version, with an expiry already past", lost, None)?;
    subject.finds("get after that", &key, &bytes("second")).await?;
    let won = subject.store().replace(&key, &current, bytes("gone"), past).await?;
    check::some("replace by the current version, with an expiry already past", won)?;
    subject.misses("get after that", &key).await?;
    loses(subject, "by the version that was deleted", &key, &current).await
}

async fn takes_an_expiry_of_any_size(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let mut version = stored(subject, &key, bytes("hello"), FAR).await?;
    for lifetime in TRAPS {
        let what = format!("replace for {lifetime:?}");
        let replaced =
            subject.store().replace(&key, &version, bytes("hello"), Expiry::After(lifetime)).await?;
        version = check::some(&what, replaced)?;
        subject.finds(&what, &key, &bytes("hello")).await?;
    }
    Ok(())
}
