//! Policy files that are read again.

use seawall::{
    CircuitBreaker, CircuitState, Error, Event, FallbackChain, Pipeline, Rejection, Verdict,
    config::{ConfigError, Policies, PolicyFile, Reload},
};
use std::{
    fs,
    future::pending,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::time::Instant;

const S: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq)]
struct Down;

fn down() -> Result<u32, Down> {
    Err(Down)
}

/// A folder of its own for each test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("seawall-reload-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    /// The policy file, with other contents.
    fn write(&self, text: &str) -> PathBuf {
        let path = self.0.join("policies.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn open(&self, text: &str) -> PolicyFile {
        let loader = Policies::loader().file_name("p.toml");
        loader.open(self.write(text)).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is told of the file: the number of its policies, or what is wrong with it.
fn told(file: &PolicyFile) -> Arc<Mutex<Vec<Result<usize, String>>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    file.observe(move |event: &Event<'_>| match event {
        Event::PolicyFileReloaded { policies, name, .. } => {
            assert_eq!(name.unwrap().as_str(), "p.toml");
            list.lock().unwrap().push(Ok(*policies));
        }
        Event::PolicyFileRefused { error, .. } => {
            list.lock().unwrap().push(Err(error.unwrap().to_owned()));
        }
        _ => {}
    });
    told
}

fn breaker(file: &PolicyFile, name: &str) -> Arc<CircuitBreaker> {
    Arc::clone(file.policies().get(name).unwrap().circuit_breaker().unwrap())
}

fn threshold(threshold: u32) -> String {
    format!("[p]\ncircuit_breaker = {{failure_threshold = {threshold}}}")
}

#[test]
fn a_changed_file_swaps_settings_and_breakers_keep_what_they_know() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let told = told(&file);
    let pipeline = file.pipeline_blocking::<u32, Down>("p").unwrap();
    let kept = file.policies().get("p").unwrap().pipeline_blocking::<u32, Down>().unwrap();
    for _ in 0..3 {
        assert!(pipeline.run_blocking(down).is_err());
    }
    folder.write(&threshold(4));
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(breaker(&file, "p").counters().consecutive_failures, 3);
    assert_eq!(pipeline.to_string(), "breaker \"p\"(4, 60s)");
    assert!(pipeline.run_blocking(down).is_err());
    assert!(breaker(&file, "p").state().is_open(), "by the new threshold");
    let rejected = kept.run_blocking(down);
    assert!(
        matches!(rejected, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))),
        "a pipeline that does not follow has the same breaker all the same: {rejected:?}"
    );
    assert_eq!(*told.lock().unwrap(), [Ok(1)]);
}

#[test]
fn a_file_that_is_the_same_is_not_news() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let (told, before) = (told(&file), breaker(&file, "p"));
    folder.write(&threshold(5));
    assert_eq!(file.reload(), Ok(Reload::Unchanged));
    folder.write(&format!("# why five\n{}", threshold(5)));
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert!(Arc::ptr_eq(&before, &breaker(&file, "p")), "the same settings are the same breaker");
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[test]
fn a_broken_file_keeps_the_old_settings_and_is_told_once() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let (told, before) = (told(&file), file.policies());
    let pipeline = file.pipeline_blocking::<u32, Down>("p").unwrap();
    for (text, why) in [
        ("[p]\nretry = {max_atempts = 3}", "p.toml:2:10: p.retry.max_atempts: unknown field"),
        ("[p", "p.toml:1:3: "),
        ("[p]\ncircuit_breaker = {failure_threshold = 0}", "p.toml:2:40: "),
    ] {
        folder.write(text);
        for _ in 0..3 {
            let error = file.reload().unwrap_err();
            assert!(error.to_string().starts_with(why), "{error}");
            assert_eq!(file.last_error(), Some(error));
        }
        let error = told.lock().unwrap().pop().unwrap().unwrap_err();
        assert!(error.starts_with(why), "{error}");
        assert_eq!(told.lock().unwrap().len(), 0, "once");
        assert!(Arc::ptr_eq(&before, &file.policies()));
        assert_eq!(pipeline.to_string(), "breaker \"p\"(5, 60s)");
    }
    folder.write(&threshold(5));
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!((file.last_error(), told.lock().unwrap().pop()), (None, Some(Ok(1))));
}

