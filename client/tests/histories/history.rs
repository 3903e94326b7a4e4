//! A random history: several people work at once on one real server, and after each step what they reach is held to the model.

use std::collections::{BTreeMap, BTreeSet};

use ticrypt_client::project::{self, ALREADY_MEMBER, Admission, Changes, Projects, Terms};
use ticrypt_client::vault::listing::ListedKind;
use ticrypt_client::vault::open::Wanted;
use ticrypt_client::vault::plan::IfExists;
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_client::vault::put::PutOptions;
use ticrypt_client::vault::share::NewKeys;
use ticrypt_client::vault::{Vault, VaultPath};
use ticrypt_client::{ClientError, Kind, users};
use ticrypt_e2e::chance::Chance;
use ticrypt_types::{
    GroupChange, GroupId, GroupPermissions, GroupStep, MemberRole, NodeId, NodeName, Permission, Permissions, ProjectId, Restrictions,
    Timestamp, UserId, Verbs,
};

use crate::attacker;
use crate::model::{Model, Who};
use crate::stored::Stored;
use crate::system::{Person, System, path};

const NAMES: [&str; 4] = ["ann", "bob", "cat", "dan"];
/// Who owns the group and leads the projects.
const LEADER: Who = 0;
/// Directories of the leader, of which some are shared.
const OWN: [&str; 3] = ["/d0", "/d0/sub", "/d1"];
const GROUP: [&str; 4] = ["/@groups/lab", "/@groups/lab/x", "/@groups/lab/x/deep", "/@groups/lab/y"];
const FILES: u64 = 5;

pub struct History {
    _system: System,
    people: Vec<Person>,
    projects: Vec<ProjectId>,
    group: GroupId,
    stored: Stored,
    model: Model,
    chance: Chance,
    next_content: u64,
    /// How often each kind of step was done, and how often refused.
    pub steps: BTreeMap<&'static str, (u32, u32)>,
    /// Contents that were read under some tag.
    pub read_tagged: u32,
}

/// Whether it was done. The rules may refuse; nobody may find the server lying, or themselves broken.
fn done<T>(result: Result<T, ClientError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if matches!(error.kind(), Kind::Untrusted | Kind::Broken | Kind::LoggedOut) => panic!("{error:?}"),
        Err(_) => None,
    }
}

impl History {
    /// People, projects and a group, and nobody in any of them but the leader.
    pub async fn begin(chance: Chance) -> Self {
        let mut system = System::start();
        let mut people = Vec::new();
        for name in NAMES {
            people.push(system.person(name).await);
        }
        let given = [Permission::ProjectCreate, Permission::ProjectChild, Permission::ProjectManage, Permission::ProjectDeclassify];
        let permissions = given.into_iter().fold(Permissions::basic(), Permissions::with);
        let leader = people[LEADER].session.user();
        users::set_permissions(&system.admin(), &[(leader, permissions)], &|_| ()).await.unwrap();
        let mut model = Model { ids: people.iter().map(|person| person.session.user()).collect(), ..Model::default() };
        let mut projects = Vec::new();
        for (name, parent) in [("Federal", None), ("Florida", Some(0)), ("Texas", Some(0)), ("Clinic", None)] {
            let above = parent.map(|at: usize| projects[at]);
            let name: ticrypt_types::Title = name.parse().unwrap();
            let about = ticrypt_api::project::ProjectAbout {
                tag: project::tag_of(&name).unwrap(),
                name,
                colour: "#1f77b4".parse().unwrap(),
                description: String::new(),
                level: None,
            };
            let made = project::create(&people[LEADER].session, above, about).await.unwrap();
            model.above.insert(made, above);
            model.members.insert((made, LEADER));
            projects.push(made);
        }
        people[LEADER].login_again().await;
        let vault = &people[LEADER].vault;
        let (group, _) = vault.create_group("lab".parse().unwrap(), &[]).await.unwrap();
        model.in_group.insert(LEADER);
        model.group = Some(UserId::try_from(group.to_bytes()).unwrap());
        for at in OWN.iter().chain(&GROUP[1..]) {
            vault.mkdir(&path(at), false).await.unwrap();
        }
        let stored = Stored::open(&system.data()).await;
        let (steps, next_content, read_tagged) = Default::default();
        Self { _system: system, people, projects, group, stored, model, chance, next_content, steps, read_tagged }
    }

