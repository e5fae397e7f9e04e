//! A single-threaded executor that is steered by a seed: of everything that could go on, the dice choose what does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    time::Duration,
};

use larder_core::{BoxFuture, Error, ErrorKind, Result, Spawn};

use super::{dice::Dice, time::Time};

/// Whose task it is: those of a node are gone when it crashes, and stand still while it is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    World,
    Node {
        node: usize,
        /// Counts its restarts.
        life: u64,
    },
}

pub(super) struct Executor {
    pub(super) time: Arc<Time>,
    pub(super) dice: Arc<Dice>,
    ready: Arc<Ready>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<u64, (Owner, BoxFuture<'static, ()>)>,
    next: u64,
    /// By node.
    lives: BTreeMap<usize, u64>,
    paused: BTreeSet<usize>,
}

/// The tasks that can go on.
#[derive(Default)]
struct Ready(Mutex<BTreeSet<u64>>);

struct Alarm(u64, Arc<Ready>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.1.0.lock().unwrap().insert(self.0);
    }
}

impl Executor {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            time: Arc::default(),
            dice: Arc::new(Dice::new(seed)),
            ready: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// Starts a task, unless its node is of an earlier life.
    pub(super) fn start(&self, owner: Owner, task: BoxFuture<'static, ()>) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        if let Owner::Node { node, life } = owner
            && state.lives.get(&node).copied().unwrap_or_default() != life
        {
            return Err(Error::new(ErrorKind::Config, "the node has crashed"));
        }
        state.next += 1;
        let id = state.next;
        state.tasks.insert(id, (owner, task));
        self.ready.0.lock().unwrap().insert(id);
        Ok(())
    }

    /// Drops every task of a node. Its next life has the number returned.
    pub(super) fn crash(&self, node: usize) -> u64 {
        let mut state = self.state.lock().unwrap();
        let life = state.lives.entry(node).or_default();
        *life += 1;
        let life = *life;
        state.paused.remove(&node);
        let dead: Vec<_> = state.tasks.extract_if(.., |_, (owner, _)| is_of(*owner, node)).collect();
        // Outside the lock: what is dropped may try to start tasks.
        drop(state);
        drop(dead);
        life
    }

    pub(super) fn pause(&self, node: usize, paused: bool) {
        let mut state = self.state.lock().unwrap();
        if paused {
            state.paused.insert(node)
        } else {
            state.paused.remove(&node)
        };
    }

    pub(super) fn heal(&self) {
        self.state.lock().unwrap().paused.clear();
    }

    /// Drops everything.
    pub(super) fn end(&self) {
        loop {
            let left = std::mem::take(&mut self.state.lock().unwrap().tasks);
            if left.is_empty() {
                return;
            }
        }
    }

    /// How many tasks nodes have.
    pub(super) fn tasks_of_nodes(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.tasks.values().filter(|(owner, _)| *owner != Owner::World).count()
    }

    /// Lets one task go on, or time pass; `false` if neither is possible.
    pub(super) fn step(&self) -> bool {
        // Now and then time passes although someone could go on: computing takes time, too.
        if self.dice.chance(4) && self.time.advance(Duration::from_millis(20)) {
            return true;
        }
        let Some(id) = self.choose() else { return self.time.advance(Duration::MAX) };
        let (owner, mut task) = self.state.lock().unwrap().tasks.remove(&id).expect("it was chosen");
        let waker = Waker::from(Arc::new(Alarm(id, Arc::clone(&self.ready))));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.state.lock().unwrap().tasks.insert(id, (owner, task));
        }
        true
    }

    fn choose(&self) -> Option<u64> {
        let state = self.state.lock().unwrap();
        let mut ready = self.ready.0.lock().unwrap();
        ready.retain(|id| state.tasks.contains_key(id));
        let is_free = |id: &&u64| match state.tasks[id].0 {
            Owner::World => true,
            Owner::Node { node, .. } => !state.paused.contains(&node),
        };
        let free: Vec<u64> = ready.iter().filter(is_free).copied().collect();
        let id = *free.get(self.dice.pick(free.len().max(1)))?;
        ready.remove(&id);
        Some(id)
    }
}

fn is_of(owner: Owner, of: usize) -> bool {
    matches!(owner, Owner::Node { node, .. } if node == of)
}

/// Lets others go on first, as often as the dice say.
pub(super) async fn dawdle(dice: &Dice) {
    for _ in 0..dice.below(4) {
        tokio::task::yield_now().await;
    }
}

/// Where the tasks of one life of a node start.
pub(super) struct Start {
    pub(super) executor: Arc<Executor>,
    pub(super) owner: Owner,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Start({:?})", self.owner)
    }
}

impl Spawn for Start {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        self.executor.start(self.owner, task)
    }
}
