//! The key for what carries tags in a group: the server could hand out one of its own, an old one, or say who is to have it.

use ticrypt_api::Blob;
use ticrypt_api::group::{CompartmentReadReply, CompartmentReply};
use ticrypt_api::project::{EntryProof, MemberProof};
use ticrypt_client::project::{self, Changes, Terms};
use ticrypt_client::vault::progress::Quiet;
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::project::RosterEntry;
use ticrypt_crypto::record::Record;
use ticrypt_types::{Compartment, GroupChange, GroupId, GroupPermissions, GroupStep, MemberRole, Operation, ProjectId, Restrictions};

use crate::forgery::{claimed, signed};
use crate::groups::made;
use crate::liar::Lie;
use crate::people::Person;
use crate::tags::{own, works_in};
use crate::world::{World, case, path, put};

/// Lets somebody into a project of this person's, in which they work from then on.
async fn join(owner: &Person, project: ProjectId, person: &mut Person) {
    let terms = Terms { role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms: None, update: false };
    let changes = Changes { set: vec![(person.session.user(), terms)], ..Changes::default() };
    assert!(project::change_members(&owner.session, project, changes, &|_| ()).await.unwrap().is_empty());
    person.login_again().await;
    project::work_in(&person.session, vec![project]).await.unwrap();
}

/// Ann's group with Bob in it, who both work in Ann's project; Eve is in the group and not in the project. `/@groups/lab/fl` carries its tag.
struct Lab {
    world: World,
    ann: Person,
    bob: Person,
    eve: Person,
    group: GroupId,
}

async fn lab() -> Lab {
    let mut world = World::start().await;
    let (mut ann, mut bob, eve) = (world.person("ann").await, world.person("bob").await, world.person("eve").await);
    let may = GroupPermissions::USER;
    let group = made(&ann, "lab", &[(&bob, may), (&eve, may)]).await;
    ann.vault.mkdir(&path("/@groups/lab/fl"), false).await.unwrap();
    put(&ann.vault, "/@groups/lab/fl/a", b"oranges").await;
    let project = works_in(&world, &mut ann).await;
    join(&ann, project, &mut bob).await;
    ann.vault.tag(&path("/@groups/lab/fl"), &[project], &Quiet, &Default::default()).await.unwrap();
    Lab { world, ann, bob, eve, group }
}

impl Lab {
    fn shown(&self) -> CompartmentReadReply {
        self.world.liar.last::<CompartmentReadReply>(Operation::CompartmentRead)
    }

