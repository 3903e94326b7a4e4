//! Out of the vault into a folder of this machine, written by this program: any number of files, paused and resumed.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use ticrypt_client::vault::VaultPath;
use ticrypt_client::vault::get::GetOptions;
use ticrypt_client::vault::plan::IfExists;

use super::{Direction, Job, State};
use crate::desk::{Desk, Office};
use crate::ui;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Download {
    pub sources: Vec<VaultPath>,
    pub into: PathBuf,
    pub if_exists: IfExists,
}

/// Begins it; it goes on by itself.
pub fn begin(desk: &Arc<Desk>, office: &Arc<Office>, download: Download) -> Arc<Job> {
    let title = match download.sources.as_slice() {
        [one] => one.names().last().map_or_else(|| one.to_string(), |name| name.harmless().to_string()),
        several => ui::count(several.len(), "item", "items"),
    };
    let place = download.into.display().to_string();
    let job = office.transfers.begin(Direction::Download, &title, &place, 0, 0);
    let (desk, weak, of) = (Arc::clone(desk), Arc::downgrade(&job), Arc::downgrade(office));
    // What is written already is the same and left; only where names were to be free must it be looked at first.
    let if_exists = if download.if_exists == IfExists::Fail { IfExists::Skip } else { download.if_exists };
    let again = Download { if_exists, ..download.clone() };
    let resumed: Arc<dyn Fn() + Send + Sync> = {
        let desk = Arc::clone(&desk);
        Arc::new(move || run(&desk, &of, &weak, again.clone()))
    };
    job.inner().resume = Some(resumed);
    run(&desk, &Arc::downgrade(office), &Arc::downgrade(&job), download);
    job
}

fn run(desk: &Arc<Desk>, office: &Weak<Office>, job: &Weak<Job>, download: Download) {
    let (Some(office), Some(job)) = (office.upgrade(), job.upgrade()) else { return };
    job.begin_again();
    let cancel = job.run(desk.busy());
    tokio::spawn(async move {
        let Download { sources, into, if_exists } = download;
        let options = GetOptions { if_exists, ..GetOptions::default() };
        match office.vault.get(&sources, &into, &options, &*job, &cancel).await {
            Ok(report) => {
                // Links are not written and said so; what failed stands in the notes already.
                tracing::debug!(files = report.files, "a download ended");
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
