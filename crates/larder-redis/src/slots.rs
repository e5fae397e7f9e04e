//! Who has which slots of a cluster, and which of them were looked at as a whole.

use std::{collections::BTreeMap, ops::RangeInclusive};

pub(crate) const SLOTS: u16 = 16_384;

/// What a server of a cluster is called: most of its random digits.
type Id = u128;

/// The slots of a cluster, each in the words of the server that has it: it is the first to know.
#[derive(Debug)]
pub(crate) struct Map {
    /// Who spoke, and its epoch, which grows when it takes a slot over.
    speakers: Vec<(Id, u64)>,
    owners: Vec<Owner>,
    /// The slots that are on their way, as one of the two servers has it.
    open: BTreeMap<u16, Vec<Mark>>,
    /// The highest epoch in which someone who did not speak is said to have this slot.
    others: Vec<Option<u64>>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Nobody,
    Speaker(usize),
    Several,
}

#[derive(Debug, PartialEq, Eq)]
struct Mark {
    at: Id,
    other: Id,
    way: Way,
}

/// Where the keys of a slot go, for the one with the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

/// How it is with one slot.
#[derive(PartialEq, Eq)]
enum State<'a> {
    Settled((Id, u64)),
    Open((Id, u64), &'a [Mark]),
    /// Nobody has it, or more than one.
    Unclear,
}

/// What one server says of one that it knows: a line of `CLUSTER NODES`.
struct Line<'a> {
    id: Id,
    epoch: u64,
    /// Whether it says so of itself.
    is_speaker: bool,
    slots: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [id, _address, flags, _primary, _sent, _received, epoch, _link, slots @ ..] = &words[..] else {
            return None;
        };
        Some(Self {
            id: parse_id(id)?,
            epoch: epoch.parse().ok()?,
            is_speaker: flags.split(',').any(|flag| flag == "myself"),
            slots: slots.to_vec(),
        })
    }
}

impl Map {
    /// Of what servers answered to `CLUSTER NODES`: a line for each that one knows, itself among them. `None`: it is not such an
    /// answer.
    pub(crate) fn new<'a>(answers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut lines = Vec::new();
        let mut map = Self {
            speakers: Vec::new(),
            owners: vec![Owner::Nobody; usize::from(SLOTS)],
            open: BTreeMap::new(),
            others: vec![None; usize::from(SLOTS)],
        };
        for answer in answers {
            let of_one: Vec<Line<'_>> = answer.lines().map(Line::parse).collect::<Option<_>>()?;
            let mut own = of_one.iter().filter(|line| line.is_speaker);
            let (Some(speaker), None) = (own.next(), own.next()) else { return None };
            map.speakers.push((speaker.id, speaker.epoch));
            lines.extend(of_one);
        }
        let mut speaker = 0;
        for line in &lines {
            map.add(line, speaker)?;
            speaker += usize::from(line.is_speaker);
        }
        Some(map)
    }

    fn add(&mut self, line: &Line<'_>, speaker: usize) -> Option<()> {
        let is_other = !self.has_spoken(line.id);
        for word in &line.slots {
            if let Some(mark) = word.strip_prefix('[') {
                let (slot, other) = mark.strip_suffix(']')?.split_once('-')?;
                let (way, other) = match (other.strip_prefix(">-"), other.strip_prefix("<-")) {
                    (Some(to), _) => (Way::Out, to),
                    (_, Some(from)) => (Way::In, from),
                    _ => return None,
                };
                let (slot, mark) = (parse_slot(slot)?, Mark { at: line.id, other: parse_id(other)?, way });
                if line.is_speaker {
                    self.open.entry(slot).or_default().push(mark);
                }
                continue;
            }
            for slot in parse_range(word)?.map(usize::from) {
                if line.is_speaker {
                    self.owners[slot] = match self.owners[slot] {
                        Owner::Nobody => Owner::Speaker(speaker),
                        Owner::Speaker(_) | Owner::Several => Owner::Several,
                    };
                } else if is_other {
                    self.others[slot] = self.others[slot].max(Some(line.epoch));
                }
            }
        }
        Some(())
    }

    /// Whether all have spoken who have a slot, none in the place of another, and none who does not know yet that its slot was taken
    /// over.
    pub(crate) fn is_complete(&self) -> bool {
        let mut ids: Vec<Id> = self.speakers.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        let is_well = |(owner, other): (&Owner, &Option<u64>)| match owner {
            // Also where nobody is said to have it: whoever says so may know little.
            Owner::Nobody => false,
            Owner::Speaker(speaker) => *other <= Some(self.speakers[*speaker].1),
            Owner::Several => true,
        };
        ids.windows(2).all(|two| two[0] != two[1]) && self.owners.iter().zip(&self.others).all(is_well)
    }

    fn state(&self, slot: u16) -> State<'_> {
        let Owner::Speaker(owner) = self.owners[usize::from(slot)] else { return State::Unclear };
        let owner = self.speakers[owner];
        self.open.get(&slot).map_or(State::Settled(owner), |marks| State::Open(owner, marks))
    }

    /// Whether the keys of an open slot can be found and reached. What has arrived at a server cannot be, unless its owner knows of
    /// it and sends whoever asks there.
    fn is_in_reach(&self, (owner, _): (Id, u64), marks: &[Mark]) -> bool {
        marks.iter().all(|mark| {
            let theirs = Mark { at: mark.other, other: mark.at, way: Way::Out };
            let is_sent_there = mark.way == Way::Out || mark.at == owner || marks.contains(&theirs);
            is_sent_there && self.has_spoken(mark.at) && self.has_spoken(mark.other)
        })
    }

    fn has_spoken(&self, id: Id) -> bool {
        self.speakers.iter().any(|(speaker, _)| *speaker == id)
    }
}

