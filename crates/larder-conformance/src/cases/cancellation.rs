//! Callers that go away: at every await, and the store goes on as if nothing had been.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use larder_core::{Clock as _, Expiry, Key, Operations, SystemClock, Value};

use crate::{
    case::{CLEAR, INCREMENT, RETAINS, VERSIONS, cases},
    check::{self, Outcome, same},
    subject::{FAR, Subject, bytes},
    tasks::{all, task},
};

cases! { "cancellation":
    of_get_mixes_up_no_answers [14] needs [RETAINS];
    of_get_many_mixes_up_no_answers [12, 14] needs [RETAINS];
    of_set_leaves_old_or_new [14] needs [RETAINS];
    of_delete_leaves_all_or_nothing [14] needs [RETAINS];
    of_increment_counts_once_or_not [7, 14] needs [RETAINS, INCREMENT];
    of_add_leaves_an_expiry [6, 14] needs [RETAINS, VERSIONS];
    of_replace_leaves_old_or_new [8, 14] needs [RETAINS, VERSIONS];
    of_clear_leaves_other_namespaces [9, 14] needs [RETAINS, CLEAR];
    leaks_nothing [13, 14] needs [RETAINS];
}

/// How often an operation is polled before its caller goes away.
const POLLS: usize = 12;

/// When a caller goes away: after so many polls, the last of them so much later.
#[derive(Clone, Copy)]
struct Patience {
    polls: usize,
    wait: Duration,
}

/// A caller for each await an operation may have, and some for the time it may spend there.
fn callers() -> impl Iterator<Item = Patience> {
    let polls = (0..POLLS).map(|polls| Patience { polls, wait: Duration::ZERO });
    polls.chain([20, 200, 1_000].map(|micros| Patience { polls: 2, wait: Duration::from_micros(micros) }))
}

