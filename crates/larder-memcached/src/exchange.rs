//! One trip to a server and back: the questions of many callers in one write, and their answers.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use larder_core::{Error, Result, Timestamp};

use crate::{
    commands,
    connect::Connection,
    error::{self, Broken, Reach},
    group::{Group, Next},
    item::Item,
    job::{Answer, Job, Op, Waiter},
    replies::Reply,
    settings::Settings,
    wire::Wire,
};

/// What is under way.
pub(crate) struct Exchange {
    /// What the client crate is to read: every key once.
    pub(crate) asked: Asked,
    pub(crate) waiting: Waiting,
}

/// Keys, and the number of each.
type Asked = HashMap<String, usize, RandomState>;

/// Who waits for it.
pub(crate) struct Waiting {
    /// In the order in which the answers come.
    steps: Vec<Step>,
    /// For the keys by number. The last to be answered: they are read behind all else.
    askers: Vec<(usize, Option<Waiter>)>,
    oldest: Timestamp,
}

/// A command of our own.
enum Step {
    Set(Option<Waiter>),
    /// Two commands: what is there, and its removal.
    Delete(Option<Waiter>),
    /// One read alone. The client crate would not check whose value it gets, or take twice as long for it.
    Get(Option<Waiter>),
    Ping(Option<Waiter>),
    Read(Group),
    Write(Group),
}

impl Exchange {
    /// Writes the commands, to be sent once somebody reads: those that go on from the last trip, then new ones. What needs
    /// no trip is answered at once.
    pub(crate) fn plan(
        going_on: Vec<Group>,
        mut jobs: Vec<Job>,
        connection: &Connection,
        settings: &Settings,
    ) -> Self {
        let mut wire = connection.line.wire();
        wire.begin();
        let mut plan = Plan {
            wire: &mut wire,
            item_limit: connection.item_limit,
            settings,
            now: None,
            one_get: jobs.iter().filter(|job| matches!(job.op, Op::Get { .. })).nth(1).is_none(),
            steps: Vec::new(),
            asked: HashMap::default(),
            askers: Vec::new(),
            groups: HashMap::default(),
        };
        // Of a key there is one group. Two would take turns at making each other's reading stale, and one of them would
        // never win.
        plan.groups.extend(going_on.into_iter().map(|group| (group.key().to_owned(), group)));
        for job in jobs.extract_if(.., |job| matches!(job.op, Op::Change { .. })) {
            plan.job(job);
        }
        let groups = std::mem::take(&mut plan.groups);
        let (going_on, new): (Vec<_>, Vec<_>) = groups.into_values().partition(Group::has_begun);
        // What was read must not be made stale by what came later.
        for group in going_on {
            plan.group(group);
        }
        for job in jobs {
            plan.job(job);
        }
        for group in new {
            plan.group(group);
        }
        let Plan { steps, asked, askers, .. } = plan;
        let mut waiting = Waiting { steps, askers, oldest: Timestamp::MAX };
        waiting.find_oldest();
        Self { asked, waiting }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.waiting.steps.is_empty()
    }

    /// Hands out the answers. What goes on with another trip, and why the connection cannot be used for it.
    pub(crate) fn end(
        self,
        replies: Vec<Reply>,
        found: HashMap<String, Vec<u8>>,
        settings: &Settings,
    ) -> (Vec<Group>, Option<Broken>) {
        let Self { asked, waiting } = self;
        let mut end = End { settings, broken: None, going_on: Vec::new() };
        let mut replies = replies.into_iter();
        for step in waiting.steps {
            end.step(step, &mut replies);
        }
        let mut items: Vec<Option<Item>> = vec![None; asked.len()];
        let mut failed = None;
        for (key, bytes) in found {
            if let Some(at) = asked.get(&key) {
                items[*at] = Item::parse(Bytes::from(bytes));
            } else {
                // An answer to another question: no other answer can be trusted either.
                end.broken = Some(Broken::OutOfStep);
                failed = Some(error::lost(&settings.name, Reach::Read, &Broken::OutOfStep));
            }
        }
        for (at, waiter) in waiting.askers {
            finish(waiter, || match &failed {
                Some(error) => Err(error.clone()),
                None => Ok(Answer::Item(items[at].clone())),
            });
        }
        (end.going_on, end.broken)
    }
}

struct Plan<'a> {
    wire: &'a mut Wire,
    item_limit: Option<usize>,
    settings: &'a Settings,
    /// Reads need no clock.
    now: Option<Timestamp>,
    one_get: bool,
    steps: Vec<Step>,
    asked: Asked,
    askers: Vec<(usize, Option<Waiter>)>,
    groups: HashMap<String, Group, RandomState>,
}