    fn someone(&mut self) -> Who {
        self.chance.below(NAMES.len() as u64) as usize
    }

    /// Anybody but the leader.
    fn follower(&mut self) -> Who {
        1 + self.chance.below(NAMES.len() as u64 - 1) as usize
    }

    fn project(&mut self) -> ProjectId {
        self.projects[self.chance.below(self.projects.len() as u64) as usize]
    }

    /// A directory as this person names it.
    fn place(&mut self, who: Who) -> VaultPath {
        let (own, group) = (OWN.len() as u64, GROUP.len() as u64);
        let at = self.chance.below(own + group) as usize;
        path(&match at.checked_sub(OWN.len()) {
            Some(at) => GROUP[at].to_owned(),
            None if who == LEADER => OWN[at].to_owned(),
            None if self.chance.below(3) == 0 => "/".to_owned(),
            None => format!("/@shared/ann{}", OWN[at]),
        })
    }

    fn file(&mut self, who: Who) -> VaultPath {
        let name = NodeName::parse(&format!("f{}", self.chance.below(FILES))).unwrap();
        self.place(who).child(&name)
    }

    /// A file that is there, if any is.
    async fn file_in(&mut self, who: Who, place: &VaultPath) -> VaultPath {
        let listed = done(self.people[who].vault.list(place).await).unwrap_or_default();
        let files: Vec<_> = listed.into_iter().filter(|entry| entry.kind == ListedKind::File).collect();
        match files.len() as u64 {
            0 => self.file(who),
            some => files[self.chance.below(some) as usize].vault_path.clone(),
        }
    }

    /// From a file to another name, half the time beside it.
    async fn two_names(&mut self, who: Who) -> (VaultPath, VaultPath) {
        let place = self.place(who);
        self.suit(who, &place.child(&NodeName::parse("any").unwrap())).await;
        let (from, to) = (self.file_in(who, &place).await, self.file(who));
        let beside = place.child(to.names().last().unwrap());
        if self.chance.even() { (from, beside) } else { (from, to) }
    }

    /// One step, and what holds after it.
    pub async fn step(&mut self) {
        let (kind, done) = match self.chance.below(100) {
            0..24 => ("put", self.put().await),
            24..36 => ("work", self.work().await),
            36..44 => ("copy", self.copy().await),
            44..50 => ("move", self.rename().await),
            50..54 => ("remove", self.remove().await),
            54..62 => ("tag", self.tag().await),
            62..70 => ("admit", self.admit().await),
            70..75 => ("expel", self.expel().await),
            75..81 => ("join", self.join().await),
            81..86 => ("leave", self.leave().await),
            86..91 => ("share", self.share().await),
            91..95 => ("unshare", self.unshare().await),
            _ => ("read", {
                let who = self.someone();
                self.reads(who).await;
                true
            }),
        };
        println!("  {}", if done { "done" } else { "refused" });
        let counted = self.steps.entry(kind).or_default();
        *(if done { &mut counted.0 } else { &mut counted.1 }) += 1;
        let shape = self.stored.look().await;
        self.model.note_openable(&shape);
    }

