//! Many keys in one call.

use std::time::Duration;

use larder_core::{ErrorKind, Expiry, Key, Result, Value};

use crate::{
    case::{Need, RETAINS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "batch":
    of_nothing_is_fine [12] needs [];
    get_many_answers_in_order [12] needs [RETAINS];
    get_many_keeps_duplicates [12] needs [RETAINS];
    get_many_mixes_hits_and_misses [1, 12] needs [RETAINS];
    get_many_of_missing_keys_is_all_misses [1, 12] needs [];
    set_many_stores_each [5, 12] needs [RETAINS];
    set_many_keeps_the_last_of_duplicates [12] needs [RETAINS];
    set_many_replaces_value_and_expiry [3, 12] needs [RETAINS];
    set_many_takes_past_expiries [3, 12] needs [RETAINS];
    set_many_refuses_only_what_is_too_large [11, 12] needs [RETAINS, Need::ValueLimit];
    delete_many_answers_in_order [2, 12] needs [RETAINS];
    delete_many_removes_nothing_else [10, 12] needs [RETAINS];
    of_a_thousand_keys [12] needs [RETAINS];
}

/// One result for each key; none of them an error.
fn whole<T>(what: &str, results: Vec<Result<T>>, count: usize) -> Result<Vec<T>, Failure> {
    check::equal(&format!("the number of results of {what}"), results.len(), count)?;
    Ok(results.into_iter().collect::<Result<_>>()?)
}

async fn read(subject: &Subject, keys: &[Key]) -> Result<Vec<Option<Value>>, Failure> {
    whole("get_many", subject.store().get_many(keys).await, keys.len())
}

async fn write(subject: &Subject, entries: Vec<(Key, Value, Expiry)>) -> Outcome {
    let count = entries.len();
    whole("set_many", subject.store().set_many(entries).await, count).map(drop)
}

async fn delete(subject: &Subject, keys: &[Key]) -> Result<Vec<bool>, Failure> {
    whole("delete_many", subject.store().delete_many(keys).await, keys.len())
}

/// The value each test key gets: its own name, so that a mix-up shows.
fn own(key: &Key) -> Value {
    bytes(key.as_str())
}

async fn of_nothing_is_fine(subject: &Subject) -> Outcome {
    read(subject, &[]).await?;
    write(subject, Vec::new()).await?;
    delete(subject, &[]).await.map(drop)
}

async fn get_many_answers_in_order(subject: &Subject) -> Outcome {
    let mut keys = subject.many_keys(50)?;
    for key in &keys {
        subject.store().set(key, own(key), FAR).await?;
    }
    for _ in 0..2 {
        for (key, seen) in keys.iter().zip(read(subject, &keys).await?) {
            check::hit(&format!("get_many of {key:?}"), seen, &own(key))?;
        }
        keys.reverse();
    }
    Ok(())
}

async fn get_many_keeps_duplicates(subject: &Subject) -> Outcome {
    let [one, two, none] = subject.keys(["one", "two", "none"])?;
    for key in [&one, &two] {
        subject.store().set(key, own(key), FAR).await?;
    }
    let keys = [&two, &none, &one, &two, &two, &none, &one].map(Clone::clone);
    for (key, seen) in keys.iter().zip(read(subject, &keys).await?) {
        if *key == none {
            check::miss("get_many of a missing key, asked for twice", seen)?;
        } else {
            check::hit("get_many of a key asked for more than once", seen, &own(key))?;
        }
    }
    Ok(())
}

async fn get_many_mixes_hits_and_misses(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(40)?;
    for (number, key) in keys.iter().enumerate() {
        match number % 4 {
            0 => subject.store().set(key, own(key), FAR).await?,
            1 => subject.store().set(key, Value::Int(5), FAR).await?,
            2 => subject.store().set(key, bytes(""), FAR).await?,
            _ => {}
        }
    }
    for (number, (key, seen)) in keys.iter().zip(read(subject, &keys).await?).enumerate() {
        match number % 4 {
            0 => check::hit("get_many of bytes", seen, &own(key))?,
            1 => check::hit("get_many of a counter", seen, &Value::Int(5))?,
            2 => check::hit("get_many of an empty value", seen, &bytes(""))?,
            _ => check::miss("get_many of a missing key among others", seen)?,
        }
    }
    Ok(())
}

async fn get_many_of_missing_keys_is_all_misses(subject: &Subject) -> Outcome {
    for seen in read(subject, &subject.many_keys(20)?).await? {
        check::miss("get_many of a missing key", seen)?;
    }
    Ok(())
}

async fn set_many_stores_each(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(40)?;
    let entry = |(number, key): (usize, &Key)| match number % 3 {
        0 => (key.clone(), own(key), FAR),
        1 => (key.clone(), Value::Int(i64::try_from(number).unwrap_or(0)), Expiry::Never),
        _ => (key.clone(), bytes(""), FAR),
    };
    write(subject, keys.iter().enumerate().map(entry).collect()).await?;
    for (key, value, _) in keys.iter().enumerate().map(entry) {
        subject.finds("get after set_many", &key, &value).await?;
    }
    Ok(())
}

async fn set_many_keeps_the_last_of_duplicates(subject: &Subject) -> Outcome {
    let [key, other] = subject.keys(["key", "other"])?;
    let entries = [(&key, "first"), (&other, "other"), (&key, "second"), (&key, "third")];
    let entries = entries.into_iter().map(|(key, text)| (key.clone(), bytes(text), FAR)).collect();
    write(subject, entries).await?;
    subject.finds("get of a key that was three times in a set_many", &key, &bytes("third")).await?;
    subject.finds("get of a key beside it", &other, &bytes("other")).await
}

async fn set_many_replaces_value_and_expiry(subject: &Subject) -> Outcome {
    let [shortened, extended] = subject.keys(["shortened", "extended"])?;
    let short = Expiry::After(subject.short());
    subject.store().set(&shortened, bytes("old"), Expiry::Never).await?;
    subject.store().set(&extended, bytes("old"), short).await?;
    let entries =
        vec![(shortened.clone(), bytes("new"), short), (extended.clone(), bytes("new"), Expiry::Never)];
    write(subject, entries).await?;
    subject.outlive(subject.short()).await;
    subject.misses("get of a lasting entry that set_many gave a short life", &shortened).await?;
    subject.finds("get of a brief entry that set_many gave a long life", &extended, &bytes("new")).await
}

async fn set_many_takes_past_expiries(subject: &Subject) -> Outcome {
    let [gone, free, here] = subject.keys(["gone", "free", "here"])?;
    let past = Expiry::After(Duration::ZERO);
    subject.store().set(&gone, bytes("old"), Expiry::Never).await?;
    let entries = vec![
        (gone.clone(), bytes("new"), past),
        (here.clone(), bytes("new"), FAR),
        (free.clone(), bytes("new"), past),
    ];
    write(subject, entries).await?;
    subject.misses("get of an entry that set_many replaced, with an expiry already past", &gone).await?;
    subject.misses("get of a free key after set_many with an expiry already past", &free).await?;
    subject.finds("get of an entry that set_many stored beside them", &here, &bytes("new")).await
}

async fn set_many_refuses_only_what_is_too_large(subject: &Subject) -> Outcome {
    let [before, large, after] = subject.keys(["before", "large", "after"])?;
    let too_large = Value::Bytes(vec![b'x'; subject.value_limit() + 1].into());
    let entries = vec![
        (before.clone(), own(&before), FAR),
        (large.clone(), too_large, FAR),
        (after.clone(), own(&after), FAR),
    ];
    let mut results = subject.store().set_many(entries).await;
    check::equal("the number of results of set_many", results.len(), 3)?;
    check::refused("set_many of a value over the limit", results.remove(1), ErrorKind::TooLarge)?;
    whole("set_many", results, 2)?;
    subject.misses("get of a value over the limit", &large).await?;
    subject.finds("get of the entry before the refused one", &before, &own(&before)).await?;
    subject.finds("get of the entry after the refused one", &after, &own(&after)).await
}

async fn delete_many_answers_in_order(subject: &Subject) -> Outcome {
    let [one, two, none] = subject.keys(["one", "two", "none"])?;
    for key in [&one, &two] {
        subject.store().set(key, own(key), FAR).await?;
    }
    let keys = [&none, &one, &none, &two, &one].map(Clone::clone);
    let seen = delete(subject, &keys).await?;
    check::equal("delete_many of [none, one, none, two, one]", seen, [false, true, false, true, false])?;
    for key in [&one, &two] {
        subject.misses("get after delete_many", key).await?;
    }
    Ok(())
}

async fn delete_many_removes_nothing_else(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(40)?;
    for key in &keys {
        subject.store().set(key, own(key), FAR).await?;
    }
    delete(subject, &keys[10..20]).await?;
    for (number, key) in keys.iter().enumerate() {
        if (10..20).contains(&number) {
            subject.misses("get of a key in a delete_many", key).await?;
        } else {
            subject.finds("get of a key not in a delete_many", key, &own(key)).await?;
        }
    }
    Ok(())
}

async fn of_a_thousand_keys(subject: &Subject) -> Outcome {
    let keys = subject.many_keys(1_000)?;
    write(subject, keys.iter().map(|key| (key.clone(), own(key), FAR)).collect()).await?;
    for (key, seen) in keys.iter().zip(read(subject, &keys).await?) {
        check::hit(&format!("get_many of {key:?}, one of a thousand"), seen, &own(key))?;
    }
    let deleted = delete(subject, &keys).await?;
    check::equal(
        "how many of a thousand keys delete_many removed",
        deleted.iter().filter(|was| **was).count(),
        1_000,
    )?;
    for seen in read(subject, &keys).await? {
        check::miss("get_many after delete_many, of one of a thousand keys", seen)?;
    }
    Ok(())
}