#[test]
fn the_settings_of_the_file_hold_again_though_a_breaker_of_ones_own_took_over_meanwhile() {
    let folder = Folder::new();
    let file = folder.open(&threshold(2));
    let own = CircuitBreaker::builder().failure_threshold(100).build();
    let own = own.keeping(&breaker(&file, "p"));
    folder.write(&format!("{}\n[q]\nretry = true", threshold(2)));
    assert_eq!(file.reload(), Ok(Reload::Changed));
    let now = breaker(&file, "p");
    for _ in 0..2 {
        assert_eq!(now.run_blocking(down), Err(Error::Operation(Down)));
    }
    assert!(now.state().is_open(), "by the threshold of the file");
    assert!(own.state().is_open(), "which it leads to");
}

#[test]
fn a_file_that_is_gone_or_no_file_any_more_keeps_the_old_settings() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let told = told(&file);
    fs::remove_file(file.path()).unwrap();
    assert!(file.reload().unwrap_err().to_string().starts_with("p.toml: cannot be read: "));
    assert!(file.reload().is_err());
    fs::create_dir(file.path()).unwrap();
    let error = file.reload().unwrap_err();
    assert_eq!(error.to_string(), "p.toml: cannot be read again: it is not a regular file");
    assert_eq!(told.lock().unwrap().len(), 2);
    fs::remove_dir(file.path()).unwrap();
    folder.write(&threshold(6));
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert!(file.last_error().is_none());
}

/// Opening a pipe that nobody writes to waits for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_in_the_place_of_the_file_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    fs::remove_file(file.path()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(file.path()).status().unwrap().success());
    assert!(file.reload().is_err());
    assert!(PolicyFile::open(file.path()).is_err());
}

#[cfg(unix)]
#[test]
fn the_file_may_be_renamed_over_or_swapped_behind_a_link() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let now = |file: &PolicyFile| file.policies().get("p").unwrap().to_string();

    fs::write(folder.0.join("new"), threshold(6)).unwrap();
    fs::rename(folder.0.join("new"), file.path()).unwrap();
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(now(&file), "breaker \"p\"(6, 60s)");

    // As a ConfigMap is mounted: the file is a link into `..data`, which is a link to a folder.
    for n in [7, 8] {
        fs::create_dir(folder.0.join(n.to_string())).unwrap();
        fs::write(folder.0.join(n.to_string()).join("policies.toml"), threshold(n)).unwrap();
    }
    let data = folder.0.join("..data");
    symlink("7", &data).unwrap();
    fs::remove_file(file.path()).unwrap();
    symlink("..data/policies.toml", file.path()).unwrap();
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(now(&file), "breaker \"p\"(7, 60s)");
    symlink("8", folder.0.join("..data_tmp")).unwrap();
    fs::rename(folder.0.join("..data_tmp"), &data).unwrap();
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(now(&file), "breaker \"p\"(8, 60s)");
}

#[test]
fn variables_of_the_environment_are_laid_over_the_file_each_time() {
    let folder = Folder::new();
    let path = folder.write("[p]\nretry = {max_attempts = 3}");
    let variables = [("SEAWALL__P__RETRY__MAX_ATTEMPTS", "7")];
    let file = Policies::loader().environment(variables).open(&path).unwrap();
    let attempts =
        |file: &PolicyFile| file.policies().get("p").unwrap().retry().unwrap().max_attempts();
    assert_eq!(attempts(&file), 7);
    folder.write("[p]\nretry = {max_attempts = 4, base_delay = 0}");
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(attempts(&file), 7);
    folder.write("[q]\nretry = {max_attempts = 4}");
    let error = file.reload().unwrap_err().to_string();
    assert!(error.starts_with("variable SEAWALL__P__RETRY__MAX_ATTEMPTS: "), "{error}");
}

