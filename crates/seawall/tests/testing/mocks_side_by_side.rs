//! Tests, tasks and threads with mocks of their own, at once.

use super::*;
use std::iter;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Barrier, oneshot},
    task,
};

static RETRY: RetryPolicy =
    RetryPolicy::builder().base_delay(HOUR).max_delay(HOUR).jitter(Jitter::None).build();
static PAYMENTS: CircuitBreaker = CircuitBreaker::new();

type Rich = Result<u32, Error<Down>>;

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).enable_time().build().unwrap()
}

async fn slow() -> Outcome {
    pending_once().await;
    Ok(7)
}

async fn resilient() -> Rich {
    RETRY.run(slow).await
}

async fn is_rejected() -> bool {
    matches!(PAYMENTS.run(slow).await, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_))))
}

/// Mocks that are set up by `n`, as no neighbour's are.
fn mocks(n: u32) -> (MockRetryExecutor, MockCircuitBreaker) {
    let retries = MockRetryExecutor::new().max_attempts(n + 2);
    retries.fail_with(move || Down(n));
    retries.configure_failures(n.into());
    let breaker = MockCircuitBreaker::with(CircuitBreaker::builder().failure_threshold(n + 1));
    (retries, breaker)
}

/// That the mocks were used as they were set up by `n`, and by nobody else.
fn assert_own(n: u32, (retries, breaker): &(MockRetryExecutor, MockCircuitBreaker)) {
    let n = u64::from(n);
    assert_eq!((retries.call_count(), retries.attempt_count()), (2, 2 * n + 3));
    assert_eq!((breaker.counters().opened, breaker.rejection_count()), (1, n));
}

#[test]
fn sixty_four_threads_do_not_disturb_each_other() {
    let all_here = Meeting::new(64);
    together(64, |n| {
        let n = u32::try_from(n).unwrap();
        let mocks = mocks(n);
        all_here.wait();
        assert_eq!(RETRY.run_blocking(|| Outcome::Ok(n)), Ok(n));
        all_here.wait();
        mocks.0.configure_failures(99);
        let ended = RETRY.run_blocking(|| Outcome::Ok(n)).unwrap_err();
        assert_eq!(ended.into_operation(), Ok(Down(n)));
        all_here.wait();
        (0..=n).for_each(|_| drop(PAYMENTS.run_blocking(|| Outcome::Err(Down(n)))));
        all_here.wait();
        (0..n).for_each(|_| assert!(PAYMENTS.try_acquire().is_err()));
        all_here.wait();
        assert_own(n, &mocks);
    });
    assert_eq!(PAYMENTS.counters().rejected, 0);
}

async fn a_test_among_many(n: u32, all_here: Arc<Barrier>) {
    let mocks = mocks(n);
    all_here.wait().await;
    assert_eq!(resilient().await, Ok(7));
    all_here.wait().await;
    mocks.0.configure_failures(99);
    assert_eq!(resilient().await.unwrap_err().into_operation(), Ok(Down(n)));
    all_here.wait().await;
    for _ in 0..=n {
        drop(PAYMENTS.run(async || Outcome::Err(slow().await.map_or(Down(0), Down))).await);
    }
    all_here.wait().await;
    for _ in 0..n {
        task::yield_now().await;
        assert!(is_rejected().await);
    }
    all_here.wait().await;
    assert_own(n, &mocks);
}

#[test]
fn sixty_four_tasks_do_not_disturb_each_other() {
    let runtime = workers(4);
    let all_here = Arc::new(Barrier::new(64));
    let tasks: Vec<_> =
        (0..64).map(|n| runtime.spawn(a_test_among_many(n, Arc::clone(&all_here)))).collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(PAYMENTS.counters().rejected, 0);
}

#[test]
fn sixty_four_tasks_that_are_attached_each_use_the_mock_they_were_attached_to() {
    let runtime = workers(4);
    let all_here = Arc::new(Barrier::new(64));
    let tasks: Vec<_> = (0..64_u32)
        .map(|n| {
            let mock = MockRetryExecutor::new().max_attempts(n + 1);
            mock.configure_failures(n.into());
            let all_here = Arc::clone(&all_here);
            let task = runtime.spawn(mock.attach(async move {
                all_here.wait().await;
                resilient().await
            }));
            (n, mock, task)
        })
        .collect();
    runtime.block_on(async {
        for (n, mock, task) in tasks {
            assert_eq!(task.await.unwrap(), Ok(7));
            assert_eq!(mock.attempt_count(), u64::from(n) + 1);
        }
    });
}

/// What comes before `pass` runs on one thread, what comes after on another.
struct Gate {
    here: mpsc::Sender<ThreadId>,
    opened: oneshot::Receiver<()>,
}

impl Gate {
    async fn pass(self) {
        let before = thread::current().id();
        self.here.send(before).unwrap();
        self.opened.await.unwrap();
        assert_ne!(thread::current().id(), before);
    }
}

/// Runs `task` on two workers, and sees to it that it changes from one to the other at its gate.
fn across_threads<F: Future<Output = ()> + Send + 'static>(task: impl FnOnce(Gate) -> F) {
    let runtime = workers(2);
    let ((here, from), (open, opened)) = (mpsc::channel(), oneshot::channel());
    let task = runtime.spawn(task(Gate { here, opened }));
    let from = from.recv_timeout(PATIENCE).unwrap();
    // Holds both workers, then lets go of the one that the task was not on.
    let (held, holds) = mpsc::channel();
    for held in iter::repeat_n(held, 2) {
        runtime.spawn(async move {
            let (let_go, is_let_go) = mpsc::channel::<()>();
            held.send((thread::current().id(), let_go)).unwrap();
            // Ends when the sender is dropped.
            let _ = is_let_go.recv_timeout(PATIENCE);
        });
    }
    let both = [(); 2].map(|()| holds.recv_timeout(PATIENCE).unwrap());
    let (same, other): (Vec<_>, Vec<_>) = both.into_iter().partition(|(id, _)| *id == from);
    assert_eq!((same.len(), other.len()), (1, 1));
    open.send(()).unwrap();
    drop(other);
    runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap() });
    drop(same);
}

