//! Entries end when they should.

use std::time::Duration;

use larder_core::{Expiry, Value};

use crate::{
    case::{Need, RETAINS, cases},
    check::{self, Outcome},
    subject::{FAR, Subject, bytes, object},
};

cases! { "expiry":
    gone_after_the_deadline [4] needs [RETAINS];
    there_until_the_deadline [4] needs [RETAINS];
    ends_to_the_nanosecond [4] needs [RETAINS, Need::ExactClock];
    counters_and_objects_end [4] needs [RETAINS];
    never_survives [4] needs [RETAINS];
    set_replaces_a_short_expiry [3] needs [RETAINS];
    set_replaces_a_long_expiry [3] needs [RETAINS];
    set_works_after_it [3, 4] needs [RETAINS];
    past_is_accepted_and_a_miss [3] needs [];
    past_hides_the_old_value [3] needs [RETAINS];
    finer_than_the_resolution [4, 5] needs [];
    of_any_size_is_accepted [5] needs [RETAINS];
    long_ones_last [4, 5] needs [RETAINS, Need::ExactClock];
    given_clock_is_the_one_shown [4, 15] needs [Need::ExactClock];
}

/// Sizes that are traps somewhere: for 30 days, 32 and 64 bits, seconds, milliseconds, nanoseconds, and the year 10000.
pub(super) const TRAPS: [Duration; 14] = [
    Duration::from_hours(30 * 24),
    Duration::from_secs(30 * 86_400 + 1),
    Duration::from_secs(1 << 31),
    Duration::from_secs(1 << 32),
    Duration::from_secs((1 << 32) + 1),
    Duration::from_millis(u32::MAX as u64 + 1),
    Duration::from_nanos(i64::MAX as u64),
    Duration::from_nanos(u64::MAX),
    Duration::from_millis(i64::MAX as u64),
    Duration::from_millis(u64::MAX),
    Duration::from_hours(70_389_528),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

async fn gone_after_the_deadline(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("hello")).await?;
    subject.misses("get after the deadline", &key).await?;
    subject.misses("a second get after the deadline", &key).await
}

async fn there_until_the_deadline(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let value = bytes("hello");
    // The first command on a connection may take long.
    subject.store().get(&key).await?;
    let since = subject.stopwatch();
    subject.store().set(&key, value.clone(), Expiry::After(subject.short())).await?;
    for part in [3, 4] {
        let seen = subject.store().get(&key).await?;
        if since.within(subject.short()) {
            check::hit("get before the deadline", seen, &value)?;
        }
        subject.advance(subject.short() / part).await;
    }
    let seen = subject.store().get(&key).await?;
    if since.within(subject.short()) {
        check::hit("get before the deadline", seen, &value)?;
    }
    Ok(())
}

async fn ends_to_the_nanosecond(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let value = bytes("hello");
    let nanosecond = Duration::from_nanos(1);
    subject.store().set(&key, value.clone(), Expiry::After(subject.short())).await?;
    subject.advance(subject.short().saturating_sub(nanosecond)).await;
    subject.finds("get a nanosecond before the deadline", &key, &value).await?;
    subject.advance(nanosecond).await;
    subject.misses("get at the deadline", &key).await
}

async fn counters_and_objects_end(subject: &Subject) -> Outcome {
    let [counter, entry] = subject.keys(["counter", "object"])?;
    let expiry = Expiry::After(subject.short());
    subject.store().set(&counter, Value::Int(5), expiry).await?;
    subject.store().set(&entry, object(subject, "hello", expiry), expiry).await?;
    subject.outlive(subject.short()).await;
    subject.misses("get of a counter after its deadline", &counter).await?;
    subject.misses("get of an object after its deadline", &entry).await
}

async fn never_survives(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let value = bytes("hello");
    subject.store().set(&key, value.clone(), Expiry::Never).await?;
    let century = Duration::from_hours(100 * 366 * 24);
    subject.advance(if subject.is_exact() { century } else { subject.longer() }).await;
    subject.finds("get of an entry that never expires", &key, &value).await
}

async fn set_replaces_a_short_expiry(subject: &Subject) -> Outcome {
    let [never, far] = subject.keys(["never", "far"])?;
    for key in [&never, &far] {
        subject.store().set(key, bytes("old"), Expiry::After(subject.short())).await?;
    }
    subject.store().set(&never, bytes("new"), Expiry::Never).await?;
    subject.store().set(&far, bytes("new"), FAR).await?;
    subject.outlive(subject.short()).await;
    subject.finds("get of an entry set again, to stay for ever", &never, &bytes("new")).await?;
    subject.finds("get of an entry set again, for an hour", &far, &bytes("new")).await
}

