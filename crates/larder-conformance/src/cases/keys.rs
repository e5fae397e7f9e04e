//! Keys made of anything: each finds its own entry, in every operation.

use larder_core::{Key, Operations, Value};

use crate::{
    case::{RETAINS, cases},
    check::{self, Failure, Outcome},
    subject::{FAR, Subject, bytes},
};

cases! { "keys":
    of_any_text_round_trip [10] needs [RETAINS];
    of_any_text_disturb_no_neighbour [10] needs [RETAINS];
    of_any_text_work_in_every_operation [10] needs [RETAINS];
    of_ten_kilobytes_round_trip [10] needs [RETAINS];
    that_differ_only_in_the_tail [10] needs [RETAINS];
    that_differ_only_in_case [10] needs [RETAINS];
    of_every_length [10] needs [RETAINS];
    in_namespaces_of_any_name [10] needs [RETAINS];
    never_mix_with_namespaces [9, 10] needs [RETAINS];
}

/// What protocols, patterns, file systems, SQL and Unicode trip over.
const TEXTS: [&str; 54] = [
    "",
    " ",
    "  ",
    "a",
    "a ",
    " a",
    "a b",
    "\r\n",
    "a\r\nb",
    "a\nb",
    "a\rb",
    "\0",
    "a\0",
    "a\0b",
    "\t",
    "\u{7f}",
    "\u{1b}[0m",
    "END\r\n",
    "get a\r\n",
    "*",
    "a*",
    "?",
    "[a]",
    "[^a]",
    "%",
    "_",
    "a%",
    "%20",
    "%00",
    "%2",
    "+",
    "{tag}",
    "{tag}a",
    "'",
    "\"",
    "\\",
    "';--",
    "`",
    "$1",
    "/",
    "//",
    "a/",
    "/a",
    "a/b",
    ":",
    "a:b",
    "..",
    "../a",
    "~",
    "é",
    "e\u{301}",
    "日本語",
    "🦀",
    "\u{202e}abc",
];

fn texts(subject: &Subject) -> Result<Vec<(&'static str, Key)>, Failure> {
    TEXTS.into_iter().map(|text| Ok((text, subject.key(text)?))).collect()
}

async fn of_any_text_round_trip(subject: &Subject) -> Outcome {
    for (text, key) in texts(subject)? {
        let value = bytes(&format!("of {text:?}"));
        subject.store().set(&key, value.clone(), FAR).await?;
        subject.finds(&format!("get of the key {text:?}"), &key, &value).await?;
    }
    for (text, key) in texts(subject)? {
        let value = bytes(&format!("of {text:?}"));
        subject.finds(&format!("get of the key {text:?}, all being set"), &key, &value).await?;
    }
    Ok(())
}

async fn of_any_text_disturb_no_neighbour(subject: &Subject) -> Outcome {
    let keys = texts(subject)?;
    for (text, key) in &keys {
        subject.store().set(key, bytes(&format!("of {text:?}")), FAR).await?;
    }
    for (at, (text, key)) in keys.iter().enumerate() {
        check::equal(&format!("delete of the key {text:?}"), subject.store().delete(key).await?, true)?;
        for (other, neighbour) in &keys[at + 1..] {
            let what = format!("get of the key {other:?} after {text:?} was deleted");
            subject.finds(&what, neighbour, &bytes(&format!("of {other:?}"))).await?;
        }
    }
    Ok(())
}

async fn of_any_text_work_in_every_operation(subject: &Subject) -> Outcome {
    let store = subject.store();
    for (text, key) in texts(subject)? {
        let of = |operation: &str| format!("{operation} of the key {text:?}");
        store.set(&key, Value::Int(5), FAR).await?;
        check::equal(&of("has"), store.has(&key).await?, true)?;
        for seen in store.get_many(std::slice::from_ref(&key)).await {
            check::hit(&of("get_many"), seen?, &Value::Int(5))?;
        }
        if subject.supports(Operations::INCREMENT) {
            check::equal(&of("increment"), store.increment(&key, 1, FAR).await?, 6)?;
        }
        if subject.supports(Operations::TOUCH) {
            check::equal(&of("touch"), store.touch(&key, FAR).await?, true)?;
        }
        if subject.supports(Operations::EXPIRY) {
            check::some(&of("expiry"), store.expiry(&key).await?)?;
        }
        if subject.supports(Operations::VERSIONS) {
            let (_, version) = check::some(&of("get_versioned"), store.get_versioned(&key).await?)?;
            check::some(&of("replace"), store.replace(&key, &version, bytes("replaced"), FAR).await?)?;
            subject.finds(&of("get"), &key, &bytes("replaced")).await?;
            store.delete(&key).await?;
            check::some(&of("add"), store.add(&key, bytes("added"), FAR).await?)?;
            subject.finds(&of("get"), &key, &bytes("added")).await?;
        }
        for deleted in store.delete_many(std::slice::from_ref(&key)).await {
            check::equal(&of("delete_many"), deleted?, true)?;
        }
        subject.misses(&of("get"), &key).await?;
    }
    Ok(())
}

