//! Who has a share: what the server says of it decides whose share is ended and to whom new keys go.

use ticrypt_api::grant::{GrantEndReply, GrantListReply, GrantView};
use ticrypt_client::Kind;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::share::NewKeys;
use ticrypt_crypto::Envelope;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_types::{Operation, Timestamp, UserName, Verbs};

use crate::forgery::resigned;
use crate::liar::Lie;
use crate::people::Person;
use crate::world::{World, case, cases, path, put};

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

/// Shares, and what the server says of it.
async fn share(world: &World, by: &Person, at: &str, with: &str, verbs: Verbs) -> GrantView {
    by.vault.share(&path(at), &[name(with)], verbs, Timestamp::ABSENT).await.unwrap();
    by.vault.shares_of(&path(at)).await.unwrap();
    let said = world.liar.last::<GrantListReply>(Operation::GrantList).grants;
    said.into_iter().find(|view| view.recipient_name == name(with)).unwrap()
}

async fn recipients(of: &Person, at: &str) -> Vec<String> {
    let mut found: Vec<_> = of.vault.shares_of(&path(at)).await.unwrap().iter().map(|one| one.recipient.to_string()).collect();
    found.sort();
    found
}

/// Changes what is said of Bob's share.
fn bobs(change: impl Fn(&mut GrantView) + Send + Sync + 'static) -> Lie {
    Lie::grants(move |reply| reply.grants.iter_mut().filter(|view| view.recipient_name == name("bob")).for_each(&change))
}

