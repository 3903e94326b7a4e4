//! Into the vault, from a page: small files many at once, large ones slice by slice. The bytes pass through memory; nothing of them is
//! written to this machine's disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::plan::{IfExists, Kind as There};
use ticrypt_client::vault::progress::{Note, Outcome, Progress, Report};
use ticrypt_client::vault::receive::{Arrival, Pieces, SmallFile, arriving};
use ticrypt_client::vault::upload::OTHER_CONTENT;
use ticrypt_client::{ClientError, Kind};
use ticrypt_types::{NodeName, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Direction, Job, State as JobState, batch};
use crate::Shared;
use crate::desk::{Desk, Office};
use crate::fields::Fields;
use crate::trouble::{Result, Trouble};

/// Of a large file, passed on as it comes.
const SLICE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Small files with a line for each.
const BATCH_MAX_BYTES: usize = 8 * 1024 * 1024 + 512 * 1024;
/// A page that says nothing for so long is gone, or its person closed the lid.
const SILENCE: Duration = Duration::from_secs(30);

/// One thing that was dropped, or several.
pub struct Upload {
    job: Arc<Job>,
    at: VaultPath,
    if_exists: IfExists,
    feeding: tokio::sync::Mutex<HashMap<Vec<NodeName>, Feeding>>,
    heard: Mutex<Instant>,
}

/// A large file on its way.
struct Feeding {
    pieces: Pieces,
    /// Somebody else hands the file over now.
    superseded: CancellationToken,
    next: u64,
    size: u64,
    task: JoinHandle<ticrypt_client::error::Result<Report>>,
}

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/uploads", post(begin))
        .route("/uploads/taken", post(taken))
        .route("/uploads/{id}/small", post(small))
        .route("/uploads/{id}/slice", post(slice))
        .route("/uploads/{id}/unreadable", post(unreadable))
        .route("/uploads/{id}/done", post(done))
}

#[derive(Deserialize)]
struct TakenAsked {
    at: String,
    names: Vec<String>,
}

#[derive(Serialize)]
struct TakenReply {
    /// Names under which something else than a folder stands.
    taken: Vec<String>,
}

/// Which names are taken, asked before anything is sent.
async fn taken(State(app): State<Shared>, Json(asked): Json<TakenAsked>) -> Result<Json<TakenReply>> {
    let office = app.desk.office().await?;
    let names: Vec<NodeName> = asked.names.iter().filter_map(|name| NodeName::normalise(name).ok()).collect();
    let found = office.vault.taken(&path(&asked.at)?, &names).await?;
    let mut taken: Vec<String> =
        found.into_iter().filter(|(_, there)| *there != There::Directory).map(|(name, _)| name.as_str().to_owned()).collect();
    taken.sort();
    Ok(Json(TakenReply { taken }))
}

#[derive(Deserialize)]
struct Begin {
    at: String,
    exists: String,
    title: String,
    files: u64,
    bytes: u64,
    #[serde(default)]
    folders: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct Begun {
    id: u64,
}

async fn begin(State(app): State<Shared>, Json(asked): Json<Begin>) -> Result<Json<Begun>> {
    let office = app.desk.office().await?;
    let at = path(&asked.at)?;
    let if_exists = if_exists(&asked.exists)?;
    let title = ticrypt_types::name::Harmless(&asked.title).to_string();
    let job = office.transfers.begin(Direction::Upload, &title, &at.to_string(), asked.files, asked.bytes);
    job.run(app.desk.busy());
    let upload = Arc::new(Upload {
        job: Arc::clone(&job),
        at,
        if_exists,
        feeding: tokio::sync::Mutex::default(),
        heard: Mutex::new(Instant::now()),
    });
    office.transfers.uploads.lock().unwrap_or_else(PoisonError::into_inner).insert(job.id, Arc::clone(&upload));
    tokio::spawn(watch(Arc::clone(&office), Arc::clone(&upload)));
    // Folders without files are folders too.
    for folder in &asked.folders {
        match names(folder) {
            Ok(names) => {
                let made = names.iter().fold(upload.at.clone(), |path, name| path.child(name));
                if let Err(error) = office.vault.mkdir(&made, true).await {
                    upload.settle(&made.to_string(), error)?;
                }
            }
            Err(trouble) => job.note(&failed(&folder.join("/"), trouble.message())),
        }
    }
    Ok(Json(Begun { id: job.id }))
}

/// Frees what a page that is gone has left half handed over; the record of it on this device stays.
async fn watch(office: Arc<Office>, upload: Arc<Upload>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = office.open.cancelled() => {
                upload.job.fail("the vault was locked; unlock it and drop the same files again to go on");
                break;
            }
            _ = tick.tick() => {}
        }
        let state = upload.job.state();
        if state.is_over() {
            break;
        }
        if state == JobState::Running && upload.silence() >= SILENCE {
            upload.job.rest(JobState::Waiting, Some("the page that sent it is gone; drop the same files again to go on".to_owned()));
            break;
        }
    }
    upload.feeding.lock().await.clear();
    office.transfers.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload.job.id);
}

