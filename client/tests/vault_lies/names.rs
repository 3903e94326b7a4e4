//! Names that somebody who shares has chosen in order to do harm, on their way to a disk.

use ticrypt_api::node::ListReply;
use ticrypt_client::Kind;
use ticrypt_client::vault::progress::Outcome;
use ticrypt_types::{Operation, Timestamp, Verbs};

use crate::forgery::{Hostile, directory};
use crate::liar::Lie;
use crate::world::{World, case, get, path, put};

fn named(name: &[u8]) -> Hostile<'_> {
    Hostile { name, props: "x" }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_is_never_shown_and_never_written() {
    let mut world = World::start().await;
    let (ann, bob) = (world.person("ann").await, world.person("bob").await);
    bob.vault.mkdir(&path("/gift"), false).await.unwrap();
    put(&bob.vault, "/gift/fine", b"fine").await;
    bob.vault.share(&path("/gift"), &["ann".parse().unwrap()], Verbs::ALL, Timestamp::ABSENT).await.unwrap();
    let held = bob.vault.resolve(&path("/gift")).await.unwrap().held;
    bob.vault.list(&path("/gift")).await.unwrap();
    let shown = world.liar.last::<ListReply>(Operation::NodeList).directories.remove(0);
    assert_eq!(shown.node.node, held.id);

    // Signed by Bob, who may: only the rules of names stand against these.
    let lie = |names: &[Hostile<'_>]| {
        let forged = directory(&bob, &held, &shown, names);
        Lie::list(move |reply| {
            reply.directories.iter_mut().filter(|view| view.node.node == forged.node.node).for_each(|view| *view = forged.clone())
        })
    };
    let closed = "a name does not open";
    let all = [
        case("the directory above", lie(&[named(b"..")]), closed),
        case("the directory itself", lie(&[named(b".")]), closed),
        case("a path", lie(&[named(b"a/b")]), closed),
        case("a path from the top", lie(&[named(b"/etc")]), closed),
        case("a path upwards", lie(&[named(b"../x")]), closed),
        case("a name that ends early", lie(&[named(b"a\0b")]), closed),
        case("no name", lie(&[named(b"")]), closed),
        case("not text", lie(&[named(b"\xff\xfe")]), closed),
        case("not in normal form", lie(&[named("e\u{301}".as_bytes())]), closed),
        case("a good one beside a bad one", lie(&[named(b"x"), named(b"..")]), closed),
        case("two of one name", lie(&[named(b"x"), named(b"x")]), "two entries of a directory have the same name"),
    ];
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let act = async || {
        get(&ann.vault, "/@shared/bob/gift", &out).await?;
        assert_eq!(std::fs::read(out.join("gift/fine")).unwrap(), b"fine");
        std::fs::remove_file(out.join("gift/fine")).unwrap();
        Ok(())
    };
    let leaves = |what: &str| {
        // The directory of the share itself may be there, empty.
        let found: Vec<_> = walkdir::WalkDir::new(place.path()).min_depth(2).into_iter().map(|e| e.unwrap().into_path()).collect();
        assert!(found.iter().all(|path| *path == out.join("gift")), "{what}: {found:?}");
    };
    world.refuses(&all, act, leaves).await;

    // All names are good and the head is Bob's: it counts as seen, and only who looks at the entry finds that it has two names.
    world.liar.tell(&[lie(&[Hostile { name: b"x", props: "y" }])]);
    let error = act().await.unwrap_err();
    assert!(error.kind() == Kind::Untrusted && error.to_string().contains("properties does not open"), "{error}");
    leaves("another name inside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_could_forge_output_is_written_as_another() {
    let mut world = World::start().await;
    let (ann, bob) = (world.person("ann").await, world.person("bob").await);
    bob.vault.mkdir(&path("/gift"), false).await.unwrap();
    // These are names; nobody but their maker would want them.
    let hostile = ["a\u{202e}gpj.exe", "b\nc", "d\u{1b}[2J", ".ticrypt-x.part", "e\u{200b}"];
    for name in hostile {
        put(&bob.vault, &format!("/gift/{name}"), name.as_bytes()).await;
    }
    bob.vault.share(&path("/gift"), &["ann".parse().unwrap()], Verbs::ALL, Timestamp::ABSENT).await.unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = get(&ann.vault, "/@shared/bob/gift", out.path()).await.unwrap();
    let mut written: Vec<_> =
        std::fs::read_dir(out.path().join("gift")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    written.sort();
    assert_eq!(written, ["_.ticrypt-x.part", "a\\u{202e}gpj.exe", "b\\u{a}c", "d\\u{1b}[2J", "e\\u{200b}"]);
    assert_eq!(report.notes.iter().filter(|note| note.outcome == Outcome::Renamed).count(), hostile.len());
    for note in &report.notes {
        assert!(!format!("{} {}", note.path, note.reason).contains(['\u{202e}', '\n', '\u{1b}', '\u{200b}']), "{note:?}");
    }
}