    async fn put(&mut self) -> bool {
        let who = self.someone();
        let (at, content) = (self.file(who), self.next_content);
        self.suit(who, &at).await;
        self.next_content += 1;
        let place = tempfile::tempdir().unwrap();
        let source = place.path().join("source");
        std::fs::write(&source, content.to_string()).unwrap();
        let options = PutOptions { if_exists: IfExists::Force, ..PutOptions::default() };
        println!("{} puts {content} at {}", NAMES[who], at.text());
        let vault = &self.people[who].vault;
        let Some(report) = done(vault.put(&[source], &at, &options, &Quiet, &Cancel::new()).await) else { return false };
        if report.files == 0 {
            return false;
        }
        // Who puts and sees it no more has lost that meanwhile, which nobody does here.
        let file = vault.locate(&at).await.unwrap();
        let shape = self.stored.look().await;
        let label = self.model.with_above(shape.label(file));
        assert_eq!(label, self.model.active(who), "{who} wrote to {at:?} past where they work");
        self.model.bound.insert(content, label);
        self.model.contents.insert(file, content);
        true
    }

    async fn work(&mut self) -> bool {
        let who = self.someone();
        let mut projects = BTreeSet::new();
        for _ in 0..[0, 0, 1, 1, 1, 2][self.chance.below(6) as usize] {
            projects.insert(self.project());
        }
        self.work_in(who, projects).await
    }

    /// Works in what the place of a file carries, half the time: what one does who wants to get on.
    async fn suit(&mut self, who: Who, at: &VaultPath) {
        if self.chance.even() {
            return;
        }
        let (place, _) = at.split().unwrap();
        let Some(node) = done(self.people[who].vault.locate(&place).await) else { return };
        let label = self.stored.look().await.label(node);
        let above: BTreeSet<ProjectId> = label.iter().filter_map(|project| self.model.above[project]).collect();
        if self.model.active(who) != self.model.with_above(label.iter().copied()) {
            self.work_in(who, label.difference(&self.model.with_above(above)).copied().collect()).await;
        }
    }

    async fn work_in(&mut self, who: Who, projects: BTreeSet<ProjectId>) -> bool {
        println!("{} works in {projects:?}", NAMES[who]);
        let refused = done(project::work_in(&self.people[who].session, projects.iter().copied().collect()).await).is_none();
        if refused {
            return false;
        }
        let active = self.model.with_above(projects.iter().copied());
        let siblings = active.contains(&self.projects[1]) && active.contains(&self.projects[2]);
        assert!(!siblings, "{who} works in two states");
        for project in &projects {
            assert!(self.model.is_member(*project, who), "{who} works in what they are not in");
        }
        self.model.works_in.insert(who, projects);
        true
    }

    async fn copy(&mut self) -> bool {
        let who = self.someone();
        let (from, to) = self.two_names(who).await;
        println!("{} copies {} to {}", NAMES[who], from.text(), to.text());
        let vault = &self.people[who].vault;
        let Some(source) = done(vault.locate(&from).await) else { return false };
        let Some((made, _)) = done(vault.cp(&from, &to, &Quiet, &Cancel::new()).await) else { return false };
        let Some(made) = done(vault.locate(&made).await) else { return false };
        if let Some(content) = self.model.contents.get(&source).copied() {
            self.model.contents.insert(made, content);
        }
        true
    }

    async fn rename(&mut self) -> bool {
        let who = self.someone();
        let (from, to) = self.two_names(who).await;
        println!("{} moves {} to {}", NAMES[who], from.text(), to.text());
        done(self.people[who].vault.mv(&from, &to, &Quiet, &Cancel::new()).await).is_some()
    }

    async fn remove(&mut self) -> bool {
        let who = self.someone();
        let place = self.place(who);
        let at = self.file_in(who, &place).await;
        println!("{} removes {}", NAMES[who], at.text());
        done(self.people[who].vault.rm(&[at]).await).is_some()
    }