    /// Of the key's newest generation, as the server honestly has it.
    async fn generation(&self) -> u32 {
        self.world.liar.be_honest();
        self.ann.fresh_view().list(&path("/@groups/lab/fl")).await.unwrap();
        self.shown().generation
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_tags_that_no_member_made() {
    let lab = lab().await;
    let list = async || lab.bob.fresh_view().list(&path("/@groups/lab/fl")).await;
    assert_eq!(list().await.unwrap().len(), 1);
    let shown = lab.shown();
    assert_eq!((shown.generation, shown.heads.len()), (1, 1));
    let first: CompartmentHeadPayload = claimed(&shown.heads[0].head);
    let outsider = |change: fn(&mut CompartmentHeadPayload)| {
        let mut forged = first.clone();
        (forged.writer, forged.writer_bundle) = (lab.eve.session.user(), lab.eve.session.me().hash());
        change(&mut forged);
        let forged = signed(&lab.eve, &forged);
        Lie::compartment(move |reply| reply.heads[0].head = forged.clone())
    };
    let all = [
        case("a head with a wrong byte", Lie::compartment(|reply| *reply.heads[0].head.0.last_mut().unwrap() ^= 1), "does not verify"),
        case("a head by another, in no log", outsider(|_| ()), "is not of its head"),
        case("a head of other tags", outsider(|head| head.compartment = other()), "is not of its head"),
        case("no heads at all", Lie::compartment(|reply| reply.heads.clear()), "heads of a tag's key are missing"),
        case("no key at all", Lie::compartment(|reply| (reply.generation, reply.heads) = (0, vec![])), "withholds the key"),
        case("more generations than heads", Lie::compartment(|reply| reply.generation = 2), "something else of a tag's key than its heads"),
        case(
            "a key with a wrong byte",
            Lie::compartment(|reply| *reply.seal.as_mut().unwrap().sealed.0.last_mut().unwrap() ^= 1),
            "does not open",
        ),
        case("a seal of a generation that is not", Lie::compartment(|reply| reply.seal.as_mut().unwrap().generation = 2), "does not have"),
    ];
    lab.world.refuses(&all, list, |_| {}).await;
    // Who is said to be in the group is not sealed to for that, nor who is in the group and said to be in the project: no signed roster has them.
    let nobody = ticrypt_types::UserId::from_random([9; 16]);
    let (eve, bob) = (lab.eve.session.user(), lab.bob.session.user());
    let sealed = || lab.world.liar.heard::<CompartmentReply>(Operation::CompartmentSeal).len();
    let before = sealed();
    let waits = move |who| Lie::compartment(move |reply| reply.waiting.push(who));
    for lie in [waits(nobody), waits(eve)] {
        lab.world.liar.tell(&[lie]);
        lab.ann.fresh_view().list(&path("/@groups/lab/fl")).await.unwrap();
        assert_eq!(sealed(), before);
    }
    // With an entry made up for them, or Bob's with another name in it, nothing is done at all.
    let honest = {
        lab.world.liar.tell(&[waits(bob)]);
        lab.ann.fresh_view().list(&path("/@groups/lab/fl")).await.unwrap();
        assert_eq!(sealed(), before + 1, "Bob is proven to be in the project");
        lab.shown().proofs
    };
    let mut entry = RosterEntry::parse(&honest[0].proof.entry.0).unwrap();
    entry.user = eve;
    let forged = MemberProof { proof: EntryProof { entry: Blob(entry.to_bytes()), ..honest[0].proof.clone() }, ..honest[0].clone() };
    let slipped_in = Lie::compartment(move |reply| {
        reply.waiting.push(eve);
        reply.proofs.push(forged.clone());
    });
    let look = async || lab.ann.fresh_view().list(&path("/@groups/lab/fl")).await;
    lab.world.refuses(&[case("an entry that nobody signed", slipped_in, "is not under the head")], look, |_| {}).await;
    assert_eq!(sealed(), before + 1);
    // The keys of what is tagged, as if they were sealed under another compartment's key.
    let node = lab.ann.vault.resolve(&path("/@groups/lab/fl")).await.unwrap().held.id;
    lab.world.liar.tell(&[own(node, |view| view.compartment = None)]);
    assert!(list().await.unwrap_err().to_string().contains("sealed to nobody in it"));
    lab.world.liar.be_honest();
    assert_eq!(list().await.unwrap().len(), 1);
}

fn other() -> Compartment {
    Compartment::of([ProjectId::from_random([9; 16])]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_for_tags() {
    let lab = lab().await;
    lab.bob.fresh_view().list(&path("/@groups/lab/fl")).await.unwrap();
    let older = lab.shown();
    // Bob, who holds the key, goes from the group, and the server keeps quiet about it: the group's heads say so.
    let gone = GroupChange { user: lab.bob.session.user(), step: GroupStep::Remove };
    lab.ann.vault.change_group(lab.group, vec![gone]).await.unwrap();
    lab.world.liar.tell(&[Lie::compartment(|reply| reply.closed = false)]);
    put(&lab.ann.fresh_view(), "/@groups/lab/fl/b", b"without bob").await;
    assert_eq!(lab.generation().await, 2);
    let list = async || lab.ann.fresh_view().list(&path("/@groups/lab/fl")).await;
    let back = {
        let heads: Vec<_> = lab.shown().heads.into_iter().take(1).collect();
        Lie::compartment(move |reply| *reply = CompartmentReadReply { heads: heads.clone(), generation: 1, ..older.clone() })
    };
    lab.world.refuses(&[case("the key from before", back, "older")], list, |_| {}).await;
    assert_eq!(list().await.unwrap().len(), 2);
}
