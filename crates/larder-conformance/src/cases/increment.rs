//! Counting.

use std::time::Duration;

use larder_core::{ErrorKind, Expiry, Value};

use crate::{
    case::{INCREMENT, RETAINS, cases},
    cases::expiry::TRAPS,
    check::{self, Outcome},
    subject::{FAR, Subject, bytes, object},
};

cases! { "increment":
    creates [7] needs [RETAINS, INCREMENT];
    adds_up [7] needs [RETAINS, INCREMENT];
    continues_what_was_set [7] needs [RETAINS, INCREMENT];
    reaches_both_ends [7] needs [RETAINS, INCREMENT];
    overflow_changes_nothing [7] needs [RETAINS, INCREMENT];
    starts_anew_after_delete [7] needs [RETAINS, INCREMENT];
    starts_anew_on_an_expired_key [4, 7] needs [RETAINS, INCREMENT];
    keeps_the_remaining_expiry [7] needs [RETAINS, INCREMENT];
    keeps_never [7] needs [RETAINS, INCREMENT];
    gives_a_new_counter_its_expiry [7] needs [RETAINS, INCREMENT];
    past_expiry_leaves_a_miss [3, 7] needs [RETAINS, INCREMENT];
    takes_an_expiry_of_any_size [5, 7] needs [RETAINS, INCREMENT];
    of_bytes_is_a_wrong_type [7] needs [RETAINS, INCREMENT];
    of_bytes_that_look_like_a_number_is_a_wrong_type [7] needs [RETAINS, INCREMENT];
    of_an_object_is_a_wrong_type [7] needs [RETAINS, INCREMENT];
}

async fn creates(subject: &Subject) -> Outcome {
    for delta in [1, 7, 0, -3, i64::MAX, i64::MIN] {
        let key = subject.key(&format!("counter {delta}"))?;
        let what = format!("increment of a missing key by {delta}");
        check::equal(&what, subject.store().increment(&key, delta, FAR).await?, delta)?;
        subject.finds(&format!("get after {what}"), &key, &Value::Int(delta)).await?;
    }
    Ok(())
}

async fn adds_up(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    let mut sum = 0_i64;
    for delta in [1, 1, 10, -5, 0, -20, 1_000_000_007, -1, 13] {
        sum += delta;
        let what = format!("increment by {delta}");
        check::equal(&what, subject.store().increment(&key, delta, FAR).await?, sum)?;
        subject.finds(&format!("get after {what}"), &key, &Value::Int(sum)).await?;
    }
    Ok(())
}

async fn continues_what_was_set(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    for start in [5, 0, -5, 255, 256, i64::MAX - 1, i64::MIN] {
        subject.store().set(&key, Value::Int(start), FAR).await?;
        let what = format!("increment after set to {start}");
        check::equal(&what, subject.store().increment(&key, 1, FAR).await?, start + 1)?;
        subject.finds(&format!("get after {what}"), &key, &Value::Int(start + 1)).await?;
    }
    Ok(())
}

async fn reaches_both_ends(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    let steps = [
        (0, i64::MAX, i64::MAX),
        (-1, i64::MIN + 1, i64::MIN),
        (i64::MAX, i64::MIN, -1),
        (i64::MIN, i64::MAX, -1),
    ];
    for (start, delta, sum) in steps {
        subject.store().set(&key, Value::Int(start), FAR).await?;
        let what = format!("increment of {start} by {delta}");
        check::equal(&what, subject.store().increment(&key, delta, FAR).await?, sum)?;
        subject.finds(&format!("get after {what}"), &key, &Value::Int(sum)).await?;
    }
    Ok(())
}

async fn overflow_changes_nothing(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    for (start, delta) in [(i64::MAX, 1), (i64::MAX, i64::MAX), (1, i64::MAX), (i64::MIN, -1), (-1, i64::MIN)]
    {
        subject.store().set(&key, Value::Int(start), FAR).await?;
        let what = format!("increment of {start} by {delta}");
        check::refused(&what, subject.store().increment(&key, delta, FAR).await, ErrorKind::Overflow)?;
        subject.finds(&format!("get after {what}"), &key, &Value::Int(start)).await?;
    }
    Ok(())
}

async fn starts_anew_after_delete(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    subject.store().increment(&key, 40, FAR).await?;
    subject.store().delete(&key).await?;
    check::equal("increment after delete", subject.store().increment(&key, 2, FAR).await?, 2)
}

