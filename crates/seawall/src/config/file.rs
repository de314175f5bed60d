//! A policy file that is read again when it changes, and the pipelines that follow it.

use super::{
    Loader, Place, Policies, PolicySpec,
    policies::contents,
    problem::{ConfigError, Problem, ProblemKind},
};
use crate::{
    describe::{Describe, Layer},
    erased::{DynBlockingPolicy, DynPolicy},
    error::Error,
    event::{self, Event, Observe},
    pipeline::Pipeline,
    policy::{BlockingPolicy, Policy},
    setting::Name,
    sync::{self, Mutex, RwLock},
};
use std::{
    convert::Infallible,
    env, fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// A policy file whose settings change while the program runs.
///
/// A changed file swaps settings, while breakers keep their states and windows and budgets what is left
/// of them, as [`Policies::keeping`] says. A file that is broken, or gone, changes nothing: the settings
/// from before stay, and it is told once, as
/// [`PolicyFileRefused`](crate::Event::PolicyFileRefused) and by [`last_error`](Self::last_error). Variables
/// of the environment are laid over the file each time, as they were when it was opened.
///
/// The file is read again by hand, with [`reload`](Self::reload) (say on SIGHUP), or by a thread, with
/// [`watch`](Self::watch). Pipelines from [`pipeline`](Self::pipeline) and [`follow`](Self::follow) go by
/// the settings of now: a call that has begun ends under those that it began with, and the next one has the
/// new ones. A probe that is in flight hands its outcome to the breaker of now, and gives its slot back to it.
///
/// Clones are handles to the same file, and cheap.
///
/// ```
/// use seawall::config::{Loader, PolicyFile, Reload};
/// # let folder = std::env::temp_dir().join(format!("seawall-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("policies.toml");
/// # let write = |text: &str| std::fs::write(&path, text);
///
/// write("[payments]\nretry = { max_attempts = 3 }\ncircuit_breaker = { failure_threshold = 5 }")?;
/// let file = PolicyFile::open(&path)?;
/// let payments = file.pipeline::<u32, std::io::Error>("payments")?;
/// assert_eq!(payments.to_string(), "breaker \"payments\"(5, 60s) > retry \"payments\"(3)");
///
/// write("[payments]\nretry = { max_attempts = 9 }\ncircuit_breaker = { failure_threshold = 2 }")?;
/// assert_eq!(file.reload()?, Reload::Changed);
/// assert_eq!(payments.to_string(), "breaker \"payments\"(2, 60s) > retry \"payments\"(9)");
///
/// write("[payments]\nretry = { max_attempts = 0 }")?;
/// assert!(file.reload().is_err());
/// assert_eq!(payments.to_string(), "breaker \"payments\"(2, 60s) > retry \"payments\"(9)");
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PolicyFile {
    shared: Arc<Shared>,
}

/// A pipeline that follows a file, for those who write its type.
pub type FollowedPipeline<T, E> = Pipeline<Followed<Arc<dyn DynPolicy<T, E>>>>;

/// [`FollowedPipeline`] for blocking code.
pub type FollowedBlockingPipeline<T, E> = Pipeline<Followed<Arc<dyn DynBlockingPolicy<T, E>>>>;

/// What a reload found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The file is what it was.
    Unchanged,
    /// The file has changed, and its settings hold from now on.
    Changed,
}

struct Shared {
    path: PathBuf,
    name: Name,
    loader: Loader,
    policies: RwLock<Arc<Policies>>,
    observers: RwLock<Vec<Arc<dyn Observe>>>,
    /// Held while settings are swapped, and while one begins to follow them: one at a time.
    seen: Mutex<Seen>,
    /// The thread that watches ends when this is dropped.
    watch: Mutex<Option<Sender<Infallible>>>,
}

/// What the file was when it was last looked at.
struct Seen {
    contents: Contents,
    /// Why it is refused, if it is.
    error: Option<ConfigError>,
    /// Other contents that have been seen once: perhaps half of what is being written.
    settling: Option<Contents>,
    followers: Vec<Weak<dyn Follower>>,
}

