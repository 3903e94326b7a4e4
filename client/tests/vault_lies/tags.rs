//! What is tagged itself: its keys come in a grant of their own, and the server could show another.

use ticrypt_api::Blob;
use ticrypt_api::node::{EntryView, ListReply, SealView};
use ticrypt_api::project::ProjectAbout;
use ticrypt_client::project;
use ticrypt_client::vault::LOCKED;
use ticrypt_client::vault::progress::Quiet;
use ticrypt_types::{NodeId, Operation, Permission, Permissions, ProjectId, Timestamp, Verbs};

use crate::forgery::resigned;
use crate::liar::Lie;
use crate::people::Person;
use crate::world::{World, case, path, put};

/// A project of this person's own, in which they work from now on.
pub async fn works_in(world: &World, person: &mut Person) -> ProjectId {
    let may = [Permission::ProjectCreate, Permission::ProjectDeclassify, Permission::ProjectManage];
    let permissions = may.into_iter().fold(Permissions::basic(), Permissions::with);
    let given = [(person.session.user(), permissions)];
    ticrypt_client::users::set_permissions(&world.people.admin(), &given, &|_| ()).await.unwrap();
    let (name, tag) = ("Florida".parse().unwrap(), "FL".parse().unwrap());
    let about = ProjectAbout { name, tag, colour: "#1f77b4".parse().unwrap(), description: String::new(), level: None };
    let project = project::create(&person.session, None, about).await.unwrap();
    person.login_again().await;
    project::work_in(&person.session, vec![project]).await.unwrap();
    project
}

/// Changes what is said about one node in a listing.
fn entry(node: NodeId, change: impl Fn(&mut EntryView) + Send + Sync + 'static) -> Lie {
    Lie::list(move |reply| {
        let entries = reply.directories.iter_mut().flat_map(|view| &mut view.entries);
        entries.filter(|entry| entry.node.node == node).for_each(&change);
    })
}

pub fn own(node: NodeId, change: impl Fn(&mut SealView) + Send + Sync + 'static) -> Lie {
    entry(node, move |entry| change(entry.own_keys.as_mut().unwrap()))
}

fn shown(world: &World, node: NodeId) -> EntryView {
    let heard = world.liar.heard::<ListReply>(Operation::NodeList);
    let mut entries = heard.into_iter().flat_map(|reply| reply.directories).flat_map(|view| view.entries);
    entries.rfind(|entry| entry.node.node == node).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_ones_own_that_are_not() {
    let mut world = World::start().await;
    let (mut ann, bob) = (world.person("ann").await, world.person("bob").await);
    for directory in ["/study", "/study/fl", "/study/other", "/study/plain"] {
        ann.vault.mkdir(&path(directory), false).await.unwrap();
    }
    put(&ann.vault, "/study/fl/a", b"oranges").await;
    let project = works_in(&world, &mut ann).await;
    let id = async |at: &str| ann.vault.resolve(&path(at)).await.unwrap().held.id;
    let (fl, other, plain) = (id("/study/fl").await, id("/study/other").await, id("/study/plain").await);
    for at in ["/study/fl", "/study/other"] {
        ann.vault.tag(&path(at), &[project], &Quiet, &Default::default()).await.unwrap();
    }
    ann.vault.list(&path("/study")).await.unwrap();
    let (first, others) = (shown(&world, fl), shown(&world, other));
    let keys = |view: &EntryView| view.own_keys.clone().unwrap();
    // A share of it, and newer keys, so that there are older ones.
    ann.vault.share(&path("/study/fl"), &["bob".parse().unwrap()], Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    bob.vault.roots().await.unwrap();
    let to_bob = world.liar.last::<ticrypt_api::node::RootsReply>(Operation::VaultRoots).shared_with_me.remove(0);
    // He does not work in the project: neither keys nor more than that there is something.
    assert!(to_bob.entry.locked && to_bob.sealed.0.is_empty() && to_bob.entry.own_keys.is_none());
    ann.vault.tag(&path("/study/fl"), &[], &Quiet, &Default::default()).await.unwrap();
    ann.vault.tag(&path("/study/fl"), &[project], &Quiet, &Default::default()).await.unwrap();
    let older = keys(&first);
    let forged = resigned(&bob, &older.grant, |_: &mut ticrypt_crypto::grant::GrantPayload| {});

    let all = [
        case(
            "the keys of another tagged thing",
            own(fl, {
                let others = keys(&others);
                move |view| *view = others.clone()
            }),
            "the keys of another thing",
        ),
        case(
            "the grant of a share",
            own(fl, move |view| (view.grant, view.authority) = (to_bob.grant.clone(), to_bob.authority.clone())),
            "made for somebody else",
        ),
        case("a grant signed by another", own(fl, move |view| view.grant.clone_from(&forged)), "the grant does not verify"),
        case("a grant with a wrong byte", own(fl, |view| *view.grant.0.last_mut().unwrap() ^= 1), "the grant does not verify"),
        case(
            "the keys of another under the grant",
            own(fl, {
                let others = keys(&others);
                move |view| view.sealed.clone_from(&others.sealed)
            }),
            "the keys of a grant do not open",
        ),
        case("keys cut off", own(fl, |view| view.sealed = Blob(view.sealed.0[..100].to_vec())), "the keys of a grant do not open"),
        case("a lock on what is not tagged", entry(plain, |view| view.locked = true), "locks a thing whose keys are with its directory's"),
    ];
    let act = async || ann.fresh_view().list(&path("/study/fl")).await;
    world.refuses(&all, act, |_| {}).await;

    ann.vault.list(&path("/study/fl")).await.unwrap();
    // Keys from before the present ones: as if somebody had changed them meanwhile, and for ever.
    world.liar.tell(&[own(fl, move |view| *view = older.clone())]);
    assert!(act().await.is_err());
    // What is withheld is locked, and nothing worse.
    world.liar.tell(&[entry(fl, |view| view.own_keys = None)]);
    assert_eq!(act().await.unwrap_err().code(), LOCKED);
    // So it is for a view that has opened it before: what was withheld since is not read with remembered keys.
    assert_eq!(ann.vault.list(&path("/study/fl")).await.unwrap_err().code(), LOCKED);
    let listed = ann.fresh_view().list(&path("/study")).await.unwrap();
    assert!(listed.iter().any(|one| one.node == fl && one.locked && one.sha256.is_none()));
    world.liar.be_honest();
    assert_eq!(act().await.unwrap().len(), 1);
}
