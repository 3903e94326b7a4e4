//! Listings: every entry that was signed for and no other, of the newest head this device has seen.

use ticrypt_api::node::{DirectoryView, EntryView, ListReply, StatReply};
use ticrypt_client::Kind;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_types::{NodeId, NodeKind, Operation, Timestamp, UserId};

use crate::forgery::resigned;
use crate::liar::Lie;
use crate::world::{World, bytes, case, path, put};

/// Changes what is said about one directory.
fn of(id: NodeId, change: impl Fn(&mut DirectoryView) + Send + Sync + 'static) -> Lie {
    Lie::list(move |reply| reply.directories.iter_mut().filter(|view| view.node.node == id).for_each(&change))
}

/// What was last said about one directory.
fn shown(world: &World, id: NodeId) -> DirectoryView {
    let mut all = world.liar.heard::<ListReply>(Operation::NodeList).into_iter().flat_map(|reply| reply.directories);
    all.rfind(|view| view.node.node == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_not_the_one_that_was_signed() {
    let mut world = World::start().await;
    let (ann, eve) = (world.person("ann").await, world.person("eve").await);
    let vault = &ann.vault;
    for directory in ["/dir", "/dir/below", "/aside"] {
        vault.mkdir(&path(directory), false).await.unwrap();
    }
    for file in ["/dir/a", "/aside/z"] {
        put(vault, file, &bytes(100, 1)).await;
    }
    vault.list(&path("/dir")).await.unwrap();
    let id = vault.resolve(&path("/dir")).await.unwrap().held.id;
    let aside = vault.resolve(&path("/aside")).await.unwrap().held.id;
    let (before, other) = (shown(&world, id), {
        vault.list(&path("/aside")).await.unwrap();
        shown(&world, aside)
    });
    put(vault, "/dir/b", &bytes(100, 2)).await;
    put(vault, "/dir/a", &bytes(100, 3)).await;
    vault.list(&path("/dir")).await.unwrap();
    let now = shown(&world, id);

    let file = |view: &DirectoryView| view.entries.iter().position(|entry| entry.node.kind == NodeKind::File).unwrap();
    let (a, foreign, stale) = (file(&now), other.entries[0].clone(), before.entries[file(&before)].clone());
    let a = now.entries.iter().position(|entry| entry.node.node == stale.node.node).unwrap_or(a);
    let head = |by, change: fn(&mut HeadPayload)| {
        let head = resigned(by, &now.head, change);
        of(id, move |view| view.head.clone_from(&head))
    };
    let (eve_id, eve_hash) = (eve.session.user(), eve.session.me().hash());
    let by_eve = resigned(&eve, &now.head, |head: &mut HeadPayload| (head.writer, head.writer_bundle) = (eve_id, eve_hash));
    let entry = |change: fn(&mut EntryView)| of(id, move |view| change(&mut view.entries[a]));

    let signed = "a listing is not the one that was signed";
    let words = "the server says of an entry's place or keys what the entry itself does not";
    let all = [
        case("an entry left out", of(id, |view| drop(view.entries.remove(0))), signed),
        case("no entries", of(id, |view| view.entries.clear()), signed),
        case("an entry twice", of(id, |view| view.entries.push(view.entries[0].clone())), signed),
        case("an entry altered", entry(|view| view.entry.0[150] ^= 1), signed),
        case(
            "an entry of another directory",
            of(id, {
                let foreign = foreign.clone();
                move |view| view.entries.push(foreign.clone())
            }),
            signed,
        ),
        case(
            "an entry of another directory, said to be in this one",
            of(id, {
                let foreign = foreign.clone();
                move |view| {
                    view.entries.push(EntryView {
                        node: ticrypt_api::node::NodeView { parent: Some(id), ..foreign.node.clone() },
                        ..foreign.clone()
                    })
                }
            }),
            words,
        ),
        case("an entry under another's id", entry(|view| view.node.node = NodeId::from_random([7; 16])), "speaks of another node"),
        case("an entry of another kind", entry(|view| view.node.kind = NodeKind::Directory), "speaks of another node"),
        case("an entry of other keys", entry(|view| view.node.epoch += 1), words),
        case("an entry of another place", entry(|view| view.node.parent = None), words),
        case("an entry of another owner", entry(|view| view.node.owner = UserId::from_random([7; 16])), "names another owner"),
        case(
            "the listing before",
            of(id, {
                let before = before.clone();
                move |view| *view = before.clone()
            }),
            "shows an older state of the directory",
        ),
        case(
            "the head before",
            of(id, {
                let before = before.clone();
                move |view| view.head.clone_from(&before.head)
            }),
            signed,
        ),
        case(
            "the head of another directory",
            of(id, {
                let other = other.clone();
                move |view| view.head.clone_from(&other.head)
            }),
            "the head of another directory",
        ),
        case("another directory", of(id, move |view| *view = other.clone()), "the listing of another directory"),
        case("another directory's columns", of(id, |view| view.node.kind = NodeKind::File), "speaks of another node"),
        case("a head by a stranger", of(id, move |view| view.head.clone_from(&by_eve)), "by a person without any right to"),
        case("a head in another's name", head(&eve, |_| {}), "the head of a directory does not verify"),
        case("another head of the same number", head(&ann, |head| head.at = Timestamp::from_millis(1)), "shows another state number"),
        case("no listing", Lie::list(|reply| reply.directories.clear()), "sent no listing"),
        case(
            "the manifest before",
            of(id, {
                let stale = stale.clone();
                move |view| view.entries[a].current.clone_from(&stale.current)
            }),
            "shows an older state of the file",
        ),
        case(
            "the manifest of another file",
            of(id, move |view| view.entries[a].current.clone_from(&foreign.current)),
            "the manifest of another file",
        ),
    ];
    world.refuses(&all, async || vault.list(&path("/dir")).await, |_| {}).await;
    assert_eq!(vault.list(&path("/dir")).await.unwrap().iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["a", "b", "below"]);
    // What was seen is remembered on the disk: it is refused by a view that begins anew.
    let again = [case("the listing before", of(id, move |view| *view = before.clone()), "shows an older state of the directory")];
    let fresh = ann.fresh_view();
    world.refuses(&again, async || fresh.list(&path("/dir")).await, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_files_apart_from_the_listing() {
    let mut world = World::start().await;
    let ann = world.person("ann").await;
    let vault = &ann.vault;
    vault.mkdir(&path("/dir"), false).await.unwrap();
    for file in ["/dir/a", "/dir/b"] {
        put(vault, file, &bytes(100, 1)).await;
    }
    let look = async || {
        let found = vault.resolve(&path("/dir")).await?;
        let contents = vault.contents(&found).await?;
        let members = contents.directory.sorted().into_iter().cloned().collect();
        vault.look(&contents, members).await
    };
    look().await.unwrap();
    let before = world.liar.last::<StatReply>(Operation::NodeStat);
    put(vault, "/dir/a", &bytes(100, 2)).await;
    look().await.unwrap();
    let now = world.liar.last::<StatReply>(Operation::NodeStat);
    let a = now.nodes.iter().position(|view| view.node.sequence == 2).unwrap();
    let (id, b) = (now.nodes[a].node.node, 1 - a);
    let old = before.nodes.into_iter().find(|view| view.node.node == id).unwrap();
    let of_b = now.nodes[b].current.clone();
    let all = [
        case("no manifest", Lie::stat(move |reply| reply.nodes[a].current = None), "withholds what is current in a file"),
        case(
            "the manifest before",
            Lie::stat(move |reply| reply.nodes[a].current.clone_from(&old.current)),
            "shows an older state of the file",
        ),
        case(
            "the manifest of another file",
            Lie::stat(move |reply| reply.nodes[a].current.clone_from(&of_b)),
            "the manifest of another file",
        ),
    ];
    world.refuses(&all, look, |_| {}).await;
    // What does not fit the listing may be newer than it: nothing of it is used, and it is asked again.
    let unfitting = [
        ("nothing", Lie::stat(|reply| reply.nodes.clear())),
        ("another entry", Lie::stat(move |reply| reply.nodes[a].entry.0[150] ^= 1)),
        (
            "the entries of each other",
            Lie::stat(|reply| {
                let [first, second] = &mut reply.nodes[..] else { return };
                std::mem::swap(&mut first.node, &mut second.node);
            }),
        ),
    ];
    for (what, lie) in unfitting {
        world.liar.tell(&[lie]);
        assert_eq!(look().await.unwrap_err().kind(), Kind::Stale, "{what}");
        assert!(world.liar.told() > 0, "{what}");
        world.liar.be_honest();
    }
    let sizes: Vec<_> = look().await.unwrap().into_iter().map(|one| (one.name, one.sequence)).collect();
    assert_eq!(sizes, [("a".to_owned(), Some(2)), ("b".to_owned(), Some(1))]);
}