/// What a file holds, or why it cannot be read.
type Contents = Result<Vec<u8>, String>;

/// What a look at the file found, for the thread that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing to do.
    Same,
    /// Something else: look again soon, to see whether it stays.
    Settling,
    /// Something else that stayed, and is in force or refused.
    Taken,
}

impl PolicyFile {
    /// How soon a file that has changed is looked at again: only what is twice the same is taken, so
    /// that nobody's half-written file is.
    const SETTLES: Duration = Duration::from_millis(50);
    /// The shortest time between two looks.
    const SOONEST: Duration = Duration::from_millis(10);

    /// Reads a file, whose extension says its syntax, with the variables `SEAWALL__..` of the environment
    /// laid over it. [`Loader::open`] chooses others.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or with a variable.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        Policies::loader().environment(env::vars_os()).open(path)
    }

    pub(super) fn read(loader: Loader, path: PathBuf) -> Result<Self, ConfigError> {
        let name = loader.name_of(&path);
        let loader = loader.file_name(&*name);
        let contents = look_at(&path);
        let policies = parse(&loader, &path, &name, &contents)?;
        let seen = Seen { contents, error: None, settling: None, followers: Vec::new() };
        let shared = Shared {
            path,
            name: name.into(),
            loader,
            policies: RwLock::new(Arc::new(policies)),
            observers: RwLock::default(),
            seen: Mutex::new(seen),
            watch: Mutex::new(None),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// The policies of now. They stay as they are: ask again for those after a change.
    pub fn policies(&self) -> Arc<Policies> {
        Arc::clone(&sync::read(&self.shared.policies))
    }

    /// What is wrong with the file as it was last seen; none while its settings are in force.
    pub fn last_error(&self) -> Option<ConfigError> {
        sync::lock(&self.shared.seen).error.clone()
    }

    /// Adds an observer of this file's events, [`PolicyFileReloaded`](crate::Event::PolicyFileReloaded) and
    /// [`PolicyFileRefused`](crate::Event::PolicyFileRefused). It runs in the thread that read the file, and
    /// may use the file. `tracing` and [`observe_all`](crate::event::observe_all) hear of them as well.
    pub fn observe(&self, observer: impl Observe + 'static) {
        sync::write(&self.shared.observers).push(Arc::new(observer));
    }

    /// Reads the file again now, in this thread. What it finds is taken as it is: for one who knows that
    /// the file is written, such as an operator who sends SIGHUP.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or with a variable; or with what a pipeline that follows
    /// needs of it. Nothing has changed then.
    pub fn reload(&self) -> Result<Reload, ConfigError> {
        let mut seen = sync::lock(&self.shared.seen);
        // Looked at by one at a time: what another has taken meanwhile is not older than this.
        let contents = look_at(&self.shared.path);
        if seen.error.is_none() && seen.contents == contents {
            seen.settling = None;
            return Ok(Reload::Unchanged);
        }
        let (news, verdict) = self.shared.take(contents, &mut seen);
        drop(seen);
        self.shared.tell(news);
        verdict.map(|()| Reload::Changed)
    }

    /// Has a thread of its own look at the file every so often, 10 ms at least, and take what has changed.
    ///
    /// It compares contents, so it does not matter how they change: written in place, renamed over, deleted
    /// and made again, or behind a symbolic link. What is new is taken when two looks in a row, 50 ms apart,
    /// have seen the same, so a file that is being written is not taken by halves, and one that is replaced
    /// is not missed in between. Where that is not safe enough, write beside the file and rename.
    ///
    /// The thread (`seawall-watch`) lives as long as handles of this file and pipelines that follow it, and
    /// ends when the last is dropped, without being waited for. Observers run in it. Asked again, another
    /// thread takes its place.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn watch(&self, every: Duration) -> io::Result<()> {
        let every = every.max(Self::SOONEST);
        let (end, ended) = mpsc::channel();
        let weak = Arc::downgrade(&self.shared);
        thread::Builder::new().name("seawall-watch".into()).spawn(move || {
            let mut wait = every;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let Some(shared) = weak.upgrade() else { return };
                wait = match shared.look() {
                    Look::Settling => Self::SETTLES,
                    Look::Same | Look::Taken => every,
                };
            }
        })?;
        *sync::lock(&self.shared.watch) = Some(end);
        Ok(())
    }

    /// A pipeline of the policy `name` that follows the file.
    ///
    /// # Errors
    /// There is no such policy; or it has a `fallback`, which the program must give: see
    /// [`follow`](Self::follow).
    pub fn pipeline<T, E>(&self, name: &str) -> Result<FollowedPipeline<T, E>, ConfigError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.follow(name, PolicySpec::pipeline)
    }

    /// [`pipeline`](Self::pipeline) for blocking code.
    ///
    /// # Errors
    /// There is no such policy; or it has a `fallback`, or a timeout, which cannot end blocking code.
    pub fn pipeline_blocking<T, E>(
        &self,
        name: &str,
    ) -> Result<FollowedBlockingPipeline<T, E>, ConfigError>
    where
        T: 'static,
        E: 'static,
    {
        self.follow(name, PolicySpec::pipeline_blocking)
    }

    /// What `make` makes of the policy `name`, now and each time that the file has changed.
    ///
    /// It gives the pipeline what no file can say. Where it fails, or panics, or the policy is not there
    /// any more, the file is refused: it is broken for this program, and all settings stay. It must not
    /// ask this file to reload or to be followed, which would wait for itself; and it is no place for
    /// observers, which breakers keep: each reload would add one.
    ///
    /// # Errors
    /// There is no such policy; or what `make` says.
    ///
    /// ```
    /// use seawall::{FallbackChain, config::PolicyFile};
    /// # let folder = std::env::temp_dir().join(format!("seawall-follow-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("policies.toml");
    /// # std::fs::write(&path, "[stock]\nretry = true\nfallback = true")?;
    ///
    /// let file = PolicyFile::open(&path)?;
    /// let stock = file.follow("stock", |policy| {
    ///     policy.stack::<u32, std::io::Error>().fallback(FallbackChain::new().value(0)).build()
    /// })?;
    /// assert_eq!(stock.to_string(), "fallback > retry \"stock\"(3)");
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow<P: Send + Sync + 'static>(
        &self,
        name: &str,
        make: impl Fn(&PolicySpec) -> Result<Pipeline<P>, ConfigError> + Send + Sync + 'static,
    ) -> Result<Pipeline<Followed<P>>, ConfigError> {
        let mut seen = sync::lock(&self.shared.seen);
        let made = made(&make, name, &self.policies(), &self.shared.whole())?;
        let slot = Arc::new(Slot {
            name: name.into(),
            make: Box::new(make),
            now: RwLock::new(Arc::new(made)),
        });
        if seen.followers.len() == seen.followers.capacity() {
            seen.followers.retain(|follower| follower.strong_count() > 0);
        }
        let follower: Arc<dyn Follower> = Arc::<Slot<P>>::clone(&slot);
        seen.followers.push(Arc::downgrade(&follower));
        Ok(Pipeline::new(Followed { slot, file: self.clone() }))
    }
}

