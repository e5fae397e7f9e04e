//! The one encoder of keys, and its inverse.
//!
//! ```text
//! key       = "1/" path ":" text          the text of the key
//!           | "1/" path "/" 64 hex        a key too long for that: the blake3 of its text
//! path      = *( component "/" )          components are never empty, so "//" is unambiguous
//! component = 1*( unreserved | %XX )      unreserved = A-Z a-z 0-9 - .
//! text      = *( unreserved | "~" | ":" | "/" | %XX )
//! ```
//!
//! A component never starts with `~`: such paths are Larder's own.

use std::borrow::Cow;

use arrayvec::ArrayString;
use percent_encoding::{AsciiSet, CONTROLS, PercentEncode, percent_decode_str, utf8_percent_encode};

/// What every encoded key starts with: the version of this encoding.
pub(crate) const VERSION: &str = "1/";
/// The path of Larder's own keys.
pub(crate) const RESERVED: &str = "1/~/";
/// The longest encoded key, in bytes.
pub(crate) const MAX_LEN: usize = 200;

const TEXT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'!')
    .add(b'"')
    .add(b'#')
    .add(b'$')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b'+')
    .add(b',')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'_')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
const COMPONENT: &AsciiSet = &TEXT.add(b':').add(b'/').add(b'~');

pub(crate) fn component(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, COMPONENT)
}

/// Encodes `text` under an encoded path (which ends in `/`).
pub(super) fn encode(path: &str, text: &str) -> ArrayString<MAX_LEN> {
    let mut key = ArrayString::from(path).expect("a path is at most 98 bytes");
    key.push(':');
    let fits =
        text.len() <= MAX_LEN && utf8_percent_encode(text, TEXT).all(|part| key.try_push_str(part).is_ok());
    if !fits {
        key.truncate(path.len());
        key.push('/');
        key.push_str(&blake3::hash(text.as_bytes()).to_hex());
    }
    key
}

/// Whether the encoder leaves every byte of `text` as it is: the common case, worth its own way.
#[inline]
pub(super) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.last_chunk::<16>() {
        // Sixteen at a time, the last ones again with some of those before.
        Some(last) => bytes.as_chunks::<16>().0.iter().all(all_plain) && all_plain(last),
        None => all_plain(bytes),
    }
}

/// No early end: so written, the compiler looks at many bytes at once.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator would be an early end")]
fn all_plain<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> bool {
    bytes.into_iter().fold(true, |plain, byte| {
        // `-` to `:` are `-`, `.`, `/`, the digits and `:`.
        plain & (((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'-') < 14) | (*byte == b'~'))
    })
}

/// An encoded key, taken apart.
pub(super) struct Parts<'a> {
    /// The path, from the version to its last `/`.
    pub(super) path: &'a str,
    /// The encoded text; `None` where it was hashed.
    pub(super) text: Option<&'a str>,
}

/// Takes apart what is known to be a key.
pub(super) fn split(key: &str) -> Option<Parts<'_>> {
    let mut at = VERSION.len();
    if !key.starts_with(VERSION) {
        return None;
    }
    loop {
        let (path, rest) = key.split_at_checked(at)?;
        match rest.as_bytes().first()? {
            b':' => return Some(Parts { path, text: Some(&rest[1..]) }),
            b'/' => return Some(Parts { path, text: None }),
            _ => at += rest.find('/')? + 1,
        }
    }
}

/// How many components a path has.
pub(crate) fn depth(path: &str) -> usize {
    path[VERSION.len()..].matches('/').count()
}

/// The first components of a path, as many as `depth` or all of them.
pub(crate) fn first(path: &str, depth: usize) -> &str {
    let ends = path[VERSION.len()..].match_indices('/').map(|(at, _)| VERSION.len() + at + 1);
    match depth {
        0 => VERSION,
        _ => ends.take(depth).last().map_or(VERSION, |end| &path[..end]),
    }
}

/// The text behind an encoded one; `None` if it is not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// Whether a string is exactly what the encoder makes of some namespace and text.
pub(super) fn is_canonical(key: &str) -> bool {
    let Some(parts) = split(key) else { return false };
    let path_len = parts.path.len() - VERSION.len();
    let path_ok = parts.path == RESERVED
        || path_len <= crate::Namespace::MAX_LEN
            && parts.path[VERSION.len()..]
                .split_terminator('/')
                .all(|name| decode(name).is_some_and(|plain| same(component(&plain), name)));
    let text_ok = if let Some(text) = parts.text {
        decode(text).is_some_and(|plain| same(utf8_percent_encode(&plain, TEXT), text))
    } else {
        let digest = &key[parts.path.len() + 1..];
        digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    key.len() <= MAX_LEN && path_ok && text_ok
}

fn same(encoded: PercentEncode<'_>, text: &str) -> bool {
    let mut rest = text;
    for part in encoded {
        match rest.strip_prefix(part) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
