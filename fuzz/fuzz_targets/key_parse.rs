//! `Key::parse` takes exactly what the encoder makes.
#![no_main]

use larder_core::{Key, Namespace};

libfuzzer_sys::fuzz_target!(|encoded: &str| {
    // As a text, anything is a key, and comes back.
    let made = Key::new(&Namespace::root(), encoded).expect("every text is a key");
    assert_eq!(Key::parse(made.as_str()).expect("what was made parses"), made);
    assert!(made.text().is_none_or(|text| text == encoded));

    let Ok(key) = Key::parse(encoded) else { return };
    assert_eq!(key.as_str(), encoded);
    assert!(encoded.len() <= Key::MAX_LEN);
    assert!(encoded.starts_with(key.namespace()));
    // Larder's own keys are in no namespace that a name makes.
    if let Some(text) = key.text().filter(|_| key.namespace() != "1/~/") {
        // There is no second spelling: made from its parts again, it is the same.
        let mut namespace = Namespace::root();
        for name in key.namespace()["1/".len()..].split_terminator('/') {
            // A component escapes three characters that a text does not.
            let name = name.replace("%7E", "~").replace("%3A", ":").replace("%2F", "/");
            let plain = Key::parse(&format!("1/:{name}")).expect("a component is a text");
            namespace = namespace.child(&plain.text().expect("short")).expect("it was a namespace");
        }
        assert_eq!(Key::new(&namespace, &text).expect("it was a key"), key);
        assert!(namespace.contains(&key));
    }
});