impl fmt::Debug for PolicyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyFile").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// What a reload has to tell, when no lock is held any more: how many policies there are, or the error.
type News = Option<Result<usize, String>>;

impl Shared {
    fn whole(&self) -> Place {
        Place::file_as_a_whole(&self.name.as_str().into())
    }

    /// A look of the thread that watches.
    fn look(&self) -> Look {
        let contents = look_at(&self.path);
        let mut seen = sync::lock(&self.seen);
        if seen.contents == contents {
            seen.settling = None;
            return Look::Same;
        }
        if seen.settling.as_ref() != Some(&contents) {
            seen.settling = Some(contents);
            return Look::Settling;
        }
        let (news, _) = self.take(contents, &mut seen);
        drop(seen);
        self.tell(news);
        Look::Taken
    }

    /// Takes `contents` as what the file is, and puts its settings in force if it is in order.
    fn take(&self, contents: Contents, seen: &mut Seen) -> (News, Result<(), ConfigError>) {
        let verdict = self.put_in_force(&contents, seen);
        let is_new = seen.contents != contents;
        seen.contents = contents;
        seen.settling = None;
        let error = verdict.as_ref().err().cloned();
        let news = match &error {
            None => Some(Ok(sync::read(&self.policies).iter().count())),
            // What one has been told of is not told again.
            Some(error) => {
                (is_new || seen.error.as_ref() != Some(error)).then(|| Err(error.to_string()))
            }
        };
        seen.error = error;
        (news, verdict)
    }

