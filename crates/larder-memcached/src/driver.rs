//! What a connection does all its life: connect, take what waits, make the trip, hand out the answers.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use larder_core::{Result, Timestamp};

use crate::{
    alarm::Alarm,
    connect::Connection,
    error::{self, Broken, Reach},
    exchange::{Exchange, Waiting},
    group::Group,
    replies::Reply,
    settings::Settings,
    shared::Shared,
};

/// The shortest and the longest rest between two attempts to connect.
const SHORTEST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_millis(500);

/// Drives one connection for ever. It owns the connection and everything that is on its way there; whoever polls it only
/// lends time.
pub(crate) async fn drive(shared: Arc<Shared>) {
    let mut alarm = Alarm::new(&shared.settings.timer);
    loop {
        poll_fn(|_| shared.poll_work()).await;
        let idle = shared.rest().take();
        let mut connection = match idle {
            Some(idle) if idle.line.is_quiet().await => idle,
            // It was closed, most likely by a restart. Nothing was sent on it, so nothing is lost.
            _ => connected(&shared, &mut alarm).await,
        };
        if serve(&shared, &mut connection, &mut alarm).await.is_ok() {
            *shared.rest() = Some(connection);
        } else {
            drop(connection);
            shared.hang_up();
        }
    }
}

/// Connects, however long it takes; meanwhile everyone who waits learns of each failure.
async fn connected(shared: &Shared, alarm: &mut Alarm) -> Connection {
    let mut rests = rests();
    loop {
        match attempt(shared, alarm).await {
            Ok(connection) => {
                shared.up();
                return connection;
            }
            Err(error) => {
                shared.down(&error);
                shared.settings.timer.sleep(rests.next().unwrap_or(LONGEST_REST)).await;
            }
        }
    }
}

/// The rests between attempts, so that many processes do not come back at once: of each, up to half is chance.
fn rests() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_REST / 2)
        .with_max_delay(LONGEST_REST / 2)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
        .map(|rest| rest.clamp(SHORTEST_REST, LONGEST_REST))
}

async fn attempt(shared: &Shared, alarm: &mut Alarm) -> Result<Connection> {
    let Settings { name, connect_timeout, operation_timeout, .. } = &*shared.settings;
    let limit = alarm.now().saturating_add(*connect_timeout);
    let mut connecting = pin!(shared.target.connect());
    loop {
        // Who comes into an empty queue has its whole time before it.
        let next = shared.oldest().unwrap_or_else(|| alarm.now().saturating_add(*operation_timeout));
        let ended = poll_fn(|context| match connecting.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => alarm.poll_at(limit.min(next), context).map(|()| None),
        });
        if let Some(result) = ended.await {
            return result;
        }
        let now = alarm.now();
        shared.expire(now);
        if now >= limit {
            let message = format!("no connection within {connect_timeout:?}");
            return Err(error::unreachable(name, std::io::Error::new(std::io::ErrorKind::TimedOut, message)));
        }
    }
}

/// Makes trips until nothing is left to do. An error means that the connection must not be used again.
async fn serve(shared: &Shared, connection: &mut Connection, alarm: &mut Alarm) -> Result<(), Broken> {
    let settings = &*shared.settings;
    let mut going_on: Vec<Group> = Vec::new();
    // Who ends a rest has just looked at the clock: doing so again would cost a single operation a measurable part.
    let mut now = Timestamp::from_nanos(shared.recent.load(Ordering::Relaxed));
    loop {
        let jobs = shared.take(now);
        if jobs.is_empty() && going_on.is_empty() {
            return Ok(());
        }
        let mut exchange = Exchange::plan(going_on, jobs, connection, settings);
        if exchange.is_empty() {
            going_on = Vec::new();
            continue;
        }
        let keys: Vec<&str> = exchange.asked.keys().map(String::as_str).collect();
        let limit = now.saturating_add(settings.operation_timeout);
        let made = trip(shared, &keys, &mut exchange.waiting, connection, alarm, limit).await;
        match made {
            Ok((replies, found)) => {
                if connection.line.wire().has_more() {
                    // One answer too many: none of the others can be trusted to be the right one.
                    exchange.waiting.fail(true, settings, &Broken::OutOfStep);
                    return Err(Broken::OutOfStep);
                }
                let (next, broken) = exchange.end(replies, found, settings);
                if let Some(broken) = broken {
                    for mut group in next {
                        group.fail(&error::lost(&settings.name, Reach::Waiting, &broken));
                    }
                    return Err(broken);
                }
                going_on = next;
                now = alarm.now();
            }
            Err(broken) => {
                let has_sent = connection.line.wire().has_sent();
                exchange.waiting.fail(has_sent, settings, &broken);
                return Err(broken);
            }
        }
    }
}

/// What a trip brings: the answers to our own commands, and the values read.
type Brought = (Vec<Reply>, HashMap<String, Vec<u8>>);

/// One trip, within the operation timeout. Those whose own time ends before that are told so meanwhile.
async fn trip(
    shared: &Shared,
    keys: &[&str],
    waiting: &mut Waiting,
    connection: &mut Connection,
    alarm: &mut Alarm,
    limit: Timestamp,
) -> Result<Brought, Broken> {
    let settings = &*shared.settings;
    let mut trip = pin!(travel(keys, connection));
    loop {
        let oldest = shared.oldest().unwrap_or(Timestamp::MAX).min(waiting.oldest());
        let ended = poll_fn(|context| match trip.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => alarm.poll_at(limit.min(oldest), context).map(|()| None),
        });
        if let Some(result) = ended.await {
            return result;
        }
        let now = alarm.now();
        waiting.expire(now, settings);
        shared.expire(now);
        if now >= limit {
            return Err(Broken::TimedOut(settings.operation_timeout));
        }
    }
}

async fn travel(keys: &[&str], connection: &mut Connection) -> Result<Brought, Broken> {
    let Connection { line, protocol, .. } = connection;
    let found = if keys.is_empty() {
        line.answers().await?;
        HashMap::new()
    } else {
        line.wire().begin_values();
        // Its answer comes last, behind those to our own commands.
        protocol.get_multi(keys).await?
    };
    Ok((line.wire().take_replies(), found))
}
