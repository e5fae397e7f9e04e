//! Decoding any bytes as any type is a value or an error of kind `Corrupt`; what decoded, encodes and decodes again.
#![no_main]

use std::collections::BTreeMap;

use larder_core::{Codec, ErrorKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Node {
    Leaf,
    Text(String),
    Pair(Box<Node>, Box<Node>),
    Map { at: BTreeMap<String, Node>, n: Option<i128> },
}

fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(codec: Codec, bytes: &[u8]) {
    match codec.decode::<T>(bytes) {
        Ok(value) => {
            let again = codec.encode(&value).expect("it was decoded");
            assert_eq!(codec.decode::<T>(&again).expect("it was encoded"), value);
            // Nothing may follow, in the binary form.
            if codec == Codec::MessagePack {
                let mut longer = bytes.to_vec();
                longer.push(0xc0);
                assert!(codec.decode::<T>(&longer).is_err());
            }
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for codec in [Codec::MessagePack, Codec::Json] {
        check::<Node>(codec, bytes);
        check::<Vec<Vec<Vec<u8>>>>(codec, bytes);
        check::<(u64, String, Option<bool>)>(codec, bytes);
        check::<BTreeMap<String, i64>>(codec, bytes);
        check::<()>(codec, bytes);
        let _ = codec.decode::<serde::de::IgnoredAny>(bytes);
    }
});