#[test]
fn a_policy_that_is_renamed_begins_anew_and_one_that_is_followed_must_stay() {
    let folder = Folder::new();
    let file =
        folder.open("[orders.circuit_breaker]\nfailure_threshold = 1\n[stock]\nextends = 'orders'");
    let orders = file.pipeline_blocking::<u32, Down>("orders").unwrap();
    breaker(&file, "stock").isolate();
    breaker(&file, "orders").isolate();

    folder.write("[order.circuit_breaker]\nfailure_threshold = 1\n[stock]\nextends = 'order'");
    let error = file.reload().unwrap_err().to_string();
    assert_eq!(
        error,
        "p.toml: there is no policy `orders`, which the program runs calls under; did you mean `order`?"
    );
    folder.write("[orders.circuit_breaker]\nfailure_threshold = 2\n[stocks]\nextends = 'orders'");
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(breaker(&file, "orders").state(), CircuitState::Isolated);
    assert_eq!(breaker(&file, "stocks").state(), CircuitState::Closed);
    assert!(orders.run_blocking(down).is_err());

    // Nobody follows it any more.
    drop(orders);
    folder.write("[stocks]\nretry = true");
    assert_eq!(file.reload(), Ok(Reload::Changed));
}

#[test]
fn a_file_that_the_program_can_make_no_pipeline_of_is_refused_as_a_whole() {
    let folder = Folder::new();
    let file = folder.open("[p.circuit_breaker]\nfailure_threshold = 5\n[q]\nretry = true");
    let p = file.pipeline_blocking::<u32, Down>("p").unwrap();
    let q = file.pipeline_blocking::<u32, Down>("q").unwrap();
    let (before, held) = (file.policies(), breaker(&file, "p"));
    folder.write("[p.circuit_breaker]\nfailure_threshold = 1\n[q]\nretry = true\ntimeout = '1s'");
    let error = file.reload().unwrap_err().to_string();
    assert!(
        error.starts_with("p.toml:5:1: q.timeout: `timeout` cannot end blocking code"),
        "{error}"
    );
    assert!(Arc::ptr_eq(&before, &file.policies()));
    assert!(p.run_blocking(down).is_err());
    assert_eq!(held.state(), CircuitState::Closed, "five failures are allowed, as before");
    assert!(Arc::ptr_eq(&held, &breaker(&file, "p")));
    drop(q);
    assert_eq!(file.reload(), Ok(Reload::Changed), "what was refused may be in order by now");
    assert!(p.run_blocking(down).is_err());
    assert_eq!(held.state(), CircuitState::Open);
}

