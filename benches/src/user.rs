//! The value that most benchmarks cache.

use serde::{Deserialize, Serialize};

/// About 240 bytes as MessagePack with named fields: a row of a users table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields of a test value")]
pub struct User {
    pub id: u64,
    pub name: String,
    pub email: String,
    pub active: bool,
    pub created: u64,
    pub roles: Vec<String>,
    pub scores: Vec<u32>,
    pub bio: Option<String>,
}

impl User {
    /// A user with a number.
    pub fn new(id: u64) -> Self {
        Self {
            id,
            name: format!("User number {id}"),
            email: format!("user{id}@example.org"),
            active: true,
            created: 1_700_000_000 + id,
            roles: vec!["reader".to_owned(), "editor".to_owned()],
            scores: (0..8).collect(),
            bio: Some(
                "Keeps a larder, and in it a wheel of cheese, two loaves and a jar of honey.".to_owned(),
            ),
        }
    }
}
