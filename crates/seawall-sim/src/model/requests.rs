//! Requests on their way.

use super::{Answer, Failure};
use crate::engine::Who;

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Work,
    /// The row's version, which the reply carries.
    Read(u32),
    /// To change the row, if it still has this version.
    Write(u32),
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) server: u32,
    pub(super) key: u32,
    pub(super) what: What,
    /// Whoever waits for the reply.
    pub(super) who: Who,
    /// Where it has one.
    pub(super) reply: Result<Answer, Failure>,
}

/// Nobody waits any more.
const GONE: u8 = 1;
/// The world is done with it: there is a reply, or there will never be one.
const OVER: u8 = 2;
/// There is a reply.
const REPLIED: u8 = 4;
/// Its number is to be given out again.
const FREE: u8 = 8;

/// Requests by number. A number is given out again once its request is removed.
///
/// What has become of them stands apart: in a storm most of a long queue are of callers who have gone, of
/// which nothing else matters any more.
#[derive(Debug)]
pub(super) struct Requests {
    all: Vec<Request>,
    states: Vec<u8>,
    free: Vec<u32>,
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self { all: Vec::new(), states: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, server: u32, key: u32, what: What, who: Who) -> u32 {
        let request = Request { server, key, what, who, reply: Err(Failure::Failed) };
        if let Some(at) = self.free.pop() {
            self.all[at as usize] = request;
            self.states[at as usize] = 0;
            return at;
        }
        let at = u32::try_from(self.all.len()).expect("memory ends before numbers do");
        self.all.push(request);
        self.states.push(0);
        at
    }

    pub(super) fn get(&self, at: u32) -> &Request {
        &self.all[at as usize]
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut Request {
        &mut self.all[at as usize]
    }

    pub(super) fn is_gone(&self, at: u32) -> bool {
        self.states[at as usize] & GONE != 0
    }

    /// The reply, if it has come.
    pub(super) fn reply(&self, at: u32) -> Option<Result<Answer, Failure>> {
        (self.states[at as usize] & REPLIED != 0).then(|| self.get(at).reply)
    }

    /// The caller goes away. True if the world is done with it as well: it is to be removed.
    pub(super) fn leave(&mut self, at: u32) -> bool {
        let state = &mut self.states[at as usize];
        *state |= GONE;
        *state & OVER != 0
    }

    /// The world is done with it. True if its caller has gone as well: it is to be removed.
    pub(super) fn end(&mut self, at: u32, replied: bool) -> bool {
        let state = &mut self.states[at as usize];
        *state |= if replied { OVER | REPLIED } else { OVER };
        *state & GONE != 0
    }

    /// Once both are done with it. A second time changes nothing.
    pub(super) fn remove(&mut self, at: u32) {
        let state = &mut self.states[at as usize];
        debug_assert_eq!(*state & FREE, 0, "a request is removed once");
        if *state & FREE == 0 {
            *state |= FREE;
            self.free.push(at);
        }
    }
}