#[test]
fn a_pipeline_has_what_no_file_can_say_after_each_change() {
    let folder = Folder::new();
    let file = folder.open("[p]\nfallback = true");
    let made = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&made);
    let pipeline = file
        .follow("p", move |policy| {
            let n = counted.fetch_add(1, SeqCst);
            assert!(policy.retry().is_none(), "no retries here");
            policy.stack::<u32, Down>().fallback(FallbackChain::new().value(n)).build_blocking()
        })
        .unwrap();
    assert_eq!(pipeline.run_blocking(down), Ok(0));
    folder.write("[p]\nfallback = true\ncircuit_breaker = true");
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(pipeline.run_blocking(down), Ok(1));
    folder.write("[p]\nfallback = true\nretry = true");
    let error = file.reload().unwrap_err().to_string();
    assert_eq!(error, "p.toml:1:2: the program panicked while it made a pipeline of `p`");
    assert_eq!(pipeline.run_blocking(down), Ok(1));
    assert!(
        file.follow("p", |_| -> Result<Pipeline<()>, ConfigError> { panic!("never") }).is_err()
    );
    assert!(file.pipeline::<u32, Down>("nobody").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_under_the_settings_that_it_began_with() {
    let folder = Folder::new();
    let file = folder.open("[p]\ntimeout = '10s'");
    let pipeline = Arc::new(file.pipeline::<u32, Down>("p").unwrap());
    let begun = Instant::now();
    let call = tokio::spawn({
        let pipeline = Arc::clone(&pipeline);
        async move { pipeline.run(pending).await }
    });
    tokio::task::yield_now().await;
    tokio::time::advance(S / 2).await;
    folder.write("[p]\ntimeout = '1s'");
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert!(call.await.unwrap().is_err());
    assert_eq!(begun.elapsed(), 10 * S);
    assert!(pipeline.run(pending).await.is_err());
    assert_eq!(begun.elapsed(), 11 * S);
}

#[tokio::test]
async fn a_probe_in_flight_gives_its_slot_back_to_the_new_breaker() {
    let folder = Folder::new();
    let of = |threshold: u32| {
        format!("[p.circuit_breaker]\nfailure_threshold = {threshold}\nrecovery_timeout = 0")
    };
    let file = folder.open(&of(1));
    let pipeline = file.pipeline::<u32, Down>("p").unwrap();
    assert!(pipeline.run(async || down()).await.is_err());
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let released = tokio::sync::Mutex::new(released);
    let probe = pipeline.run(async || {
        (&mut *released.lock().await).await.unwrap();
        Ok(7)
    });
    let reload = async {
        assert_eq!(breaker(&file, "p").counters().probes_in_flight, 1);
        folder.write(&of(2));
        assert_eq!(file.reload(), Ok(Reload::Changed));
        assert_eq!(breaker(&file, "p").counters().probes_in_flight, 1);
        let rejected = pipeline.run(async || Ok(1)).await;
        assert!(matches!(rejected, Err(Error::Rejected(_))), "{rejected:?}");
        release.send(()).unwrap();
    };
    let (probe, ()) = tokio::join!(probe, reload);
    assert_eq!(probe, Ok(7));
    assert_eq!(breaker(&file, "p").state(), CircuitState::Closed);
}

#[test]
fn budgets_keep_the_share_that_is_left_and_pay_for_old_and_new_pipelines_alike() {
    let of = |floor: u32| {
        format!(
            "[budgets.shared]\nratio = 0.5\nfloor = {floor}\n[p.retry]\nbudget = 'shared'\n\
             [own.retry]\nbudget = {{ratio = 0.5, floor = {floor}}}"
        )
    };
    for (from, spent, to, left) in
        [(10, 5, 100, 50), (100, 50, 10, 5), (10, 0, 7, 7), (10, 10, 90, 0), (9, 3, 9, 6)]
    {
        let folder = Folder::new();
        let file = folder.open(&of(from));
        let budget =
            |name: &str| file.policies().get(name).unwrap().retry_budget().unwrap().clone();
        for name in ["p", "own"] {
            let old = budget(name);
            assert!((0..spent).all(|_| old.try_retry()));
            folder.write(&of(to));
            let _ = file.reload().unwrap();
            assert_eq!((old.available(), budget(name).available()), (left, left), "{from} to {to}");
            assert_eq!(old.try_retry(), left > 0);
            old.record_success(false);
            old.record_success(false);
            assert_eq!(budget(name).available(), (left.max(1)).min(to.into()), "{from} to {to}");
            folder.write(&of(from));
            let _ = file.reload().unwrap();
        }
    }
}

/// Law 6, across changes: what is taken in all is no more than the larger floor.
#[test]
fn changes_of_a_budget_make_no_retries_out_of_nothing() {
    let folder = Folder::new();
    let of = |floor: u32| format!("[p.retry]\nbudget = {{ratio = 0, floor = {floor}}}");
    let file = folder.open(&of(50));
    let mut paid = 0;
    for n in 0..100 {
        let policies = file.policies();
        paid += u32::from(policies.get("p").unwrap().retry_budget().unwrap().try_retry());
        folder.write(&of(if n % 2 == 0 { 20 + n % 9 } else { 50 }));
        let _ = file.reload().unwrap();
    }
    assert!((1..=50).contains(&paid), "{paid}");
}

#[test]
fn calls_on_threads_lose_nothing_in_a_thousand_reloads() {
    let folder = Folder::new();
    let of = |n: u32| {
        format!(
            "[p.circuit_breaker]\nfailure_rate = 1.0\nover_calls = {}\nminimum_calls = 4\n\
             [q.circuit_breaker]\nfailure_threshold = {}\nrecovery_timeout = 0\nprobes = 2",
            20_000 + n % 3,
            2 + n % 2,
        )
    };
    let file = folder.open(&of(0));
    let p = file.pipeline_blocking::<u32, Down>("p").unwrap();
    let q = file.pipeline_blocking::<u32, Down>("q").unwrap();
    let (made, bad, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU32::new(0));
    let call = |turn: u32| {
        let fails = turn % 3 == 1;
        let outcome = p.run_blocking(|| if fails { down() } else { Ok(turn) });
        assert_eq!(outcome, if fails { Err(Error::Operation(Down)) } else { Ok(turn) });
        made.fetch_add(1, SeqCst);
        bad.fetch_add(u64::from(fails), SeqCst);
        // Opens and closes all the time; a slot that was lost would close its way in for a minute.
        let _ = q.run_blocking(|| if turn % 5 < 3 { down() } else { Ok(turn) });
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                (0..5000).for_each(call);
                done.fetch_add(1, SeqCst);
            });
        }
        for n in 1.. {
            folder.write(&of(n));
            assert_eq!(file.reload(), Ok(Reload::Changed));
            if n >= 1000 && done.load(SeqCst) == 3 {
                break;
            }
        }
    });
    let counters = breaker(&file, "p").counters();
    assert_eq!((counters.calls, counters.failures), (made.into_inner(), bad.into_inner()));
    let q = breaker(&file, "q");
    assert_eq!(q.counters().probes_in_flight, 0);
    q.try_acquire().unwrap().record(Verdict::Success);
}