    /// First all that can fail, which changes nothing; then what cannot.
    fn put_in_force(&self, contents: &Contents, seen: &mut Seen) -> Result<(), ConfigError> {
        let parsed = parse(&self.loader, &self.path, self.name.as_str(), contents)?;
        let (new, changes) = parsed.ready_to_keep(&sync::read(&self.policies));
        let mut swaps = Vec::new();
        seen.followers.retain(|follower| follower.strong_count() > 0);
        for follower in seen.followers.iter().filter_map(Weak::upgrade) {
            swaps.push(follower.prepare(&new, &self.whole())?);
        }
        changes.into_iter().for_each(super::spec::Change::make);
        *sync::write(&self.policies) = Arc::new(new);
        swaps.into_iter().for_each(|swap| swap());
        Ok(())
    }

    fn tell(&self, news: News) {
        let Some(news) = news else { return };
        // A copy, so that no lock is held while an observer runs.
        let observers = sync::read(&self.observers).clone();
        let name = Some(&self.name);
        let event = match &news {
            Ok(policies) => Event::PolicyFileReloaded { name, policies: *policies },
            Err(error) => Event::PolicyFileRefused { name, error: Some(error) },
        };
        event::tell(&event, &observers);
    }
}

fn look_at(path: &Path) -> Contents {
    // A pipe gives what it holds once only, and opening it may wait for ever.
    match path.metadata() {
        Ok(about) if !about.is_file() => {
            Err("cannot be read again: it is not a regular file".to_owned())
        }
        _ => contents(path),
    }
}

fn parse(
    loader: &Loader,
    path: &Path,
    name: &str,
    contents: &Contents,
) -> Result<Policies, ConfigError> {
    let unreadable = |why: String| {
        Problem::new(ProblemKind::Unreadable, &Place::file_as_a_whole(&name.into()), why)
    };
    let format = Loader::format_of(path).map_err(unreadable)?;
    match contents {
        Ok(bytes) => loader.clone().from_bytes(bytes, format),
        Err(why) => Err(unreadable(why.clone()).into()),
    }
}

/// One that goes by the settings of now.
trait Follower: Send + Sync {
    /// Makes what these policies say, and gives what puts it in force.
    fn prepare(self: Arc<Self>, policies: &Policies, file: &Place) -> Result<Swap, ConfigError>;
}

type Swap = Box<dyn FnOnce()>;
type Make<P> = dyn Fn(&PolicySpec) -> Result<Pipeline<P>, ConfigError> + Send + Sync;

struct Slot<P> {
    name: Arc<str>,
    make: Box<Make<P>>,
    now: RwLock<Arc<Pipeline<P>>>,
}

impl<P: Send + Sync + 'static> Follower for Slot<P> {
    fn prepare(self: Arc<Self>, policies: &Policies, file: &Place) -> Result<Swap, ConfigError> {
        let made = Arc::new(made(&self.make, &self.name, policies, file)?);
        Ok(Box::new(move || {
            let before = std::mem::replace(&mut *sync::write(&self.now), made);
            // Perhaps the last of it, and somebody's destructor: not while others wait.
            drop(before);
        }))
    }
}

