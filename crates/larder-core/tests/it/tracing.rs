//! The observer for `tracing`, and spans.

use std::{
    fmt::{Debug, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ::tracing::{
    Event, Id, Instrument as _, Level, Metadata, Subscriber,
    field::{Field, Visit},
    info_span,
    span::{Attributes, Record},
    subscriber::with_default,
};
use larder_core::{Cache, ErrorKind, Kept, Observer, Seat, TracingObserver};
use tracing_core::span::Current;

use crate::{
    guarded,
    support::{Act, Cluster, Rig, Scripted, fine},
};

/// Remembers events as text, and knows which span is entered.
#[derive(Clone, Default)]
struct Lines {
    written: Arc<Mutex<Vec<(Level, String)>>>,
    spans: Arc<Mutex<Vec<(Id, &'static Metadata<'static>)>>>,
    entered: Arc<Mutex<Vec<Id>>>,
    next: Arc<AtomicU64>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = Id::from_u64(self.next.fetch_add(1, Ordering::SeqCst) + 1);
        self.spans.lock().unwrap().push((id.clone(), span.metadata()));
        id
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().target()));
        event.record(&mut line);
        self.written.lock().unwrap().push((*event.metadata().level(), line.0));
    }
    fn enter(&self, id: &Id) {
        self.entered.lock().unwrap().push(id.clone());
    }
    fn exit(&self, id: &Id) {
        let mut entered = self.entered.lock().unwrap();
        if let Some(at) = entered.iter().rposition(|other| other == id) {
            entered.remove(at);
        }
    }
    fn current_span(&self) -> Current {
        let Some(id) = self.entered.lock().unwrap().last().cloned() else { return Current::none() };
        let meta = self.spans.lock().unwrap().iter().find(|(known, _)| *known == id).unwrap().1;
        Current::new(id, meta)
    }
}

fn run(observer: TracingObserver) -> Vec<(Level, String)> {
    let lines = Lines::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    with_default(lines.clone(), || {
        runtime.block_on(async {
            let rig = Rig::with(Scripted::default(), |b| b.observer(Arc::new(observer)));
            rig.cache.get_or_load("secret", || async { fine("x".to_owned()) }).await.unwrap();
            rig.cache.get::<String>("secret").await.unwrap();
            rig.cache.get::<Vec<u8>>("secret").await.unwrap();
            rig.cache.get_or_load("secret", || async { Err::<Vec<u8>, _>("no rows") }).await.unwrap_err();
            rig.store.once("set", Act::Fail(ErrorKind::Unavailable));
            rig.cache.set("secret", 1_u8).await.unwrap_err();
        });
    });
    let lines = lines.written.lock().unwrap();
    lines.iter().filter(|(_, line)| line.starts_with("larder ")).cloned().collect()
}

#[test]
fn trouble_is_written_and_keys_are_not() {
    let lines = run(TracingObserver::new());
    let levels: Vec<_> = lines.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels[0], Level::TRACE, "{lines:?}");
    assert!(
        levels.contains(&Level::DEBUG) && levels.iter().filter(|level| **level == Level::WARN).count() == 3
    );
    assert!(lines.iter().any(|(_, line)| line.contains("not served from the store")), "{lines:?}");
    assert!(
        lines.iter().any(|(_, line)| line.contains("load failed") && line.contains("no rows")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|(_, line)| line.contains("operation=\"set\"") && line.contains("unavailable")),
        "{lines:?}"
    );
    assert!(lines.iter().all(|(_, line)| !line.contains("secret")), "{lines:?}");
    let shown = run(TracingObserver::new().with_keys(true));
    assert!(shown.iter().any(|(_, line)| line.contains("key=\"1/:secret\"")), "{shown:?}");
}

#[test]
fn a_load_runs_in_the_span_of_its_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    with_default(Lines::default(), || {
        runtime.block_on(async {
            let rig = Rig::new();
            let seen = || ::tracing::Span::current().metadata().map(::tracing::Metadata::name);
            let load =
                rig.cache.get_or_load("a", move || async move { fine(seen().unwrap_or("none").to_owned()) });
            assert_eq!(load.instrument(info_span!("request")).await.unwrap().as_str(), "request");
            let batch = rig.cache.get_or_load_many(["b"], move |_| async move {
                fine(std::collections::HashMap::from([("b".to_owned(), seen().unwrap_or("none").to_owned())]))
            });
            let found = batch.instrument(info_span!("batch")).await;
            assert_eq!(found[0].as_ref().unwrap().as_ref().unwrap().as_str(), "batch");
            let outside =
                rig.cache.get_or_load("c", move || async move { fine(seen().unwrap_or("none").to_owned()) });
            assert_eq!(outside.await.unwrap().as_str(), "none");
        });
    });
}

/// In which span each load was told of that gave a value.
#[derive(Debug, Default)]
struct LoadedIn(Mutex<Vec<&'static str>>);

impl Observer for LoadedIn {
    fn event(&self, event: &larder_core::Event<'_>) {
        if matches!(event, larder_core::Event::Loaded { .. }) {
            let span = ::tracing::Span::current().metadata().map(::tracing::Metadata::name);
            self.0.lock().unwrap().push(span.unwrap_or("none"));
        }
    }
}

#[test]
fn what_is_carried_to_its_end_stays_in_the_span_of_its_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    with_default(Lines::default(), || {
        runtime.block_on(async {
            let seen = Arc::new(LoadedIn::default());
            let observer = Arc::clone(&seen) as Arc<dyn Observer>;
            let rig = Cluster::new().process_with(|b| b.observer(observer));
            rig.store.always("replace", Act::Yield);
            let Seat::Leader(leader) = rig.cache.seat::<u8>("a").await.unwrap() else {
                panic!("nobody else")
            };
            let commit = leader.commit(Arc::new(1), std::time::Duration::from_mins(1));
            assert_eq!(commit.instrument(info_span!("request")).await, Kept::Yes);
            assert_eq!(*seen.0.lock().unwrap(), ["request"]);
        });
    });
}

#[test]
fn circuits_are_written_and_what_an_open_one_refuses_is_not_a_warning_each_time() {
    let lines = Lines::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    with_default(lines.clone(), || {
        runtime.block_on(async {
            let rig = guarded::Rig::new(1);
            let observer = Arc::new(TracingObserver::new());
            let cache = Cache::builder(rig.handle.clone()).observer(observer).build().unwrap();
            rig.open(0).await;
            for _ in 0..50 {
                cache.get::<u8>("a0").await.unwrap_err();
            }
            rig.recover(0).await;
        });
    });
    let written = lines.written.lock().unwrap();
    let above_trace: Vec<_> = written
        .iter()
        .filter(|(level, line)| *level != Level::TRACE && line.starts_with("larder "))
        .map(|(level, line)| (*level, line.contains("server=\"server0:1\""), line.split("state=").nth(1)))
        .collect();
    assert_eq!(
        above_trace,
        [
            (Level::WARN, true, Some("\"open\" ")),
            (Level::INFO, true, Some("\"half_open\" ")),
            (Level::INFO, true, Some("\"closed\" ")),
        ]
    );
    assert_eq!(written.iter().filter(|(_, line)| line.contains("not asked")).count(), 50);
}