fn parse_id(text: &str) -> Option<Id> {
    Id::from_str_radix(text.get(..32)?, 16).ok()
}

fn parse_slot(text: &str) -> Option<u16> {
    text.parse().ok().filter(|slot| *slot < SLOTS)
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(parse_slot(first)?..=parse_slot(last)?)
}

/// The slots of which a key may have been missed so far, and for each how many looks it still needs.
pub(crate) struct Unseen(Vec<u8>);

/// A slot that is open needs two looks: a key that goes from one server to the other during the first, and was on neither when
/// it was looked at, has arrived before the second.
const LOOKS: u8 = 2;

impl Unseen {
    pub(crate) fn everything() -> Self {
        Self(vec![LOOKS; usize::from(SLOTS)])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|needed| *needed == 0)
    }

    /// Counts one look at all who spoke `before`, one after the other and always in the same order.
    pub(crate) fn count(&mut self, before: &Map, after: &Map) {
        for (needed, slot) in self.0.iter_mut().zip(0..).filter(|(needed, _)| **needed > 0) {
            let state = before.state(slot);
            *needed = match state {
                // One that left and came back has made its server's epoch grow.
                _ if state != after.state(slot) => LOOKS,
                State::Settled(_) => 0,
                State::Open(owner, marks) if before.is_in_reach(owner, marks) => *needed - 1,
                State::Open(..) | State::Unclear => LOOKS,
            };
        }
    }

    /// What is known of the slots from now on does not follow on what was known.
    pub(crate) fn interrupt(&mut self) {
        for needed in self.0.iter_mut().filter(|needed| **needed > 0) {
            *needed = LOOKS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// What a server answers that knows one other.
    fn view(id: &str, epoch: u64, slots: &str, other: &str, of_other: &str) -> String {
        let line = |id, flags, epoch, slots| {
            format!("{id} 127.0.0.1:7000@17000,name,shard-id=1 {flags} - 0 0 {epoch} connected {slots}\n")
        };
        line(other, "master", 0, of_other) + &line(id, "myself,master", epoch, slots)
    }

    fn map(views: &[String]) -> Map {
        Map::new(views.iter().map(String::as_str)).unwrap()
    }

    /// Who has what, in its own words; each knows the other's slots without its marks.
    fn two(a: (u64, &str), b: (u64, &str)) -> Map {
        map(&[view(A, a.0, a.1, B, "8192-16383"), view(B, b.0, b.1, A, "0-8191")])
    }

    fn count(unseen: &mut Unseen, before: &Map, after: &Map) -> bool {
        unseen.count(before, after);
        unseen.is_empty()
    }

    #[test]
    fn who_has_not_spoken_is_missed() {
        assert!(!map(&[view(A, 1, "0-8191", B, "8192-16383")]).is_complete());
        assert!(two((1, "0-8191"), (2, "8192-16383")).is_complete());
        // One that was asked in the place of another has no say.
        assert!(map(&[view(A, 1, "0-16383", B, "")]).is_complete());
        assert!(!map(&[view(A, 1, "0-16383", B, ""), view(A, 1, "0-16383", B, "")]).is_complete());
    }

    #[test]
    fn who_knows_of_nobody_may_have_forgotten_them() {
        assert!(!map(&[view(A, 1, "0-100", B, "")]).is_complete());
        assert!(!two((1, "0-8191"), (2, "8193-16383")).is_complete());
    }

    #[test]
    fn who_does_not_know_that_it_was_replaced_is_not_believed() {
        // The third one took over from A, and B knows.
        let third = |epoch| {
            format!("{} 127.0.0.1:7002@17002 master - 0 0 {epoch} connected 0-8191\n", "c".repeat(40))
        };
        let a = view(A, 1, "0-8191", B, "8192-16383");
        let b = |epoch| third(epoch) + &view(B, 2, "8192-16383", A, "");
        assert!(!map(&[a.clone(), b(3)]).is_complete());
        // Here A took over, and B does not know yet.
        assert!(map(&[view(A, 4, "0-8191", B, "8192-16383"), b(3)]).is_complete());
        // What is said of one that speaks counts for nothing: it is the first to know.
        let c = view(&"c".repeat(40), 3, "", B, "8192-16383");
        assert!(map(&[a, b(3), c]).is_complete());
    }

    #[test]
    fn what_is_no_such_answer_is_refused() {
        let other = format!("{A} 127.0.0.1:1@2 master - 0 0 1 connected 0-16383");
        let wrong = ["0-16384", "x", "[1->-short]", "[1]"].map(|slots| view(A, 1, slots, B, ""));
        let twice = view(A, 1, "0-8191", B, "") + &view(B, 1, "8192-16383", A, "");
        for text in ["", "ERR", &other, &twice].into_iter().chain(wrong.iter().map(String::as_str)) {
            assert!(Map::new([text]).is_none(), "{text}");
        }
    }

    #[test]
    fn slots_that_rest_need_one_look() {
        let rest = two((1, "0-8191"), (2, "8192-16383"));
        assert!(count(&mut Unseen::everything(), &rest, &rest));
    }

    #[test]
    fn a_slot_that_moved_needs_another_look() {
        let before = two((1, "0-8191"), (2, "8192-16383"));
        let after = two((1, "0-6 8-8191"), (3, "7 8192-16383"));
        let mut unseen = Unseen::everything();
        assert!(!count(&mut unseen, &before, &after));
        assert!(count(&mut unseen, &after, &after));
        // There and back.
        let back = two((4, "0-8191"), (3, "8192-16383"));
        let mut unseen = Unseen::everything();
        assert!(!count(&mut unseen, &before, &back));
        assert!(count(&mut unseen, &back, &back));
    }

    #[test]
    fn an_open_slot_needs_two_looks_in_a_row() {
        let open = two((1, &format!("0-8191 [7->-{B}]")), (2, &format!("8192-16383 [7-<-{A}]")));
        let closed = two((1, "0-8191"), (2, "8192-16383"));
        let mut unseen = Unseen::everything();
        assert!(!count(&mut unseen, &open, &open));
        assert!(count(&mut unseen, &open, &open));
        let mut unseen = Unseen::everything();
        assert!(!count(&mut unseen, &open, &open));
        assert!(!count(&mut unseen, &open, &closed));
        assert!(count(&mut unseen, &closed, &closed));
        let mut unseen = Unseen::everything();
        assert!(!count(&mut unseen, &open, &open));
        unseen.interrupt();
        assert!(!count(&mut unseen, &open, &open));
    }

    #[test]
    fn a_slot_that_is_open_to_someone_else_or_has_two_owners_is_never_seen() {
        let hidden = two((1, &format!("0-8191 [7->-{}]", "c".repeat(40))), (2, "8192-16383"));
        let disputed = two((1, "0-8191"), (2, "7 8192-16383"));
        // What has come to B is there, but nobody is sent to B for it.
        let untold = two((1, "0-8191"), (2, &format!("8192-16383 [7-<-{A}]")));
        for map in [hidden, disputed, untold] {
            let mut unseen = Unseen::everything();
            for _ in 0..5 {
                assert!(!count(&mut unseen, &map, &map));
            }
        }
    }

    #[test]
    fn a_mark_left_behind_at_the_owner_hides_nothing() {
        let sends = two((1, &format!("0-8191 [7->-{B}]")), (2, "8192-16383"));
        let takes = two((1, &format!("0-8191 [7-<-{B}]")), (2, "8192-16383"));
        for map in [sends, takes] {
            let mut unseen = Unseen::everything();
            assert!(!count(&mut unseen, &map, &map));
            assert!(count(&mut unseen, &map, &map));
        }
    }
}
