//! Errors have kinds, operations end, and a store can be shown.

use std::{future::Future, time::Duration};

use larder_core::{ErrorKind, Operations, Result, Value, Version};

use crate::{
    case::{INCREMENT, Need, RETAINS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "errors":
    every_operation_ends_in_time [13] needs [];
    are_not_retryable_where_that_is_in_vain [13] needs [RETAINS, INCREMENT];
    too_large_is_not_retryable [11, 13] needs [RETAINS, Need::ValueLimit];
    debug_shows_the_store [13] needs [];
    capabilities_never_change [13] needs [];
}

/// Longer than any operation timeout in use.
const BOUND: Duration = Duration::from_secs(5);
/// What looks at the whole store has a deadline of its own.
const BULK_BOUND: Duration = Duration::from_mins(1);

/// Fails unless the operation ends in time, well or with an error of a kind it may have.
async fn ends<T>(what: &str, operation: impl Future<Output = Result<T>>) -> Outcome {
    ends_within(BOUND, what, operation).await
}

async fn ends_within<T>(bound: Duration, what: &str, operation: impl Future<Output = Result<T>>) -> Outcome {
    let (since, ended) = (Subject::real_stopwatch(), operation.await);
    check::ensure(since.within(bound), || {
        format!("{what}: expected it to end within {bound:?}, saw it take {:?}", since.elapsed())
    })?;
    match ended {
        Err(error) if error.kind() != ErrorKind::Unsupported => {
            Err(Failure::new(format_args!("{what}: expected success, saw {:?}: {error}", error.kind())))
        }
        _ => Ok(()),
    }
}

async fn every_operation_ends_in_time(subject: &Subject) -> Outcome {
    let [key, counter] = subject.keys(["key", "counter"])?;
    let (store, keys) = (subject.store(), [key.clone(), counter.clone()]);
    for _ in 0..2 {
        ends("set", store.set(&key, bytes("hello"), FAR)).await?;
        ends("get", store.get(&key)).await?;
        ends("has", store.has(&key)).await?;
        ends("get_many", async { store.get_many(&keys).await.into_iter().collect::<Result<Vec<_>>>() })
            .await?;
        let entries = vec![(key.clone(), bytes("hello"), FAR)];
        ends("set_many", async { store.set_many(entries).await.into_iter().collect::<Result<()>>() }).await?;
        ends("get_versioned", store.get_versioned(&key)).await?;
        ends("add", store.add(&key, bytes("hello"), FAR)).await?;
        ends("replace", store.replace(&key, &Version::from(1), bytes("hello"), FAR)).await?;
        ends("increment", store.increment(&counter, 1, FAR)).await?;
        ends("touch", store.touch(&key, FAR)).await?;
        ends("expiry", store.expiry(&key)).await?;
        ends_within(BULK_BOUND, "keys", store.keys(subject.root())).await?;
        ends_within(BULK_BOUND, "len", store.len()).await?;
        ends("delete", store.delete(&key)).await?;
        let deletes = async { store.delete_many(&keys).await.into_iter().collect::<Result<Vec<_>>>() };
        ends("delete_many", deletes).await?;
        ends_within(BULK_BOUND, "clear", store.clear(subject.root())).await?;
    }
    Ok(())
}

/// What will fail again must not be tried again.
fn in_vain<T>(what: &str, result: Result<T>) -> Outcome {
    match result {
        Err(error) => {
            check::equal(&format!("is_retryable() of the error of {what}"), error.is_retryable(), false)
        }
        Ok(_) => Err(Failure::new(format_args!("{what}: expected an error, saw none"))),
    }
}

async fn are_not_retryable_where_that_is_in_vain(subject: &Subject) -> Outcome {
    let [text, counter] = subject.keys(["text", "counter"])?;
    let store = subject.store();
    store.set(&text, bytes("hello"), FAR).await?;
    store.set(&counter, Value::Int(i64::MAX), FAR).await?;
    in_vain("increment of bytes", store.increment(&text, 1, FAR).await)?;
    in_vain("increment beyond the end", store.increment(&counter, 1, FAR).await)
}

async fn too_large_is_not_retryable(subject: &Subject) -> Outcome {
    let key = subject.key("large")?;
    let value = Value::Bytes(vec![b'x'; subject.value_limit() + 1].into());
    in_vain("set of a value over the limit", subject.store().set(&key, value, FAR).await)
}

async fn debug_shows_the_store(subject: &Subject) -> Outcome {
    subject.store().set(&subject.key("greeting")?, bytes("hello"), FAR).await?;
    let shown = [format!("{:?}", subject.store()), format!("{:#?}", subject.store())];
    check::ensure(shown.iter().all(|text| !text.trim().is_empty()), || {
        "expected `Debug` of the store to show something, saw nothing".to_owned()
    })
}

async fn capabilities_never_change(subject: &Subject) -> Outcome {
    let before = subject.store().capabilities();
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    subject.store().get(&key).await?;
    if before.supports(Operations::CLEAR) {
        subject.store().clear(subject.root()).await?;
    }
    check::equal("capabilities after some use", subject.store().capabilities(), before)
}
