//! Probes: how a server is found to be back without a caller paying for it.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};

use super::{
    Call, Shared,
    circuit::{Admission, Circuit, Phase},
    trial::Extent,
    verdict::Verdict,
};
use crate::{
    CircuitState, Error, Timestamp,
    sync::{Arc, Ordering},
};

impl Shared {
    /// Sees to it that a task probes the server for as long as `phase` lasts; `false` if none can be started.
    pub(super) fn probe(self: &Arc<Self>, server: usize, phase: Phase) -> bool {
        if phase.state() != CircuitState::Open
            || self.circuits[server].probed.swap(phase.number(), Ordering::AcqRel) == phase.number()
        {
            return true;
        }
        let probe = Probe { shared: Arc::clone(self), server, phase };
        let stop = self.stop.clone();
        let task = async move {
            stop.run_until_cancelled_owned(probe.run()).await;
        };
        // Why not is nothing that the caller of an operation could use.
        self.spawn.spawn(Box::pin(task)).is_ok()
    }

    /// A call met a circuit that is not closed and that no task probes: half open, or the runtime of the task is gone, or
    /// there never was one.
    #[cold]
    pub(super) fn admit_unprobed(
        self: &Arc<Self>,
        server: usize,
        phase: Phase,
        extent: Extent,
    ) -> Result<Call<'_>, Error> {
        let circuit = &self.circuits[server];
        if self.probe(server, phase) {
            return Err(circuit.refusal());
        }
        // Without tasks, calls do what probes would.
        let now = self.clock.now();
        if now.saturating_since(circuit.opened()) >= circuit.config.probe_interval {
            circuit.half_open(phase, now);
        }
        match circuit.admit(extent) {
            Admission::Granted(phase) => Ok(Call::new(self, server, phase, extent)),
            Admission::Refused(_) => Err(circuit.refusal()),
        }
    }
}

struct Probe {
    shared: Arc<Shared>,
    server: usize,
    phase: Phase,
}

impl Probe {
    async fn run(self) {
        let (shared, circuit) = (&self.shared, self.circuit());
        loop {
            let pause = spread(circuit.config.probe_interval, shared.clock.now(), self.server);
            shared.clock.sleep(pause).await;
            if circuit.phase() != self.phase {
                return;
            }
            if self.is_answered().await {
                circuit.half_open(self.phase, shared.clock.now());
                return;
            }
        }
    }

    async fn is_answered(&self) -> bool {
        let ping = pin!(self.shared.store.ping(self.server));
        let timer = self.shared.clock.sleep(self.circuit().config.probe_timeout);
        match select(ping, timer).await {
            Either::Left((answer, _)) => Verdict::of(&answer) == Verdict::Answered,
            Either::Right(_) => false,
        }
    }

    fn circuit(&self) -> &Circuit {
        &self.shared.circuits[self.server]
    }
}

/// Also when the task is dropped before its end, with its runtime.
impl Drop for Probe {
    fn drop(&mut self) {
        // Not if a later phase is probed already.
        let _ = self.circuit().probed.compare_exchange(
            self.phase.number(),
            0,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
}

/// `interval`, up to a fifth longer or shorter. The time at which a circuit opened differs between processes by far more
/// than a nanosecond, so it is all the randomness there need be.
fn spread(interval: Duration, now: Timestamp, server: usize) -> Duration {
    let seed = now.as_nanos() ^ u64::try_from(server).unwrap_or(0).rotate_left(32);
    // The finaliser of SplitMix64.
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let percent = 80 + (mixed ^ (mixed >> 31)) % 41;
    interval / 100 * u32::try_from(percent).expect("at most 120")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_a_fifth_to_either_side() {
        let interval = Duration::from_millis(250);
        let pauses: Vec<_> =
            (0..1_000).map(|n| spread(interval, Timestamp::from_nanos((1 << 60) + n * 977), 0)).collect();
        assert!(pauses.iter().all(|pause| (200..=300).contains(&pause.as_millis())));
        let (short, long) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(short.as_millis() < 210 && long.as_millis() > 290, "{short:?}..{long:?}");
        assert_ne!(
            spread(interval, Timestamp::from_nanos(5), 0),
            spread(interval, Timestamp::from_nanos(5), 1)
        );
    }
}
