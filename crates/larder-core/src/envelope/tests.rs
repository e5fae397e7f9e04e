use std::{path::Path, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::Expiry;

fn stamp() -> impl Strategy<Value = Stamp> {
    let of = prop_oneof![
        "\\PC{0,40}".prop_map(|name| StampOf::Tag(name.into())),
        any::<u8>().prop_map(StampOf::Namespace),
        "1/~/:[ -~]{0,100}".prop_map(|key| StampOf::Elsewhere(key.into())),
    ];
    (of, any::<[u8; 16]>()).prop_map(|(of, mark)| Stamp { of, mark })
}

prop_compose! {
    fn meta()(
        created: u64, stale: u64, expires: u64, cost: u32,
        stamps in proptest::collection::vec(stamp(), 0..5),
        lease in proptest::option::of((any::<[u8; 16]>(), any::<u64>())),
        revalidate in proptest::option::of(any::<u64>()),
    ) -> EntryMeta {
        let lease = lease.map(|(nonce, deadline)| Lease { nonce, deadline: Timestamp::from_nanos(deadline) });
        let revalidate_until = revalidate.map(Timestamp::from_nanos);
        EntryMeta {
            created: Timestamp::from_nanos(created),
            stale_at: Timestamp::from_nanos(stale),
            expires_at: Timestamp::from_nanos(expires),
            cost,
            extras: None,
        }
        .with_extras(Extras { stamps, lease, revalidate_until })
    }
}

fn encoded(kind: Kind, codec: Codec, meta: &EntryMeta, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(kind, codec, meta, &mut out, |out| {
        out.extend_from_slice(payload);
        Ok(())
    })
    .unwrap();
    out
}

fn decoded(bytes: &[u8]) -> Result<Envelope> {
    decode(Bytes::copy_from_slice(bytes))
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(meta in meta(), lease_only: bool, json: bool, payload: Vec<u8>) {
        let kind = if lease_only { Kind::LeaseOnly } else { Kind::Value };
        let codec = if json { Codec::Json } else { Codec::MessagePack };
        let bytes = encoded(kind, codec, &meta, &payload);
        let envelope = decoded(&bytes).unwrap();
        prop_assert_eq!(&envelope, &Envelope { kind, codec, meta: meta.clone(), payload: payload.into() });
        prop_assert_eq!(expires_at(&bytes), Some(meta.expires_at));
    }

    #[test]
    fn every_truncation_is_an_error(meta in meta(), payload: Vec<u8>) {
        let bytes = encoded(Kind::Value, Codec::MessagePack, &meta, &payload);
        for cut in 0..bytes.len() {
            prop_assert_eq!(decoded(&bytes[..cut]).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let mut longer = bytes;
        longer.push(0);
        prop_assert!(decoded(&longer).is_err());
    }

    #[test]
    fn any_bytes_decode_or_are_an_error(bytes: Vec<u8>, header: bool) {
        let mut all = if header { b"LR\x01\x01\x01\x00".to_vec() } else { Vec::new() };
        all.extend(bytes);
        if let Ok(envelope) = decoded(&all) {
            // What decodes says the same when encoded again: there is one form of each entry.
            prop_assert_eq!(encoded(envelope.kind, envelope.codec, &envelope.meta, &envelope.payload), all);
        }
    }
}

#[test]
fn every_changed_byte_is_seen_or_harmless() {
    for meta in [fenced_meta(), windowed_meta(), full_meta(), computed_meta()] {
        let bytes = encoded(Kind::Value, Codec::MessagePack, &meta, b"payload");
        for at in 0..bytes.len() {
            for change in 1..=u8::MAX {
                let mut other = bytes.clone();
                other[at] ^= change;
                match decoded(&other) {
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
                    Ok(envelope) => {
                        let again = encoded(envelope.kind, envelope.codec, &envelope.meta, &envelope.payload);
                        assert_eq!(again, other);
                    }
                }
            }
        }
    }
}

#[test]
fn what_this_version_does_not_know_is_an_error() {
    let bytes = encoded(Kind::Value, Codec::MessagePack, &full_meta(), b"x");
    let says = |at: usize, byte: u8| {
        let mut other = bytes.clone();
        other[at] = byte;
        decoded(&other).map_err(|error| error.to_string()).unwrap_err()
    };
    for (at, known, problem) in [
        (0, &b"L"[..], "magic"),
        (1, b"R", "magic"),
        (2, &[1], "version"),
        (3, &[1, 2], "kind"),
        (4, &[1, 2], "codec"),
        (5, &[0], "compression"),
        (HEADER, &[1, 2, 3], "stamp"),
    ] {
        for byte in (0..=u8::MAX).filter(|byte| !known.contains(byte)) {
            assert!(says(at, byte).contains(problem), "{at} {byte}: {}", says(at, byte));
        }
    }
    for flags in 4..=u8::MAX {
        assert!(says(7, flags).contains("flags"));
    }
}

#[test]
fn what_is_too_large_is_not_encoded() {
    let with = |stamps: Vec<Stamp>| full_meta().with_stamps(stamps);
    let tag = |len: usize| Stamp { of: StampOf::Tag("t".repeat(len).into()), mark: [0; 16] };
    let kind = |meta: &EntryMeta| {
        encode(Kind::Value, Codec::Json, meta, &mut Vec::new(), |_| Ok(())).map_err(|e| e.kind())
    };
    assert_eq!(kind(&with(vec![tag(MAX_TAG + 1)])), Err(ErrorKind::TooLarge));
    assert_eq!(kind(&with(vec![tag(70_000)])), Err(ErrorKind::TooLarge));
    assert_eq!(kind(&with(vec![tag(1); MAX_STAMPS + 1])), Err(ErrorKind::TooLarge));
    assert_eq!(kind(&with(vec![tag(MAX_TAG); MAX_STAMPS])), Ok(()));
}

fn fenced_meta() -> EntryMeta {
    EntryMeta {
        created: Timestamp::from_nanos(1_700_000_000_000_000_001),
        stale_at: Timestamp::from_nanos(1_700_000_060_000_000_002),
        expires_at: Timestamp::from_nanos(1_700_000_300_000_000_003),
        cost: 1_234_567,
        extras: None,
    }
    .with_stamps(vec![
        Stamp { of: StampOf::Tag("product:42".into()), mark: *b"0123456789abcdef" },
        Stamp { of: StampOf::Namespace(2), mark: [0xee; 16] },
    ])
    .with_lease(Some(Lease { nonce: [0x5a; 16], deadline: Timestamp::from_nanos(1_700_000_001_000_000_004) }))
}

fn windowed_meta() -> EntryMeta {
    let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
    EntryMeta::new(at(1_700_000_000), Expiry::Never).with_cost(Duration::from_millis(25)).with_windows(
        at(1_700_000_060),
        at(1_700_000_070),
        at(1_700_000_300),
    )
}

fn full_meta() -> EntryMeta {
    let windows = windowed_meta();
    fenced_meta().with_windows(windows.stale_at, windows.revalidate_until(), windows.expires_at)
}

/// Of an entry that was computed from others.
fn computed_meta() -> EntryMeta {
    let elsewhere = |kept: &str, mark| Stamp { of: StampOf::Elsewhere(kept.into()), mark: [mark; 16] };
    EntryMeta::new(Timestamp::from_nanos(1_700_000_000_000_000_000), Expiry::After(Duration::from_secs(30)))
        .with_stamps(vec![
            Stamp { of: StampOf::Tag("page".into()), mark: [0x11; 16] },
            elsewhere("1/~/:t1/shop/:product:42", 0x22),
            elsewhere("1/~/:n1/shop/", 0x33),
        ])
}

/// The entries of the golden files. What a release wrote, every later one reads.
fn golden() -> Vec<(&'static str, Envelope)> {
    let plain = EntryMeta::new(
        Timestamp::from_nanos(1_700_000_000_000_000_000),
        Expiry::After(Duration::from_mins(5)),
    )
    .with_cost(Duration::from_millis(25));
    let value = ("ada".to_owned(), vec![1_u32, 200, 70_000], Some(true));
    let entry = |kind, codec: Codec, meta: &EntryMeta, payload: Bytes| Envelope {
        kind,
        codec,
        meta: meta.clone(),
        payload,
    };
    let pack = Codec::MessagePack.encode(&value).unwrap();
    let json = Codec::Json.encode(&value).unwrap();
    vec![
        ("v1-messagepack.bin", entry(Kind::Value, Codec::MessagePack, &plain, pack.clone())),
        ("v1-json.bin", entry(Kind::Value, Codec::Json, &plain, json)),
        ("v1-stamps-and-lease.bin", entry(Kind::Value, Codec::MessagePack, &fenced_meta(), pack.clone())),
        ("v1-lease-only.bin", entry(Kind::LeaseOnly, Codec::MessagePack, &fenced_meta(), Bytes::new())),
        ("v1-stale-windows.bin", entry(Kind::Value, Codec::MessagePack, &windowed_meta(), pack.clone())),
        (
            "v1-computed-from-others.bin",
            entry(Kind::Value, Codec::MessagePack, &computed_meta(), pack.clone()),
        ),
        ("v1-everything.bin", entry(Kind::Value, Codec::MessagePack, &full_meta(), pack)),
    ]
}

#[test]
fn golden_files_are_what_is_written_and_read_today() {
    for (name, expected) in golden() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let made = encoded(expected.kind, expected.codec, &expected.meta, &expected.payload);
        if std::env::var_os("LARDER_BLESS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read(&path).unwrap();
        assert_eq!(decoded(&kept).unwrap(), expected, "{name}");
        assert_eq!(
            kept, made,
            "{name}: the encoder writes something else now; a new layout needs a new version"
        );
        if expected.kind == Kind::Value {
            let value: (String, Vec<u32>, Option<bool>) =
                expected.codec.decode(&decoded(&kept).unwrap().payload).unwrap();
            assert_eq!(value, ("ada".to_owned(), vec![1, 200, 70_000], Some(true)));
        }
    }
}
