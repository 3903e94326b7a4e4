//! Opening: manifests, keys and small contents that are not what was asked for.

use std::sync::atomic::{AtomicUsize, Ordering};

use ticrypt_api::Hash;
use ticrypt_api::node::RootsReply;
use ticrypt_api::version::{OpenReply, OpenedFile};
use ticrypt_client::vault::Vault;
use ticrypt_client::vault::share::NewKeys;
use ticrypt_crypto::Envelope;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_types::{Operation, Timestamp, Verbs};

use crate::forgery::{claimed, resigned, signed};
use crate::liar::Lie;
use crate::people::Person;
use crate::world::{Case, World, bytes, case, cases, get, names, path, put};

/// What the server hands out for a file.
async fn opened(world: &World, vault: &Vault, at: &str) -> OpenedFile {
    let out = tempfile::tempdir().unwrap();
    get(vault, at, out.path()).await.unwrap();
    world.liar.last::<OpenReply>(Operation::ContentOpen).files.remove(0)
}

fn of(change: impl Fn(&mut OpenedFile) + Send + Sync + 'static) -> Lie {
    Lie::open(move |reply| change(&mut reply.files[0]))
}

/// Each lie refused and nothing on the disk, then the honest content.
async fn refuses(world: &World, vault: &Vault, at: &str, content: &[u8], all: &[Case]) {
    let out = tempfile::tempdir().unwrap();
    let act = async || {
        get(vault, at, out.path()).await?;
        let file = out.path().join(names(out.path()).remove(0));
        assert_eq!(std::fs::read(&file).unwrap(), content);
        std::fs::remove_file(file).unwrap();
        Ok(())
    };
    let left = || std::fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    // A part may stay of a content that comes chunk by chunk, and none of it is under a name.
    world.refuses(all, act, |what| assert!(names(out.path()).is_empty(), "{what}: {:?}", left())).await;
    assert!(left().is_empty(), "{:?}", left());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_out_for_another_file_or_version() {
    let mut world = World::start().await;
    let ann = world.person("ann").await;
    let (old, new) = (bytes(1_000, 1), bytes(1_000, 2));
    put(&ann.vault, "/b", &bytes(1_000, 3)).await;
    let other = opened(&world, &ann.vault, "/b").await;
    put(&ann.vault, "/a", &old).await;
    let first = opened(&world, &ann.vault, "/a").await;
    put(&ann.vault, "/a", &new).await;
    let id = opened(&world, &ann.vault, "/a").await.file;

    let signed = "a chunk is not the one that was signed";
    let listed = "the list of a file's chunks is not the one that was signed";
    let key = "a content key does not open";
    let given = |value: &OpenedFile| value.clone();
    let all = [
        case(
            "another content of the same length",
            of({
                let other = given(&other);
                move |f| f.chunk.clone_from(&other.chunk)
            }),
            signed,
        ),
        case(
            "the content of the version before",
            of({
                let first = given(&first);
                move |f| f.chunk.clone_from(&first.chunk)
            }),
            signed,
        ),
        case("a wrong byte in the content", of(|f| f.chunk.as_mut().unwrap().0[99] ^= 1), signed),
        case("a content cut off", of(|f| f.chunk.as_mut().unwrap().0.truncate(1_000)), "a chunk is longer or shorter than it must be"),
        case("no content", of(|f| f.chunk = None), "the server gave no ticket for a file it has shown"),
        case(
            "another file",
            of({
                let other = given(&other);
                move |f| *f = other.clone()
            }),
            "another file than was asked for",
        ),
        case(
            "another file under this one's id",
            of({
                let other = given(&other);
                move |f| *f = OpenedFile { file: id, ..other.clone() }
            }),
            "the manifest of another file",
        ),
        case(
            "the version before, whole",
            of({
                let first = given(&first);
                move |f| *f = first.clone()
            }),
            "shows an older state of the file",
        ),
        case(
            "the manifest before",
            of({
                let first = given(&first);
                move |f| f.manifest.clone_from(&first.manifest)
            }),
            "shows an older state of the file",
        ),
        case(
            "a manifest with a wrong byte",
            of(|f| *f.manifest.manifest.0.last_mut().unwrap() ^= 1),
            "the manifest of a file does not verify",
        ),
        case(
            "the content key of another file",
            of({
                let other = given(&other);
                move |f| f.content_wrap.clone_from(&other.content_wrap)
            }),
            key,
        ),
        case(
            "the content key of the version before",
            of({
                let first = given(&first);
                move |f| f.content_wrap.clone_from(&first.content_wrap)
            }),
            key,
        ),
        case("a content key with a wrong byte", of(|f| f.content_wrap.0[30] ^= 1), key),
        cases(
            "a wrong content key, and newer keys of another node",
            [
                of(|f| f.content_wrap.0[30] ^= 1),
                // The first is asked on the way to the file.
                Lie::stat({
                    let (other, asked) = (other.file, AtomicUsize::new(0));
                    move |reply| {
                        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                            reply.nodes.iter_mut().for_each(|view| (view.node.node, view.node.epoch) = (other, 9));
                        }
                    }
                }),
            ],
            key,
        ),
        case(
            "the property key of another file",
            of({
                let other = given(&other);
                move |f| f.manifest.props_key.clone_from(&other.manifest.props_key)
            }),
            "the key of a file's properties does not open",
        ),
        case("a hash that was not signed", of(|f| f.chunk_hashes[0] = Hash([9; 32])), listed),
        case("a hash too few", of(|f| f.chunk_hashes.clear()), listed),
        case("a hash too many", of(|f| f.chunk_hashes.push(f.chunk_hashes[0])), listed),
        case("no file", Lie::open(|reply| reply.files.clear()), "other files than were asked for"),
        case("a file too many", Lie::open(|reply| reply.files.push(reply.files[0].clone())), "other files than were asked for"),
    ];
    refuses(&world, &ann.vault, "/a", &new, &all).await;
}

