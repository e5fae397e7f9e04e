//! The calls that are let through while half open.

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// As long as a point operation.
    Point,
    /// As long as what visits every entry. While half open such calls take no place from the others, which would be refused
    /// for as long.
    Long,
}

/// What became of them so far.
#[derive(Debug, Default)]
pub(super) struct Trial {
    points: u32,
    long: u32,
    answered: u32,
}

impl Trial {
    /// Lets a call through, unless `most` of its extent are under way or were answered.
    pub(super) fn admit(&mut self, extent: Extent, most: u32) -> bool {
        let answered = self.answered;
        let under_way = self.under_way(extent);
        let has_place = *under_way < most.saturating_sub(answered);
        *under_way += u32::from(has_place);
        has_place
    }

    /// One that was let through ended, in whatever way.
    pub(super) fn ended(&mut self, extent: Extent) {
        *self.under_way(extent) -= 1;
    }

    /// It was answered; whether those are `enough` now.
    pub(super) fn answered(&mut self, enough: u32) -> bool {
        self.answered += 1;
        self.answered >= enough
    }

    fn under_way(&mut self, extent: Extent) -> &mut u32 {
        match extent {
            Extent::Point => &mut self.points,
            Extent::Long => &mut self.long,
        }
    }
}