#[test]
fn an_observer_may_ask_the_file_anything() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let heard = Arc::new(AtomicU32::new(0));
    let (inner, counted) = (file.clone(), Arc::clone(&heard));
    file.observe(move |_: &Event<'_>| {
        assert_eq!(inner.reload(), Ok(Reload::Unchanged));
        assert!(inner.last_error().is_none());
        assert!(inner.pipeline::<u32, Down>("p").is_ok());
        counted.fetch_add(1, SeqCst);
    });
    folder.write(&threshold(6));
    assert_eq!(file.reload(), Ok(Reload::Changed));
    assert_eq!(heard.load(SeqCst), 1);
}

/// The thread that watches, on real time: waits for what it tells.
#[test]
fn a_thread_takes_what_has_changed_and_tells_what_is_broken() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let (tell, told) = mpsc::channel();
    file.observe(move |event: &Event<'_>| {
        let thread = thread::current().name().unwrap_or_default().to_owned();
        let refused = matches!(event, Event::PolicyFileRefused { .. });
        let _ = tell.send((thread, refused));
    });
    file.watch(Duration::ZERO).unwrap();
    file.watch(Duration::ZERO).unwrap();
    for n in 6..9 {
        folder.write(&threshold(n));
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), ("seawall-watch".to_owned(), false));
        assert_eq!(
            file.policies().get("p").unwrap().to_string(),
            format!("breaker \"p\"({n}, 60s)")
        );
        folder.write("[p");
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), ("seawall-watch".to_owned(), true));
        assert!(file.last_error().is_some());
    }
    assert!(told.try_recv().is_err(), "each once");
}