#[derive(Serialize)]
struct More {
    /// Whether the rest of the file is wanted.
    more: bool,
}

/// Small files, many in one request.
async fn small(State(app): State<Shared>, Path(id): Path<u64>, request: Request) -> Result<Json<More>> {
    let (office, upload) = find(&app, id).await?;
    let body = body(request).await?;
    let mut files = Vec::new();
    for (line, bytes) in batch::cut(body)? {
        match names(&line.path) {
            Ok(path) => files.push(SmallFile { path, modified: Timestamp::from_millis(line.modified), bytes }),
            Err(trouble) => {
                upload.job.note(&failed(&line.path.join("/"), trouble.message()));
                Progress::finish(&*upload.job, 1);
            }
        }
    }
    let count = files.len() as u64;
    let received = office.vault.receive_small(&upload.at, files, upload.if_exists, &*upload.job);
    let received = tokio::select! {
        received = received => received,
        () = stopped(&upload.job) => return Ok(Json(More { more: false })),
    };
    if let Err(error) = received {
        upload.settle(&crate::ui::count(usize::try_from(count).unwrap_or(usize::MAX), "small file", "small files"), error)?;
    }
    Ok(Json(More { more: false }))
}

async fn stopped(job: &Job) {
    job.cancel_token().cancelled_owned().await;
}

/// The next slice of a large file.
async fn slice(State(app): State<Shared>, Path(id): Path<u64>, request: Request) -> Result<Json<More>> {
    let (office, upload) = find(&app, id).await?;
    let fields = Fields::parse(request.uri().query().unwrap_or_default().as_bytes());
    let said: Vec<String> =
        serde_json::from_str(fields.need("path")?).map_err(|_| Trouble::invalid("the path of a file cannot be read"))?;
    let (size, from) = (fields.parsed::<u64>("size", "a size")?, fields.parsed::<u64>("from", "a place in the file")?);
    let modified = Timestamp::from_millis(fields.parsed("modified", "a time")?);
    let names = match names(&said) {
        Ok(names) => names,
        Err(trouble) => {
            upload.job.note(&failed(&said.join("/"), trouble.message()));
            hand_over(request, &upload, None).await?;
            return Ok(Json(More { more: false }));
        }
    };
    if from == 0 {
        upload.start(&app.desk, &office, &names, size, modified).await?;
    }
    let turn = upload.feeding.lock().await.get_mut(&names).filter(|feed| feed.next == from && feed.size == size).map(|feed| {
        // Nobody else's turn until this slice is through.
        feed.next = u64::MAX;
        (feed.pieces.clone(), feed.superseded.clone())
    });
    let Some((wanted, superseded)) = turn else {
        hand_over(request, &upload, None).await?;
        return Err(Trouble::new(axum::http::StatusCode::CONFLICT, OTHER_CONTENT, "the slices came out of order; send the file again"));
    };
    let handed = tokio::select! {
        handed = hand_over(request, &upload, Some(wanted)) => handed,
        // One that is paused does not notice that its page is gone.
        () = superseded.cancelled() => Err(Trouble::gone("this file is handed over by another page now; follow it there, or under Transfers")),
    };
    {
        let mut feeding = upload.feeding.lock().await;
        match (&handed, feeding.get_mut(&names)) {
            (Ok(handed), Some(feed)) => feed.next = from.saturating_add(handed.bytes),
            // Part of a slice is in; what comes after it is not known to fit.
            (Err(_), _) => drop(feeding.remove(&names)),
            (Ok(_), None) => {}
        }
    }
    let handed = handed?;
    if handed.taken && from.saturating_add(handed.bytes) < size {
        return Ok(Json(More { more: true }));
    }
    // All of it has come, or nobody wants more: what came of it?
    let Some(feed) = upload.feeding.lock().await.remove(&names) else { return Ok(Json(More { more: false })) };
    drop(feed.pieces);
    let received = feed.task.await.map_err(|e| Trouble::broken(format!("an upload ended early: {e}")))?;
    upload.hear();
    match received {
        Ok(_) => {}
        Err(error) if error.code() == OTHER_CONTENT => return Err(error.into()),
        Err(error) => upload.settle(&said.join("/"), error)?,
    }
    Ok(Json(More { more: false }))
}

struct Handed {
    bytes: u64,
    taken: bool,
}

/// Hands a slice on as it comes, so that it is held nowhere as a whole; while the transfer is paused, the browser waits with the rest.
/// What nobody wants is read all the same: a browser that is answered while it still sends takes that for a broken line.
async fn hand_over(request: Request, upload: &Upload, wanted: Option<Pieces>) -> Result<Handed> {
    let mut handed = Handed { bytes: 0, taken: wanted.is_some() };
    let mut body = request.into_body().into_data_stream();
    while let Some(some) = body.next().await {
        let some = some.map_err(|_| Trouble::invalid("a slice was cut off; send the file again"))?;
        handed.bytes = handed.bytes.saturating_add(some.len() as u64);
        if handed.bytes > SLICE_MAX_BYTES {
            return Err(Trouble::invalid("a slice is too large; send the file again"));
        }
        if handed.taken {
            upload.job.while_paused().await;
        }
        upload.hear();
        handed.taken = match &wanted {
            Some(wanted) if handed.taken => wanted.send(some).await,
            _ => false,
        };
    }
    Ok(handed)
}

