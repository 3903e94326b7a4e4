//! Many at once: the group writer, races, speed.

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use ticrypt_policy::node::may_create;
use ticrypt_policy::version::may_publish;
use ticrypt_store::node::{CreateNodes, Which};
use ticrypt_store::version::Published;
use ticrypt_store::{Options, Store, StoreError};

use crate::lab::{Db, MAKING, NOW, actor};

pub async fn a_failed_write_undoes_itself_only(db: Db) {
    let lab = db.open().await;
    let writes = (0..20u8).map(|n| {
        lab.store.write(move |tx| {
            async move {
                tx.set_setting(&format!("key {n}"), &[n]).await?;
                if n % 3 == 0 { Err(StoreError::Invalid("on purpose")) } else { Ok(n) }
            }
            .boxed()
        })
    });
    for (n, outcome) in futures::future::join_all(writes).await.into_iter().enumerate() {
        let fails = n % 3 == 0;
        assert_eq!(outcome.is_err(), fails, "{n}");
        assert_eq!(lab.store.setting(&format!("key {n}")).await.unwrap().is_none(), fails, "{n}");
    }
    // An error of the database itself, too: PostgreSQL refuses everything after it until the savepoint is undone.
    let broken = lab.store.write(|tx| {
        async move {
            tx.set_setting("broken", b"1").await?;
            tx.index_events(vec![(ticrypt_store::audit::Subject::from(ticrypt_types::NodeId::from_random([1; 16])), u64::MAX)]).await
        }
        .boxed()
    });
    let fine = lab.store.set_setting("fine".into(), vec![1]);
    let (broken, fine) = futures::join!(broken, fine);
    assert!(broken.is_err() && fine.is_ok());
    assert!(lab.store.setting("broken").await.unwrap().is_none() && lab.store.setting("fine").await.unwrap().is_some());
}

pub async fn a_panic_undoes_itself_only(db: Db) {
    let lab = db.open().await;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panics = lab.store.write::<(), _>(|tx| {
        async move {
            tx.set_setting("half", b"1").await?;
            panic!("on purpose")
        }
        .boxed()
    });
    let (panics, fine) = futures::join!(panics, lab.store.set_setting("fine".into(), vec![1]));
    std::panic::set_hook(hook);
    assert!(matches!(panics, Err(StoreError::Unavailable(None))), "{panics:?}");
    fine.unwrap();
    assert!(lab.store.setting("half").await.unwrap().is_none());
    lab.store.set_setting("after".into(), vec![1]).await.expect("the writer goes on");
}

pub async fn two_creates_with_one_name(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let mut writes = Vec::new();
    for _ in 0..2 {
        let permit = may_create(&actor(owner), &lab.facts(owner, home).await, MAKING, NOW).unwrap();
        let create = CreateNodes { head: lab.next_head(home).await, nodes: vec![lab.file_new(home, "one name", None)], created: NOW };
        writes.push(lab.store.create_nodes(permit, create));
    }
    let outcomes = futures::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(lab.store.list_entries(home, Which::All, None, 10).await.unwrap().len(), 1);
    // With a head of its own each, it is the name that decides.
    let second = lab.create(owner, home, vec![lab.file_new(home, "one name", None)]).await;
    assert!(matches!(second, Err(StoreError::Taken(ticrypt_store::Taken::NodeName))));
}

pub async fn two_publishes(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let file = lab.file(owner, home, "file").await;
    let first = lab.store.entries(&[file]).await.unwrap()[0].current.clone().unwrap().manifest.hash;
    let mut writes = Vec::new();
    for _ in 0..2 {
        let permit = may_publish(&actor(owner), &lab.facts(owner, file).await, NOW).unwrap();
        writes.push(lab.store.publish(permit, lab.small(b"mine", 2, Some(first))));
    }
    let outcomes: Vec<_> = futures::future::join_all(writes).await.into_iter().map(Result::unwrap).collect();
    assert!(outcomes.contains(&Published::Current) && outcomes.contains(&Published::Conflict), "{outcomes:?}");
    assert_eq!(lab.store.versions(file, None, 10).await.unwrap().len(), 3);
}

