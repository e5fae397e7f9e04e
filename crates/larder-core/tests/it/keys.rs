//! Keys and namespaces: injective, canonical, in their alphabet and bounds.

use std::fmt::Write as _;

use larder_core::{Cache, ErrorKind, Key, Namespace};
use proptest::prelude::*;

use crate::{
    doc::MapStore,
    support::{key, namespace},
};

/// Texts that try to be mistaken for structure.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a~:/%.A0 \\-]{0,12}",
        "(%[0-9A-F]{2}|/|:|~|1/){0,8}",
        any::<String>(),
        "\\PC{0,400}",
        "[a-z]{130,210}",
    ]
}

fn path() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(prop_oneof!["[a~:/%.é*_ ]{1,4}", "[a-z]{1,8}"], 0..4)
}

fn made(path: &[String], text: &str) -> Option<Key> {
    let namespace = path.iter().try_fold(Namespace::root(), |ns, name| ns.child(name)).ok()?;
    Key::new(&namespace, text).ok()
}

proptest! {
    #[test]
    fn two_names_never_share_a_key(a in (path(), text()), b in (path(), text())) {
        if let (Some(one), Some(other)) = (made(&a.0, &a.1), made(&b.0, &b.1)) {
            prop_assert_eq!(one == other, a == b);
            prop_assert_eq!(one.as_str() == other.as_str(), a == b);
        }
    }

    #[test]
    fn a_key_keeps_to_its_alphabet_and_length_and_parses_back(path in path(), text in text()) {
        if let Some(key) = made(&path, &text) {
            let encoded = key.as_str();
            prop_assert!(encoded.len() <= Key::MAX_LEN);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.~:/%".contains(&b)), "{}", encoded);
            let parsed = Key::parse(encoded).unwrap();
            prop_assert_eq!(&parsed, &key);
            prop_assert_eq!(parsed.namespace(), key.namespace());
            if let Some(read) = key.text() {
                prop_assert_eq!(read.as_ref(), text.as_str());
            } else {
                prop_assert!(encoded.len() == key.namespace().len() + 65);
            }
        }
    }

    #[test]
    fn parse_takes_any_text_without_panic_and_only_what_the_encoder_makes(
        encoded in prop_oneof![any::<String>(), "1/([a~%2F:]{0,3}/){0,3}[:/]?[a%61F~é]{0,8}", "1/[a-f0-9/:%]{0,80}"]
    ) {
        if let Ok(key) = Key::parse(&encoded) {
            prop_assert_eq!(key.as_str(), encoded.as_str());
            // Larder's own keys are in no namespace that a name makes.
            if let Some(text) = key.text().filter(|_| key.namespace() != "1/~/") {
                // Made again from its parts, it is the same: there is no second spelling.
                let names = key.namespace()["1/".len()..].split_terminator('/').map(|name| {
                    // A component escapes three characters that a text does not.
                    let plain = name.replace("%7E", "~").replace("%3A", ":").replace("%2F", "/");
                    Key::parse(&format!("1/:{plain}")).unwrap().text().unwrap().into_owned()
                });
                let path: Vec<String> = names.collect();
                prop_assert_eq!(made(&path, &text).unwrap(), key);
            }
        }
    }

    #[test]
    fn a_namespace_contains_its_own_and_its_childrens_keys_alone(a in path(), b in path(), text in text()) {
        let outer = a.iter().try_fold(Namespace::root(), |ns, name| ns.child(name));
        if let (Ok(outer), Some(key)) = (outer, made(&b, &text)) {
            prop_assert_eq!(outer.contains(&key), b.starts_with(&a));
        }
    }
}

#[test]
fn a_name_that_starts_like_another_is_not_within_it() {
    assert!(!namespace(&["shop"]).contains(&key(&["shop2"], "x")));
    assert!(!namespace(&["shop"]).contains(&key(&[], "shop/x")));
    assert!(namespace(&["shop"]).contains(&key(&["shop", "2"], &"x".repeat(5000))));
    assert!(namespace(&[]).contains(&key(&[], "")));
}

