//! A replica to read from, where there is no cluster. The client itself knows the replicas of a cluster alone: elsewhere it would
//! silently read from the primary.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fred::types::{
    Value as Answer,
    config::{Config, Server, ServerConfig},
};
use futures_util::future;
use larder_core::{Clock as _, Result, Spawn as _, SystemClock, TokioSpawn};
use tokio::sync::watch;

use crate::{
    command::Command,
    connect,
    deadline::Deadline,
    error::Effect,
    lane::Lane,
    place::{Care, Place, keep_running},
    random,
    settings::Settings,
};

/// How often the primary is asked for its replicas.
const LOOK: Duration = Duration::from_secs(1);

/// The replica that is read from, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Replica(Mutex<Option<Chosen>>);

#[derive(Debug)]
struct Chosen {
    server: Server,
    place: Arc<Place>,
    /// Dropped with the choice: then its connection closes.
    _running: watch::Sender<()>,
}

impl Replica {
    fn chosen(&self) -> MutexGuard<'_, Option<Chosen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The replica's lane, while it is connected.
    pub(crate) fn lane(&self) -> Option<Arc<Lane>> {
        let lane = self.chosen().as_ref()?.place.lane();
        lane.reader().is_some().then_some(lane)
    }

    /// Keeps to a replica that is connected and still one of these, or takes another one.
    fn choose(
        &self,
        among: &[Server],
        config: &Config,
        settings: &Settings,
        clock: &Arc<SystemClock>,
    ) -> Result<()> {
        let mut chosen = self.chosen();
        let left = chosen
            .take_if(|chosen| chosen.place.lane().reader().is_none() || !among.contains(&chosen.server));
        // The one just given up only if there is no other.
        let others: Vec<&Server> =
            among.iter().filter(|server| left.as_ref().is_none_or(|left| left.server != **server)).collect();
        let server = match (chosen.is_some(), others.as_slice(), &left) {
            (true, ..) => return Ok(()),
            (_, [], Some(same)) if among.contains(&same.server) => same.server.clone(),
            (_, [], _) => return Ok(()),
            (_, others, _) => others[random::below(others.len())?].clone(),
        };
        let config =
            Config { server: ServerConfig::Centralized { server: server.clone() }, ..config.clone() };
        let (running, ended) = watch::channel(());
        let (settings, of_lane) = (settings.clone(), Arc::clone(clock));
        let another =
            move || Lane::new(connect::client(&config, &settings), &settings, Arc::clone(&of_lane), None);
        let place = Arc::new(Place::new(another()));
        let task = keep_running(Arc::clone(&place), Care::NONE, another, Arc::clone(clock), ended);
        TokioSpawn.spawn(Box::pin(task))?;
        *chosen = Some(Chosen { server, place, _running: running });
        Ok(())
    }
}

/// Looks for replicas until the store is gone.
pub(crate) async fn follow(
    primary: Arc<Place>,
    replica: Arc<Replica>,
    config: Config,
    settings: Settings,
    clock: Arc<SystemClock>,
    mut ended: watch::Receiver<()>,
) {
    let following = async {
        loop {
            let lane = primary.lane();
            let deadline = Deadline::after(&*clock, settings.operation_timeout);
            // Without a primary, or with one that does not tell, reads stay where they are; so they do where nothing can be spawned.
            if let Ok(client) = lane.ready(Effect::None, &deadline).await
                && let Ok(role) = Command::bare("ROLE").send(&*client).await
            {
                let _ = replica.choose(&replicas(&role), &config, &settings, &clock);
            }
            clock.sleep(LOOK).await;
        }
    };
    let closed = std::pin::pin!(ended.changed());
    future::select(std::pin::pin!(following), closed).await;
}

/// The replicas that a primary tells of: `["master", offset, [[host, port, offset], ..]]`.
fn replicas(role: &Answer) -> Vec<Server> {
    let Answer::Array(parts) = role else { return Vec::new() };
    let [name, _, Answer::Array(replicas)] = parts.as_slice() else { return Vec::new() };
    if name.as_str().as_deref() != Some("master") {
        return Vec::new();
    }
    let server = |replica: &Answer| match replica {
        Answer::Array(parts) => {
            Some(Server::new(parts.first()?.as_str()?.into_owned(), parts.get(1)?.as_str()?.parse().ok()?))
        }
        _ => None,
    };
    replicas.iter().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(parts: impl IntoIterator<Item = Answer>) -> Answer {
        Answer::Array(parts.into_iter().collect())
    }

    #[test]
    fn a_primary_tells_its_replicas() {
        let replica = |host: &str, port: &str| array([host.into(), port.into(), "14".into()]);
        let found =
            array([replica("10.0.0.2", "6379"), replica("10.0.0.3", "6380"), replica("10.0.0.4", "no")]);
        let role = array(["master".into(), 14.into(), found.clone()]);
        assert_eq!(replicas(&role), [Server::new("10.0.0.2", 6379), Server::new("10.0.0.3", 6380)]);
        for other in [
            array(["master".into(), 14.into(), array([])]),
            array(["slave".into(), "10.0.0.1".into(), 6379.into(), "connected".into(), 14.into()]),
            array(["sentinel".into(), 0.into(), found]),
            Answer::Null,
        ] {
            assert!(replicas(&other).is_empty(), "{other:?}");
        }
    }
}
