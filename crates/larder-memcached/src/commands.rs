//! The commands that the client crate does not write, or reads no answer to: classic ones, which every server knows.

use std::io::Write as _;

use crate::{item::Item, replies::Expected, wire::Wire};

/// What a server adds to the bytes of a key and of a value: its header of 48 bytes, the number of the state (8), an end of
/// the key (1), the end of the value (2).
pub(crate) const BESIDES_ITEM: usize = 59;

/// Makes what is stored with it end at once.
pub(crate) const GONE: i32 = -1;

const INFALLIBLE: &str = "writing into memory does not fail";

pub(crate) fn set(wire: &mut Wire, key: &str, exptime: u32, item: &Item) {
    let out = wire.command(Expected::Line);
    write!(out, "set {key} 0 {exptime} {}\r\n", item.len()).expect(INFALLIBLE);
    put(out, item);
}

pub(crate) fn add(wire: &mut Wire, key: &str, exptime: u32, item: &Item) {
    let out = wire.command(Expected::Line);
    write!(out, "add {key} 0 {exptime} {}\r\n", item.len()).expect(INFALLIBLE);
    put(out, item);
}

/// Stores if the state is still the one with this number.
pub(crate) fn cas(wire: &mut Wire, key: &str, exptime: u32, item: &Item, cas: u64) {
    let out = wire.command(Expected::Line);
    write!(out, "cas {key} 0 {exptime} {} {cas}\r\n", item.len()).expect(INFALLIBLE);
    put(out, item);
}

/// Removes if the state is still the one with this number: there is no such `delete` outside the meta commands.
pub(crate) fn remove(wire: &mut Wire, key: &str, cas: u64) {
    let out = wire.command(Expected::Line);
    write!(out, "cas {key} 0 {GONE} 0 {cas}\r\n\r\n").expect(INFALLIBLE);
}

pub(crate) fn delete(wire: &mut Wire, key: &str) {
    write!(wire.command(Expected::Line), "delete {key}\r\n").expect(INFALLIBLE);
}

pub(crate) fn version(wire: &mut Wire) {
    wire.command(Expected::Line).extend_from_slice(b"version\r\n");
}

fn put(out: &mut Vec<u8>, item: &Item) {
    out.extend_from_slice(&item.head());
    out.extend_from_slice(&item.wire);
    out.extend_from_slice(b"\r\n");
}
