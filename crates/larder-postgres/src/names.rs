//! What the table and its sequence are called, quoted.

use larder_core::{Error, ErrorKind, Result};

/// The names of one table. Quoted ones go into statements as they are.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) schema: String,
    pub(crate) plain_table: String,
    /// Without its schema, not quoted.
    pub(crate) plain_sequence: String,
    /// With its schema, quoted.
    pub(crate) table: String,
    pub(crate) sequence: String,
    /// What the elected process locks.
    pub(crate) lock: (i32, i32),
}

/// PostgreSQL cuts longer identifiers silently.
const LONGEST: usize = 63;
const SEQUENCE: &str = "_version";
/// "LARD": the first half of every advisory lock that Larder takes.
const LOCK_CLASS: i32 = 0x4C41_5244;

impl Names {
    pub(crate) fn new(schema: &str, table: &str) -> Result<Self> {
        check("schema", schema, LONGEST)?;
        check("table", table, LONGEST - SEQUENCE.len())?;
        let sequence = format!("{table}{SEQUENCE}");
        let qualified = |name: &str| format!("\"{schema}\".\"{name}\"");
        Ok(Self {
            table: qualified(table),
            sequence: qualified(&sequence),
            lock: (LOCK_CLASS, hash(&qualified(table))),
            schema: schema.to_owned(),
            plain_table: table.to_owned(),
            plain_sequence: sequence,
        })
    }
}

/// Letters and digits only, so that no quotation mark or backslash is ever to be escaped.
fn check(setting: &str, name: &str, longest: usize) -> Result<()> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if !name.is_empty() && name.len() <= longest && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "`{setting}` is `{}`: it must be 1 to {longest} bytes of letters, digits, `_`, `-` and `$`",
            name.escape_debug()
        ),
    ))
}

/// FNV-1a: the same in every version of every process.
fn hash(text: &str) -> i32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811C_9DC5, step).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let names = Names::new("Shop", "cache-1").unwrap();
        assert_eq!(names.table, "\"Shop\".\"cache-1\"");
        assert_eq!(names.sequence, "\"Shop\".\"cache-1_version\"");
        assert_ne!(names.lock, Names::new("shop", "cache-1").unwrap().lock);
    }

    #[test]
    fn names_that_would_be_cut_or_need_escapes_are_refused() {
        for (schema, table, setting) in [
            ("", "t", "`schema`"),
            ("s", "", "`table`"),
            ("s", "a\"; drop table x", "`table`"),
            ("s", "a\\b", "`table`"),
            ("s", "a'b", "`table`"),
            ("s.t", "t", "`schema`"),
            ("s", &"x".repeat(56), "`table`"),
            (&"x".repeat(64), "t", "`schema`"),
        ] {
            let error = Names::new(schema, table).unwrap_err();
            assert!(error.to_string().contains(setting), "{error}");
        }
        Names::new(&"x".repeat(63), &"x".repeat(55)).unwrap();
    }
}
