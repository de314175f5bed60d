//! The operation: a request to the modelled service, as a future.

use super::{Answer, Failure, What};
use crate::engine::with;
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
    sent: Option<u32>,
}

impl Future for Answering {
    type Output = Result<Answer, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = &mut self.sent;
        let reply = with(|inside| {
            let (now, place) = (inside.now, inside.current);
            let (model, wakers) = (&mut inside.model, &mut inside.wakers);
            let Some(at) = *sent else {
                let contended = model.scenario.tiers[place.tier as usize].contended;
                let what = if contended { What::Read(0) } else { What::Work };
                let who = wakers.who(cx.waker());
                *sent = Some(model.send(now, place, what, who, &mut inside.queue));
                return None;
            };
            let request = model.requests.get_mut(at)?;
            if let Some(reply) = request.reply.filter(|_| request.over) {
                let read = request.what;
                model.requests.remove(at);
                *sent = None;
                // Whoever has read the row writes it next.
                if let (What::Read(version), Ok(_)) = (read, reply) {
                    let what = What::Write(version);
                    let who = wakers.who(cx.waker());
                    *sent = Some(model.send(now, place, what, who, &mut inside.queue));
                    return None;
                }
                return Some(reply);
            }
            wakers.replace(&mut request.who, cx.waker());
            None
        });
        reply.flatten().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(at) = self.sent.take() {
            with(|inside| {
                let requests = &mut inside.model.requests;
                if let Some(request) = requests.get_mut(at) {
                    request.gone = true;
                    inside.wakers.forget(&mut request.who);
                    if request.over {
                        requests.remove(at);
                    }
                }
            });
        }
    }
}
