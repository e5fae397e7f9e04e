//! Deleting.

use larder_core::Value;

use crate::{
    case::{RETAINS, cases},
    check::{self, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "delete":
    of_a_missing_key_is_false [2] needs [];
    removes [2] needs [RETAINS];
    removes_every_kind_of_value [2] needs [RETAINS];
    a_second_time_is_false [2] needs [RETAINS];
    leaves_its_neighbours [2, 10] needs [RETAINS];
    set_works_after_it [2] needs [RETAINS];
}

async fn of_a_missing_key_is_false(subject: &Subject) -> Outcome {
    let key = subject.key("never set")?;
    check::equal("delete of a missing key", subject.store().delete(&key).await?, false)
}

async fn removes(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    check::equal("delete of a key that is there", subject.store().delete(&key).await?, true)?;
    subject.misses("get after delete", &key).await
}

async fn removes_every_kind_of_value(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for value in [bytes(""), Value::Int(0), bytes("hello"), Value::Int(-1)] {
        subject.store().set(&key, value.clone(), FAR).await?;
        let what = format!("delete of {}", check::show(&value));
        check::equal(&what, subject.store().delete(&key).await?, true)?;
        subject.misses("get after delete", &key).await?;
    }
    Ok(())
}

async fn a_second_time_is_false(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    subject.store().set(&key, bytes("hello"), FAR).await?;
    check::equal("the first delete", subject.store().delete(&key).await?, true)?;
    check::equal("the second delete", subject.store().delete(&key).await?, false)
}

async fn leaves_its_neighbours(subject: &Subject) -> Outcome {
    let [key, longer, shorter, other] = subject.keys(["user:1", "user:10", "user:", "user:2"])?;
    for key in [&key, &longer, &shorter, &other] {
        subject.store().set(key, bytes(key.as_str()), FAR).await?;
    }
    subject.store().delete(&key).await?;
    subject.misses("get of the deleted key", &key).await?;
    for key in [&longer, &shorter, &other] {
        subject.finds("get of a neighbour of the deleted key", key, &bytes(key.as_str())).await?;
    }
    Ok(())
}

async fn set_works_after_it(subject: &Subject) -> Outcome {
    let key = subject.key("greeting")?;
    for text in ["first", "second", "third"] {
        subject.store().set(&key, bytes(text), FAR).await?;
        subject.finds("get after delete and set", &key, &bytes(text)).await?;
        subject.store().delete(&key).await?;
    }
    subject.misses("get after the last delete", &key).await
}
