//! What the end of a call says about the server.

use crate::{Error, ErrorKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered, if only to refuse.
    Answered,
    /// Nothing: the call was refused on this side, or its caller went away.
    Nothing,
    /// It could not be reached, or the connection was lost: at once, or after any time.
    Failed,
    /// It did not answer in time.
    TimedOut,
}

impl Verdict {
    pub(super) fn of<T>(result: &Result<T, Error>) -> Self {
        let Err(error) = result else { return Self::Answered };
        match error.kind() {
            ErrorKind::Timeout => Self::TimedOut,
            // Lost, or out of time: a store has no other word for either where the write may have run, or where it waited for
            // a connection. Such a call is charged by how long it lasted.
            ErrorKind::Unavailable | ErrorKind::Ambiguous => Self::Failed,
            ErrorKind::WrongType | ErrorKind::Overflow | ErrorKind::Corrupt => Self::Answered,
            // `Overloaded` may come from either side and is quick: failing quickly is all that an open circuit does.
            ErrorKind::Overloaded
            | ErrorKind::TooLarge
            | ErrorKind::InvalidKey
            | ErrorKind::Unsupported
            | ErrorKind::Encode
            | ErrorKind::Config
            | ErrorKind::Load => Self::Nothing,
        }
    }

    /// Of a batch, which counts as one call: it failed if more of its keys had trouble than were answered.
    pub(super) fn of_many(each: impl Iterator<Item = Self>) -> Self {
        let (mut answered, mut failed, mut timed_out) = (0_usize, 0_usize, 0_usize);
        for verdict in each {
            match verdict {
                Self::Answered => answered += 1,
                Self::Failed => failed += 1,
                Self::TimedOut => timed_out += 1,
                Self::Nothing => {}
            }
        }
        if failed + timed_out > answered {
            if timed_out > 0 { Self::TimedOut } else { Self::Failed }
        } else if answered > 0 {
            Self::Answered
        } else {
            Self::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Answered, Failed, Nothing, TimedOut};

    #[test]
    fn a_batch_failed_if_more_of_its_keys_had_trouble_than_were_answered() {
        let of = |each: &[Verdict]| Verdict::of_many(each.iter().copied());
        assert_eq!(of(&[]), Nothing);
        assert_eq!(of(&[Nothing, Nothing]), Nothing);
        assert_eq!(of(&[Nothing, Answered]), Answered);
        assert_eq!(of(&[Failed, Answered, Nothing]), Answered);
        assert_eq!(of(&[Failed, Failed, Answered]), Failed);
        assert_eq!(of(&[TimedOut, Failed, Answered]), TimedOut);
        assert_eq!(of(&[TimedOut, Nothing]), TimedOut);
        assert_eq!(of(&[TimedOut, Answered]), Answered);
    }
}