pub async fn eight_writers_at_once(db: Db) {
    let lab = Arc::new(db.open().await);
    let owner = lab.person();
    let home = lab.home(owner).await;
    let tasks = (0..8).map(|writer| {
        let lab = Arc::clone(&lab);
        tokio::spawn(async move {
            let mut stale = 0;
            for n in 0..10 {
                // As the backend does: stale means load, decide and sign again.
                loop {
                    match lab.create(owner, home, vec![lab.file_new(home, &format!("{writer} {n}"), None)]).await {
                        Ok(()) => break,
                        Err(StoreError::Stale(_)) => stale += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            stale
        })
    });
    let stale: u32 = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    println!("{stale} retries");
    assert_eq!(lab.store.directory_leaves(home).await.unwrap().len(), 80);
    assert_eq!(lab.store.node(home).await.unwrap().unwrap().head_counter, 81);
}

pub async fn answers_come_after_the_commit(db: Db) {
    let lab = db.open().await;
    let other = Store::connect(&db.url, &Options::default()).await.unwrap();
    let writes = (0..50u8).map(|n| {
        let (store, other) = (lab.store.clone(), other.clone());
        async move {
            store.set_setting(format!("key {n}"), vec![n]).await.unwrap();
            // Another connection sees it the moment it is answered.
            assert_eq!(other.setting(&format!("key {n}")).await.unwrap(), Some(vec![n]));
        }
    });
    futures::future::join_all(writes).await;
    // And two processes take turns.
    let both = [lab.store.clone(), other.clone()];
    let counted = (0..40).map(|n| {
        let store = both[n % 2].clone();
        async move { store.write(|tx| async move { tx.next_closure_seq().await }.boxed()).await.unwrap() }
    });
    let mut numbers = futures::future::join_all(counted).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
}

pub async fn closing_finishes_what_was_accepted(db: Db) {
    let lab = db.open().await;
    let writes: Vec<_> = (0..30u8)
        .map(|n| {
            tokio::spawn({
                let store = lab.store.clone();
                async move { store.set_setting(format!("key {n}"), vec![n]).await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    lab.store.close().await.unwrap();
    let again = db.open().await;
    for (n, write) in writes.into_iter().enumerate() {
        let stored = again.store.setting(&format!("key {n}")).await.unwrap().is_some();
        match write.await.unwrap() {
            Ok(()) => assert!(stored, "{n}"),
            Err(StoreError::Closed) => assert!(!stored, "{n}"),
            Err(error) => panic!("{n}: {error:?}"),
        }
    }
    assert!(matches!(lab.store.set_setting("late".into(), vec![]).await, Err(StoreError::Closed)));
    lab.store.close().await.unwrap();
}

pub async fn a_caller_that_leaves_does_not_stop_a_write(db: Db) {
    let lab = db.open().await;
    let (started, wait) = tokio::sync::oneshot::channel();
    let store = lab.store.clone();
    let caller = tokio::spawn(async move {
        let work = store.write(move |tx| {
            async move {
                let _ = started.send(());
                tokio::task::yield_now().await;
                tx.set_setting("kept", b"1").await
            }
            .boxed()
        });
        work.await
    });
    wait.await.unwrap();
    caller.abort();
    let _ = caller.await;
    lab.store.set_setting("next".into(), vec![1]).await.unwrap();
    assert!(lab.store.setting("kept").await.unwrap().is_some());
}

pub async fn ten_thousand_nodes(db: Db) {
    let lab = db.open().await;
    let owner = lab.person();
    let home = lab.home(owner).await;
    let nodes: Vec<_> = (0..10_000).map(|n| lab.file_new(home, &format!("{n}"), None)).collect();
    let started = Instant::now();
    lab.create(owner, home, nodes).await.unwrap();
    let took = started.elapsed();
    println!("10 000 nodes: {took:?}");
    // A second on a quiet machine; this bound only catches a statement per row.
    assert!(took.as_secs() < 10, "{took:?}");
    let with_content: Vec<_> = (0..2_000).map(|n| lab.file_new(home, &format!("c{n}"), Some(lab.small(&[1; 500], 1, None)))).collect();
    let started = Instant::now();
    lab.create(owner, home, with_content).await.unwrap();
    println!("2 000 nodes with small contents: {:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(lab.store.directory_leaves(home).await.unwrap().len(), 12_000);
    println!("12 000 leaves: {:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(lab.store.list_entries(home, Which::Live, None, 2_000).await.unwrap().len(), 2_000);
    println!("2 000 entries: {:?}", started.elapsed());
}
