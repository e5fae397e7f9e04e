//! Servers of a cluster that answer nothing, while others do. Their connections are in order, so that the client never learns by itself
//! who has taken over.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fred::{
    clients::{Client, WithOptions},
    interfaces::ClusterInterface as _,
    types::{Value as Answer, cluster::ClusterRouting, config::Server},
};
use larder_core::{Spawn as _, Timestamp, TokioSpawn};

use crate::command::Command;

/// How often the others are asked who has its slots now.
const ASK: Duration = Duration::from_millis(250);

/// A server that is suspected.
#[derive(Debug)]
struct Suspect {
    server: Server,
    /// Its slots, first and last.
    slots: Vec<(u16, u16)>,
    /// When the others are to be asked.
    next: Timestamp,
}

impl Suspect {
    fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

/// The servers that are suspected.
#[derive(Debug, Default)]
pub(crate) struct Hanging {
    /// Whether there is any: all that a command looks at which was answered.
    is_any: AtomicBool,
    suspects: Mutex<Vec<Suspect>>,
    is_asking: AtomicBool,
}

impl Hanging {
    fn suspects(&self) -> MutexGuard<'_, Vec<Suspect>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what was answered has to be told to [`answered`](Self::answered).
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    /// Whoever has this slot has answered.
    #[cold]
    pub(crate) fn answered(&self, slot: u16) {
        let mut suspects = self.suspects();
        suspects.retain(|suspect| !suspect.has(slot));
        self.is_any.store(!suspects.is_empty(), Ordering::Relaxed);
    }

    /// The server that has this slot has not answered in time. When it has not for a while, the others are asked who has the slot, and
    /// the client looks for the slots anew if it is not the one that it knows. It does not look without cause: all commands wait meanwhile.
    #[cold]
    pub(crate) fn unanswered(
        self: &Arc<Self>,
        client: &WithOptions<Client>,
        slot: u16,
        now: Timestamp,
        patience: Duration,
    ) {
        let Some(routing) = client.cached_cluster_state() else { return };
        let Some(server) = routing.get_server(slot) else { return };
        let mut suspects = self.suspects();
        let Some(suspect) = suspects.iter_mut().find(|suspect| suspect.server == *server) else {
            let of_server = routing.slots().iter().filter(|range| range.primary == *server);
            let slots = of_server.map(|range| (range.start, range.end)).collect();
            suspects.push(Suspect { server: server.clone(), slots, next: now.saturating_add(patience) });
            self.is_any.store(true, Ordering::Relaxed);
            return;
        };
        if now < suspect.next || self.is_asking.swap(true, Ordering::Relaxed) {
            return;
        }
        suspect.next = now.saturating_add(ASK);
        drop(suspects);
        let (hanging, client) = (Arc::clone(self), client.clone());
        // It ends with the operation timeout, or with the client.
        let asking = async move {
            if has_another(&client, &routing, slot).await {
                // What comes of it the next operations see.
                let _ = client.sync_cluster().await;
            }
            hanging.is_asking.store(false, Ordering::Relaxed);
        };
        if TokioSpawn.spawn(Box::pin(asking)).is_err() {
            self.is_asking.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether the first of the other servers that answers says that another one has this slot than the client knows.
async fn has_another(client: &WithOptions<Client>, routing: &ClusterRouting, slot: u16) -> bool {
    let Some(known) = routing.slots().iter().find(|range| (range.start..=range.end).contains(&slot)) else {
        return false;
    };
    for other in routing.unique_primary_nodes().into_iter().filter(|server| *server != known.primary) {
        let Some(way) = routing.slots().iter().find(|range| range.primary == other) else { continue };
        let command = Command::bare("CLUSTER").arg("SLOTS").by_way_of(way.start);
        if let Ok(answer) = command.send(client).await {
            return owner(&answer, slot).is_some_and(|owner| owner != &*known.id);
        }
    }
    false
}

fn parts(answer: &Answer) -> Option<&[Answer]> {
    match answer {
        Answer::Array(parts) => Some(parts),
        _ => None,
    }
}

/// What the primary of a slot is called: `[[first, last, [host, port, name, ..], ..], ..]`.
fn owner(answer: &Answer, slot: u16) -> Option<&str> {
    let range = parts(answer)?.iter().filter_map(parts).find(|range| match range {
        [Answer::Integer(first), Answer::Integer(last), _, ..] => (*first..=*last).contains(&i64::from(slot)),
        _ => false,
    })?;
    match parts(&range[2])?.get(2)? {
        Answer::String(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_slot_is_read() {
        let array = |parts: Vec<Answer>| Answer::Array(parts);
        let server = |name: &str| array(vec!["127.0.0.1".into(), 7000.into(), name.into(), array(vec![])]);
        let answer = array(vec![
            array(vec![0.into(), 99.into(), server("a"), server("replica")]),
            array(vec![100.into(), 100.into(), server("b")]),
            array(vec![101.into(), 16_383.into(), array(vec![Answer::Null])]),
        ]);
        assert_eq!([0, 99, 100].map(|slot| owner(&answer, slot)), [Some("a"), Some("a"), Some("b")]);
        assert_eq!(owner(&answer, 101), None);
        for other in [Answer::Null, "OK".into(), array(vec!["x".into()]), array(vec![])] {
            assert_eq!(owner(&other, 7), None, "{other:?}");
        }
    }
}
