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
    /// Whether anybody says that anybody has this slot.
    has_owner: Vec<bool>,
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
}

/// How it is with one slot.
#[derive(PartialEq, Eq)]
enum State<'a> {
    Nobodys,
    Settled((Id, u64)),
    Open(Option<(Id, u64)>, &'a [Mark]),
    Disputed,
}

impl Map {
    pub(crate) fn new() -> Self {
        let slots = usize::from(SLOTS);
        Self {
            speakers: Vec::new(),
            owners: vec![Owner::Nobody; slots],
            open: BTreeMap::new(),
            has_owner: vec![false; slots],
        }
    }

    /// Adds what a server answered to `CLUSTER NODES`: a line for each that it knows, itself among them. `None`: it is not such an
    /// answer.
    pub(crate) fn add(&mut self, answer: &str) -> Option<()> {
        let mut speaks = false;
        for line in answer.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [id, _address, flags, _primary, _sent, _received, epoch, _link, slots @ ..] = &words[..]
            else {
                return None;
            };
            let is_speaker = flags.split(',').any(|flag| flag == "myself");
            speaks |= is_speaker;
            let at = parse_id(id)?;
            let speaker = self.speakers.len();
            if is_speaker {
                self.speakers.push((at, epoch.parse().ok()?));
            }
            for word in slots {
                if let Some(mark) = word.strip_prefix('[') {
                    let (slot, other) = mark.strip_suffix(']')?.split_once('-')?;
                    let other = parse_id(other.strip_prefix(">-").or_else(|| other.strip_prefix("<-"))?)?;
                    if is_speaker {
                        self.open.entry(parse_slot(slot)?).or_default().push(Mark { at, other });
                    }
                    continue;
                }
                for slot in parse_range(word)? {
                    self.has_owner[usize::from(slot)] = true;
                    if is_speaker {
                        let owner = &mut self.owners[usize::from(slot)];
                        *owner = match owner {
                            Owner::Nobody => Owner::Speaker(speaker),
                            Owner::Speaker(_) | Owner::Several => Owner::Several,
                        };
                    }
                }
            }
        }
        speaks.then_some(())
    }

    /// Whether all have spoken who have a slot, and none in the place of another.
    pub(crate) fn is_complete(&self) -> bool {
        let mut ids: Vec<Id> = self.speakers.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|two| two[0] == two[1]) {
            return false;
        }
        let is_missing = |(owner, has_owner): (&Owner, &bool)| matches!(owner, Owner::Nobody) && *has_owner;
        !self.owners.iter().zip(&self.has_owner).any(is_missing)
    }

    fn state(&self, slot: u16) -> State<'_> {
        let owner = match self.owners[usize::from(slot)] {
            Owner::Nobody => None,
            Owner::Speaker(speaker) => Some(self.speakers[speaker]),
            Owner::Several => return State::Disputed,
        };
        match (self.open.get(&slot), owner) {
            (Some(marks), owner) => State::Open(owner, marks),
            (None, Some(owner)) => State::Settled(owner),
            (None, None) => State::Nobodys,
        }
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
            let is_known = |mark: &Mark| before.has_spoken(mark.at) && before.has_spoken(mark.other);
            *needed = match &state {
                // One that left and came back has made its server's epoch grow.
                _ if state != after.state(slot) => LOOKS,
                State::Settled(_) | State::Nobodys => 0,
                State::Open(_, marks) if marks.iter().all(is_known) => *needed - 1,
                State::Open(..) | State::Disputed => LOOKS,
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
        let mut map = Map::new();
        for view in views {
            map.add(view).unwrap();
        }
        map
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
        // Slots that nobody has are nobody's.
        assert!(map(&[view(A, 1, "0-100", B, "")]).is_complete());
        assert!(!map(&[view(A, 1, "0-100", B, "102")]).is_complete());
        // One that was asked in the place of another has no say.
        assert!(!map(&[view(A, 1, "0-100", B, ""), view(A, 1, "0-100", B, "")]).is_complete());
    }

    #[test]
    fn what_is_no_such_answer_is_refused() {
        let other = format!("{A} 127.0.0.1:1@2 master - 0 0 1 connected 0-16383");
        let wrong = ["0-16384", "x", "[1->-short]", "[1]"].map(|slots| view(A, 1, slots, B, ""));
        for text in ["", "ERR", &other].into_iter().chain(wrong.iter().map(String::as_str)) {
            assert!(Map::new().add(text).is_none(), "{text}");
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
        for map in [hidden, disputed] {
            let mut unseen = Unseen::everything();
            for _ in 0..5 {
                assert!(!count(&mut unseen, &map, &map));
            }
        }
    }
}
