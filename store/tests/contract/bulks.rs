//! Bulk actions: stored whole, item by item decided, over when nothing is open.

use ticrypt_policy::bulk::{may_resume_bulk, may_start_bulk, may_stop_bulk};
use ticrypt_store::bulk::{Bulk, BulkNew};
use ticrypt_store::{StoreError, Taken};
use ticrypt_types::bulk::{BulkItemState, BulkState};
use ticrypt_types::limits::BULKS_MAX;
use ticrypt_types::{BulkId, Operation, UserId};

use crate::lab::{Db, Lab, NOW, actor, at};

const OPERATION: Operation = Operation::CertificationSet;

impl Lab {
    async fn begin(&self, by: UserId, items: usize, ms: u64) -> BulkId {
        let bulk = BulkId::from_random(self.draw());
        let permit = may_start_bulk(&actor(by), bulk, OPERATION, NOW).unwrap();
        let items = (0..items).map(|n| (vec![format!("a{n}"), "b".to_owned()], vec![1, 2])).collect();
        self.store.start_bulk(permit, BulkNew { operation: OPERATION, items, at: at(ms) }).await.unwrap();
        bulk
    }

    async fn bulk(&self, bulk: BulkId) -> Bulk {
        self.store.bulk(bulk).await.unwrap().unwrap()
    }

    async fn open(&self, bulk: BulkId) -> Vec<u64> {
        let items = self.store.bulk_items(bulk, 0, Some(BulkItemState::Open), 100).await.unwrap();
        items.into_iter().map(|item| item.number).collect()
    }
}

pub async fn a_list_is_over_when_nothing_is_open(db: Db) {
    let lab = db.open().await;
    let ada = lab.active("ada").await;
    let bulk = lab.begin(ada, 4, 1_000_001).await;
    let found = lab.bulk(bulk).await;
    assert_eq!((found.operation, found.state, found.items, found.started), (OPERATION, BulkState::Running, 4, at(1_000_001)));
    let first = &lab.store.bulk_items(bulk, 0, None, 1).await.unwrap()[0];
    assert_eq!((first.parameters.as_slice(), first.body.as_slice()), (&["a0".to_owned(), "b".to_owned()][..], &[1, 2][..]));
    let failed = |n| (n, Err(("no_permission".to_owned(), "this needs a permission".to_owned())));
    lab.store.record_bulk(bulk, vec![(0, Ok(())), failed(1)], at(1_000_002)).await.unwrap();
    // What was decided is not decided again.
    lab.store.record_bulk(bulk, vec![(1, Ok(()))], at(1_000_003)).await.unwrap();
    let half = lab.bulk(bulk).await;
    assert_eq!((half.done, half.failed, half.state), (1, 1, BulkState::Running));
    assert_eq!(lab.open(bulk).await, [2, 3]);
    lab.store.record_bulk(bulk, vec![failed(3), (2, Ok(()))], at(1_000_004)).await.unwrap();
    let done = lab.bulk(bulk).await;
    assert_eq!((done.done, done.failed, done.state, done.changed), (2, 2, BulkState::Done, at(1_000_004)));
    let items = lab.store.bulk_items(bulk, 1, Some(BulkItemState::Failed), 10).await.unwrap();
    assert_eq!(items.iter().map(|item| item.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((items[0].code.as_deref(), items[0].body.len()), (Some("no_permission"), 2), "may be tried again");
    assert!(lab.store.bulk_items(bulk, 0, Some(BulkItemState::Done), 1).await.unwrap()[0].body.is_empty(), "is needed no more");

    // What failed is open again, and over once more.
    let permit = may_resume_bulk(&actor(ada), &done.facts(), true, NOW).unwrap();
    lab.store.resume_bulk(permit, true, at(1_000_005)).await.unwrap();
    assert_eq!((lab.bulk(bulk).await.failed, lab.open(bulk).await), (0, vec![1, 3]));
    lab.store.record_bulk(bulk, vec![(1, Ok(())), (3, Ok(()))], at(1_000_006)).await.unwrap();
    assert_eq!((lab.bulk(bulk).await.done, lab.bulk(bulk).await.state), (4, BulkState::Done));
}

pub async fn lists_are_stopped_and_the_oldest_go(db: Db) {
    let lab = db.open().await;
    let (ada, eva) = (lab.active("ada").await, lab.active("eva").await);
    let bulk = lab.begin(ada, 2, 1_000_001).await;
    let facts = lab.bulk(bulk).await.facts();
    let stop = || may_stop_bulk(&actor(ada), &facts, NOW).unwrap();
    lab.store.stop_bulk(stop(), NOW).await.unwrap();
    assert!(matches!(lab.store.stop_bulk(stop(), NOW).await, Err(StoreError::Stale("bulk"))));
    assert_eq!(lab.bulk(bulk).await.state, BulkState::Stopped);
    let permit = may_resume_bulk(&actor(ada), &lab.bulk(bulk).await.facts(), false, NOW).unwrap();
    lab.store.resume_bulk(permit, false, NOW).await.unwrap();
    lab.store.interrupt_bulk(bulk, NOW).await.unwrap();
    assert_eq!(lab.bulk(bulk).await.state, BulkState::Stopped);
    let permit = may_start_bulk(&actor(eva), bulk, OPERATION, NOW).unwrap();
    let taken = lab.store.start_bulk(permit, BulkNew { operation: OPERATION, items: vec![], at: NOW }).await;
    assert!(matches!(taken, Err(StoreError::Taken(Taken::BulkId))), "{taken:?}");

    // The newest of each person are kept, and what runs.
    let running = lab.begin(ada, 1, 1_000_002).await;
    let of_eva = lab.begin(eva, 1, 1_000_000).await;
    for n in 0..BULKS_MAX as u64 {
        let next = lab.begin(ada, 1, 1_000_010 + n).await;
        lab.store.record_bulk(next, vec![(0, Ok(()))], NOW).await.unwrap();
    }
    assert_eq!(lab.store.bulk(bulk).await.unwrap(), None);
    assert!(lab.store.bulk_items(bulk, 0, None, 10).await.unwrap().is_empty());
    assert_eq!((lab.bulk(running).await.state, lab.bulk(of_eva).await.state), (BulkState::Running, BulkState::Running));
    assert_eq!(lab.store.bulks_of(ada).await.unwrap().len(), BULKS_MAX);
    assert_eq!(lab.store.interrupt_bulks().await.unwrap(), 2);
    assert_eq!(lab.bulk(of_eva).await.state, BulkState::Stopped);
}
