//! Values of every kind and size come back as they went in.

use larder_core::{EntryMeta, ErrorKind, Expiry, Key, Object, Value};

use crate::{
    case::{RETAINS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes, object},
};

cases! { "values":
    empty_is_a_hit [1, 11] needs [RETAINS];
    of_every_byte [11] needs [RETAINS];
    that_look_like_nothing_are_hits [1, 11] needs [RETAINS];
    that_look_like_a_protocol [11] needs [RETAINS];
    of_one_mebibyte [11] needs [RETAINS];
    of_every_size [11] needs [RETAINS];
    counters_of_every_size [7, 11] needs [RETAINS];
    objects_come_back_equal [11] needs [RETAINS];
    objects_of_any_type [11] needs [RETAINS];
}

async fn round_trips(subject: &Subject, key: &Key, value: &Value) -> Outcome {
    subject.store().set(key, value.clone(), FAR).await?;
    subject.finds(&format!("get after set of {}", check::show(value)), key, value).await
}

async fn empty_is_a_hit(subject: &Subject) -> Outcome {
    let key = subject.key("empty")?;
    round_trips(subject, &key, &bytes("")).await?;
    check::equal("has of an empty value", subject.store().has(&key).await?, true)?;
    for seen in subject.store().get_many(std::slice::from_ref(&key)).await {
        check::hit("get_many of an empty value", seen?, &bytes(""))?;
    }
    check::equal("delete of an empty value", subject.store().delete(&key).await?, true)
}

async fn of_every_byte(subject: &Subject) -> Outcome {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    round_trips(subject, &subject.key("all")?, &Value::Bytes(all.clone().into())).await?;
    let reversed: Vec<u8> = all.iter().rev().copied().collect();
    round_trips(subject, &subject.key("reversed")?, &Value::Bytes(reversed.into())).await?;
    for byte in all {
        let key = subject.key(&format!("byte {byte}"))?;
        round_trips(subject, &key, &Value::Bytes(vec![byte].into())).await?;
    }
    Ok(())
}

async fn that_look_like_nothing_are_hits(subject: &Subject) -> Outcome {
    let key = subject.key("nothing")?;
    for text in
        ["null", "nil", "NULL", "None", "\0", "\u{c0}", "[]", "{}", "\"\"", "0", "false", "$-1\r\n", "_\r\n"]
    {
        round_trips(subject, &key, &bytes(text)).await?;
        check::equal(&format!("has of the value {text:?}"), subject.store().has(&key).await?, true)?;
    }
    for int in [0, -1] {
        round_trips(subject, &key, &Value::Int(int)).await?;
        check::equal(&format!("has of the counter {int}"), subject.store().has(&key).await?, true)?;
    }
    Ok(())
}

async fn that_look_like_a_protocol(subject: &Subject) -> Outcome {
    let key = subject.key("protocol")?;
    for text in [
        "END\r\n",
        "\r\n",
        "STORED\r\n",
        "VALUE a 0 1\r\n",
        "+OK\r\n",
        "-ERR\r\n",
        ":5\r\n",
        "*1\r\n",
        "a\0b",
        "LR",
        "b",
        "i",
    ] {
        round_trips(subject, &key, &bytes(text)).await?;
    }
    // The wire forms of values are bytes like any other.
    for value in [Value::Int(5), bytes("hello"), object(subject, "hello", FAR)] {
        round_trips(subject, &key, &Value::Bytes(value.to_wire()?)).await?;
    }
    Ok(())
}

/// Bytes in which no two blocks that a store might swap or lose are alike: what repeats has a prime length.
pub(super) fn pattern(length: usize) -> Value {
    const PERIOD: usize = 4_093;
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // No zeros: those have a case of their own.
        state.to_be_bytes()[0] | 1
    };
    let mut bytes = (0..PERIOD).map(next).collect::<Vec<u8>>().repeat(length.div_ceil(PERIOD));
    bytes.truncate(length);
    Value::Bytes(bytes.into())
}

/// Stores a value of so many bytes, unless the store declares that it does not take them: then it must say so.
async fn of_size(subject: &Subject, key: &Key, length: usize) -> Outcome {
    let value = pattern(length);
    let stored = subject.store().set(key, value.clone(), FAR).await;
    let limit = subject.capabilities().max_value_bytes();
    if limit.is_some_and(|limit| length > limit) {
        return check::refused(&format!("set of {length} bytes"), stored, ErrorKind::TooLarge);
    }
    match stored {
        // As encoded, the value is a little longer.
        Err(error)
            if error.kind() == ErrorKind::TooLarge && limit.is_some_and(|limit| length + 128 > limit) =>
        {
            Ok(())
        }
        Err(error) => Err(Failure::from(error)),
        Ok(()) => subject.finds(&format!("get of {length} bytes"), key, &value).await,
    }
}

async fn of_one_mebibyte(subject: &Subject) -> Outcome {
    let key = subject.key("large")?;
    of_size(subject, &key, 1 << 20).await?;
    subject.store().set(&key, bytes("small"), FAR).await?;
    subject.finds("get of a small value in place of a large one", &key, &bytes("small")).await
}

async fn of_every_size(subject: &Subject) -> Outcome {
    for power in [0, 3, 6, 7, 8, 9, 12, 14, 16] {
        for length in [(1 << power) - 1, 1 << power, (1 << power) + 1] {
            of_size(subject, &subject.key(&format!("size {length}"))?, length).await?;
        }
    }
    Ok(())
}

async fn counters_of_every_size(subject: &Subject) -> Outcome {
    let key = subject.key("counter")?;
    for int in
        [0, 1, -1, 9, 10, 127, 128, 255, 256, -129, 1 << 31, 1 << 32, (1 << 53) + 1, i64::MAX, i64::MIN]
    {
        round_trips(subject, &key, &Value::Int(int)).await?;
    }
    Ok(())
}

async fn objects_come_back_equal(subject: &Subject) -> Outcome {
    let key = subject.key("object")?;
    for (text, expiry) in [("hello", FAR), ("", Expiry::Never), ("日本語\r\n\0", FAR)] {
        let value = object(subject, text, expiry);
        round_trips(subject, &key, &value).await?;
        if let Some(Value::Object(kept)) = subject.store().get(&key).await? {
            check::equal("the text in an object that was kept", &**kept.read::<String>()?, text)?;
        }
        for seen in subject.store().get_many(std::slice::from_ref(&key)).await {
            check::hit("get_many of an object", seen?, &value)?;
        }
    }
    Ok(())
}

async fn objects_of_any_type(subject: &Subject) -> Outcome {
    let meta = || EntryMeta::new(subject.now(), FAR);
    let objects = [
        ("unit", Object::new((), meta())),
        ("number", Object::new(u64::MAX, meta())),
        ("list", Object::new(vec![1.5_f64, -0.0], meta())),
        ("bytes", Object::new((0..=u8::MAX).collect::<Vec<u8>>(), meta())),
        ("option", Object::new(None::<String>, meta())),
        ("pair", Object::new(("a".to_owned(), vec![Some(1_i8), None]), meta())),
    ];
    for (name, object) in &objects {
        round_trips(subject, &subject.key(name)?, &Value::Object(object.clone())).await?;
    }
    for (name, object) in objects {
        subject
            .finds(&format!("get of an object: {name}"), &subject.key(name)?, &Value::Object(object))
            .await?;
    }
    Ok(())
}
