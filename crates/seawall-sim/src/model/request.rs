//! The operation: a request to the modelled service, as a future.

use super::{Answer, Failure, requests::What};
use crate::engine::{Inside, Who, with};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// Sends a request to the modelled service, and waits for its reply: the operation of every simulated
/// call. A function of your own, under whatever policy, calls it where in production it would call the
/// service. Which server gets it, and what becomes of it, is decided by the scenario.
///
/// Dropped before the reply, as a timeout does, the caller is gone; the service does not learn of it.
///
/// # Errors
/// What the service, or the way there, failed with. Outside a simulation the future is never ready.
pub fn request() -> impl Future<Output = Result<Answer, Failure>> + Send {
    answering()
}

/// [`request`], as a future with a name.
pub(crate) const fn answering() -> Answering {
    Answering { sent: None }
}

pub(crate) struct Answering {
    sent: Option<Sent>,
}

/// A request that is on its way, or has its reply.
#[derive(Clone, Copy)]
struct Sent {
    /// A future may outlive its run.
    run: u32,
    at: u32,
    /// Who waits: as the request has it, which is in memory that is best left alone.
    who: Who,
}

impl Future for Answering {
    type Output = Result<Answer, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let reply = with(|inside| match &mut this.sent {
            None => {
                let tier = inside.current.tier as usize;
                let contended = inside.model.scenario.tiers[tier].contended;
                this.sent =
                    Some(send(inside, if contended { What::Read(0) } else { What::Work }, cx));
                None
            }
            // Of another run: nothing will ever happen.
            Some(Sent { run, .. }) if *run != inside.number => None,
            Some(Sent { at, who, .. }) => {
                let requests = &mut inside.model.requests;
                let Some(reply) = requests.reply(*at) else {
                    if inside.wakers.replace(who, cx.waker()) {
                        requests.get_mut(*at).who = *who;
                    }
                    return None;
                };
                let read = requests.get(*at).what;
                requests.remove(*at);
                this.sent = None;
                // Whoever has read the row writes it next.
                if let (What::Read(version), Ok(_)) = (read, reply) {
                    this.sent = Some(send(inside, What::Write(version), cx));
                    return None;
                }
                Some(reply)
            }
        });
        reply.flatten().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Sends a request from where the task stands that is polled.
// Inlined: given back through memory, it would be read in larger words than it was written in.
#[inline(always)]
fn send(inside: &mut Inside, what: What, cx: &Context<'_>) -> Sent {
    let who = inside.wakers.who(cx.waker());
    let at = inside.model.send(inside.now, inside.current, what, who, &mut inside.queue);
    Sent { run: inside.number, at, who }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(Sent { run, at, mut who }) = self.sent.take() {
            with(|inside| {
                if run != inside.number {
                    return;
                }
                let requests = &mut inside.model.requests;
                // With a reply it was woken, and is known no more.
                if requests.reply(at).is_none() {
                    inside.wakers.forget(&mut who);
                }
                if requests.leave(at) {
                    requests.remove(at);
                }
            });
        }
    }
}