/// The browser cannot read a file: it is gone, or changed under its hand.
async fn unreadable(State(app): State<Shared>, Path(id): Path<u64>, fields: Fields) -> Result<Json<More>> {
    let (_, upload) = find(&app, id).await?;
    upload.job.note(&failed(fields.need("path")?, "it changed or went away while it was read; drop it again when it rests"));
    Ok(Json(More { more: false }))
}

/// The page has handed over all there is.
async fn done(State(app): State<Shared>, Path(id): Path<u64>) -> Result<Json<More>> {
    let (_, upload) = find(&app, id).await?;
    upload.job.finish();
    Ok(Json(More { more: false }))
}

impl Upload {
    fn silence(&self) -> Duration {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn start(&self, desk: &Arc<Desk>, office: &Arc<Office>, names: &[NodeName], size: u64, modified: Timestamp) -> Result<()> {
        let (name, folders) = names.split_last().ok_or_else(|| Trouble::invalid("a file without a name"))?;
        let directory = folders.iter().fold(self.at.clone(), |path, name| path.child(name));
        // The same file may still be half handed over by a page that was loaded anew: one record, one writer.
        let others: Vec<Arc<Self>> = office.transfers.uploads.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for other in others {
            if other.at == self.at
                && let Some(feed) = other.feeding.lock().await.remove(names)
            {
                feed.superseded.cancel();
                drop(feed.pieces);
                let _ = feed.task.await;
                if other.job.id != self.job.id {
                    other.job.rest(JobState::Cancelled, Some("went on in another page".to_owned()));
                }
            }
        }
        let (pieces, arriving) = arriving(size, modified);
        let (office, job, name, if_exists, busy) = (Arc::clone(office), Arc::clone(&self.job), name.clone(), self.if_exists, desk.busy());
        let task = tokio::spawn(async move {
            let _busy = busy;
            let to = Arrival { directory: &directory, name: &name, if_exists };
            office.vault.receive(to, arriving, &*job, &job.cancel_token()).await
        });
        self.feeding.lock().await.insert(names.to_vec(), Feeding { pieces, superseded: CancellationToken::new(), next: 0, size, task });
        Ok(())
    }

    /// What concerns one file is noted and the rest goes on; what concerns all ends the upload.
    fn settle(&self, path: &str, error: ClientError) -> Result<()> {
        match error.kind() {
            Kind::Invalid | Kind::Refused | Kind::NotFound | Kind::Stale | Kind::Taken => {
                self.job.note(&failed(path, error.message()));
                Ok(())
            }
            _ if error.code() == "cancelled" => Ok(()),
            Kind::Unavailable | Kind::LoggedOut | Kind::Untrusted | Kind::Broken => {
                self.job.fail(&error.to_string());
                Err(error.into())
            }
        }
    }
}

async fn find(app: &Shared, id: u64) -> Result<(Arc<Office>, Arc<Upload>)> {
    let office = app.desk.office().await?;
    let upload = office.transfers.uploads.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    let upload = upload.ok_or_else(|| Trouble::gone("this upload is over; drop the files again"))?;
    upload.hear();
    Ok((office, upload))
}

async fn body(request: Request) -> Result<Bytes> {
    let body = axum::body::to_bytes(request.into_body(), BATCH_MAX_BYTES).await;
    body.map_err(|_| Trouble::invalid("a batch of files is too large or was cut off; send it again"))
}

fn names(path: &[String]) -> Result<Vec<NodeName>> {
    if path.is_empty() {
        return Err(Trouble::invalid("a file without a name"));
    }
    let name = |text: &String| {
        NodeName::normalise(text)
            .map_err(|e| Trouble::invalid(format!("`{}` cannot be a name in the vault: {e}", ticrypt_types::name::Harmless(text))))
    };
    path.iter().map(name).collect()
}

fn failed(path: &str, reason: &str) -> Note {
    Note { path: ticrypt_types::name::Harmless(path).to_string(), outcome: Outcome::Failed, reason: reason.to_owned() }
}

pub(crate) fn path(text: &str) -> Result<VaultPath> {
    VaultPath::parse(text).map_err(|e| Trouble::invalid(e.to_string()))
}

pub(crate) fn if_exists(word: &str) -> Result<IfExists> {
    match word {
        "skip" => Ok(IfExists::Skip),
        "keep-both" => Ok(IfExists::KeepBoth),
        "force" => Ok(IfExists::Force),
        "" | "fail" => Ok(IfExists::Fail),
        _ => Err(Trouble::invalid("choose what to do where names are taken")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hostile_names_do_not_become_paths() {
        let names = |parts: &[&str]| names(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["a", "é"]).unwrap().len(), 2);
        for bad in [&[][..], &[".."], &["a/b"], &[""], &["a", "."], &["nul\0"]] {
            assert!(names(bad).is_err(), "{bad:?}");
        }
    }
}