async fn set_replaces_a_long_expiry(subject: &Subject) -> Outcome {
    let [never, far] = subject.keys(["never", "far"])?;
    subject.store().set(&never, bytes("old"), Expiry::Never).await?;
    subject.store().set(&far, bytes("old"), FAR).await?;
    for key in [&never, &far] {
        subject.store().set(key, bytes("new"), Expiry::After(subject.short())).await?;
    }
    subject.outlive(subject.short()).await;
    subject.misses("get of a lasting entry set again, for a short time", &never).await?;
    subject.misses("get of a long-lived entry set again, for a short time", &far).await
}

async fn set_works_after_it(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.expire(&key, bytes("old")).await?;
    subject.store().set(&key, bytes("new"), FAR).await?;
    subject.finds("get after a set over an expired entry", &key, &bytes("new")).await
}

async fn past_is_accepted_and_a_miss(subject: &Subject) -> Outcome {
    let [one, counter] = subject.keys(["one", "counter"])?;
    subject.store().set(&one, bytes("hello"), Expiry::After(Duration::ZERO)).await?;
    subject.misses("get after set with an expiry already past", &one).await?;
    subject.store().set(&counter, Value::Int(5), Expiry::After(Duration::ZERO)).await?;
    subject.misses("get after set of a counter with an expiry already past", &counter).await
}

async fn past_hides_the_old_value(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("old"), Expiry::Never).await?;
    subject.store().set(&key, bytes("new"), Expiry::After(Duration::ZERO)).await?;
    subject.misses("get after set over a value, with an expiry already past", &key).await
}

/// A duration that rounds to nothing must be neither an error nor for ever.
async fn finer_than_the_resolution(subject: &Subject) -> Outcome {
    let lifetimes = [
        Duration::from_nanos(1),
        Duration::from_nanos(999_999),
        Duration::from_millis(1),
        subject.resolution() / 2,
        subject.resolution() + subject.resolution() / 2,
    ];
    let lifetimes = lifetimes.into_iter().filter(|lifetime| !lifetime.is_zero());
    for (number, lifetime) in lifetimes.clone().enumerate() {
        let key = subject.key(&format!("brief {number}"))?;
        subject.store().set(&key, bytes("hello"), Expiry::After(lifetime)).await?;
    }
    subject.outlive(2 * subject.resolution() + Duration::from_millis(1)).await;
    for (number, lifetime) in lifetimes.enumerate() {
        let key = subject.key(&format!("brief {number}"))?;
        subject.misses(&format!("get of an entry set for {lifetime:?}, later"), &key).await?;
    }
    Ok(())
}

async fn of_any_size_is_accepted(subject: &Subject) -> Outcome {
    for (number, lifetime) in TRAPS.into_iter().enumerate() {
        let key = subject.key(&format!("long {number}"))?;
        subject.store().set(&key, bytes("hello"), Expiry::After(lifetime)).await?;
        subject.finds(&format!("get after set for {lifetime:?}"), &key, &bytes("hello")).await?;
    }
    Ok(())
}

async fn long_ones_last(subject: &Subject) -> Outcome {
    for (number, lifetime) in TRAPS.into_iter().enumerate() {
        let key = subject.key(&format!("long {number}"))?;
        subject.store().set(&key, bytes("hello"), Expiry::After(lifetime)).await?;
    }
    let mut elapsed = Duration::ZERO;
    for until in [TRAPS[0], TRAPS[1], TRAPS[2], TRAPS[3], TRAPS[4]] {
        subject.advance(until.saturating_sub(elapsed)).await;
        elapsed = until;
        for (number, lifetime) in TRAPS.into_iter().enumerate() {
            let key = subject.key(&format!("long {number}"))?;
            let seen = subject.store().get(&key).await?;
            let what = format!("get of an entry set for {lifetime:?}, {elapsed:?} later");
            if lifetime > elapsed {
                check::hit(&what, seen, &bytes("hello"))?;
            } else {
                check::miss(&what, seen)?;
            }
        }
    }
    Ok(())
}

/// A cache over the store reads the time where the store does.
async fn given_clock_is_the_one_shown(subject: &Subject) -> Outcome {
    subject.advance(Duration::from_secs(12_345)).await;
    let shown = subject.store().clock().map(|clock| clock.now());
    check::equal("the time of `clock()` of a store that was given a clock", shown, subject.given_time())
}