fn made<P>(
    make: &impl Fn(&PolicySpec) -> Result<Pipeline<P>, ConfigError>,
    name: &str,
    policies: &Policies,
    file: &Place,
) -> Result<Pipeline<P>, ConfigError> {
    let Some(policy) = policies.get(name) else {
        let message = format!("there is no policy `{name}`, which the program runs calls under");
        let problem = Problem::new(ProblemKind::Missing, file, message);
        return Err(problem.nearest(name, policies.names()).into());
    };
    catch_unwind(AssertUnwindSafe(|| make(policy))).unwrap_or_else(|payload| {
        // Its destructor is the program's code as well, and might panic in turn.
        std::mem::forget(payload);
        let message = format!("the program panicked while it made a pipeline of `{name}`");
        Err(Problem::new(ProblemKind::Conflict, policy.place(), message).into())
    })
}

/// A policy that goes by the settings of a [`PolicyFile`] as they are when a call begins.
///
/// It keeps the file, and the thread that watches it, alive. Clones follow alike. Beside what it is made
/// of, a call takes a shared lock for a moment.
pub struct Followed<P> {
    slot: Arc<Slot<P>>,
    file: PolicyFile,
}

impl<P> Followed<P> {
    /// What it is made of now.
    pub fn now(&self) -> Arc<Pipeline<P>> {
        Arc::clone(&sync::read(&self.slot.now))
    }

    /// The file that it follows.
    pub const fn file(&self) -> &PolicyFile {
        &self.file
    }
}

impl<P> Clone for Followed<P> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), file: self.file.clone() }
    }
}

impl<P: Describe> Describe for Followed<P> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        self.now().stack().describe(layers);
    }
}

impl<T, E, P> Policy<T, E> for Followed<P>
where
    T: Send,
    E: Send,
    P: Policy<T, E>,
{
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        // Asked for by the first poll: that is when the call begins.
        async move {
            let now = self.now();
            now.stack().call(op).await
        }
    }
}

impl<T, E, P: BlockingPolicy<T, E>> BlockingPolicy<T, E> for Followed<P> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        self.now().stack().call_blocking(op)
    }
}

impl<P> fmt::Debug for Followed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed")
            .field("policy", &self.slot.name)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::fs;

    /// What the thread that watches does at each turn, without the waits between.
    #[test]
    fn only_what_two_looks_have_seen_is_taken() {
        let path = env::temp_dir().join(format!("seawall-look-{}.toml", std::process::id()));
        let write = |attempts: u32| {
            fs::write(&path, format!("p.retry.max_attempts = {attempts}")).unwrap();
        };
        write(1);
        let file = PolicyFile::open(&path).unwrap();
        let attempts = || file.policies().get("p").unwrap().retry().unwrap().max_attempts();
        let look = || file.shared.look();
        assert_eq!((look(), attempts()), (Look::Same, 1));
        write(2);
        assert_eq!((look(), attempts()), (Look::Settling, 1), "perhaps it is being written");
        write(3);
        assert_eq!((look(), attempts()), (Look::Settling, 1), "so it was");
        assert_eq!((look(), attempts()), (Look::Taken, 3));
        assert_eq!(look(), Look::Same);

        // Deleted and made again.
        fs::remove_file(&path).unwrap();
        assert_eq!((look(), file.last_error()), (Look::Settling, None));
        write(3);
        assert_eq!((look(), file.last_error()), (Look::Same, None));
        // And what was seen before that does not count as seen.
        fs::remove_file(&path).unwrap();
        assert_eq!(look(), Look::Settling);
        assert_eq!((look(), attempts()), (Look::Taken, 3), "refused");
        assert!(file.last_error().is_some());
        write(4);
        assert_eq!(look(), Look::Settling);
        file.reload().unwrap();
        assert_eq!((look(), attempts(), file.last_error()), (Look::Same, 4, None));
        fs::remove_file(&path).unwrap();
    }
}