async fn starts_anew_on_an_expired_key(subject: &Subject) -> Outcome {
    let [counter, text] = subject.keys(["counter", "text"])?;
    subject.store().set(&text, bytes("hello"), Expiry::After(subject.short())).await?;
    subject.expire(&counter, Value::Int(40)).await?;
    for key in [&counter, &text] {
        let seen = subject.store().increment(key, 2, FAR).await?;
        check::equal("increment on an expired key", seen, 2)?;
        subject.finds("get after that", key, &Value::Int(2)).await?;
    }
    Ok(())
}

async fn keeps_the_remaining_expiry(subject: &Subject) -> Outcome {
    let [set, created] = subject.keys(["set", "created"])?;
    let since = subject.stopwatch();
    subject.store().set(&set, Value::Int(5), Expiry::After(subject.short())).await?;
    subject.store().increment(&created, 5, Expiry::After(subject.short())).await?;
    for (key, expiry) in [(&set, FAR), (&set, Expiry::Never), (&created, FAR), (&created, Expiry::Never)] {
        let sum = subject.store().increment(key, 1, expiry).await?;
        if !since.within(subject.short()) {
            // A machine that stood still: the counter began anew, with a long life.
            return Ok(());
        }
        check::ensure(sum > 5, || format!("expected the counter to go on from 5, saw {sum}"))?;
    }
    subject.outlive(subject.short()).await;
    subject.misses("get of an incremented counter after the deadline it was set with", &set).await?;
    subject.misses("get of an incremented counter after the deadline it was created with", &created).await
}

async fn keeps_never(subject: &Subject) -> Outcome {
    let [never, far] = subject.keys(["never", "far"])?;
    subject.store().set(&never, Value::Int(5), Expiry::Never).await?;
    subject.store().set(&far, Value::Int(5), FAR).await?;
    for key in [&never, &far] {
        subject.store().increment(key, 1, Expiry::After(subject.short())).await?;
        subject.store().increment(key, 1, Expiry::After(Duration::ZERO)).await?;
    }
    subject.outlive(subject.short()).await;
    subject.finds("get of a counter that never expires", &never, &Value::Int(7)).await?;
    subject.finds("get of a counter that lives for an hour", &far, &Value::Int(7)).await
}

async fn gives_a_new_counter_its_expiry(subject: &Subject) -> Outcome {
    let [brief, lasting] = subject.keys(["brief", "lasting"])?;
    subject.store().increment(&brief, 1, Expiry::After(subject.short())).await?;
    subject.store().increment(&lasting, 1, Expiry::Never).await?;
    subject.outlive(subject.short()).await;
    subject.misses("get of a counter after the deadline it was created with", &brief).await?;
    subject.finds("get of a counter created to stay", &lasting, &Value::Int(1)).await
}

async fn past_expiry_leaves_a_miss(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    let seen = subject.store().increment(&key, 5, Expiry::After(Duration::ZERO)).await?;
    check::equal("increment of a missing key, with an expiry already past", seen, 5)?;
    subject.misses("get after that", &key).await
}

async fn takes_an_expiry_of_any_size(subject: &Subject) -> Outcome {
    for (number, lifetime) in TRAPS.into_iter().enumerate() {
        let key = subject.key(&format!("long {number}"))?;
        let what = format!("increment of a missing key, for {lifetime:?}");
        check::equal(&what, subject.store().increment(&key, 5, Expiry::After(lifetime)).await?, 5)?;
        subject.finds(&what, &key, &Value::Int(5)).await?;
    }
    Ok(())
}

async fn wrong_type(subject: &Subject, value: Value) -> Outcome {
    let key = subject.key("not a counter")?;
    subject.store().set(&key, value.clone(), FAR).await?;
    for delta in [1, 0, -1] {
        let what = format!("increment of {}", check::show(&value));
        check::refused(&what, subject.store().increment(&key, delta, FAR).await, ErrorKind::WrongType)?;
        subject.finds(&format!("get after {what}"), &key, &value).await?;
    }
    Ok(())
}

async fn of_bytes_is_a_wrong_type(subject: &Subject) -> Outcome {
    for text in ["hello", "", "\0", "{}"] {
        wrong_type(subject, bytes(text)).await?;
    }
    Ok(())
}

async fn of_bytes_that_look_like_a_number_is_a_wrong_type(subject: &Subject) -> Outcome {
    for value in
        [bytes("5"), bytes("-5"), bytes("\0\0\0\0\0\0\0\u{5}"), Value::Bytes(Value::Int(5).to_wire()?)]
    {
        wrong_type(subject, value).await?;
    }
    Ok(())
}

async fn of_an_object_is_a_wrong_type(subject: &Subject) -> Outcome {
    wrong_type(subject, object(subject, "5", FAR)).await
}