/// Each name stands where the other belongs.
fn swapped() -> Lie {
    Lie::grants(|reply| {
        if let [one, two] = &mut reply.grants[..] {
            std::mem::swap(&mut one.recipient_name, &mut two.recipient_name);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_shares_that_says_what_the_grants_do_not() {
    let mut world = World::start().await;
    let (ann, _bob, _eve) = (world.person("ann").await, world.person("bob").await, world.person("eve").await);
    for at in ["/n", "/other"] {
        put(&ann.vault, at, at.as_bytes()).await;
    }
    let other = share(&world, &ann, "/other", "eve", Verbs::VIEW).await;
    share(&world, &ann, "/n", "bob", Verbs::VIEW).await;
    let names = "other names than their keys do";
    let all = [
        case(
            "a share of another node",
            bobs({
                let other = other.clone();
                move |view| *view = other.clone()
            }),
            "a grant of another node",
        ),
        case("under another id", bobs(move |view| view.id = other.id), "a grant of another node"),
        case("with another name of who has it", bobs(|view| view.recipient_name = name("eve")), names),
        case("with another id of who has it", bobs(move |view| view.recipient = other.recipient), names),
        case("with another name of who gave it", bobs(|view| view.sealer_name = name("eve")), names),
        case("with a wrong byte", bobs(|view| *view.grant.0.last_mut().unwrap() ^= 1), "the grant does not verify"),
    ];
    world.refuses(&all, async || ann.vault.shares_of(&path("/n")).await, |_| {}).await;
    world.refuses(&all[2..], async || ann.vault.shares_by_me().await, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_does_not_end_the_share_of_another() {
    let mut world = World::start().await;
    let (ann, bob, _eve) = (world.person("ann").await, world.person("bob").await, world.person("eve").await);
    put(&ann.vault, "/n", b"n").await;
    for with in ["bob", "eve"] {
        share(&world, &ann, "/n", with, Verbs::VIEW).await;
    }
    let unshare = async || ann.vault.unshare(&path("/n"), &[name("eve")], NewKeys::Whole, &Quiet, &Cancel::new()).await;
    world.liar.tell(&[swapped()]);
    let error = unshare().await.unwrap_err();
    assert!(error.kind() == Kind::Untrusted && error.to_string().contains("other names than their keys do"), "{error}");
    world.liar.be_honest();
    assert_eq!(recipients(&ann, "/n").await, ["bob", "eve"]);
    unshare().await.unwrap();
    assert_eq!(recipients(&ann, "/n").await, ["bob"]);
    assert_eq!(bob.fresh_view().list(&path("/@shared/ann/n")).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_was_not_ended_is_not_taken_for_ended() {
    let mut world = World::start().await;
    let (ann, _eve) = (world.person("ann").await, world.person("eve").await);
    put(&ann.vault, "/n", b"n").await;
    let eves = share(&world, &ann, "/n", "eve", Verbs::VIEW).await;
    let unshare = async || ann.vault.unshare(&path("/n"), &[name("eve")], NewKeys::Whole, &Quiet, &Cancel::new()).await;
    world.liar.tell(&[Lie::undone(Operation::GrantRevoke, GrantEndReply { node: eves.node, ended: 1 })]);
    let error = unshare().await.unwrap_err();
    assert!(error.kind() == Kind::Untrusted && error.to_string().contains("did not end it"), "{error}");
    world.liar.be_honest();
    unshare().await.unwrap();
    assert!(recipients(&ann, "/n").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_go_to_nobody_whom_the_server_adds() {
    let mut world = World::start().await;
    let (ann, bob, eve) = (world.person("ann").await, world.person("bob").await, world.person("eve").await);
    ann.vault.mkdir(&path("/n"), false).await.unwrap();
    for at in ["/n/file", "/other"] {
        put(&ann.vault, at, at.as_bytes()).await;
    }
    let sharer = share(&world, &ann, "/n", "bob", Verbs::VIEW.and(Verbs::SHARE)).await;
    let other = share(&world, &ann, "/other", "eve", Verbs::VIEW.and(Verbs::SHARE)).await;
    let ended = share(&world, &ann, "/n", "eve", Verbs::VIEW).await;
    ann.vault.unshare(&path("/n"), &[name("eve")], NewKeys::Whole, &Quiet, &Cancel::new()).await.unwrap();

    let hash = |view: &GrantView| Envelope::parse(&view.grant.0).unwrap().record_hash();
    // What Eve had once, with some of it changed and another's signature.
    let forged = |by: &Person, change: &dyn Fn(&mut GrantPayload)| {
        let grant = resigned(by, &ended.grant, |grant: &mut GrantPayload| change(grant));
        GrantView { sealer: by.session.user(), sealer_name: by.session.me().name.clone(), grant, ..ended.clone() }
    };
    let by_eve = |grant: &mut GrantPayload| (grant.sealer, grant.sealer_bundle) = (eve.session.user(), eve.session.me().hash());
    let hers = forged(&eve, &|grant| {
        by_eve(grant);
        grant.owner = grant.sealer;
    });
    let unseen = GrantView {
        grant: resigned(&eve, &hers.grant, |grant: &mut GrantPayload| grant.issued = Timestamp::from_millis(2)),
        ..hers.clone()
    };
    let under = |authority: &GrantView| {
        let authority = hash(authority);
        forged(&eve, &|grant| {
            by_eve(grant);
            grant.authority = Some(authority);
        })
    };
    let renewed = forged(&eve, &|grant| {
        by_eve(grant);
        (grant.authority, grant.predecessor) = (Some(hash(&other)), Some(hash(&ended)));
    });
    let expired = forged(&ann, &|grant| grant.expires = Timestamp::from_millis(1));
    let older = forged(&ann, &|grant| grant.issued = Timestamp::from_millis(1));
    let file = forged(&ann, &|grant| grant.kind = ticrypt_types::NodeKind::File);

    // The server also says that the time for new keys has come.
    let node = ended.node;
    let stale = move || {
        Lie::list(move |reply| {
            reply
                .directories
                .iter_mut()
                .flat_map(|view| &mut view.entries)
                .filter(|view| view.node.node == node)
                .for_each(|view| view.node.keys_stale = true);
        })
    };
    let added = |view: &GrantView, authority: &[&GrantView]| {
        let (view, authority) = (view.clone(), authority.iter().map(|view| view.grant.clone()).collect::<Vec<_>>());
        [
            stale(),
            Lie::grants(move |reply| {
                reply.grants.push(view.clone());
                reply.authority.extend_from_slice(&authority);
            }),
        ]
    };
    let all = [
        cases("a share of another node", added(&other, &[]), "a grant of another node"),
        cases("a share of another kind of node", added(&file, &[]), "a grant of another node"),
        cases("what a stranger gave herself", added(&hers, &[]), "not the owner's to give"),
        cases("what a stranger took under another's share", added(&under(&sharer), &[]), "made by somebody who may not make it"),
        cases("what rests on nothing", added(&under(&ended), &[]), "made by somebody who may not make it"),
        cases("what rests on what is not shown", added(&under(&unseen), &[]), "withholds a grant"),
        cases("what she took under a share of another node", added(&under(&other), &[&other]), "share is of another place"),
        cases("what she renewed under a share of another node", added(&renewed, &[&other, &ended]), "share is of another place"),
        cases("what has ended", added(&ended, &[]), "was ended on this device"),
        cases("what has expired", added(&expired, &[]), "has expired"),
        cases("what the present keys were not sealed to", added(&older, &[]), "got no seal of the present keys"),
        cases("another's name for a share", [stale(), bobs(|view| view.recipient_name = name("eve"))], "another person for a grant"),
    ];
    world.refuses(&all, async || ann.vault.rekey(&path("/n"), &Quiet, &Cancel::new()).await, |_| {}).await;
    // The end of a share is remembered on the disk.
    let fresh = ann.fresh_view();
    let again = [cases("what has ended", added(&ended, &[]), "was ended on this device")];
    world.refuses(&again, async || fresh.rekey(&path("/n"), &Quiet, &Cancel::new()).await, |_| {}).await;
    assert_eq!(bob.fresh_view().list(&path("/@shared/ann/n")).await.unwrap().len(), 1);
    assert!(eve.fresh_view().list(&path("/@shared/ann/n")).await.is_err());
}
