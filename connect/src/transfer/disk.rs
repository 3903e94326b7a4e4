//! Between the vault and the disk of this machine, read and written by this program itself: any number of files, paused and resumed, and
//! no page need stay open.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::get::GetOptions;
use ticrypt_client::vault::plan::IfExists;
use ticrypt_client::vault::put::PutOptions;
use ticrypt_types::NodeName;
use ticrypt_types::name::Harmless;

use super::{Direction, Job, State};
use crate::desk::{Desk, Office};
use crate::ui;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Copying {
    pub way: Way,
    pub if_exists: IfExists,
}

#[derive(Clone, Debug)]
pub enum Way {
    /// Out of the vault into a folder of this machine.
    Out { sources: Vec<VaultPath>, into: PathBuf },
    /// From this machine into a folder of the vault.
    In { sources: Vec<PathBuf>, into: VaultPath },
}

impl Way {
    fn direction(&self) -> Direction {
        match self {
            Self::Out { .. } => Direction::Download,
            Self::In { .. } => Direction::Upload,
        }
    }

    fn title(&self) -> String {
        let names: Vec<String> = match self {
            Self::Out { sources, .. } => sources.iter().map(|path| path.names().last().map_or_else(|| path.to_string(), named)).collect(),
            Self::In { sources, .. } => {
                let name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                sources.iter().map(|path| Harmless(&name(path)).to_string()).collect()
            }
        };
        match names.as_slice() {
            [one] => one.clone(),
            several => ui::count(several.len(), "item", "items"),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Out { into, .. } => into.display().to_string(),
            Self::In { into, .. } => into.to_string(),
        }
    }
}

fn named(name: &NodeName) -> String {
    name.harmless().to_string()
}

/// Begins it; it goes on by itself.
pub fn begin(desk: &Arc<Desk>, office: &Arc<Office>, copying: Copying) -> Arc<Job> {
    let way = &copying.way;
    let job = office.transfers.begin(way.direction(), &way.title(), &way.place(), 0, 0);
    let (desk, weak, of) = (Arc::clone(desk), Arc::downgrade(&job), Arc::downgrade(office));
    // What is written already is the same and left; only where names were to be free must it be looked at first.
    let if_exists = if copying.if_exists == IfExists::Fail { IfExists::Skip } else { copying.if_exists };
    let again = Copying { if_exists, ..copying.clone() };
    let resumed: Arc<dyn Fn() + Send + Sync> = {
        let desk = Arc::clone(&desk);
        Arc::new(move || run(&desk, &of, &weak, again.clone()))
    };
    job.inner().resume = Some(resumed);
    run(&desk, &Arc::downgrade(office), &Arc::downgrade(&job), copying);
    job
}

fn run(desk: &Arc<Desk>, office: &Weak<Office>, job: &Weak<Job>, copying: Copying) {
    let (Some(office), Some(job)) = (office.upgrade(), job.upgrade()) else { return };
    job.begin_again();
    let cancel = job.run(desk.busy());
    tokio::spawn(async move {
        let if_exists = copying.if_exists;
        let done = match copying.way {
            Way::Out { sources, into } => {
                let options = GetOptions { if_exists, ..GetOptions::default() };
                office.vault.get(&sources, &into, &options, &*job, &cancel).await
            }
            Way::In { sources, into } => {
                let options = PutOptions { if_exists, ..PutOptions::default() };
                office.vault.put(&sources, &into, &options, &*job, &cancel).await
            }
        };
        match done {
            Ok(report) => {
                // What was left out or failed stands in the notes already.
                tracing::debug!(files = report.files, "a transfer ended");
                job.finish();
            }
            Err(error) if error.code() == "cancelled" => {
                if office.open.is_cancelled() {
                    job.fail("the vault was locked; unlock it and begin again, what is written is kept");
                } else if job.state() == State::Running {
                    job.fail("ended");
                }
            }
            Err(error) => job.fail(&error.to_string()),
        }
    });
}

/// A path that a person chose or typed, if there is something.
pub fn there(text: &str) -> Option<PathBuf> {
    let path = Path::new(text.trim());
    (path.is_absolute() && path.exists()).then(|| path.to_owned())
}