impl Plan<'_> {
    fn job(&mut self, Job { op, waiter }: Job) {
        if waiter.is_gone() {
            return;
        }
        match op {
            Op::Get { key } if self.one_get => {
                self.wire.get(&key);
                self.steps.push(Step::Get(Some(waiter)));
            }
            Op::Get { key } => {
                let next = self.asked.len();
                let at = *self.asked.entry(key).or_insert(next);
                self.askers.push((at, Some(waiter)));
            }
            Op::Set { key, item } => match self.fits(&key, item.len()) {
                Ok(()) => {
                    let exptime = self.settings.exptime(item.ends, self.now());
                    commands::set(self.wire, &key, exptime, &item);
                    self.steps.push(Step::Set(Some(waiter)));
                }
                Err(refused) => waiter.answer(Err(refused)),
            },
            Op::Delete { key } => {
                self.wire.gets(key.clone());
                commands::delete(self.wire, &key);
                self.steps.push(Step::Delete(Some(waiter)));
            }
            Op::Change { key, change } => match self.fits(&key, change.size()) {
                Ok(()) => {
                    let group = self.groups.entry(key).or_insert_with_key(|key| Group::new(key.clone()));
                    group.push(change, waiter);
                }
                Err(refused) => waiter.answer(Err(refused)),
            },
            Op::Ping => {
                commands::version(self.wire);
                self.steps.push(Step::Ping(Some(waiter)));
            }
        }
    }

    fn group(&mut self, mut group: Group) {
        let now = self.now();
        let out = &mut *self.wire;
        let exptime = |item: &Item| self.settings.exptime(item.ends, now);
        match group.next(now) {
            Next::Done => group.succeed(),
            Next::Read => {
                out.gets(group.key().to_owned());
                self.steps.push(Step::Read(group));
            }
            Next::Add(item) => {
                commands::add(out, group.key(), exptime(&item), &item);
                self.steps.push(Step::Write(group));
            }
            Next::Swap(cas, item) => {
                commands::cas(out, group.key(), exptime(&item), &item, cas);
                self.steps.push(Step::Write(group));
            }
            Next::Remove(cas) => {
                commands::remove(out, group.key(), cas);
                self.steps.push(Step::Write(group));
            }
        }
    }

    fn now(&mut self) -> Timestamp {
        *self.now.get_or_insert_with(|| self.settings.clock.now())
    }

    /// Refuses what the server would refuse, before it has dropped what is there.
    fn fits(&self, key: &str, item: usize) -> Result<()> {
        let size = commands::BESIDES_ITEM + key.len() + item;
        match self.item_limit {
            Some(limit) if size > limit => Err(error::too_large(size, limit, &self.settings.name)),
            _ => Ok(()),
        }
    }
}

/// Going through the answers.
struct End<'a> {
    settings: &'a Settings,
    broken: Option<Broken>,
    going_on: Vec<Group>,
}

