//! Giving an entry another expiry, and reading the one it has.

use std::time::Duration;

use larder_core::{Expiry, Key, Value};

use crate::{
    case::{EXPIRY, RETAINS, TOUCH, cases},
    cases::expiry::TRAPS,
    check::{self, Failure, Outcome},
    subject::{FAR, Stopwatch, Subject, bytes},
};

cases! { "touch":
    of_a_missing_key_is_false [2] needs [TOUCH];
    extends [4] needs [RETAINS, TOUCH];
    shortens [4] needs [RETAINS, TOUCH];
    keeps_the_value [4] needs [RETAINS, TOUCH];
    past_expiry_deletes [3] needs [RETAINS, TOUCH];
    takes_an_expiry_of_any_size [5] needs [RETAINS, TOUCH];
    expiry_of_a_missing_key_is_none [1] needs [EXPIRY];
    expiry_tells_what_is_left [4] needs [RETAINS, EXPIRY];
    expiry_shrinks_as_time_passes [4] needs [RETAINS, EXPIRY];
    expiry_tells_what_touch_gave [4] needs [RETAINS, TOUCH, EXPIRY];
}

async fn of_a_missing_key_is_false(subject: &Subject) -> Outcome {
    let key = subject.key("never set")?;
    check::equal("touch of a missing key", subject.store().touch(&key, FAR).await?, false)?;
    subject.misses("get after touch of a missing key", &key).await
}

async fn extends(subject: &Subject) -> Outcome {
    for (name, expiry) in [("far", FAR), ("never", Expiry::Never)] {
        let key = subject.key(name)?;
        let since = subject.stopwatch();
        subject.store().set(&key, bytes("hello"), Expiry::After(subject.short())).await?;
        let touched = subject.store().touch(&key, expiry).await?;
        if !since.within(subject.short()) {
            continue;
        }
        check::equal("touch of a key that is there", touched, true)?;
        subject.outlive(subject.short()).await;
        subject.finds("get of an entry that was touched to live longer", &key, &bytes("hello")).await?;
    }
    Ok(())
}

async fn shortens(subject: &Subject) -> Outcome {
    let [far, never] = subject.keys(["far", "never"])?;
    subject.store().set(&far, bytes("hello"), FAR).await?;
    subject.store().set(&never, bytes("hello"), Expiry::Never).await?;
    for key in [&far, &never] {
        let touched = subject.store().touch(key, Expiry::After(subject.short())).await?;
        check::equal("touch of a key that is there", touched, true)?;
    }
    subject.outlive(subject.short()).await;
    subject.misses("get of an entry for an hour that was touched to end soon", &far).await?;
    subject.misses("get of an entry for ever that was touched to end soon", &never).await
}

async fn keeps_the_value(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [bytes("hello"), bytes(""), Value::Int(5)] {
        subject.store().set(&key, value.clone(), FAR).await?;
        for expiry in [Expiry::Never, FAR] {
            check::equal("touch of a key that is there", subject.store().touch(&key, expiry).await?, true)?;
            subject.finds("get after touch", &key, &value).await?;
        }
    }
    Ok(())
}

async fn past_expiry_deletes(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), Expiry::Never).await?;
    let touched = subject.store().touch(&key, Expiry::After(Duration::ZERO)).await?;
    check::equal("touch of a key that is there, with an expiry already past", touched, true)?;
    subject.misses("get after that", &key).await?;
    check::equal("delete after that", subject.store().delete(&key).await?, false)
}

async fn takes_an_expiry_of_any_size(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    for lifetime in TRAPS {
        let what = format!("touch for {lifetime:?}");
        check::equal(&what, subject.store().touch(&key, Expiry::After(lifetime)).await?, true)?;
        subject.finds(&what, &key, &bytes("hello")).await?;
    }
    Ok(())
}

async fn expiry_of_a_missing_key_is_none(subject: &Subject) -> Outcome {
    let key = subject.key("never set")?;
    check::equal("expiry of a missing key", subject.store().expiry(&key).await?, None)
}

/// Fails unless `expiry` tells what is left of `lifetime`, as exactly as the store ends entries.
async fn left(subject: &Subject, what: &str, key: &Key, lifetime: Duration, since: &Stopwatch) -> Outcome {
    // The entry is at most as old as the watch, and a real clock goes on between the two.
    let latest = if subject.is_exact() {
        lifetime.saturating_sub(since.elapsed())
    } else {
        lifetime + subject.resolution()
    };
    let seen = subject.store().expiry(key).await?;
    let earliest = lifetime.saturating_sub(since.elapsed() + subject.resolution() + subject.skew());
    match seen {
        Some(Expiry::After(left)) if (earliest..=latest).contains(&left) => Ok(()),
        seen => Err(Failure::new(format_args!("{what}: expected {earliest:?} to {latest:?}, saw {seen:?}"))),
    }
}

async fn expiry_tells_what_is_left(subject: &Subject) -> Outcome {
    let [text, counter, never] = subject.keys(["text", "counter", "never"])?;
    let lifetime = Duration::from_secs(1000);
    let since = subject.stopwatch();
    subject.store().set(&text, bytes("hello"), Expiry::After(lifetime)).await?;
    subject.store().set(&counter, Value::Int(5), Expiry::After(lifetime)).await?;
    left(subject, "expiry of an entry", &text, lifetime, &since).await?;
    left(subject, "expiry of a counter", &counter, lifetime, &since).await?;
    subject.store().set(&never, bytes("hello"), Expiry::Never).await?;
    let seen = subject.store().expiry(&never).await?;
    check::equal("expiry of an entry that never expires", seen, Some(Expiry::Never))
}

async fn expiry_shrinks_as_time_passes(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    let lifetime = Duration::from_secs(1000);
    let since = subject.stopwatch();
    subject.store().set(&key, bytes("hello"), Expiry::After(lifetime)).await?;
    subject.outlive(subject.short()).await;
    let latest = lifetime.saturating_sub(subject.short());
    match subject.store().expiry(&key).await? {
        Some(Expiry::After(left)) if left <= latest => {}
        seen => {
            let text =
                format!("expiry, {:?} later: expected at most {latest:?}, saw {seen:?}", subject.short());
            return Err(Failure::new(text));
        }
    }
    left(subject, "expiry of an entry, later", &key, lifetime, &since).await
}

async fn expiry_tells_what_touch_gave(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    subject.store().touch(&key, Expiry::Never).await?;
    check::equal("expiry after touch", subject.store().expiry(&key).await?, Some(Expiry::Never))?;
    let lifetime = Duration::from_secs(1000);
    let since = subject.stopwatch();
    subject.store().touch(&key, Expiry::After(lifetime)).await?;
    left(subject, "expiry after touch", &key, lifetime, &since).await
}
