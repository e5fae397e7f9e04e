//! A run: nodes with clients, what happens to them, and the peace after it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{Cache, ClearBy, SeededRandom, StoreHandle};

use super::{
    client::Client,
    connection::Connection,
    executor::{Owner, Start},
    setup::{LOAD_TIMEOUT, LONG, OPERATION_TIMEOUT, ROWS, Setup},
    world::{Violation, World},
};

/// No run takes more steps than this.
const STEPS: u64 = 500_000;

/// How long after the last trouble a row is fresh again whose invalidation failed, and was replayed.
const REPLAYED: Duration = Duration::from_secs(8);

pub(super) struct Scenario {
    world: Arc<World>,
    nodes: Mutex<Vec<Option<Node>>>,
    /// Clients that are not done.
    busy: Arc<AtomicUsize>,
    over: AtomicBool,
}

#[derive(Clone)]
struct Node {
    handle: StoreHandle,
    client: Client,
}

/// What a run saw.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) violation: Option<Violation>,
    pub(super) trace: String,
    /// How often what happened.
    pub(super) tally: BTreeMap<String, u64>,
    pub(super) steps: u64,
}

struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a setup by a seed.
pub(super) fn run(setup: Setup, seed: u64) -> Report {
    // Only so that the core finds one: nothing runs on it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let world = World::new(setup, seed);
    let scenario = Arc::new(Scenario {
        world: Arc::clone(&world),
        nodes: Mutex::new(vec![None; setup.nodes]),
        busy: Arc::default(),
        over: AtomicBool::new(false),
    });
    let executor = Arc::clone(&world.executor);
    // Before anything can happen to them: time may pass before a task's first turn.
    for node in 0..setup.nodes {
        scenario.start_node(node, 0, setup.operations);
    }
    executor.start(Owner::World, Box::pin(Arc::clone(&scenario).direct())).unwrap();
    if setup.storms || setup.crashes {
        executor.start(Owner::World, Box::pin(Arc::clone(&scenario).trouble())).unwrap();
    }
    let mut steps = 0;
    while !scenario.over.load(Ordering::Relaxed) && world.violation().is_none() {
        steps += 1;
        if steps == STEPS || !executor.step() {
            world.violated("everything comes to rest", format!("after {steps} steps"));
            break;
        }
    }
    let report = Report { violation: world.violation(), trace: world.trace(), tally: world.tally(), steps };
    scenario.nodes.lock().unwrap().clear();
    for node in 0..setup.nodes {
        executor.crash(node);
    }
    executor.end();
    report
}

impl Scenario {
    fn start_node(&self, node: usize, life: u64, operations: u64) {
        let world = &self.world;
        let owner = Owner::Node { node, life };
        let spawn = Arc::new(Start { executor: Arc::clone(&world.executor), owner });
        let handle = StoreHandle::builder(Connection::new(world, node))
            .clock(world.clock(node))
            .spawn(Arc::clone(&spawn) as _)
            .build()
            .unwrap();
        handle.inject_faults(world.setup.faults);
        let random = world.seed ^ (node as u64) << 32 ^ life << 48;
        let cache = |clear_by| {
            Cache::builder(handle.clone())
                .namespace("model")
                .random(Arc::new(SeededRandom::new(random ^ u64::from(clear_by == ClearBy::Store))))
                .clear_by(clear_by)
                .clock(world.clock(node))
                .spawn(Arc::clone(&spawn) as _)
                .operation_timeout(OPERATION_TIMEOUT)
                .bulk_timeout(4 * OPERATION_TIMEOUT)
                .load_timeout(LOAD_TIMEOUT)
                .lease_timeout(2 * OPERATION_TIMEOUT)
                .clock_skew(world.setup.skew_bound)
                .default_timeout(Duration::from_hours(1))
                .build()
                .unwrap()
        };
        let clear_by = if world.setup.stamps { ClearBy::Stamps } else { ClearBy::Store };
        let client = Client {
            world: Arc::clone(world),
            node,
            owner,
            rows: cache(clear_by).namespace("rows").unwrap(),
            // Counters cannot live where namespaces are cleared by stamps.
            plain: cache(ClearBy::Store).namespace("plain").unwrap(),
        };
        for _ in 0..world.setup.clients {
            self.busy.fetch_add(1, Ordering::Relaxed);
            let (client, busy) = (client.clone(), Busy(Arc::clone(&self.busy)));
            let task = Box::pin(async move {
                client.run(operations).await;
                drop(busy);
            });
            world.executor.start(owner, task).unwrap();
        }
        self.nodes.lock().unwrap()[node] = Some(Node { handle, client });
        world.note(format_args!("node {node}: starts, life {life}"));
    }

    fn node(&self, node: usize) -> Option<Node> {
        self.nodes.lock().unwrap()[node].clone()
    }

