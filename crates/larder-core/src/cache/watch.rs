//! A load runs for those who wait for it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use crate::flight::LeaderGuard;

/// Runs `load` while anyone waits for one of the flights it is for; `None` if nobody does any more.
pub(super) async fn while_watched<L>(guards: &[&LeaderGuard], load: impl Future<Output = L>) -> Option<L> {
    let mut load = pin!(load);
    loop {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(load.as_mut().poll(context))).await {
            return Some(output);
        }
        // Apart, for the loads that wait for nothing.
        let mut unwatched = Box::pin(async {
            for guard in guards {
                guard.flight().unwatched().await;
            }
        });
        let ended = poll_fn(|context| {
            if let Poll::Ready(output) = load.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            unwatched.as_mut().poll(context).map(|()| None)
        });
        if let Some(output) = ended.await {
            return Some(output);
        }
        // Someone may have joined in between: that is decided under the lock they joined under. Each is asked, as each that
        // nobody waits for is freed.
        let watched = guards.iter().filter(|guard| !guard.table().release_unwatched(guard.flight())).count();
        if watched == 0 {
            return None;
        }
    }
}
