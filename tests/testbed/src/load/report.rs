//! What a load found, and whether that will do.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};

use super::ledger::Wrong;
use super::options::LoadOptions;
use super::tally::{Recovery, Tally};

/// What a call may take beyond the operation timeout.
const GRACE: Duration = Duration::from_millis(50);
/// How long after the server could serve the store may still fail.
const RECOVERY: Duration = Duration::from_secs(2);

/// The findings of one load; `{}` shows them all.
pub struct LoadReport {
    pub(super) tally: Tally,
    pub(super) options: LoadOptions,
    pub(super) worst_lag: Duration,
    pub(super) worked: Duration,
}

impl LoadReport {
    /// An error that says everything that is wrong: a wrong answer; calls that took longer than the operation timeout and
    /// 50 ms, or the worst scheduling lag where that is more (for one in a thousand: and both); calls that never ended; a
    /// recovery that took more than 2 s and that lag, or was not watched for longer than 2 s; a load that hit nothing.
    pub fn verdict(&self) -> Result<()> {
        let mut complaints: Vec<String> = Vec::new();
        for (lie, count) in &self.tally.lies {
            complaints.push(format!("{count} wrong answer(s): {lie:?}"));
        }
        complaints.extend(self.tally.wrong.iter().map(|wrong| format!("  {}", wrong.what())));
        let limit = self.options.operation_timeout + GRACE;
        // One pause of the machine ends more than one call in a thousand late.
        let most = self.options.operation_timeout + GRACE.max(self.worst_lag);
        if self.quantile(0.999) > most {
            complaints.push(format!("p99.9 is {:?}, over {most:?}", self.quantile(0.999)));
        }
        if self.worst() > limit + self.worst_lag {
            let lag = self.worst_lag;
            complaints.push(format!(
                "the longest call took {:?}, over {limit:?} and a lag of {lag:?}",
                self.worst()
            ));
        }
        if self.tally.hung > 0 {
            complaints.push(format!("{} call(s) never ended", self.tally.hung));
        }
        complaints
            .extend(self.tally.recoveries.iter().filter_map(|recovery| complaint(recovery, self.worst_lag)));
        if self.tally.hits == 0 {
            complaints.push("no call hit anything, so nothing was checked".to_owned());
        }
        if complaints.is_empty() {
            return Ok(());
        }
        bail!("the load found:\n{}", complaints.join("\n"))
    }

    /// Prints all of it, also out of a test that passes: what the test harness keeps to itself of those is what goes
    /// through `print!`.
    pub fn print(&self, title: &str) {
        // Nobody reads it where there is no output.
        let _ = writeln!(std::io::stdout().lock(), "{title}\n{self}");
    }

    /// Wrong answers, the first twenty.
    pub fn wrong(&self) -> &[Wrong] {
        &self.tally.wrong
    }

    /// Calls that came to an end.
    pub fn calls(&self) -> u64 {
        self.tally.durations.len()
    }

    /// Answers that were values, each of which was checked.
    pub fn hits(&self) -> u64 {
        self.tally.hits
    }

    /// Calls that ended with an error.
    pub fn failures(&self) -> u64 {
        self.tally.failures.values().sum()
    }

    /// Calls that ended with an error before the first fault.
    pub fn calm_failures(&self) -> u64 {
        self.tally.calm_failures
    }

    /// Calls that were dropped.
    pub fn cancelled(&self) -> u64 {
        self.tally.cancelled
    }

    /// Answers older than an acknowledged write, where that is allowed.
    pub fn stale(&self) -> u64 {
        self.tally.stale
    }

    /// The longest call.
    pub fn worst(&self) -> Duration {
        self.tally.worst
    }

    /// The duration that this share of the calls did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.tally.durations.value_at_quantile(share))
    }

    /// How much later than asked a task that only sleeps woke up, at worst.
    pub fn worst_lag(&self) -> Duration {
        self.worst_lag
    }

    /// After each fault.
    pub fn recoveries(&self) -> &[Recovery] {
        &self.tally.recoveries
    }
}

fn complaint(recovery: &Recovery, lag: Duration) -> Option<String> {
    let limit = RECOVERY + lag;
    let fault = recovery.fault();
    if recovery.first_success().is_none_or(|success| success > limit) {
        return Some(format!(
            "{fault}: no call succeeded within {limit:?} of the server's being able to serve"
        ));
    }
    if let Some(failure) = recovery.last_failure().filter(|failure| *failure > limit) {
        return Some(format!("{fault}: a call still failed {failure:?} after the server was able to serve"));
    }
    let watched = recovery.watched();
    (watched <= RECOVERY)
        .then(|| format!("{fault}: watched for {watched:?} only, no longer than {RECOVERY:?}"))
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tally, options) = (&self.tally, &self.options);
        let (calls, seconds) = (self.calls(), self.worked.as_secs_f64());
        writeln!(
            f,
            "load: {calls} calls of {} tasks in {seconds:.1} s, seed {}",
            options.tasks, options.seed
        )?;
        writeln!(
            f,
            "  {} hits checked, {} misses, {} failed ({} before any fault), {} dropped, {} stale where allowed",
            tally.hits,
            tally.misses,
            self.failures(),
            tally.calm_failures,
            tally.cancelled,
            tally.stale
        )?;
        write!(f, "  durations:")?;
        for share in [0.5, 0.9, 0.99, 0.999, 0.9999] {
            write!(f, " p{} {:.2?},", share * 100.0, self.quantile(share))?;
        }
        writeln!(f, " worst {:.2?}; worst scheduling lag {:.2?}", self.worst(), self.worst_lag)?;
        let mut cumulative = 0;
        for step in tally.durations.iter_log(64, 2.0) {
            let count = step.count_since_last_iteration();
            cumulative += count;
            if count > 0 {
                let until = Duration::from_micros(step.value_iterated_to());
                writeln!(f, "  {:>9.2?} {count:>9}  {:>7.3} %", until, percent(cumulative, calls))?;
            }
        }
        for ((operation, kind), count) in &tally.failures {
            writeln!(f, "  failed: {operation} {kind}: {count}")?;
        }
        for recovery in &tally.recoveries {
            let (first, last) = (recovery.first_success(), recovery.last_failure());
            write!(f, "  after {}: ", recovery.fault())?;
            write!(f, "first success after {first:.1?}, last failure after {last:.1?}, ")?;
            writeln!(f, "watched for {:.1?}", recovery.watched())?;
        }
        Ok(())
    }
}

impl fmt::Debug for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a reader, not for sums")]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