async fn of_ten_kilobytes_round_trip(subject: &Subject) -> Outcome {
    for (name, part) in [("plain", "0123456789"), ("unicode", "🦀é"), ("hostile", "\r\n \0%*")] {
        let key = subject.key(&part.repeat(10_240 / part.len()))?;
        subject.store().set(&key, bytes(name), FAR).await?;
        subject.finds("get of a key of 10 KB", &key, &bytes(name)).await?;
        check::equal("has of a key of 10 KB", subject.store().has(&key).await?, true)?;
        check::equal("delete of a key of 10 KB", subject.store().delete(&key).await?, true)?;
        subject.misses("get of a deleted key of 10 KB", &key).await?;
    }
    Ok(())
}

/// What cuts a key short answers one with the entry of another.
async fn that_differ_only_in_the_tail(subject: &Subject) -> Outcome {
    for length in [20, 58, 62, 100, 126, 150, 190, 250, 1_000, 10_000] {
        let head = "x".repeat(length);
        let [one, two, none] = [1, 2, 3].map(|tail| subject.key(&format!("{head}{tail}")));
        let (one, two, none) = (one?, two?, none?);
        subject.store().set(&one, bytes("one"), FAR).await?;
        subject.store().set(&two, bytes("two"), FAR).await?;
        let what = format!("get of one of two keys that differ after {length} bytes");
        subject.finds(&what, &one, &bytes("one")).await?;
        subject.finds(&what, &two, &bytes("two")).await?;
        subject.misses(&format!("get of a third key that differs after {length} bytes"), &none).await?;
    }
    Ok(())
}

async fn that_differ_only_in_case(subject: &Subject) -> Outcome {
    let keys = subject.keys(["key", "Key", "KEY", "kEY", "é", "É", "ß", "ẞ", "SS"])?;
    for (number, key) in keys.iter().enumerate() {
        subject.store().set(key, bytes(&number.to_string()), FAR).await?;
    }
    for (number, key) in keys.iter().enumerate() {
        let what = format!("get of {key:?}, with others that differ in case");
        subject.finds(&what, key, &bytes(&number.to_string())).await?;
    }
    Ok(())
}

async fn of_every_length(subject: &Subject) -> Outcome {
    let keys: Vec<Key> =
        (0..=Key::MAX_LEN + 20).map(|length| subject.key(&"k".repeat(length))).collect::<Result<_, _>>()?;
    for (length, key) in keys.iter().enumerate() {
        subject.store().set(key, bytes(&length.to_string()), FAR).await?;
    }
    for (length, key) in keys.iter().enumerate() {
        let what = format!("get of a key of {length} characters");
        subject.finds(&what, key, &bytes(&length.to_string())).await?;
    }
    Ok(())
}

async fn in_namespaces_of_any_name(subject: &Subject) -> Outcome {
    let names: Vec<_> = TEXTS.into_iter().filter(|name| !name.is_empty()).collect();
    for name in &names {
        let key = Key::new(&subject.child(name)?, "same")?;
        subject.misses(&format!("get in the namespace {name:?}, nothing being set"), &key).await?;
        subject.store().set(&key, bytes(&format!("in {name:?}")), FAR).await?;
    }
    for name in &names {
        let key = Key::new(&subject.child(name)?, "same")?;
        let value = bytes(&format!("in {name:?}"));
        subject.finds(&format!("get in the namespace {name:?}"), &key, &value).await?;
    }
    Ok(())
}

async fn never_mix_with_namespaces(subject: &Subject) -> Outcome {
    let keys = [
        subject.key("a/b")?,
        subject.key("a:b")?,
        subject.key("a/:b")?,
        subject.key("a//b")?,
        Key::new(&subject.child("a")?, "b")?,
        Key::new(&subject.child("a/")?, "b")?,
        Key::new(&subject.child("a:")?, "b")?,
        Key::new(&subject.child("a")?.child("b")?, "")?,
        Key::new(&subject.child("a")?, "")?,
        Key::new(&subject.child("a")?, "/b")?,
        Key::new(&subject.child("a")?, ":b")?,
    ];
    for (number, key) in keys.iter().enumerate() {
        subject.misses(&format!("get of {key:?}, not being set"), key).await?;
        subject.store().set(key, bytes(&number.to_string()), FAR).await?;
    }
    for (number, key) in keys.iter().enumerate() {
        subject.finds(&format!("get of {key:?}"), key, &bytes(&number.to_string())).await?;
    }
    Ok(())
}
