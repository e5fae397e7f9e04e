//! Random sequences of operations against a model of what a store is.

mod operation;
mod replay;
mod shrink;
mod state;

use std::{env, fmt, str::FromStr};

use larder_core::{Clock as _, SystemClock};

use crate::{
    case::{RETAINS, cases},
    check::{Failure, Outcome},
    random::Random,
    subject::Subject,
};

cases! { "model":
    random_operations [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15] needs [RETAINS];
}

/// Which sequences to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Of the first sequence; the next one has the next number.
    pub(crate) seed: u64,
    /// How many sequences.
    pub(crate) cases: u32,
}

impl Plan {
    /// How many sequences there are where nothing else is said.
    pub(crate) const USUAL: u32 = 64;
    const SEED: &str = "LARDER_MODEL_SEED";
    const CASES: &str = "LARDER_MODEL_CASES";

    /// As the environment says, else some sequences that were not tried before.
    pub(crate) fn from_env() -> Result<Self, String> {
        Ok(Self {
            seed: number(Self::SEED)?.unwrap_or_else(|| SystemClock::new().now().as_nanos() % 1_000_000_007),
            cases: number(Self::CASES)?.unwrap_or(Self::USUAL),
        })
    }
}

fn number<T: FromStr>(variable: &str) -> Result<Option<T>, String> {
    let Some(text) = env::var_os(variable) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| format!("`{variable}` must be a whole number, and is {}", text.display()))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} {}={}", Self::SEED, self.seed, Self::CASES, self.cases)
    }
}

/// How many operations a sequence has.
const LENGTH: usize = 60;

async fn random_operations(subject: &Subject) -> Outcome {
    let plan = subject.plan();
    for number in 0..u64::from(plan.cases) {
        let seed = plan.seed.wrapping_add(number);
        let mut random = Random::new(seed);
        let kinds = operation::Kinds::of(subject);
        let sequence: Vec<_> =
            (0..LENGTH).map(|_| operation::Operation::random(&mut random, &kinds)).collect();
        let Err(broken) = replay::replay(subject, &sequence).await else { continue };
        let (sequence, broken) = shrink::shrink(subject, sequence, broken).await;
        return Err(Failure::new(format_args!(
            "the store and the model part ways; the shortest sequence found:\n{}  {}\n  to see it again: {}",
            replay::describe(&sequence, broken.step),
            broken.what,
            Plan { seed, cases: 1 },
        )));
    }
    Ok(())
}
