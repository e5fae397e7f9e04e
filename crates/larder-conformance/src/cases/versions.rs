//! A version names one state of one key, for all time.

use std::{collections::HashSet, time::Duration};

use larder_core::{Expiry, Key, Operations, Value, Version};

use crate::{
    case::{RETAINS, VERSIONS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes, object},
};

cases! { "versions":
    come_with_the_value [8] needs [RETAINS, VERSIONS];
    are_never_reused [8] needs [RETAINS, VERSIONS];
    are_never_reused_after_delete [8] needs [RETAINS, VERSIONS];
    are_never_reused_after_a_past_expiry [3, 8] needs [RETAINS, VERSIONS];
}

async fn come_with_the_value(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [bytes("hello"), bytes(""), Value::Int(5), object(subject, "hello", FAR)] {
        subject.store().set(&key, value.clone(), FAR).await?;
        let seen = subject.store().get_versioned(&key).await?;
        check::hit("get_versioned after set", seen.map(|(value, _)| value), &value)?;
    }
    Ok(())
}

/// The version of what is there now, which must be one that was never there before.
async fn unseen(
    subject: &Subject,
    key: &Key,
    seen: &mut HashSet<Version>,
    after: &str,
) -> Result<Version, Failure> {
    let current = subject.store().get_versioned(key).await?;
    let (_, version) = check::some("get_versioned of a key that is there", current)?;
    check::ensure(seen.insert(version), || {
        format!("expected a version after {after} that this key never had, saw {version:?} again")
    })?;
    Ok(version)
}

async fn are_never_reused(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    let mut seen = HashSet::new();
    for round in 0..100 {
        subject.store().set(&key, Value::Int(7), FAR).await?;
        let version = unseen(subject, &key, &mut seen, "set").await?;
        subject.store().replace(&key, &version, Value::Int(7), FAR).await?;
        unseen(subject, &key, &mut seen, "replace").await?;
        if subject.supports(Operations::INCREMENT) {
            subject.store().increment(&key, i64::from(round % 2), FAR).await?;
            unseen(subject, &key, &mut seen, "increment").await?;
        }
    }
    Ok(())
}

async fn are_never_reused_after_delete(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let mut seen = HashSet::new();
    for _ in 0..100 {
        subject.store().add(&key, bytes("same"), FAR).await?;
        unseen(subject, &key, &mut seen, "delete and add").await?;
        subject.store().delete(&key).await?;
        subject.store().set(&key, bytes("same"), FAR).await?;
        unseen(subject, &key, &mut seen, "delete and set").await?;
        subject.store().delete(&key).await?;
    }
    Ok(())
}

async fn are_never_reused_after_a_past_expiry(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let mut seen = HashSet::new();
    for _ in 0..20 {
        subject.store().add(&key, bytes("same"), FAR).await?;
        unseen(subject, &key, &mut seen, "expiry and add").await?;
        subject.store().set(&key, bytes("same"), Expiry::After(Duration::ZERO)).await?;
    }
    Ok(())
}
