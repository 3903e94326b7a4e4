//! Where a tree begins: one's own root and what is shared, with the grants that both rest on.

use ticrypt_api::node::{RootView, RootsReply};
use ticrypt_client::vault::progress::Quiet;
use ticrypt_client::vault::share::NewKeys;
use ticrypt_crypto::Envelope;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_types::{Operation, Timestamp, Verbs};

use crate::forgery::resigned;
use crate::liar::Lie;
use crate::people::Person;
use crate::world::{World, case, path, put};

/// What the server says to this person.
async fn told(world: &World, person: &Person) -> RootsReply {
    person.fresh_view().roots().await.unwrap();
    world.liar.last(Operation::VaultRoots)
}

fn home(change: impl Fn(&mut RootView) + Send + Sync + 'static) -> Lie {
    Lie::roots(move |reply| change(reply.home.as_mut().unwrap()))
}

/// Changes what is said about the share of one node.
fn share(of: &RootView, change: impl Fn(&mut RootView) + Send + Sync + 'static) -> Lie {
    let node = of.entry.node.node;
    Lie::roots(move |reply| reply.shared_with_me.iter_mut().filter(|view| view.entry.node.node == node).for_each(&change))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_ones_own_that_is_not() {
    let mut world = World::start().await;
    let (ann, bob) = (world.person("ann").await, world.person("bob").await);
    put(&ann.vault, "/mine", b"mine").await;
    put(&bob.vault, "/his", b"his").await;
    bob.vault.share(&path("/his"), &["ann".parse().unwrap()], Verbs::ALL, Timestamp::ABSENT).await.unwrap();
    // New keys of the whole tree, so that there are older ones.
    let names = ["bob".parse().unwrap()];
    let older = told(&world, &ann).await.home.unwrap();
    ann.vault.share(&path("/"), &names, Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    ann.vault.unshare(&path("/"), &names, NewKeys::Whole, &Quiet, &Default::default()).await.unwrap();
    let now = told(&world, &ann).await;
    let (his, shared) = (told(&world, &bob).await.home.unwrap(), now.shared_with_me[0].clone());
    let own = now.home.unwrap();
    assert_ne!(own.sealed, older.sealed);

    let by_bob = resigned(&bob, &own.grant, |_: &mut GrantPayload| {});
    let narrowed = resigned(&ann, &own.grant, |grant: &mut GrantPayload| grant.verbs = Verbs::VIEW);
    let all = [
        case(
            "another's tree",
            home({
                let his = his.clone();
                move |view| *view = his.clone()
            }),
            "made for somebody else",
        ),
        case(
            "a share",
            home({
                let shared = shared.clone();
                move |view| *view = shared.clone()
            }),
            "in the place of one's own tree",
        ),
        case("a grant signed by another", home(move |view| view.grant.clone_from(&by_bob)), "the grant does not verify"),
        case("a grant with a wrong byte", home(|view| *view.grant.0.last_mut().unwrap() ^= 1), "the grant does not verify"),
        case("a grant that is not the whole right", home(move |view| view.grant.clone_from(&narrowed)), "in the place of one's own tree"),
        case(
            "another node's columns",
            home({
                let his = his.clone();
                move |view| view.entry.clone_from(&his.entry)
            }),
            "speaks of another node",
        ),
        case("another owner", home(move |view| view.entry.node.owner = his.entry.node.owner), "names another owner"),
        case(
            "the keys of a share",
            home({
                let shared = shared.clone();
                move |view| view.sealed.clone_from(&shared.sealed)
            }),
            "the keys of a grant do not open",
        ),
        case(
            "older keys under the grant",
            home({
                let older = older.clone();
                move |view| view.sealed.clone_from(&older.sealed)
            }),
            "the keys of a grant do not open",
        ),
        case("keys with a wrong byte", home(|view| view.sealed.0[1_700] ^= 1), "the keys of a grant do not open"),
        case("keys cut off", home(|view| view.sealed.0.truncate(1_700)), "the keys of a grant do not open"),
        case("the older grant", home(move |view| *view = older.clone()), "shows an older state of the keys of the node"),
        case("no tree, though there is one", Lie::roots(|reply| reply.home = None), "does not show the tree that was just made"),
    ];
    // A view opens each grant once; what it has opened cannot be exchanged any more.
    let act = async || ann.fresh_view().list(&path("/")).await;
    world.refuses(&all, act, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_nobody_entitled_made() {
    let mut world = World::start().await;
    let (ann, bob) = (world.person("ann").await, world.person("bob").await);
    let (carol, eve) = (world.person("carol").await, world.person("eve").await);
    for name in ["/one", "/two"] {
        bob.vault.mkdir(&path(name), false).await.unwrap();
    }
    let to = |name: &str| [name.parse().unwrap()];
    let sharing = Verbs::VIEW.and(Verbs::SHARE);
    bob.vault.share(&path("/one"), &to("carol"), sharing, Timestamp::ABSENT).await.unwrap();
    bob.vault.share(&path("/two"), &to("ann"), Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    carol.vault.share(&path("/@shared/bob/one"), &to("ann"), Verbs::VIEW, Timestamp::ABSENT).await.unwrap();
    let carols = told(&world, &carol).await.shared_with_me.remove(0);
    let now = told(&world, &ann).await.shared_with_me;
    let one = now.iter().find(|view| !view.authority.is_empty()).unwrap().clone();
    let two = now.iter().find(|view| view.authority.is_empty()).unwrap().clone();
    assert_eq!(one.authority, std::slice::from_ref(&carols.grant));

    let (eve_id, eve_hash) = (eve.session.user(), eve.session.me().hash());
    let by_eve = move |grant: &mut GrantPayload| (grant.sealer, grant.sealer_bundle) = (eve_id, eve_hash);
    // Eve says that she holds what Carol holds.
    let stranger = resigned(&eve, &one.grant, by_eve);
    // Bob's share with Carol, but to Eve and signed by her.
    let (authority, forged) = {
        let forged = resigned(&eve, &carols.grant, |grant: &mut GrantPayload| {
            by_eve(grant);
            (grant.recipient, grant.recipient_bundle) = (eve_id, eve_hash);
            grant.authority = Some(Envelope::parse(&carols.grant.0).unwrap().record_hash());
        });
        let authority = Some(Envelope::parse(&forged.0).unwrap().record_hash());
        (
            forged,
            resigned(&eve, &one.grant, |grant: &mut GrantPayload| {
                by_eve(grant);
                grant.authority = authority;
            }),
        )
    };
    let more = resigned(&carol, &one.grant, |grant: &mut GrantPayload| grant.verbs = Verbs::ALL);
    let may_not = "made by somebody who may not make it";
    let all = [
        case(
            "of another recipient",
            share(&one, {
                let carols = carols.clone();
                move |view| *view = carols.clone()
            }),
            "made for somebody else",
        ),
        case(
            "the keys of another share",
            share(&one, {
                let two = two.clone();
                move |view| view.sealed.clone_from(&two.sealed)
            }),
            "the keys of a grant do not open",
        ),
        case(
            "the terms of another share",
            share(&one, {
                let two = two.clone();
                move |view| view.grant.clone_from(&two.grant)
            }),
            "speaks of another node",
        ),
        case(
            "the entry of another node",
            share(&one, {
                let two = two.clone();
                move |view| view.entry.entry.clone_from(&two.entry.entry)
            }),
            "the entry of another node with a share",
        ),
        case(
            "an entry with a wrong byte",
            share(&one, |view| *view.entry.entry.0.last_mut().unwrap() ^= 1),
            "the properties of a share does not open",
        ),
        case("without what it rests on", share(&one, |view| view.authority.clear()), "withholds a grant that a share rests on"),
        case(
            "resting on a share of something else",
            share(&one, {
                let two = two.clone();
                move |view| view.authority = vec![two.grant.clone()]
            }),
            "withholds a grant that a share rests on",
        ),
        case("by somebody to whom it was not given", share(&one, move |view| view.grant.clone_from(&stranger)), may_not),
        case(
            "resting on what a stranger gave herself",
            share(&one, {
                let carols = carols.grant.clone();
                move |view| (view.grant, view.authority) = (forged.clone(), vec![authority.clone(), carols.clone()])
            }),
            may_not,
        ),
        case("freer than what it rests on", share(&one, move |view| view.grant.clone_from(&more)), may_not),
        case("signed by another", share(&one, |view| *view.grant.0.last_mut().unwrap() ^= 1), "the grant does not verify"),
        case(
            "one's own tree among the shares",
            Lie::roots(|reply| reply.shared_with_me.extend(reply.home.clone())),
            "in the place of one's own tree",
        ),
    ];
    put(&ann.vault, "/mine", b"mine").await;
    let act = async || {
        let view = ann.fresh_view();
        // One's own tree is there whatever is wrong with what others share.
        assert_eq!(view.list(&path("/")).await.unwrap().len(), 1);
        // By Carol, and by Bob, who made the other one.
        view.list(&path("/@shared/bob/two")).await?;
        view.list(&path("/@shared/carol/one")).await
    };
    world.refuses(&all, act, |_| {}).await;
}