    async fn tag(&mut self) -> bool {
        let who = if self.chance.below(4) == 0 { self.follower() } else { LEADER };
        let place = self.place(who);
        let at = if self.chance.even() { place } else { self.file_in(who, &place).await };
        // More often what they work in than what is refused.
        let active = self.model.active(who);
        let works_in = self.projects.iter().rfind(|project| active.contains(project)).copied();
        let tags = match (self.chance.below(5), works_in) {
            (0 | 1, _) => vec![],
            (2 | 3, Some(project)) => vec![project],
            _ => vec![self.project()],
        };
        if self.chance.even() {
            let places = self.model.with_above(tags.iter().copied());
            if !places.is_empty() && places != active {
                self.work_in(who, tags.iter().copied().collect()).await;
            }
        }
        println!("{} tags {} with {tags:?}", NAMES[who], at.text());
        let vault = &self.people[who].vault;
        let Some(node) = done(vault.locate(&at).await) else { return false };
        let result = done(vault.tag(&at, &tags, &Quiet, &Cancel::new()).await);
        // The tag may be set although not all new keys could be made.
        let shape = self.stored.look().await;
        self.model.rebind(node, &shape);
        result.is_some()
    }

    async fn admit(&mut self) -> bool {
        let (who, project) = (self.follower(), self.project());
        println!("{} is taken into {project}", NAMES[who]);
        let session = &self.people[LEADER].session;
        let projects = Projects::load(session).await.unwrap();
        let terms = Terms { role: MemberRole::User, restrictions: Restrictions::NONE, expires_ms: None, update: false };
        let admission = Admission { project, terms, above: true };
        let Some(refused) = done(project::admit(session, &projects, &admission, &[self.model.ids[who]], &|_| ()).await) else {
            return false;
        };
        // Whoever is in it already was taken in above.
        let is_in = refused.iter().all(|one| one.code == ALREADY_MEMBER);
        if is_in {
            let line = self.model.with_above([project]);
            self.model.members.extend(line.into_iter().map(|project| (project, who)));
            self.people[who].login_again().await;
        }
        is_in
    }

    /// Losing never adds: whoever loses something reads nothing afterwards that they did not read before.
    async fn expel(&mut self) -> bool {
        let (who, project) = (self.follower(), self.project());
        println!("{} is taken out of {project}", NAMES[who]);
        let before = self.reads(who).await;
        let changes = Changes { remove: vec![self.model.ids[who]], ..Changes::default() };
        let result = done(project::change_members(&self.people[LEADER].session, project, changes, &|_| ()).await);
        let expelled = result.is_some_and(|refused| refused.is_empty());
        if expelled {
            self.model.members.remove(&(project, who));
            self.no_more_than(who, &before).await;
        }
        expelled
    }

    async fn join(&mut self) -> bool {
        let who = self.follower();
        let person = self.people[LEADER].session.users.lookup(&NAMES[who].parse().unwrap()).await.unwrap();
        let permissions = [GroupPermissions::NONE, GroupPermissions::USER, GroupPermissions::ALL][self.chance.below(3) as usize];
        println!("{} is taken into the group, {permissions:?}", NAMES[who]);
        let joined = done(self.people[LEADER].vault.groups().add(self.group, &[(person, permissions)]).await).is_some();
        if joined {
            self.model.in_group.insert(who);
        }
        joined
    }

    async fn leave(&mut self) -> bool {
        let who = self.follower();
        println!("{} is taken out of the group", NAMES[who]);
        let before = self.reads(who).await;
        let change = GroupChange { user: self.model.ids[who], step: GroupStep::Remove };
        let left = done(self.people[LEADER].vault.change_group(self.group, vec![change]).await).is_some();
        if left {
            self.model.in_group.remove(&who);
            self.no_more_than(who, &before).await;
        }
        left
    }

    async fn share(&mut self) -> bool {
        let (who, at) = (self.follower(), path(OWN[self.chance.below(OWN.len() as u64) as usize]));
        let verbs = if self.chance.even() { Verbs::VIEW } else { Verbs::ALL };
        println!("{} is given {}, {verbs:?}", NAMES[who], at.text());
        let vault = &self.people[LEADER].vault;
        let Some(node) = done(vault.locate(&at).await) else { return false };
        let shared = done(vault.share(&at, &[NAMES[who].parse().unwrap()], verbs, Timestamp::ABSENT).await).is_some();
        if shared {
            self.model.shares.insert((node, who));
        }
        shared
    }

