//! Changes that are acknowledged and not made: what was signed is remembered as seen, so the state before it is an older one.

use ticrypt_api::node::HeadReply;
use ticrypt_api::version::PublishReply;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{ClientError, Kind};
use ticrypt_types::{NodeName, Operation, Timestamp, Verbs};

use crate::liar::Lie;
use crate::world::{World, bytes, path, put};

type Step = for<'a> fn(&'a Vault, VaultPath) -> futures::future::LocalBoxFuture<'a, Result<(), ClientError>>;

/// Each change of a directory of its own that holds one file.
const STEPS: &[(&str, Operation, Step)] = &[
    ("mkdir", Operation::NodeCreate, |vault, at| Box::pin(async move { vault.mkdir(&below(&at, "new"), false).await.map(drop) })),
    ("put", Operation::NodeCreate, |vault, at| {
        Box::pin(async move {
            put(vault, &format!("{}/new", at.text()), b"new").await;
            Ok(())
        })
    }),
    ("rm", Operation::NodeTrash, |vault, at| Box::pin(async move { vault.rm(&[below(&at, "file")]).await.map(drop) })),
    ("rename", Operation::NodeRename, |vault, at| {
        Box::pin(async move { vault.mv(&below(&at, "file"), &below(&at, "other"), &Quiet, &Cancel::new()).await.map(drop) })
    }),
    ("mv", Operation::NodeMove, |vault, at| {
        Box::pin(async move { vault.mv(&below(&at, "file"), &path("/elsewhere"), &Quiet, &Cancel::new()).await.map(drop) })
    }),
];

fn below(at: &VaultPath, name: &str) -> VaultPath {
    at.child(&NodeName::parse(name).unwrap())
}

fn older<T: std::fmt::Debug>(what: &str, answer: Result<T, ClientError>) {
    let error = answer.expect_err(what);
    assert_eq!(error.kind(), Kind::Untrusted, "{what}: {error}");
    assert!(error.to_string().contains("shows an older state of the"), "{what}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_not_changed() {
    let mut world = World::start().await;
    let ann = world.person("ann").await;
    ann.vault.mkdir(&path("/elsewhere"), false).await.unwrap();
    for (what, operation, step) in STEPS {
        let at = path(&format!("/{what}"));
        ann.vault.mkdir(&at, false).await.unwrap();
        put(&ann.vault, &format!("/{what}/file"), b"file").await;
        world.liar.tell(&[Lie::undone(*operation, HeadReply { head_counter: 3 })]);
        // What is looked at right after the change tells of it already.
        if let Err(error) = step(&ann.vault, at.clone()).await {
            older(what, Err::<(), _>(error));
        }
        assert!(world.liar.told() > 0, "{what}: never told");
        world.liar.be_honest();
        older(what, ann.vault.list(&at).await);
        older(what, ann.fresh_view().list(&at).await);
    }
    // What was not touched by it is as it was.
    assert_eq!(ann.vault.list(&path("/")).await.unwrap().len(), 1 + STEPS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_not_published() {
    let mut world = World::start().await;
    let ann = world.person("ann").await;
    for file in ["/a", "/b"] {
        put(&ann.vault, file, &bytes(100, 1)).await;
    }
    world.liar.tell(&[Lie::undone(Operation::VersionPublish, PublishReply { sequence: 2, conflict: false })]);
    put(&ann.vault, "/a", &bytes(100, 2)).await;
    assert!(world.liar.told() > 0);
    world.liar.be_honest();
    older("publish", ann.vault.stat(&path("/a")).await);
    older("publish", ann.fresh_view().stat(&path("/a")).await);
    assert_eq!(ann.vault.stat(&path("/b")).await.unwrap().sequence, Some(1));
}

/// Nothing signed by a reader says that these were done, so nothing but looking tells (docs/formats.md §11: a withheld answer).
#[tokio::test(flavor = "multi_thread")]
async fn what_only_looking_tells() {
    let mut world = World::start().await;
    let (ann, bob) = (world.person("ann").await, world.person("bob").await);
    put(&ann.vault, "/a", b"a").await;
    world.liar.tell(&[Lie::undone(Operation::GrantCreate, ())]);
    ann.vault.share(&path("/a"), &["bob".parse().unwrap()], Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    assert!(world.liar.told() > 0);
    world.liar.be_honest();
    assert!(ann.vault.shares_of(&path("/a")).await.unwrap().is_empty());
    assert!(bob.vault.roots().await.unwrap().shares.is_empty());
}