impl End<'_> {
    fn step(&mut self, step: Step, replies: &mut impl Iterator<Item = Reply>) {
        let mut next = || replies.next().expect("a trip ends when every answer is there");
        match step {
            Step::Set(waiter) => {
                let answer = match next() {
                    Reply::Stored => Ok(Answer::Done),
                    other => Err(self.refused(other, Reach::Written)),
                };
                finish(waiter, || answer);
            }
            Step::Delete(waiter) => {
                let answer = match (next(), next()) {
                    (Reply::Item(found), Reply::Deleted) => {
                        // Nothing found, yet something deleted: it came between, and was live.
                        let was_live = found.is_none_or(|(bytes, _)| {
                            Item::parse(bytes)
                                .is_some_and(|item| item.reads() && item.is_live(self.settings.clock.now()))
                        });
                        Ok(Answer::Deleted(was_live))
                    }
                    (Reply::Item(_), Reply::NotFound) => Ok(Answer::Deleted(false)),
                    (Reply::Item(_), other) | (other, _) => Err(self.refused(other, Reach::Written)),
                };
                finish(waiter, || answer);
            }
            Step::Get(waiter) => {
                let answer = match next() {
                    Reply::Value(found) => Ok(Answer::Item(found.and_then(Item::parse))),
                    other => Err(self.refused(other, Reach::Read)),
                };
                finish(waiter, || answer);
            }
            Step::Ping(waiter) => {
                let answer = match next() {
                    Reply::Version => Ok(Answer::Done),
                    other => Err(self.refused(other, Reach::Read)),
                };
                finish(waiter, || answer);
            }
            Step::Read(mut group) => match next() {
                Reply::Item(found) => {
                    group.saw(found);
                    self.going_on.push(group);
                }
                other => group.fail(&self.refused(other, Reach::Waiting)),
            },
            Step::Write(mut group) => match next() {
                Reply::Stored => group.succeed(),
                Reply::NotStored | Reply::Exists | Reply::NotFound => match group.lost_race() {
                    Ok(()) => self.going_on.push(group),
                    Err(rounds) => group.fail(&error::outraced(&self.settings.name, rounds)),
                },
                other => group.fail(&self.refused(other, Reach::Written)),
            },
        }
    }

    /// An answer other than the hoped-for one.
    fn refused(&mut self, reply: Reply, reach: Reach) -> Error {
        let name = &self.settings.name;
        match reply {
            Reply::TooLarge => error::refused_as_too_large(name),
            Reply::OutOfMemory => error::out_of_memory(name),
            Reply::Failed(said) => {
                let cause = Broken::Complained(said);
                self.broken.get_or_insert_with(|| cause.clone());
                error::lost(name, reach, &cause)
            }
            _ => {
                self.broken = Some(Broken::OutOfStep);
                error::lost(name, reach, &Broken::OutOfStep)
            }
        }
    }
}

impl Waiting {
    /// When the first caller's time is over.
    pub(crate) fn oldest(&self) -> Timestamp {
        self.oldest
    }

    /// Tells everyone that the connection broke.
    pub(crate) fn fail(self, has_sent: bool, settings: &Settings, cause: &Broken) {
        self.each(has_sent, |reach| error::lost(&settings.name, reach, cause));
    }

    fn each(self, has_sent: bool, error: impl Fn(Reach) -> Error) {
        let reach = |reach| if has_sent { reach } else { Reach::Waiting };
        for step in self.steps {
            match step {
                Step::Set(waiter) | Step::Delete(waiter) => {
                    finish(waiter, || Err(error(reach(Reach::Written))));
                }
                Step::Ping(waiter) | Step::Get(waiter) => finish(waiter, || Err(error(reach(Reach::Read)))),
                Step::Read(mut group) => group.fail(&error(Reach::Waiting)),
                Step::Write(mut group) => group.fail(&error(reach(Reach::Written))),
            }
        }
        for (_, waiter) in self.askers {
            finish(waiter, || Err(error(reach(Reach::Read))));
        }
    }

    /// Tells those whose time is over, while the trip goes on for the others.
    pub(crate) fn expire(&mut self, now: Timestamp, settings: &Settings) {
        let over = |reach| Err(error::timed_out(&settings.name, reach, settings.operation_timeout));
        for step in &mut self.steps {
            match step {
                Step::Set(waiter) | Step::Delete(waiter) => {
                    finish(take_if_over(waiter, now), || over(Reach::Written));
                }
                Step::Ping(waiter) | Step::Get(waiter) => {
                    finish(take_if_over(waiter, now), || over(Reach::Read));
                }
                Step::Read(group) => group.expire(now, || over(Reach::Read)),
                Step::Write(group) => group.expire(now, || over(Reach::Written)),
            }
        }
        for (_, waiter) in &mut self.askers {
            finish(take_if_over(waiter, now), || over(Reach::Read));
        }
        self.find_oldest();
    }

    fn find_oldest(&mut self) {
        let of_steps = self.steps.iter().filter_map(|step| match step {
            Step::Set(waiter) | Step::Delete(waiter) | Step::Ping(waiter) | Step::Get(waiter) => {
                waiter.as_ref().map(|waiter| waiter.ends)
            }
            Step::Read(group) | Step::Write(group) => group.oldest(),
        });
        let of_askers = self.askers.iter().filter_map(|(_, waiter)| Some(waiter.as_ref()?.ends));
        self.oldest = of_steps.chain(of_askers).min().unwrap_or(Timestamp::MAX);
    }
}

pub(crate) fn take_if_over(waiter: &mut Option<Waiter>, now: Timestamp) -> Option<Waiter> {
    waiter.take_if(|waiter| waiter.ends <= now)
}

fn finish(waiter: Option<Waiter>, answer: impl FnOnce() -> Result<Answer>) {
    if let Some(waiter) = waiter {
        waiter.answer(answer());
    }
}
