//! Values over the limit of the store.

use larder_core::ErrorKind;

use crate::{
    case::{Need, RETAINS, VERSIONS, cases},
    cases::values::pattern,
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "limits":
    under_the_limit_is_taken [11] needs [RETAINS, Need::ValueLimit];
    over_the_limit_is_too_large [11] needs [RETAINS, Need::ValueLimit];
    over_the_limit_never_shows [11] needs [RETAINS, Need::ValueLimit];
    over_the_limit_in_add_is_too_large [6, 11] needs [RETAINS, Need::ValueLimit, VERSIONS];
    over_the_limit_in_replace_is_too_large [8, 11] needs [RETAINS, Need::ValueLimit, VERSIONS];
    large_is_kept_or_refused [5, 11] needs [RETAINS];
}

async fn under_the_limit_is_taken(subject: &Subject) -> Outcome {
    let key = subject.key("large")?;
    // One byte for the tag of the wire form.
    let value = pattern(subject.value_limit() - 1);
    subject.store().set(&key, value.clone(), FAR).await?;
    subject.finds("get of a value just under the limit", &key, &value).await
}

async fn over_the_limit_is_too_large(subject: &Subject) -> Outcome {
    let key = subject.key("large")?;
    for beyond in [1, 1_000] {
        let value = pattern(subject.value_limit() + beyond);
        let refused = subject.store().set(&key, value, FAR).await;
        check::refused(
            &format!("set of a value {beyond} bytes over the limit"),
            refused,
            ErrorKind::TooLarge,
        )?;
        subject.misses("get after that", &key).await?;
    }
    subject.store().set(&key, bytes("small"), FAR).await?;
    subject.finds("get after set of a small value", &key, &bytes("small")).await
}

async fn over_the_limit_never_shows(subject: &Subject) -> Outcome {
    let [key, neighbour] = subject.keys(["key", "neighbour"])?;
    subject.store().set(&neighbour, bytes("here"), FAR).await?;
    subject.store().set(&key, bytes("old"), FAR).await?;
    let refused = subject.store().set(&key, pattern(subject.value_limit() + 1), FAR).await;
    check::refused("set of a value over the limit, over another", refused, ErrorKind::TooLarge)?;
    match subject.store().get(&key).await? {
        None => {}
        seen => check::hit("get after that: a miss, or else", seen, &bytes("old"))?,
    }
    subject.finds("get of another key after that", &neighbour, &bytes("here")).await
}

async fn over_the_limit_in_add_is_too_large(subject: &Subject) -> Outcome {
    let key = subject.key("large")?;
    let refused = subject.store().add(&key, pattern(subject.value_limit() + 1), FAR).await;
    check::refused("add of a value over the limit", refused, ErrorKind::TooLarge)?;
    subject.misses("get after that", &key).await?;
    check::some("add of a small value after that", subject.store().add(&key, bytes("small"), FAR).await?)
        .map(drop)
}

async fn over_the_limit_in_replace_is_too_large(subject: &Subject) -> Outcome {
    let key = subject.key("large")?;
    let added = subject.store().add(&key, bytes("old"), FAR).await?;
    let version = check::some("add on a free key", added)?;
    let refused = subject.store().replace(&key, &version, pattern(subject.value_limit() + 1), FAR).await;
    check::refused("replace by a value over the limit", refused, ErrorKind::TooLarge)?;
    match subject.store().get(&key).await? {
        None => Ok(()),
        seen => check::hit("get after that: a miss, or else", seen, &bytes("old")),
    }
}

/// Whatever the limit is, declared or not: what is not stored is an error.
async fn large_is_kept_or_refused(subject: &Subject) -> Outcome {
    for mebibytes in [3, 8] {
        let key = subject.key(&format!("{mebibytes} MiB"))?;
        let value = pattern(mebibytes << 20);
        match subject.store().set(&key, value.clone(), FAR).await {
            Ok(()) => subject.finds(&format!("get of {mebibytes} MiB"), &key, &value).await?,
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                subject.misses(&format!("get of {mebibytes} MiB that were refused"), &key).await?;
            }
            Err(error) => return Err(Failure::from(error)),
        }
    }
    Ok(())
}
