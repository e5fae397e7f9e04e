//! A user directory that is slow on purpose: it stands for the database query, or the call to another service, that an
//! application would rather not make twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Someone in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The short name they are looked up by.
    pub name: String,
    /// The whole name.
    pub full_name: String,
    /// The year of birth.
    pub born: u16,
    /// What they are known for.
    pub known_for: String,
}

/// The directory.
#[derive(Debug)]
pub struct Users {
    delay: Duration,
    lookups: AtomicU64,
}

impl Users {
    /// A directory whose every lookup takes `delay`.
    pub fn new(delay: Duration) -> Self {
        Self { delay, lookups: AtomicU64::new(0) }
    }

    /// Looks someone up, which takes as long as [`Users::new`] was told, whether or not they exist.
    pub async fn lookup(&self, name: &str) -> Option<User> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        wait(self.delay).await;
        let (name, full_name, born, known_for) = PEOPLE.into_iter().find(|person| person.0 == name)?;
        Some(User { name: name.into(), full_name: full_name.into(), born, known_for: known_for.into() })
    }

    /// How many lookups were started.
    pub fn lookups(&self) -> u64 {
        self.lookups.load(Ordering::Relaxed)
    }

    /// The names in the directory.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PEOPLE.into_iter().map(|person| person.0)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the slowness of this directory is meant, and nothing is decided by it"
)]
async fn wait(delay: Duration) {
    tokio::time::sleep(delay).await;
}

const PEOPLE: [(&str, &str, u16, &str); 8] = [
    ("ada", "Ada Lovelace", 1815, "the first published program"),
    ("alan", "Alan Turing", 1912, "what can be computed at all"),
    ("barbara", "Barbara Liskov", 1939, "abstract data types, and what a subtype must keep"),
    ("edsger", "Edsger W. Dijkstra", 1930, "shortest paths, semaphores and structured programs"),
    ("grace", "Grace Hopper", 1906, "the first compiler"),
    ("katherine", "Katherine Johnson", 1918, "the orbits of Mercury and Apollo"),
    ("margaret", "Margaret Hamilton", 1936, "the flight software of Apollo"),
    ("tony", "Tony Hoare", 1934, "quicksort and the logic of programs"),
];
