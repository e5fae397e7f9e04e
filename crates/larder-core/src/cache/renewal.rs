//! Renewing a lease in the background, for a load that is no future of ours.

use std::{pin::pin, sync::Arc};

use futures_util::future::select;
use tokio::sync::oneshot;

use super::{held::Held, inner::Inner};
use crate::{Result, Timestamp};

/// A lease that a task renews. Dropped, the lease is given back.
pub(super) struct Renewal {
    end: oneshot::Sender<()>,
    back: oneshot::Receiver<Box<Held>>,
}

impl Renewal {
    /// Renews `lease` until it is [taken back](Self::end), until this is dropped or the cache closed, and no longer than
    /// until `deadline`: whoever waits for it has an error then.
    pub(super) fn of(inner: &Arc<Inner>, lease: Box<Held>, deadline: Timestamp) -> Result<Self> {
        let (end, ended) = oneshot::channel();
        let (give, back) = oneshot::channel();
        let renewing = Arc::clone(inner);
        inner.start(async move {
            let mut lease = Some(lease);
            {
                let closed = pin!(renewing.stop.cancelled());
                let ended = pin!(select(ended, closed));
                // Whichever of them it was: it is not renewed any more.
                let ended = pin!(async { drop(renewing.by(deadline, ended).await) });
                renewing.while_held(&mut lease, ended).await;
            }
            // Where nobody takes it back it is dropped, and so given back.
            drop(lease.map(|lease| give.send(lease)));
        })?;
        Ok(Self { end, back })
    }

    /// The lease, to be used up; `None` where its task is gone.
    pub(super) async fn end(self) -> Option<Box<Held>> {
        let Self { end, back } = self;
        // Its task may have ended by itself: then the lease is there already.
        let _ = end.send(());
        back.await.ok()
    }
}
