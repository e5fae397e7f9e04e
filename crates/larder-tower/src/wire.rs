//! The binary form of a stored response.
//!
//! ```text
//! offset  bytes  field                      all integers little endian
//! 0       1      version of this layout: 1
//! 1       2      status
//! 3       8      made, in nanoseconds since the epoch
//! 11      2      number of header lines
//! 13      ..     header lines: length of the name u16, name, length of the value u32, value
//! ..      ..     body, to the end
//! ```

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use larder_core::{Error, ErrorKind, Result, Timestamp};

use crate::{StoredResponse, hop};

const LAYOUT: u8 = 1;
/// Name and value can be empty or short, but no line takes less than its two lengths and one letter.
const MIN_LINE: usize = 7;

pub(crate) fn encode(stored: &StoredResponse, out: &mut Vec<u8>) -> Result<()> {
    let too_large =
        |_| Error::new(ErrorKind::TooLarge, "the headers of a response are too many or too long to store");
    let lines = u16::try_from(stored.headers.len()).map_err(too_large)?;
    out.reserve(stored.body.len() + 64 * (1 + stored.headers.len()));
    out.push(LAYOUT);
    out.extend_from_slice(&stored.status.as_u16().to_le_bytes());
    out.extend_from_slice(&stored.made.as_nanos().to_le_bytes());
    out.extend_from_slice(&lines.to_le_bytes());
    for (name, value) in &stored.headers {
        out.extend_from_slice(&u16::try_from(name.as_str().len()).map_err(too_large)?.to_le_bytes());
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(&u32::try_from(value.len()).map_err(too_large)?.to_le_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(&stored.body);
    Ok(())
}

/// Reads what [`encode`] wrote. Body and header values are slices of `bytes`, not copies.
pub(crate) fn decode(bytes: Bytes) -> Result<StoredResponse> {
    read(bytes)
        .map_err(|problem| Error::new(ErrorKind::Corrupt, "not a stored response").with_source(problem))
}

fn read(mut rest: Bytes) -> Result<StoredResponse, &'static str> {
    const SHORT: &str = "cut short";
    if rest.try_get_u8().map_err(|_| SHORT)? != LAYOUT {
        return Err("a layout of another version");
    }
    let status = StatusCode::from_u16(rest.try_get_u16_le().map_err(|_| SHORT)?)
        .ok()
        .filter(|status| !status.is_informational())
        .ok_or("not a final status")?;
    let made = Timestamp::from_nanos(rest.try_get_u64_le().map_err(|_| SHORT)?);
    let lines = usize::from(rest.try_get_u16_le().map_err(|_| SHORT)?);
    if lines > rest.len() / MIN_LINE {
        return Err(SHORT);
    }
    let mut headers = HeaderMap::try_with_capacity(lines).map_err(|_| "too many headers")?;
    for _ in 0..lines {
        let len = usize::from(rest.try_get_u16_le().map_err(|_| SHORT)?);
        let name = HeaderName::from_bytes(&take(&mut rest, len)?).map_err(|_| "not a header name")?;
        let len = rest.try_get_u32_le().map_err(|_| SHORT)? as usize;
        let value =
            HeaderValue::from_maybe_shared(take(&mut rest, len)?).map_err(|_| "not a header value")?;
        // A store that others can write to must not be able to split responses.
        if hop::is_hop_by_hop(name.as_str()) {
            return Err("a header of a connection");
        }
        headers.try_append(name, value).map_err(|_| "too many headers")?;
    }
    let expected = (status != StatusCode::NO_CONTENT).then(|| HeaderValue::from(rest.len()));
    if !headers.get_all(header::CONTENT_LENGTH).iter().eq(expected.iter()) {
        return Err("a length that is not the body's");
    }
    Ok(StoredResponse { status, headers, body: rest, made })
}

fn take(rest: &mut Bytes, len: usize) -> Result<Bytes, &'static str> {
    if rest.len() < len { Err("cut short") } else { Ok(rest.split_to(len)) }
}
