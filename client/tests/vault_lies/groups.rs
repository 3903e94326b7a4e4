//! Groups: the server could slip somebody in, show an old roster or another, or hand out a key of its own.

use ticrypt_api::group::{GroupReadReply, GroupReply};
use ticrypt_api::node::ListReply;
use ticrypt_client::vault::Vault;
use ticrypt_crypto::Digest;
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::grant::GrantPayload;
use ticrypt_crypto::group::GroupHeadPayload;
use ticrypt_types::{GroupChange, GroupId, GroupPermissions, GroupStep, Operation, UserId};

use crate::forgery::{claimed, resigned, signed};
use crate::liar::Lie;
use crate::people::Person;
use crate::world::{World, case, cases, path, put};

/// Makes a group of which these are members besides.
pub async fn made(owner: &Person, name: &str, members: &[(&Person, GroupPermissions)]) -> GroupId {
    let mut people = Vec::new();
    for (person, permissions) in members {
        people.push((owner.session.users.lookup(&person.session.me().name).await.unwrap(), *permissions));
    }
    let (group, unsealed) = owner.vault.create_group(name.parse().unwrap(), &people).await.unwrap();
    assert!(unsealed.is_empty());
    group
}

/// A record of a directory with this person as its writer.
fn head_by(person: &Person, change: impl Fn(&mut HeadPayload) + Send + Sync + 'static) -> Lie {
    let (user, bundle, secret) = (person.session.user(), person.session.me().hash(), std::sync::Arc::clone(&person.keys));
    Lie::list(move |reply: &mut ListReply| {
        for view in &mut reply.directories {
            let mut head: HeadPayload = claimed(&view.head);
            (head.writer, head.writer_bundle) = (user, bundle);
            change(&mut head);
            view.head = secret.secret().signing().sign_record(&head).unwrap().into();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_that_nobody_signed() {
    let mut world = World::start().await;
    let (ann, bob, eve) = (world.person("ann").await, world.person("bob").await, world.person("eve").await);
    let group = made(&ann, "lab", &[(&bob, GroupPermissions::NONE)]).await;
    made(&eve, "others", &[(&bob, GroupPermissions::USER)]).await;
    put(&ann.vault, "/@groups/lab/a", b"oranges").await;
    let list = async |vault: &Vault| vault.list(&path("/@groups/lab")).await;
    bob.vault.list(&path("/@groups/others")).await.unwrap();
    let others = world.liar.last::<GroupReadReply>(Operation::GroupRead);
    assert_eq!(list(&bob.vault).await.unwrap().len(), 1);
    let shown = world.liar.last::<GroupReadReply>(Operation::GroupRead);

    // As a member would, with a key in the key log: only that they are none tells.
    let first: GroupHeadPayload = claimed(&shown.heads[0].head);
    let add_eve = GroupChange {
        user: eve.session.user(),
        step: GroupStep::Add { bundle: eve.session.me().hash().to_bytes(), permissions: GroupPermissions::ALL },
    };
    let forged = GroupHeadPayload {
        counter: 2,
        previous: Some(ticrypt_crypto::Envelope::parse(&shown.heads[0].head.0).unwrap().record_hash()),
        changes: vec![add_eve],
        key: None,
        writer: eve.session.user(),
        writer_bundle: eve.session.me().hash(),
        ..first.clone()
    };
    let forged = signed(&eve, &forged);
    let slipped = Lie::group(move |reply| {
        let mut view = reply.heads[0].clone();
        view.head = forged.clone();
        reply.heads.push(view);
    });
    let resealed = resigned(&eve, &shown.root.grant, |grant: &mut GrantPayload| {
        (grant.sealer, grant.sealer_bundle) = (eve.session.user(), eve.session.me().hash());
    });
    let nobody = UserId::from_random([9; 16]);
    let all = [
        case("a member slipped in by an outsider", slipped, "is not of its head"),
        case("a head with a wrong byte", Lie::group(|reply| *reply.heads[0].head.0.last_mut().unwrap() ^= 1), "does not verify"),
        case("no heads at all", Lie::group(|reply| reply.heads.clear()), "it has no head"),
        case("another owner", Lie::group(move |reply| reply.view.owner = nobody), "something else of it than its heads"),
        case(
            "more than one may",
            Lie::group(|reply| reply.view.permissions = GroupPermissions::ALL),
            "something else of it than its heads",
        ),
        case(
            "a leaf of another head",
            {
                let leaf = others.heads[0].leaf.clone();
                Lie::group(move |reply| reply.heads[0].leaf = leaf.clone())
            },
            "is not of its head",
        ),
        case(
            "the directory of another group",
            {
                let root = others.root.clone();
                Lie::group(move |reply| reply.root = root.clone())
            },
            "the directory of another group",
        ),
        case(
            "a directory sealed by an outsider",
            Lie::group(move |reply| reply.root.grant.clone_from(&resealed)),
            "by somebody who was no member",
        ),
        case(
            "the key of another group",
            {
                let seal = others.seal.clone();
                Lie::group(move |reply| reply.seal.clone_from(&seal))
            },
            "does not open",
        ),
        case(
            "a key with a wrong byte",
            Lie::group(|reply| {
                *reply.seal.as_mut().unwrap().sealed.0.last_mut().unwrap() ^= 1;
            }),
            "does not open",
        ),
    ];
    world.refuses(&all, async || list(&bob.fresh_view()).await, |_| {}).await;

    // Who is said to wait is not sealed to for that: the roster says who is a member.
    let outsider = eve.session.user();
    world.liar.tell(&[Lie::group(move |reply| reply.waiting.push(outsider))]);
    list(&ann.fresh_view()).await.unwrap();
    assert!(world.liar.heard::<GroupReply>(Operation::GroupSeal).is_empty());
    world.liar.be_honest();

    // An older roster than this device has seen: somebody who was taken out is in it.
    let removal = GroupChange { user: bob.session.user(), step: GroupStep::Remove };
    let before = world.liar.last::<GroupReadReply>(Operation::GroupRead);
    ann.vault.groups().change(group, vec![removal]).await.unwrap();
    let older = Lie::group(move |reply| {
        let heads = reply.heads.iter().take(1).cloned().collect();
        *reply = GroupReadReply { heads, ..before.clone() };
    });
    world.refuses(&[case("an older roster", older, "older")], async || list(&ann.fresh_view()).await, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_by_somebody_without_leave() {
    let mut world = World::start().await;
    let (ann, bob, eve) = (world.person("ann").await, world.person("bob").await, world.person("eve").await);
    made(&ann, "lab", &[(&bob, GroupPermissions::NONE)]).await;
    put(&ann.vault, "/@groups/lab/a", b"oranges").await;
    let list = async || ann.fresh_view().list(&path("/@groups/lab")).await;
    list().await.unwrap();
    let all = [
        case("by a member who may only read", head_by(&bob, |_| {}), "a member who may only read"),
        case("by an outsider", head_by(&eve, |_| {}), "somebody who was no member"),
        case("under no head of the group", head_by(&ann, |head| head.authority = None), "without any right to"),
        // Two people who are shown two rosters find out as soon as one reads what the other wrote.
        case(
            "on a head that is not shown",
            head_by(&ann, |head| head.authority = Some(Digest::of(b"another roster"))),
            "on a state of the group that the server does not show",
        ),
        cases("of nobody, twice", [head_by(&eve, |_| {}), head_by(&eve, |_| {})], "somebody who was no member"),
    ];
    world.refuses(&all, list, |_| {}).await;
}
