//! Long work: what is under way, how far it is, and how it is paused, resumed and ended.
//!
//! ```text
//!   running ⇄ paused          a page asks
//!   running ──▶ waiting       the page that hands over a file is gone; the same file again goes on
//!   running ──▶ done | failed | cancelled
//!   failed ──▶ running        a download is tried again: what it wrote is kept
//! ```

mod batch;
pub mod disk;
pub mod file;
pub mod upload;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use ticrypt_client::vault::progress::{Cancel, Note, Outcome, Progress};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::desk::Busy;
use crate::hub::{Happened, Hub};
use crate::trouble::{Result, Trouble};

/// Pages are told this often at most.
const TELL: Duration = Duration::from_millis(200);
/// Jobs that are remembered after their end.
const ENDED_MAX: usize = 200;
/// Notes of one job.
const NOTES_MAX: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Paused,
    Waiting,
    Done,
    Failed,
    Cancelled,
}

impl State {
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Upload,
    Download,
}

/// One piece of long work.
pub struct Job {
    pub id: u64,
    pub direction: Direction,
    pub title: String,
    /// Where it goes, in words.
    pub place: String,
    pub started: ticrypt_types::Timestamp,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    files: AtomicU64,
    total_files: AtomicU64,
    inner: Mutex<Inner>,
    /// For whoever waits until it goes on.
    stands: watch::Sender<State>,
    hub: Arc<Hub>,
    /// Ends when the vault is locked, and whatever works for this job with it.
    open: CancellationToken,
}

struct Inner {
    state: State,
    message: Option<String>,
    notes: Vec<Note>,
    cancel: Cancel,
    told: Instant,
    busy: Option<Busy>,
    /// What goes on when it is resumed, if this program drives it.
    resume: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A job as pages see it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    pub id: u64,
    pub direction: Direction,
    pub title: String,
    pub place: String,
    pub state: State,
    pub bytes: u64,
    pub total_bytes: u64,
    pub files: u64,
    pub total_files: u64,
    pub started_ms: ticrypt_types::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it changed is shown by the table of an open page.
    pub reload: bool,
    /// It failed and can be tried again.
    pub again: bool,
}

impl Job {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn seen(&self) -> Seen {
        let inner = self.inner();
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Seen {
            id: self.id,
            direction: self.direction,
            title: self.title.clone(),
            place: self.place.clone(),
            state: inner.state,
            bytes: load(&self.bytes),
            total_bytes: load(&self.total_bytes),
            files: load(&self.files),
            total_files: load(&self.total_files),
            started_ms: self.started,
            message: inner.message.clone(),
            reload: self.direction == Direction::Upload,
            again: inner.state == State::Failed && inner.resume.is_some(),
        }
    }

    pub fn notes(&self) -> Vec<Note> {
        self.inner().notes.clone()
    }

    pub fn state(&self) -> State {
        self.inner().state
    }

    pub fn cancel_token(&self) -> Cancel {
        self.inner().cancel.clone()
    }

    fn tell(&self) {
        self.hub.tell("transfer", &self.seen());
    }

    fn tell_soon(&self) {
        {
            let mut inner = self.inner();
            if inner.told.elapsed() < TELL || inner.state.is_over() {
                return;
            }
            inner.told = Instant::now();
        }
        self.tell();
    }

    /// Work began, or goes on.
    pub fn run(&self, busy: Busy) -> Cancel {
        let cancel = {
            let mut inner = self.inner();
            inner.state = State::Running;
            inner.message = None;
            inner.busy = Some(busy);
            if inner.cancel.is_cancelled() {
                inner.cancel = self.open.child_token();
            }
            inner.cancel.clone()
        };
        self.stands.send_replace(State::Running);
        self.tell();
        cancel
    }

    /// Counts from nothing again, for work that goes through all of it once more and finds what is done already.
    pub fn begin_again(&self) {
        for number in [&self.bytes, &self.total_bytes, &self.files, &self.total_files] {
            number.store(0, Ordering::Relaxed);
        }
        self.inner().notes.clear();
    }

    /// It stands still, or is over. What is over stays so.
    pub fn rest(&self, state: State, message: Option<String>) {
        {
            let mut inner = self.inner();
            if inner.state.is_over() {
                return;
            }
            inner.state = state;
            inner.message = message;
            inner.busy = None;
            if matches!(state, State::Done | State::Cancelled) {
                inner.resume = None;
            }
        }
        self.stands.send_replace(state);
        self.tell();
    }

    /// All went through; what did not is told.
    pub fn finish(&self) {
        let notes = self.notes();
        let failed: Vec<&Note> = notes.iter().filter(|note| note.outcome == Outcome::Failed).collect();
        match failed.as_slice() {
            [] if notes.is_empty() => self.rest(State::Done, None),
            [] => self.rest(State::Done, Some(format!("done; {} left out or renamed, see Transfers", notes.len()))),
            [one] => self.fail(&format!("{}: {}", one.path, one.reason)),
            several => self.fail(&format!("{} could not be done, see Transfers", several.len())),
        }
    }

    pub fn fail(&self, why: &str) {
        self.rest(State::Failed, Some(why.to_owned()));
    }

    /// From a page.
    pub fn pause(&self) {
        let (state, cancel) = {
            let inner = self.inner();
            // What a page hands over waits by itself; what this program drives is ended, and begun again to go on.
            (inner.state, inner.resume.is_some().then(|| inner.cancel.clone()))
        };
        if state == State::Running {
            self.rest(State::Paused, None);
            if let Some(cancel) = cancel {
                cancel.cancel();
            }
        }
    }

