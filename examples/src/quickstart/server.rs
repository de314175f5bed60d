//! A server that goes through phases, and counts what reaches it.

use super::phases::Phase;
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use seawall::Random;
use std::{
    collections::HashMap,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::oneshot,
    task::JoinHandle,
    time::sleep,
};

/// How long a price takes to look up.
const WORK: Duration = Duration::from_millis(5);
/// Whole seconds are all that the header can say.
const ASKED_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    port: Port,
}

#[derive(Debug)]
enum Port {
    Open {
        stop: oneshot::Sender<()>,
        task: JoinHandle<io::Result<()>>,
    },
    /// Bound, but not listened on: connections are refused, and nobody else can take the port.
    Closed(TcpSocket),
    /// In between.
    Changing,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok(Self { address, script: Arc::default(), port: Port::Closed(socket) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Plays the next phase. All counts start at zero.
    pub(crate) async fn enter(&mut self, phase: Phase) -> io::Result<()> {
        *lock(&self.script) = Script { phase, ..Script::default() };
        self.port = match (std::mem::replace(&mut self.port, Port::Changing), phase) {
            (Port::Open { stop, task }, Phase::Refused) => {
                // Graceful, so that the clients' idle connections are closed as well.
                let _ = stop.send(());
                task.await.map_err(io::Error::other)??;
                Port::Closed(bind(self.address)?)
            }
            (Port::Closed(socket), phase) if phase != Phase::Refused => {
                self.serve(socket.listen(1024)?)
            }
            (port, _) => port,
        };
        Ok(())
    }

    fn serve(&self, listener: TcpListener) -> Port {
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new()
            .route("/guarded/{item}", self.prices_for(Caller::Guarded))
            .route("/plain/{item}", self.prices_for(Caller::Plain));
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Port::Open { stop, task: tokio::spawn(async { server.await }) }
    }

    fn prices_for(&self, caller: Caller) -> MethodRouter {
        let script = Arc::clone(&self.script);
        get(move |Path(item): Path<u64>| {
            let reply = lock(&script).reply(caller, item);
            async move { reply.send().await }
        })
    }

    /// What reached the server in this phase.
    pub(super) fn seen(&self, caller: Caller) -> Seen {
        lock(&self.script).seen(caller)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // The old connections of a closed port would hold it for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Who asks, by the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Guarded,
    Plain,
}

/// What the server counted, in one phase and for one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Requests.
    pub attempts: u64,
    /// The most requests for one item, which is one call's.
    pub most_for_one_call: u64,
    /// Requests that came again before the time that `Retry-After` asked for.
    pub too_early: u64,
    /// Requests that came again after it.
    pub waited: u64,
}

#[derive(Debug)]
struct Script {
    phase: Phase,
    items: HashMap<(Caller, u64), Item>,
}

#[derive(Debug, Default)]
struct Item {
    attempts: u64,
    not_before: Option<Instant>,
    too_early: u64,
    waited: u64,
}

enum Reply {
    Price,
    Unavailable,
    ComeBack,
    Silence,
}

impl Default for Script {
    fn default() -> Self {
        Self { phase: Phase::Healthy, items: HashMap::new() }
    }
}

impl Script {
    /// Depends on the item and its attempts only: both callers meet the same, in every run.
    fn reply(&mut self, caller: Caller, number: u64) -> Reply {
        let item = self.items.entry((caller, number)).or_default();
        item.attempts += 1;
        match self.phase {
            Phase::Flaky if Random::seeded(number * 10 + item.attempts).next_unit() < 0.4 => {
                Reply::Unavailable
            }
            Phase::Busy if number % 3 == 0 => item.throttle(Instant::now()),
            Phase::Hanging => Reply::Silence,
            _ => Reply::Price,
        }
    }

    fn seen(&self, caller: Caller) -> Seen {
        let mut seen = Seen::default();
        for (_, item) in self.items.iter().filter(|((asked, _), _)| *asked == caller) {
            seen.attempts += item.attempts;
            seen.most_for_one_call = seen.most_for_one_call.max(item.attempts);
            seen.too_early += item.too_early;
            seen.waited += item.waited;
        }
        seen
    }
}

impl Item {
    fn throttle(&mut self, now: Instant) -> Reply {
        match self.not_before {
            Some(time) if now >= time => {
                self.waited += 1;
                return Reply::Price;
            }
            Some(_) => self.too_early += 1,
            None => {}
        }
        self.not_before = Some(now + ASKED_WAIT);
        Reply::ComeBack
    }
}

impl Reply {
    async fn send(self) -> Response {
        match self {
            Self::Price => {
                sleep(WORK).await;
                "41.95".into_response()
            }
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Self::ComeBack => {
                let wait = [(RETRY_AFTER, ASKED_WAIT.as_secs().to_string())];
                (StatusCode::TOO_MANY_REQUESTS, wait).into_response()
            }
            Self::Silence => pending().await,
        }
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}