#[test]
fn a_key_too_long_keeps_its_namespace_and_is_its_own() {
    let (one, other) = (key(&["a"], &"x".repeat(10_000)), key(&["a"], &("x".repeat(9_999) + "y")));
    assert_ne!(one, other);
    assert_ne!(one, key(&["b"], &"x".repeat(10_000)));
    assert_eq!((one.namespace(), one.text()), ("1/a/", None));
    // A short text that looks like the hashed form is another key.
    let digest = one.as_str().rsplit('/').next().unwrap();
    assert_ne!(key(&["a"], digest), one);
    assert_ne!(key(&["a"], &format!("/{digest}")), one);
    // At the limit, and one past it.
    let room = Key::MAX_LEN - "1/a/:".len();
    assert!(key(&["a"], &"x".repeat(room)).text().is_some());
    assert!(key(&["a"], &"x".repeat(room + 1)).text().is_none());
}

#[test]
fn a_namespace_says_what_is_wrong_with_it() {
    let empty = Namespace::root().child("").unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::InvalidKey);
    assert!(empty.to_string().contains("at least one character"), "{empty}");

    let full = Namespace::root().child(&"x".repeat(95)).unwrap();
    assert_eq!(full.as_str().len(), Namespace::MAX_LEN + 2);
    assert!(Key::new(&full, &"y".repeat(10_000)).unwrap().as_str().len() <= Key::MAX_LEN);
    let long = Namespace::root().child(&"x".repeat(96)).unwrap_err();
    assert_eq!(long.kind(), ErrorKind::InvalidKey);
    assert!(long.to_string().contains("97 bytes") && long.to_string().contains("limit is 96"), "{long}");
    // It is the encoded length that counts.
    assert_eq!(Namespace::root().child(&"é".repeat(16)).unwrap_err().kind(), ErrorKind::InvalidKey);

    let cache = Cache::new(MapStore::default());
    assert_eq!(cache.namespace("").unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(
        Cache::builder(MapStore::default()).namespace("").build().unwrap_err().kind(),
        ErrorKind::InvalidKey
    );
    assert_eq!(Key::parse("1/:a b").unwrap_err().kind(), ErrorKind::InvalidKey);
}

#[test]
fn no_text_reaches_a_reserved_key() {
    assert!(!namespace(&["~"]).as_str().starts_with("1/~/"));
    for text in ["~/x", "/~/:x", "~/:health", "1/~/:health"] {
        assert!(!key(&[], text).as_str().starts_with("1/~/"), "{text}");
    }
    // A store that parses what it files its entries under has to find them.
    assert!(Key::parse("1/~/:health").is_ok());
    assert!(Key::parse(&format!("1/~//{}", "0".repeat(64))).is_ok());
    for foreign in ["1/~/a/:b", "1/~~/:a", "1/~/", "1/~/:%61"] {
        assert!(Key::parse(foreign).is_err(), "{foreign}");
    }
}

#[test]
fn keys_sort_and_hash_as_their_encoded_form() {
    let map = std::collections::HashMap::from([(key(&["a"], "1"), 1), (key(&["a"], &"x".repeat(100)), 2)]);
    assert_eq!(map.get("1/a/:1"), Some(&1));
    assert_eq!(map.get(format!("1/a/:{}", "x".repeat(100)).as_str()), Some(&2));
    assert!(key(&[], "a") < key(&[], "b"));
}

#[test]
fn encodings_are_as_they_always_were() {
    let names: &[(&[&str], &str)] = &[
        (&[], ""),
        (&[], "greeting"),
        (&["users"], "ada lovelace"),
        (&["shop", "carts"], "42"),
        (&["naïve/*"], "50%"),
        (&["~"], "~:/"),
        (&["a"], "line\r\nend\0"),
        (&["a"], "{tag}*?[x]_%"),
        (&["emoji"], "🦀"),
        (&["long"], &"x".repeat(300)),
        (&[&"n".repeat(95)], &"é".repeat(500)),
    ];
    let mut golden = String::new();
    for (path, text) in names {
        writeln!(golden, "{path:?}\t{text:?}\t{}", key(path, text).as_str()).unwrap();
    }
    crate::support::golden("keys-v1.txt", golden.as_bytes());
}