#[test]
fn a_mock_made_in_a_task_goes_with_it_from_thread_to_thread() {
    across_threads(|gate| async move {
        let retries = MockRetryExecutor::new();
        let breaker = MockCircuitBreaker::new();
        retries.configure_failures(2);
        breaker.force_open();
        gate.pass().await;
        assert_eq!((resilient().await, retries.attempt_count()), (Ok(7), 3));
        assert!(is_rejected().await);
    });
}

#[test]
fn an_attached_task_keeps_its_mocks_from_thread_to_thread() {
    let retries = MockRetryExecutor::new();
    let breaker = MockCircuitBreaker::new();
    retries.configure_failures(2);
    breaker.force_open();
    across_threads(|gate| {
        retries.attach(breaker.attach(async {
            gate.pass().await;
            assert_eq!(resilient().await, Ok(7));
            assert!(is_rejected().await);
        }))
    });
    assert_eq!((retries.attempt_count(), breaker.rejection_count()), (3, 1));
}

#[test]
fn a_mocked_call_goes_on_where_its_task_goes() {
    let mock = MockRetryExecutor::new();
    mock.configure_failures(1);
    across_threads(|gate| {
        let gate = std::sync::Mutex::new(Some(gate));
        mock.attach(async move {
            let calls = Count::new();
            let ended = RETRY.run(async || {
                let gate = gate.lock().unwrap().take();
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                calls.fail_first(1)
            });
            assert_eq!(ended.await, Ok(2));
        })
    });
    assert_eq!((mock.attempt_count(), mock.call_count()), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_not_attached_does_not_see_the_mocks() {
    let retries = MockRetryExecutor::new();
    let breaker = MockCircuitBreaker::new();
    retries.configure_failures(9);
    breaker.force_open();
    assert_eq!(tokio::spawn(resilient()).await.unwrap(), Ok(7));
    assert!(!tokio::spawn(is_rejected()).await.unwrap());
    assert!(task::spawn_blocking(|| PAYMENTS.try_acquire().is_ok()).await.unwrap());
    assert!(thread::spawn(|| PAYMENTS.try_acquire().is_ok()).join().unwrap());
    assert_eq!((retries.attempt_count(), breaker.rejection_count()), (0, 0));
    assert!(tokio::spawn(breaker.attach(is_rejected())).await.unwrap());
    assert!(tokio::spawn(retries.attach(resilient())).await.unwrap().is_err());
}

#[tokio::test]
async fn nor_does_one_on_the_same_thread() {
    let breaker = MockCircuitBreaker::new();
    breaker.force_open();
    assert!(is_rejected().await);
    assert!(!tokio::spawn(is_rejected()).await.unwrap());
    assert!(tokio::spawn(breaker.attach(is_rejected())).await.unwrap());
}

#[test]
fn a_neighbour_in_the_same_task_does_not_see_what_another_is_attached_to() {
    let breaker = MockCircuitBreaker::new();
    breaker.force_open();
    together(1, |_| {
        let mut attached = pin!(breaker.attach(async {
            pending_once().await;
            is_rejected().await
        }));
        let mut neighbour = pin!(is_rejected());
        assert!(poll_once(attached.as_mut()).is_pending());
        assert!(poll_once(neighbour.as_mut()).is_pending());
        assert_eq!(poll_once(attached), Poll::Ready(true));
        assert_eq!(poll_once(neighbour), Poll::Ready(false));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_blocking_tasks_join_by_entering() {
    let mock = Arc::new(MockRetryExecutor::new());
    let breaker = Arc::new(MockCircuitBreaker::new());
    mock.fail_in_sequence([true, true, false, true, true, false]);
    breaker.force_open();
    let joins = {
        let (mock, breaker) = (Arc::clone(&mock), Arc::clone(&breaker));
        move || {
            let _mocks = (mock.enter(), breaker.enter());
            assert!(PAYMENTS.try_acquire().is_err());
            assert_eq!(RETRY.run_blocking(|| Outcome::Ok(7)), Ok(7));
        }
    };
    task::spawn_blocking(joins.clone()).await.unwrap();
    thread::spawn(joins).join().unwrap();
    assert_eq!((mock.attempt_count(), breaker.rejection_count()), (6, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_attached_keeps_the_mock_until_it_ends() {
    let mock = MockRetryExecutor::new().max_attempts(9);
    mock.configure_failures(8);
    let (go, wait) = oneshot::channel::<()>();
    let attached = tokio::spawn(mock.attach(async move {
        wait.await.unwrap();
        resilient().await
    }));
    drop(mock);
    go.send(()).unwrap();
    assert_eq!(attached.await.unwrap(), Ok(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_aborted_takes_its_mocks_with_it() {
    let (made, is_made) = oneshot::channel();
    let task = tokio::spawn(async move {
        let breaker = MockCircuitBreaker::new();
        breaker.force_half_open();
        let _probe = PAYMENTS.try_acquire().unwrap();
        made.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    is_made.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(!is_rejected().await);
}