    pub fn resume(&self, busy: Busy) {
        let (state, resume) = {
            let inner = self.inner();
            (inner.state, inner.resume.clone())
        };
        match (state, resume) {
            (State::Paused | State::Failed, Some(resume)) => resume(),
            // The page goes on handing over.
            (State::Paused, None) => drop(self.run(busy)),
            _ => {}
        }
    }

    /// Waits as long as it is paused.
    pub async fn while_paused(&self) {
        // The sender is this job's own: it cannot be gone.
        let _ = self.stands.subscribe().wait_for(|state| *state != State::Paused).await;
    }

    pub fn stop(&self) {
        self.rest(State::Cancelled, None);
        self.cancel_token().cancel();
    }
}

impl Progress for Job {
    fn expect(&self, files: u64, bytes: u64) {
        // Of what a page hands over all is known before it begins.
        if self.inner().resume.is_some() {
            self.total_files.fetch_add(files, Ordering::Relaxed);
            self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.tell_soon();
        }
    }

    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell_soon();
    }

    fn finish(&self, files: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.tell_soon();
    }

    fn note(&self, note: &Note) {
        let mut inner = self.inner();
        if inner.notes.len() < NOTES_MAX {
            inner.notes.push(note.clone());
        }
    }
}

/// What is under way in one unlocked vault.
pub struct Transfers {
    hub: Arc<Hub>,
    open: CancellationToken,
    next: AtomicU64,
    jobs: Mutex<BTreeMap<u64, Arc<Job>>>,
    pub(crate) uploads: Mutex<BTreeMap<u64, Arc<upload::Upload>>>,
}

impl Transfers {
    pub fn new(hub: Arc<Hub>, open: CancellationToken) -> Self {
        // Numbers differ from those before a lock, which a page may still show.
        let first = ticrypt_client::entropy::below(1 << 40);
        Self { hub, open, next: AtomicU64::new(first), jobs: Mutex::default(), uploads: Mutex::default() }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new job; it stands in the list at once.
    pub fn begin(&self, direction: Direction, title: &str, place: &str, files: u64, bytes: u64) -> Arc<Job> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let inner = Inner {
            state: State::Running,
            message: None,
            notes: Vec::new(),
            cancel: self.open.child_token(),
            told: Instant::now(),
            busy: None,
            resume: None,
        };
        let job = Arc::new(Job {
            id,
            direction,
            title: title.to_owned(),
            place: place.to_owned(),
            started: ticrypt_client::clock::now(),
            bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(bytes),
            files: AtomicU64::new(0),
            total_files: AtomicU64::new(files),
            inner: Mutex::new(inner),
            stands: watch::Sender::new(State::Running),
            hub: Arc::clone(&self.hub),
            open: self.open.clone(),
        });
        let mut jobs = self.jobs();
        jobs.insert(id, Arc::clone(&job));
        let over: Vec<u64> = jobs.values().filter(|job| job.state().is_over()).map(|job| job.id).collect();
        for id in over.iter().take(over.len().saturating_sub(ENDED_MAX)) {
            jobs.remove(id);
        }
        job
    }

    pub fn find(&self, id: u64) -> Result<Arc<Job>> {
        self.jobs().get(&id).cloned().ok_or_else(|| Trouble::not_found("this transfer is not known any more"))
    }

    /// Newest first.
    pub fn list(&self) -> Vec<Arc<Job>> {
        self.jobs().values().rev().cloned().collect()
    }

    /// Those under way, for a page that just began to listen.
    pub fn happened(&self) -> Vec<Happened> {
        let jobs = self.jobs();
        let running = jobs.values().filter(|job| !job.state().is_over());
        running.filter_map(|job| Some(Happened { name: "transfer", data: serde_json::to_string(&job.seen()).ok()? })).collect()
    }

    /// Forgets what is over.
    pub fn clear(&self) {
        self.jobs().retain(|_, job| !job.state().is_over());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_lock_ends_what_was_paused_and_resumed_too() {
        let open = CancellationToken::new();
        let transfers = Transfers::new(Arc::default(), open.clone());
        let job = transfers.begin(Direction::Download, "a", "b", 0, 0);
        let runs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&runs);
        job.inner().resume = Some(Arc::new(move || _ = counted.fetch_add(1, Ordering::SeqCst)));
        job.pause();
        assert!(job.cancel_token().is_cancelled() && !open.is_cancelled());
        let desk = crate::desk::tests::desk();
        job.resume(desk.busy());
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        let cancel = job.run(desk.busy());
        assert!(!cancel.is_cancelled());
        open.cancel();
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn what_failed_is_tried_again_if_this_program_drives_it() {
        let transfers = Transfers::new(Arc::default(), CancellationToken::new());
        let job = transfers.begin(Direction::Download, "a", "b", 0, 0);
        let desk = crate::desk::tests::desk();
        job.fail("the disk is full");
        assert!(!job.seen().again, "a page's own upload is dropped again instead");
        job.resume(desk.busy());
        assert_eq!(job.state(), State::Failed);
        let job = transfers.begin(Direction::Download, "a", "b", 0, 0);
        let runs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&runs);
        job.inner().resume = Some(Arc::new(move || _ = counted.fetch_add(1, Ordering::SeqCst)));
        job.note(&Note { path: "/x".into(), outcome: Outcome::Failed, reason: "no room".into() });
        Job::finish(&job);
        assert!(job.seen().again && job.state() == State::Failed);
        job.resume(desk.busy());
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        job.begin_again();
        job.run(desk.busy());
        assert!(job.notes().is_empty() && job.seen().message.is_none());
        job.stop();
        job.resume(desk.busy());
        assert_eq!((job.state(), runs.load(Ordering::SeqCst)), (State::Cancelled, 1));
    }
}