#[test]
fn the_thread_ends_with_the_last_handle_and_a_pipeline_is_one() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    let alive = Arc::new(());
    let weak: Weak<()> = Arc::downgrade(&alive);
    let (tell, told) = mpsc::channel();
    file.observe(move |_: &Event<'_>| {
        let _alive = &alive;
        let _ = tell.send(());
    });
    file.watch(Duration::from_millis(10)).unwrap();
    let pipeline = file.pipeline_blocking::<u32, Down>("p").unwrap();
    drop(file);
    folder.write(&threshold(6));
    told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(pipeline.to_string(), "breaker \"p\"(6, 60s)");
    drop(pipeline);
    // Its observers go with it: then the channel has no one at the other end.
    assert_eq!(told.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    assert_eq!(weak.strong_count(), 0);
}

fn is_shared<T: Send + Sync + Clone>(_: &T) {}

#[test]
fn handles_and_pipelines_that_follow_can_be_shared() {
    let folder = Folder::new();
    let file = folder.open(&threshold(5));
    is_shared(&file);
    is_shared(&file.pipeline::<u32, Down>("p").unwrap());
    assert!(format!("{file:?}").contains("policies.toml"));
    assert!(Path::new(file.path()).ends_with("policies.toml"));
}

#[test]
fn of_two_reloads_at_once_neither_puts_an_older_file_in_force() {
    let folder = Folder::new();
    let path = folder.0.join("policies.toml");
    let write = |n: u32| fs::write(&path, format!("p.retry.max_attempts = {n}")).unwrap();
    for round in 0..20 {
        write(1);
        let file = PolicyFile::open(&path).unwrap();
        let (begin, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        thread::scope(|scope| {
            // Somebody begins to follow the file and takes a while over it: a reload waits.
            let follower = file.clone();
            scope.spawn(move || {
                follower.follow("p", move |policy| {
                    let _ = begin.send(());
                    let _ = wait.lock().unwrap().recv();
                    policy.pipeline_blocking::<u32, Down>()
                })
            });
            begun.recv().unwrap();
            write(2);
            let other = file.clone();
            let other = scope.spawn(move || other.reload());
            // Time for it to come as far as it can.
            thread::sleep(Duration::from_millis(5));
            write(3);
            drop(go);
            file.reload().unwrap();
            other.join().unwrap().unwrap();
        });
        let policy = file.policies().get("p").unwrap().retry().unwrap().max_attempts();
        assert_eq!(policy, 3, "round {round}");
    }
}

#[test]
fn what_is_written_by_halves_is_not_taken_by_halves_however_often_it_is_looked_at() {
    use std::io::Write;

    // None where the machine was so busy that the halves came too far apart: then once more.
    let taken = (0..50).find_map(|_| {
        let folder = Folder::new();
        let path = folder.0.join("policies.toml");
        fs::write(&path, "p.retry.max_attempts = 5").unwrap();
        let file = PolicyFile::open(&path).unwrap();
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        file.observe(move |event: &Event<'_>| {
            if let Event::PolicyFileReloaded { .. } = event {
                let _ = tell.lock().unwrap().send(());
            }
        });
        file.watch(Duration::from_millis(10)).unwrap();
        let since = std::time::Instant::now();
        let mut halves = fs::File::create(&path).unwrap();
        halves.write_all(b"p.retry.max_attempts = 1").unwrap();
        thread::sleep(Duration::from_millis(30));
        halves.write_all(b"2").unwrap();
        (since.elapsed() < Duration::from_millis(45)).then(|| {
            told.recv_timeout(PATIENCE).unwrap();
            file.policies().get("p").unwrap().retry().unwrap().max_attempts()
        })
    });
    assert_eq!(taken, Some(12));
}
