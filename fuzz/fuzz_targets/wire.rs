//! `Value::from_wire` takes what `to_wire` makes, and that alone.
#![no_main]

use larder_core::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Value::from_wire(bytes.to_vec().into()) {
        assert_eq!(value.to_wire().expect("it was on the wire"), bytes);
        let _ = value.expires_at();
    }
    let kept = Value::Bytes(bytes.to_vec().into()).to_wire().expect("bytes always are");
    assert!(matches!(Value::from_wire(kept), Ok(Value::Bytes(same)) if same == bytes));
});