    async fn unshare(&mut self) -> bool {
        let (who, at) = (self.follower(), path(OWN[self.chance.below(OWN.len() as u64) as usize]));
        let before = self.reads(who).await;
        let keys = if self.chance.even() { NewKeys::Whole } else { NewKeys::NodeOnly };
        println!("the share of {} with {} is ended, new keys {keys:?}", at.text(), NAMES[who]);
        let vault = &self.people[LEADER].vault;
        let Some(node) = done(vault.locate(&at).await) else { return false };
        let ended = done(vault.unshare(&at, &[NAMES[who].parse().unwrap()], keys, &Quiet, &Cancel::new()).await).is_some();
        if ended {
            self.model.shares.remove(&(node, who));
            self.no_more_than(who, &before).await;
        }
        ended
    }

    async fn no_more_than(&mut self, who: Who, before: &BTreeSet<(NodeId, u64)>) {
        let after = self.reads(who).await;
        let more: Vec<_> = after.difference(before).collect();
        assert!(more.is_empty(), "{who} lost something, and reads {more:?} since");
    }

    /// All that somebody reads now, each held to the model.
    async fn reads(&mut self, who: Who) -> BTreeSet<(NodeId, u64)> {
        let shape = self.stored.look().await;
        // Nothing remembered: what a device kept is not what the server gives.
        let vault = self.people[who].fresh_view();
        let mut read = BTreeSet::new();
        for start in ["/", "/@groups/lab", "/@shared/ann"] {
            self.walk(&vault, path(start), &mut read).await;
        }
        for (file, content) in &read {
            self.model.check_read(who, *file, *content, &shape);
            self.read_tagged += u32::from(!shape.label(*file).is_empty());
        }
        read
    }

    async fn walk(&self, vault: &Vault, start: VaultPath, read: &mut BTreeSet<(NodeId, u64)>) {
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for entry in done(vault.list(&at).await).unwrap_or_default() {
                if entry.locked {
                    continue;
                }
                match entry.kind {
                    ListedKind::Directory => open.push(entry.vault_path),
                    ListedKind::File => read.extend(self.read(vault, &entry.vault_path).await.map(|content| (entry.node, content))),
                    _ => {}
                }
            }
        }
    }

    async fn read(&self, vault: &Vault, at: &VaultPath) -> Option<u64> {
        let file = done(vault.resolve(at).await)?.held;
        let content = done(vault.open_one(Wanted { file, manifest: None, keep: false }).await)?;
        let bytes = done(vault.read_whole(&content).await)?;
        Some(std::str::from_utf8(&bytes).unwrap().parse().unwrap())
    }

    /// At the end: everybody's reads, and what their keys open of all that the server ever had.
    pub async fn end(&mut self) -> Vec<usize> {
        let (mut opened, shape) = (Vec::new(), self.stored.look().await);
        for (who, name) in NAMES.into_iter().enumerate() {
            self.reads(who).await;
            let opens = attacker::opens(self.people[who].keys.secret(), &self.stored);
            let could = self.model.could_open.get(&who).cloned().unwrap_or_default();
            let more: Vec<_> = opens.difference(&could).collect();
            for (version, file) in shape.versions.iter().filter(|(version, _)| more.contains(&version)) {
                let (of_group, label) = (shape.owner(*file) == self.model.group, shape.label(*file));
                println!("{version} in {file}, of the group: {of_group}, content {:?}, {label:?}", self.model.contents.get(file));
            }
            assert!(more.is_empty(), "{name} opens {} contents that were never theirs: {more:?}", more.len());
            opened.push(opens.len());
        }
        opened
    }
}