    /// From the start to the end.
    async fn direct(self: Arc<Self>) {
        let (world, setup) = (&self.world, self.world.setup);
        if setup.storms {
            world.set_weather(2);
        }
        while self.busy.load(Ordering::Relaxed) > 0 {
            world.time().sleep(Duration::from_millis(50)).await;
        }
        world.executor.heal();
        world.set_weather(0);
        world.database_is_away.store(false, Ordering::Relaxed);
        world.healed.store(true, Ordering::Relaxed);
        world.note(format_args!("healed"));
        // Whoever is down comes up again.
        while (0..setup.nodes).any(|node| self.node(node).is_none()) {
            world.time().sleep(Duration::from_millis(50)).await;
        }
        // Where the writer lives, its failed invalidations have been replayed; elsewhere the old value expires.
        world.time().sleep(REPLAYED).await;
        self.read_all(|writer| self.is_alive(writer)).await;
        world.time().sleep(LONG + LOAD_TIMEOUT).await;
        self.read_all(|_| true).await;
        world.time().sleep(LOAD_TIMEOUT).await;
        self.check_rest().await;
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_alive(&self, writer: Owner) -> bool {
        match writer {
            Owner::World => true,
            Owner::Node { node, .. } => self.node(node).is_some_and(|node| node.client.owner == writer),
        }
    }

    /// Every node reads the newest version of each row whose last writer is to be relied on.
    async fn read_all(&self, is_fresh: impl Fn(Owner) -> bool) {
        for row in 0..ROWS {
            let newest = self.world.row(row);
            if newest.floor == newest.version || is_fresh(newest.writer) {
                self.world.rows.lock().unwrap()[row].floor = newest.version;
            }
            for node in 0..self.world.setup.nodes {
                let node = self.node(node).expect("all are up");
                self.world.note(format_args!("convergence: row {row} is at {}", newest.version));
                if !node.client.read(row).await {
                    self.world.violated("convergence after healing", format!("row {row} cannot be read"));
                }
            }
        }
    }

    /// Nothing is in doubt, busy or running.
    async fn check_rest(&self) {
        let world = &self.world;
        if world.setup.is_calm() {
            let counted = world.counted.load(Ordering::Relaxed);
            let node = self.node(0).expect("all are up").client;
            let sum = node.plain.get::<i64>("count").await.unwrap().map_or(0, |sum| *sum);
            if sum != counted {
                world.violated("counters sum exactly", format!("{sum} of {counted}"));
            }
        }
        for node in 0..world.setup.nodes {
            let Node { handle, client } = self.node(node).expect("all are up");
            let (doubts, busy) = (client.rows.stats().in_doubt, handle.busy_keys());
            if doubts > 0 || busy > 0 {
                let detail = format!("node {node}: {doubts} in doubt, {busy} busy");
                world.violated("convergence after healing", detail);
            }
            for cache in [&client.rows, &client.plain] {
                if let Err(error) = cache.close().await {
                    world.violated("everything comes to rest", format!("node {node}: {error}"));
                }
            }
        }
        let left = world.executor.tasks_of_nodes();
        if left > 0 {
            world.violated("everything comes to rest", format!("{left} tasks are left"));
        }
    }

    /// What happens to nodes, messages and the database.
    async fn trouble(self: Arc<Self>) {
        let (world, dice) = (&self.world, self.world.dice());
        while !world.healed.load(Ordering::Relaxed) {
            world.time().sleep(dice.millis(10, 300)).await;
            if world.healed.load(Ordering::Relaxed) {
                return;
            }
            let node = dice.pick(world.setup.nodes);
            match dice.below(5) {
                0 | 1 if world.setup.storms => {
                    world.set_weather(dice.below(60));
                    world.time().sleep(dice.millis(10, 1_500)).await;
                    world.set_weather(if world.healed.load(Ordering::Relaxed) { 0 } else { 2 });
                }
                2 if world.setup.storms => {
                    world.note(format_args!("node {node}: paused"));
                    world.executor.pause(node, true);
                    world.time().sleep(dice.millis(1, 2_000)).await;
                    world.executor.pause(node, false);
                    world.note(format_args!("node {node}: goes on"));
                }
                3 if world.setup.storms => {
                    world.database_is_away.store(true, Ordering::Relaxed);
                    world.note(format_args!("database: away"));
                    world.time().sleep(dice.millis(10, 1_000)).await;
                    world.database_is_away.store(false, Ordering::Relaxed);
                    world.note(format_args!("database: back"));
                }
                4 if world.setup.crashes => {
                    world.note(format_args!("node {node}: crashes"));
                    self.nodes.lock().unwrap()[node] = None;
                    let life = world.executor.crash(node);
                    world.time().sleep(dice.millis(0, 500)).await;
                    let rest = if life > 3 { 0 } else { world.setup.operations / 3 };
                    self.start_node(node, life, rest);
                }
                _ => {}
            }
        }
    }
}