/// Starts an operation and drops it. Its result, where it was done before that.
async fn abandon<F: Future>(operation: F, patience: Patience) -> Option<F::Output> {
    let mut operation = pin!(operation);
    for poll in 0..patience.polls {
        let polled = poll_fn(|context| Poll::Ready(operation.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        if poll == 0 && !patience.wait.is_zero() {
            SystemClock::new().sleep(patience.wait).await;
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Keys that hold their own names, and some that hold nothing.
async fn prepared(subject: &Subject) -> Result<Vec<Key>, check::Failure> {
    let keys = subject.many_keys(40)?;
    for key in &keys[..30] {
        subject.store().set(key, bytes(key.as_str()), FAR).await?;
    }
    Ok(keys)
}

/// Asks a few hundred questions, one after the other and at once; each answer must be that to its question.
async fn answers_are_right(subject: &Subject, keys: &[Key]) -> Outcome {
    let right = |at: usize, key: &Key, seen| {
        if at < 30 {
            check::hit("get after others gave up", seen, &bytes(key.as_str()))
        } else {
            check::miss("get of a missing key after others gave up", seen)
        }
    };
    for (at, key) in keys.iter().enumerate() {
        right(at, key, subject.store().get(key).await?)?;
    }
    let tasks = (0..5).map(|shift| {
        let (store, keys) = (subject.shared(), keys.to_vec());
        task(async move {
            for step in 0..keys.len() {
                let at = (step + shift * 8) % keys.len();
                right(at, &keys[at], store.get(&keys[at]).await?)?;
            }
            Ok(())
        })
    });
    all(tasks.collect()).await
}

async fn of_get_mixes_up_no_answers(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    for (number, patience) in callers().enumerate() {
        abandon(subject.store().get(&keys[number]), patience).await;
        // A key that is not there, so that a hit would be another's.
        let missing = &keys[39];
        check::miss("get right after another gave up", subject.store().get(missing).await?)?;
        abandon(subject.store().get(missing), patience).await;
        subject.finds("get right after another gave up", &keys[0], &bytes(keys[0].as_str())).await?;
    }
    answers_are_right(subject, &keys).await
}

async fn of_get_many_mixes_up_no_answers(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    for patience in callers() {
        abandon(subject.store().get_many(&keys[..20]), patience).await;
        let wanted = &keys[25..35];
        for (at, seen) in subject.store().get_many(wanted).await.into_iter().enumerate() {
            if at < 5 {
                check::hit("get_many right after another gave up", seen?, &bytes(wanted[at].as_str()))?;
            } else {
                check::miss("get_many of a missing key right after another gave up", seen?)?;
            }
        }
    }
    answers_are_right(subject, &keys).await
}

async fn of_set_leaves_old_or_new(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let contested = subject.key("contested")?;
    let version =
        |number: usize| Value::Bytes(vec![u8::try_from(number + 1).unwrap_or(b'x'); 20_000 + number].into());
    subject.store().set(&contested, version(0), FAR).await?;
    let count = callers().count();
    for (number, patience) in callers().enumerate() {
        abandon(subject.store().set(&contested, version(number + 1), FAR), patience).await;
        let seen = subject.store().get(&contested).await?;
        let whole = seen.as_ref().is_some_and(|seen| (0..=count).any(|number| same(seen, &version(number))));
        check::ensure(whole, || {
            format!(
                "get after a set that was given up: expected a whole value, saw {}",
                check::show_read(seen.as_ref())
            )
        })?;
    }
    answers_are_right(subject, &keys).await
}

async fn of_delete_leaves_all_or_nothing(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let contested = subject.key("contested")?;
    for patience in callers() {
        subject.store().set(&contested, bytes("contested"), FAR).await?;
        abandon(subject.store().delete(&contested), patience).await;
        match subject.store().get(&contested).await? {
            None => {}
            seen => check::hit(
                "get after a delete that was given up: a miss, or else",
                seen,
                &bytes("contested"),
            )?,
        }
    }
    answers_are_right(subject, &keys).await
}

async fn of_increment_counts_once_or_not(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let counter = subject.key("counter")?;
    subject.store().set(&counter, Value::Int(0), FAR).await?;
    let (mut begun, mut done) = (0, 0);
    for patience in callers() {
        begun += 1;
        if abandon(subject.store().increment(&counter, 1, FAR), patience).await.transpose()?.is_some() {
            done += 1;
        }
    }
    match subject.store().get(&counter).await? {
        Some(Value::Int(sum)) if (done..=begun).contains(&sum) => {}
        seen => {
            return Err(check::Failure::new(format_args!(
                "expected a counter from {done} to {begun}, saw {}",
                check::show_read(seen.as_ref())
            )));
        }
    }
    answers_are_right(subject, &keys).await
}

async fn of_add_leaves_an_expiry(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let mut contested = Vec::new();
    for (number, patience) in callers().enumerate() {
        let key = subject.key(&format!("contested {number}"))?;
        abandon(subject.store().add(&key, bytes("added"), Expiry::After(subject.short())), patience).await;
        contested.push(key);
    }
    subject.outlive(subject.short()).await;
    for key in &contested {
        subject.misses("get after the deadline of an add that was given up", key).await?;
        let added = subject.store().add(key, bytes("again"), FAR).await?;
        check::some("add after the deadline of an add that was given up", added)?;
    }
    answers_are_right(subject, &keys).await
}

async fn of_replace_leaves_old_or_new(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let contested = subject.key("contested")?;
    for (number, patience) in callers().enumerate() {
        subject.store().set(&contested, bytes("old"), FAR).await?;
        let read = subject.store().get_versioned(&contested).await?;
        let (_, version) = check::some("get_versioned after set", read)?;
        let new = bytes(&format!("new {number}"));
        abandon(subject.store().replace(&contested, &version, new.clone(), FAR), patience).await;
        let seen =
            check::some("get after a replace that was given up", subject.store().get(&contested).await?)?;
        if !same(&seen, &new) {
            check::hit(
                "get after a replace that was given up: the new value, or else",
                Some(seen),
                &bytes("old"),
            )?;
        }
    }
    answers_are_right(subject, &keys).await
}

async fn of_clear_leaves_other_namespaces(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let shop = subject.child("shop")?;
    for patience in callers() {
        let inside = Key::new(&shop, "42")?;
        subject.store().set(&inside, bytes("42"), FAR).await?;
        abandon(subject.store().clear(&shop), patience).await;
        subject.store().clear(&shop).await?;
        subject.misses("get after a clear that followed one that was given up", &inside).await?;
    }
    answers_are_right(subject, &keys).await
}

/// More callers give up than any pool has connections; then the store must still answer.
async fn leaks_nothing(subject: &Subject) -> Outcome {
    let keys = prepared(subject).await?;
    let counter = subject.key("counter")?;
    let store = subject.store();
    for round in 0..300 {
        let patience = Patience { polls: round % POLLS, wait: Duration::ZERO };
        abandon(store.get(&keys[round % 40]), patience).await;
        abandon(store.get_many(&keys[..5]), patience).await;
        abandon(store.set(&keys[round % 30], bytes(keys[round % 30].as_str()), FAR), patience).await;
        abandon(store.delete(&keys[39]), patience).await;
        if subject.supports(Operations::INCREMENT) {
            abandon(store.increment(&counter, 1, FAR), patience).await;
        }
    }
    answers_are_right(subject, &keys).await
}
