//! The past of a file, the place of a directory, the export: what is told apart from listings.

use ticrypt_api::node::{ManifestView, StatReply};
use ticrypt_api::version::VersionListReply;
use ticrypt_client::vault::export::ExportOptions;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_types::{Operation, Timestamp, Verbs};

use crate::forgery::resigned;
use crate::liar::Lie;
use crate::world::{World, bytes, case, path, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_history_with_holes() {
    let mut world = World::start().await;
    let (ann, eve) = (world.person("ann").await, world.person("eve").await);
    for seed in 1..=3 {
        put(&ann.vault, "/a", &bytes(100, seed)).await;
    }
    put(&ann.vault, "/b", &bytes(100, 9)).await;
    ann.vault.versions(&path("/b")).await.unwrap();
    let other = world.liar.last::<VersionListReply>(Operation::VersionList).files[0].manifests.remove(0);
    ann.vault.versions(&path("/a")).await.unwrap();
    let second = world.liar.last::<VersionListReply>(Operation::VersionList).files[0].manifests.remove(1);
    let (eve_id, eve_hash) = (eve.session.user(), eve.session.me().hash());
    let by_eve = ManifestView {
        manifest: resigned(&eve, &second.manifest, |record: &mut ManifestPayload| {
            (record.writer, record.writer_bundle) = (eve_id, eve_hash)
        }),
        ..second.clone()
    };
    let redated = ManifestView {
        manifest: resigned(&ann, &second.manifest, |record: &mut ManifestPayload| record.at = Timestamp::from_millis(1)),
        ..second
    };
    let all = [
        case("the present one left out", Lie::versions(|reply| drop(reply.files[0].manifests.remove(0))), "the current version is missing"),
        case("one before left out", Lie::versions(|reply| drop(reply.files[0].manifests.remove(1))), "withholds a version"),
        case("the first left out", Lie::versions(|reply| drop(reply.files[0].manifests.pop())), "withholds a version"),
        case("no history", Lie::versions(|reply| reply.files[0].manifests.clear()), "the current version is missing"),
        case(
            "one of another file",
            Lie::versions(move |reply| reply.files[0].manifests[1] = other.clone()),
            "the manifest of another file",
        ),
        case(
            "one by a stranger",
            Lie::versions(move |reply| reply.files[0].manifests[1] = by_eve.clone()),
            "by a person without any right to",
        ),
        case("another in its place", Lie::versions(move |reply| reply.files[0].manifests[1] = redated.clone()), "withholds a version"),
        case(
            "the properties of another",
            Lie::versions(|reply| {
                let key = reply.files[0].manifests[0].props_key.clone();
                reply.files[0].manifests[1].props_key = key;
            }),
            "the key of a file's properties does not open",
        ),
    ];
    world.refuses(&all, async || ann.vault.versions(&path("/a")).await, |_| {}).await;

    // Whether a version was current once is read off the manifests, whatever the server calls it.
    world.liar.tell(&[Lie::versions(|reply| reply.files[0].manifests.iter_mut().for_each(|view| view.conflict = true))]);
    let (_, versions) = ann.vault.versions(&path("/a")).await.unwrap();
    assert_eq!(versions.iter().map(|one| (one.sequence, one.conflict)).collect::<Vec<_>>(), [(3, false), (2, false), (1, false)]);
    world.liar.tell(&[Lie::versions(|reply| reply.files[0].contents.clear())]);
    assert!(ann.vault.restore_version(&path("/a"), "1").await.is_err());
    world.liar.be_honest();
    assert_eq!(ann.vault.restore_version(&path("/a"), "1").await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_older_versions() {
    let mut world = World::start().await;
    let ann = world.person("ann").await;
    for seed in 1..=2 {
        put(&ann.vault, "/a", &bytes(100, seed)).await;
    }
    let place = tempfile::tempdir().unwrap();
    let all = [
        case(
            "the present version left out",
            Lie::versions(|reply| drop(reply.files[0].manifests.remove(0))),
            "shows an older state of the file",
        ),
        case(
            "the present version called a loser",
            Lie::versions(|reply| reply.files[0].manifests[0].conflict = true),
            "shows an older state of the file",
        ),
        case("no version", Lie::versions(|reply| reply.files[0].manifests.clear()), "withholds what is current in a file"),
        case("no content", Lie::versions(|reply| reply.files[0].contents.clear()), "withholds a version it has shown"),
        case(
            "another content",
            Lie::open(|reply| reply.files[0].chunk.as_mut().unwrap().0[70] ^= 1),
            "a chunk is not the one that was signed",
        ),
    ];
    let out = place.path().join("out");
    let act = async || {
        let _ = std::fs::remove_dir_all(&out);
        // A view of its own: what an earlier one has seen is not what is tested.
        ann.fresh_view().export(&path("/"), &out, ExportOptions::default(), &Quiet, &Cancel::new()).await
    };
    world.refuses(&all, act, |what| assert!(!out.join("vault.cbor").exists(), "{what}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_shown_in_the_place_of_another() {
    let mut world = World::start().await;
    let (ann, _bob) = (world.person("ann").await, world.person("bob").await);
    for directory in ["/public", "/secret"] {
        ann.vault.mkdir(&path(directory), false).await.unwrap();
    }
    put(&ann.vault, "/secret/a", b"a").await;
    ann.vault.share(&path("/secret"), &["bob".parse().unwrap()], Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    ann.vault.rm(&[path("/secret/a")]).await.unwrap();
    let shared = async || ann.vault.shares_by_me().await.unwrap().remove(0).path;
    assert_eq!(shared().await.unwrap(), "/secret");

    let public = ann.vault.resolve(&path("/public")).await.unwrap();
    let bytes = public.parent().unwrap().1.bytes.clone();
    let lie = Lie::stat(move |reply: &mut StatReply| reply.nodes.iter_mut().for_each(|view| view.entry.0.clone_from(&bytes)));
    let all = [
        case("another directory's entry", lie.clone(), "the entry of another directory"),
        case("another node", Lie::stat(|reply| reply.nodes.clear()), "withholds a directory"),
    ];
    world.refuses(&all, async || ann.vault.trash_list().await, |_| {}).await;
    // A share whose place cannot be told is shown without one, and never with another's.
    world.liar.tell(&[lie]);
    assert_eq!(shared().await, None);
    assert!(world.liar.told() > 0);
}
