//! What no single command can do, as scripts that the server runs whole.
//!
//! Each takes one key, so that nothing crosses slots, and can be repeated: what it wrote has a head that nothing else has.

use std::sync::LazyLock;

/// A script, and the name the server knows it by.
pub(crate) struct Script {
    pub(crate) body: &'static str,
    sha: LazyLock<String>,
}

impl Script {
    pub(crate) fn sha(&self) -> &str {
        &self.sha
    }
}

macro_rules! script {
    ($name:ident: $what:literal, $body:literal) => {
        #[doc = $what]
        pub(crate) static $name: Script =
            Script { body: $body, sha: LazyLock::new(|| fred::util::sha1_hash($body)) };
    };
}

script! { REPLACE: "Stores where the head is still the one seen. Arguments: that head, the new entry, its milliseconds \
                    (empty: for ever; 0: delete), its head. Answers 1, or 0 if it lost.",
"local head = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if head ~= ARGV[1] then
  if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[4] - 1) == ARGV[4] then return 1 end
  return 0
end
if ARGV[3] == '0' then redis.call('UNLINK', KEYS[1])
elseif ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1" }

script! { TAKE_OVER: "Stores where something lies that is no entry, as seen before. Arguments: its first 64 bytes ('!' if \
                      it is no string), the new entry, its milliseconds (as above), its head. Answers 1, or 0 if it lost.",
"local seen = redis.pcall('GETRANGE', KEYS[1], 0, 63)
if type(seen) == 'table' then seen = '!' end
if seen ~= ARGV[1] then
  if string.sub(seen, 1, #ARGV[4]) == ARGV[4] then return 1 end
  return 0
end
if ARGV[3] == '0' then redis.call('UNLINK', KEYS[1])
elseif ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1" }

script! { INCREMENT: "Counts. Arguments: what a trusted entry begins with, the new head with its kind, the delta, the \
                      milliseconds of a new counter (as above). Answers the sum, in digits. Lua's numbers are exact up \
                      to 2^53 only, so that beyond them the server's own INCRBY adds.",
"local seen = redis.pcall('GETRANGE', KEYS[1], 0, 63)
local digits
if type(seen) == 'string' and string.sub(seen, 1, #ARGV[1]) == ARGV[1] then
  local form = string.byte(seen, 2)
  local at = (form == 1 and 15) or (form == 2 and 23) or 64
  local kind = string.byte(seen, at)
  if kind == 98 then return redis.error_reply('WRONGTYPE no counter') end
  if kind == 105 then
    digits = string.sub(seen, at + 1)
    if digits ~= '0' and not string.match(digits, '^%-?[1-9]%d*$') then digits = nil end
  end
  if digits and string.sub(seen, 1, #ARGV[2]) == ARGV[2] then return digits end
end
if not digits then
  if ARGV[4] == '0' then redis.call('UNLINK', KEYS[1])
  elseif ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3])
  else redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3], 'PX', ARGV[4]) end
  return ARGV[3]
end
local a, b, sum = tonumber(digits), tonumber(ARGV[3]), nil
if math.abs(a) < 4503599627370496 and math.abs(b) < 4503599627370496 then
  sum = string.format('%.0f', a + b)
else
  redis.call('SET', KEYS[1], digits, 'KEEPTTL')
  local added = redis.pcall('INCRBY', KEYS[1], ARGV[3])
  if type(added) == 'table' then
    redis.call('SET', KEYS[1], seen, 'KEEPTTL')
    return redis.error_reply('OVERFLOW counter')
  end
  sum = redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[2] .. sum, 'KEEPTTL')
return sum" }

script! { GUARDED: "Runs one command on a key that holds a trusted entry. Arguments: what such an entry begins with, the \
                    command, its further arguments. Answers what the command does, or nothing.",
"if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return false end
return redis.call(ARGV[2], KEYS[1], unpack(ARGV, 3))" }
