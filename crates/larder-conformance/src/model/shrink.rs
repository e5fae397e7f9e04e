//! Makes a failing sequence short enough to read.

use super::{
    operation::Operation,
    replay::{Broken, replay},
};
use crate::subject::Subject;

/// How many shorter sequences are tried: a store may be slow.
const TRIES: usize = 300;

/// Cuts off what comes after the failing step, then leaves out steps, runs of them first, then entries of batches, as
/// long as it still fails.
pub(super) async fn shrink(
    subject: &Subject,
    mut sequence: Vec<Operation>,
    broken: Broken,
) -> (Vec<Operation>, Broken) {
    sequence.truncate(broken.step + 1);
    let mut shrinking = Shrinking { subject, sequence, broken, tries: TRIES };
    let mut width = shrinking.sequence.len() / 2;
    while width > 0 {
        let mut at = 0;
        while at < shrinking.sequence.len() {
            let mut shorter = shrinking.sequence.clone();
            shorter.drain(at..(at + width).min(shorter.len()));
            if !shrinking.fails(shorter).await {
                at += width;
            }
        }
        width /= 2;
    }
    let mut step = 0;
    while step < shrinking.sequence.len() {
        let mut entry = 0;
        while let Some(less) = shrinking.sequence.get(step).and_then(|operation| operation.without(entry)) {
            let mut shorter = shrinking.sequence.clone();
            shorter[step] = less;
            if !shrinking.fails(shorter).await {
                entry += 1;
            }
        }
        step += 1;
    }
    (shrinking.sequence, shrinking.broken)
}

/// The shortest sequence so far.
struct Shrinking<'a> {
    subject: &'a Subject,
    sequence: Vec<Operation>,
    broken: Broken,
    tries: usize,
}

impl Shrinking<'_> {
    /// Takes the shorter sequence if it fails too.
    async fn fails(&mut self, mut shorter: Vec<Operation>) -> bool {
        let Some(left) = self.tries.checked_sub(1) else { return false };
        self.tries = left;
        let Err(broken) = replay(self.subject, &shorter).await else { return false };
        shorter.truncate(broken.step + 1);
        (self.sequence, self.broken) = (shorter, broken);
        true
    }
}
