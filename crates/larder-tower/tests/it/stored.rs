//! The binary form of a stored response.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use larder_core::{Cacheable, Codec, ErrorKind, Timestamp};
use larder_tower::StoredResponse;
use proptest::prelude::*;

const GOLDEN: &[u8] = include_bytes!("../golden/stored_response_1.bin");

fn golden() -> StoredResponse {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    headers.append("link", HeaderValue::from_static("</a>"));
    headers.append("link", HeaderValue::from_static("</b>"));
    headers.insert("x-bytes", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    let made = Timestamp::from_nanos(1_704_067_200_000_000_000);
    StoredResponse::new(StatusCode::OK, headers, "<h1>hello</h1>", made)
}

fn encode(stored: &StoredResponse) -> Vec<u8> {
    let mut bytes = Vec::new();
    stored.encode(Codec::default(), &mut bytes).unwrap();
    bytes
}

fn decode(bytes: impl Into<Bytes>) -> larder_core::Result<StoredResponse> {
    StoredResponse::decode(Codec::default(), bytes.into())
}

#[test]
fn what_was_written_once_is_read_for_ever() {
    assert_eq!(decode(GOLDEN).unwrap(), golden());
}

#[test]
fn what_is_written_now_is_what_was_written_then() {
    assert!(encode(&golden()) == GOLDEN, "the encoding changed: give it a new version");
}

#[test]
fn the_body_is_a_slice_of_what_the_store_returned() {
    let bytes = Bytes::from_static(GOLDEN);
    let body = decode(bytes.clone()).unwrap().body().clone();
    assert!(bytes.as_ptr_range().contains(&body.as_ptr()));
}

#[test]
fn a_response_weighs_what_it_holds() {
    let weight = |body: &str| golden().weight().unwrap() - 14 + body.len();
    let long = "x".repeat(10_000);
    let stored =
        StoredResponse::new(StatusCode::OK, golden().headers().clone(), long.clone(), Timestamp::MAX);
    // The length of the body has grown from two digits to five.
    assert_eq!(stored.weight().unwrap(), weight(&long) + 3);
}

#[test]
fn damaged_bytes_are_corrupt() {
    for len in 0..GOLDEN.len() {
        let error = decode(&GOLDEN[..len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = GOLDEN.to_vec();
        change(&mut bytes);
        decode(bytes)
    };
    assert!(damaged(&|bytes| bytes[0] = 2).is_err(), "another version");
    assert!(
        damaged(&|bytes| bytes[1..3].copy_from_slice(&101_u16.to_le_bytes())).is_err(),
        "not a final status"
    );
    assert!(damaged(&|bytes| bytes[1..3].copy_from_slice(&1000_u16.to_le_bytes())).is_err(), "not a status");
    assert!(damaged(&|bytes| bytes.push(b'x')).is_err(), "a body of another length");
}

#[test]
fn responses_cannot_be_split() {
    let replace = |from: &[u8], to: &[u8]| {
        let at = GOLDEN.windows(from.len()).position(|window| window == from).unwrap();
        let mut bytes = GOLDEN.to_vec();
        bytes[at..at + from.len()].copy_from_slice(to);
        decode(bytes)
    };
    assert!(replace(b"</a>", b"a\r\nb").is_err());
    assert!(replace(b"x-bytes", b"x bytes").is_err());
    assert!(replace(b"x-bytes", b"upgrade").is_err());
    assert!(replace(b"</a>", b"<a/>").is_ok());
}

fn response() -> impl Strategy<Value = StoredResponse> {
    let name = "[a-z][a-z0-9-]{0,12}";
    let value = proptest::collection::vec(prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff], 0..40);
    let headers = proptest::collection::vec((name, value), 0..8);
    let status = proptest::sample::select(vec![200_u16, 204, 301, 404, 599]);
    (status, headers, proptest::collection::vec(any::<u8>(), 0..200), any::<u64>()).prop_map(
        |(status, headers, body, made)| {
            let headers = headers.iter().map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_bytes(value).unwrap())
            });
            let status = StatusCode::from_u16(status).unwrap();
            let body = if status == 204 { Vec::new() } else { body };
            StoredResponse::new(status, headers.collect(), body, Timestamp::from_nanos(made))
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(stored in response()) {
        prop_assert_eq!(decode(encode(&stored)).unwrap(), stored);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(bytes);
    }

    #[test]
    fn a_damaged_byte_never_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = GOLDEN.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode(bytes.clone()) {
            prop_assert_eq!(decode(encode(&read)).unwrap(), read);
        }
    }
}
