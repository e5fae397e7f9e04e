//! Values that say what they are: a key, a sequence number, filler, and a checksum over all of it.

use bytes::Bytes;

use super::random::Random;

const MAGIC: &[u8; 4] = b"lard";
/// Magic, length of the whole, length of the key, sequence number, checksum.
const FIXED: usize = 4 + 4 + 4 + 8 + 8;

/// What a value says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) key: String,
    pub(super) sequence: u64,
}

/// A value of about `size` bytes; at least what it has to say.
pub(super) fn make(key: &str, sequence: u64, size: usize) -> Bytes {
    let size = size.max(FIXED + key.len());
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&number(size).to_be_bytes());
    bytes.extend_from_slice(&number(key.len()).to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(key.as_bytes());
    // Filler that differs between values, so that pieces of two of them never look like one.
    let mut random = Random::new(checksum(&bytes));
    while bytes.len() < size - 8 {
        let word = random.next().to_be_bytes();
        let rest = size - 8 - bytes.len();
        bytes.extend_from_slice(&word[..rest.min(8)]);
    }
    bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
    bytes.into()
}

/// `None` if these bytes are not, whole and unchanged, a value that `make` made.
pub(super) fn read(bytes: &[u8]) -> Option<Content> {
    let (body, sum) = bytes.split_last_chunk::<8>()?;
    let rest = body.strip_prefix(MAGIC)?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let (key_length, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let key = rest.get(..usize::try_from(u32::from_be_bytes(*key_length)).ok()?)?;
    let is_whole =
        u32::from_be_bytes(*size) == number(bytes.len()) && u64::from_be_bytes(*sum) == checksum(body);
    let key = String::from_utf8(key.to_vec()).ok()?;
    is_whole.then_some(Content { key, sequence: u64::from_be_bytes(*sequence) })
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("values of the load are far smaller than 4 GiB")
}

/// Eight bytes at a time: fast enough without optimization. It has to notice accidents, not attacks.
fn checksum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| mix(sum, u64::from_be_bytes(*word)));
    let sum = rest.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte)));
    mix(sum, sum >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_and_nothing_else_is() {
        for size in [0, 40, 41, 300, 5000] {
            let value = make("some/key", 7, size);
            assert_eq!(read(&value), Some(Content { key: "some/key".into(), sequence: 7 }));
            assert_eq!(value.len(), size.max(FIXED + 8));
            assert_eq!(read(&value[..value.len() - 1]), None);
            for at in (0..value.len()).step_by(7) {
                let mut torn = value.to_vec();
                torn[at] ^= 1;
                assert_eq!(read(&torn), None, "byte {at} of {size}");
            }
        }
        let (old, new) = (make("k", 1, 400), make("k", 2, 400));
        assert_eq!(read(&[&new[..200], &old[200..]].concat()), None);
        assert_eq!(read(b""), None);
    }
}