/// The grant on a node that was last made for somebody.
fn grant(world: &World) -> GrantPayload {
    let reply = world.liar.last::<RootsReply>(Operation::VaultRoots);
    claimed(&reply.shared_with_me[0].grant)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_by_somebody_who_may_not_write_it() {
    let mut world = World::start().await;
    let (ann, eve) = (world.person("ann").await, world.person("eve").await);
    let content = bytes(70_000, 1);
    put(&ann.vault, "/a", &content).await;
    put(&ann.vault, "/b", b"elsewhere").await;
    let honest = opened(&world, &ann.vault, "/a").await;
    // What Eve really has: to look at one file, and to write the other.
    let names = ["eve".parse().unwrap()];
    ann.vault.share(&path("/a"), &names, Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    eve.vault.roots().await.unwrap();
    let look = grant(&world);
    ann.vault.unshare(&path("/a"), &names, NewKeys::Whole, &ticrypt_client::vault::progress::Quiet, &Default::default()).await.unwrap();
    ann.vault.share(&path("/b"), &names, Verbs::VIEW.and(Verbs::EDIT), Timestamp::ABSENT).await.unwrap();
    eve.vault.roots().await.unwrap();
    let elsewhere = grant(&world);

    let by = |who: &Person, change: &dyn Fn(&mut ManifestPayload), grants: &[GrantPayload]| {
        let manifest = resigned(who, &honest.manifest.manifest, |record: &mut ManifestPayload| change(record));
        let grants: Vec<_> = grants.iter().map(|grant| signed(&ann, grant)).collect();
        Lie::open(move |reply| {
            reply.files[0].manifest.manifest.clone_from(&manifest);
            reply.grants.extend_from_slice(&grants);
        })
    };
    let hash = |grant: &GrantPayload| Some(Envelope::parse(&signed(&ann, grant).0).unwrap().record_hash());
    let eves = |record: &mut ManifestPayload| (record.writer, record.writer_bundle) = (eve.session.user(), eve.session.me().hash());
    let under = |grant: &GrantPayload| {
        let authority = hash(grant);
        move |record: &mut ManifestPayload| {
            eves(record);
            record.authority = authority;
        }
    };
    let expired = GrantPayload { node: honest.file, expires: Timestamp::from_millis(1), ..elsewhere.clone() };
    let all = [
        case("by a stranger", by(&eve, &eves, &[]), "by a person without any right to"),
        case("in another's name", by(&eve, &|_| {}, &[]), "the manifest of a file does not verify"),
        case(
            "with the writer's key under another name",
            by(&eve, &|record| record.writer_bundle = eve.session.me().hash(), &[]),
            "names another signer than its key's",
        ),
        case("under a share that is only to look", by(&eve, &under(&look), std::slice::from_ref(&look)), "does not let them edit"),
        case(
            "under a share of another place",
            by(&eve, &under(&elsewhere), std::slice::from_ref(&elsewhere)),
            "whose share is of another place",
        ),
        case("under a share that had expired", by(&eve, &under(&expired), std::slice::from_ref(&expired)), "whose share had expired"),
        case(
            "under a share that is not shown",
            by(&eve, &under(&GrantPayload { issued: Timestamp::from_millis(7), ..look.clone() }), &[]),
            "withholds the grant under which",
        ),
        case(
            "another with the same number",
            by(&ann, &|record| record.at = Timestamp::from_millis(record.at.as_millis() + 1), &[]),
            "shows another state number 1 of the file",
        ),
    ];
    refuses(&world, &ann.vault, "/a", &content, &all).await;
}
