//! `ticrypt users`: people, their fingerprints, and for administrators their accounts.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use ticrypt_api::profile::ProfileLabel;
use ticrypt_api::user::UserView;
use ticrypt_client::users::{Person, StateChange, Trust, change_states, set_permissions};
use ticrypt_client::{ClientError, Session, clock, home};
use ticrypt_crypto::Digest;
use ticrypt_crypto::bundle::{BUNDLE_MAX_LEN, Fingerprint};
use ticrypt_crypto::statement::Action;
use ticrypt_types::{Permission, Permissions, Rank, Timestamp, UserId, UserName, UserState};

use crate::context::Context;
use crate::passphrase::ask_line;
use crate::verbs::each::{self, outcomes, report};
use crate::verbs::profile;
use ticrypt_client::when;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the people you see: those of your teams, those in your care as a sub-admin, everybody as an administrator
    ///
    /// Who is in no team sees those in no team; who manages a team sees them too.
    List {
        /// Only those that are `pending`, `active` or `inactive`
        #[arg(long, value_parser = state)]
        state: Option<UserState>,
    },
    /// Find a person by exact name; checks their keys against the key log and what this device has pinned
    Show { name: UserName },
    /// Print your own fingerprint, or another person's, to be compared in person or by telephone
    Fingerprint { name: Option<UserName> },
    /// Write a person's bundle, which is public, to FILE: what they need for `key reset` if they lost everything
    Bundle {
        name: UserName,
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Pin a person's key after comparing its fingerprint with them
    Verify(Verify),
    /// Forget the pinned key of a person: the next contact counts as the first
    Unpin { name: UserName },
    /// Administrators: activate an account, after comparing the fingerprint with the person
    Activate(Activate),
    /// Administrators: end people's access
    Deactivate {
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
        /// Shown to administrators
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Administrators: no access for a time; it resumes by itself
    Disable(Disable),
    /// Administrators: change people's rank
    Role {
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<UserName>,
        /// `user`, `sub-admin`, `admin` or `super-admin`
        #[arg(value_parser = rank)]
        rank: Rank,
    },
    /// Administrators: see what the system lets a person do; give and take it from people
    ///
    /// A permission opens nothing: keys and projects are asked besides. You give and take only what you have yourself.
    Permissions(PermissionChange),
    /// Administrators: accept the new keys of a person who lost theirs; what they stored stays closed
    ///
    /// The person makes keys with `ticrypt key reset` and gives you the bundle. Let them read you its fingerprint, in person or by
    /// telephone, and be sure that it is them: whoever holds these keys is that person for everybody from now on. What others shared with
    /// them is dead, and they begin with an empty vault. The reset stands in the key log.
    Reset(Reset),
}

#[derive(Debug, Args)]
pub struct Verify {
    name: UserName,
    /// As the person read it out; white space does not matter
    #[arg(required = true, num_args = 1.., value_name = "FINGERPRINT")]
    fingerprint: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Activate {
    name: UserName,
    /// As the person read it out; asked for on a terminal if absent
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<Fingerprint>,
    /// Apply this profile to them as well
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
}

#[derive(Debug, Args)]
pub struct Disable {
    #[arg(required = true, value_name = "PERSON")]
    people: Vec<UserName>,
    /// `7d`, `12h`, `2027-01-31` or `2027-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", required_unless_present = "end")]
    until: Option<String>,
    /// End an earlier one
    #[arg(long, conflicts_with = "until")]
    end: bool,
}

#[derive(Debug, Args)]
pub struct PermissionChange {
    #[arg(required = true, value_name = "PERSON")]
    people: Vec<UserName>,
    /// Permissions to give, e.g. `project.create`
    #[arg(long, num_args = 1.., value_name = "PERMISSION")]
    give: Vec<Permission>,
    /// Permissions to take away
    #[arg(long, num_args = 1.., value_name = "PERMISSION")]
    take: Vec<Permission>,
}

#[derive(Debug, Args)]
pub struct Reset {
    name: UserName,
    /// The bundle the person made
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Its fingerprint, as the person read it out
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Fingerprint,
}

#[derive(Serialize)]
struct Shown {
    name: UserName,
    user: ticrypt_types::UserId,
    fingerprint: String,
    generation: u32,
    /// How the key came to be believed on this device.
    trust: Trust,
    first_contact: bool,
}

fn state(text: &str) -> Result<UserState, &'static str> {
    UserState::from_word(text).ok_or("`pending`, `active` or `inactive`")
}

fn rank(text: &str) -> Result<Rank, &'static str> {
    Rank::from_word(text).ok_or("`user`, `sub-admin`, `admin` or `super-admin`")
}

pub async fn run(command: Command, context: &Context) -> anyhow::Result<()> {
    let session = context.session().await?;
    let users = &session.users;
    match command {
        Command::List { state } => list(&users.list(state).await?, context),
        Command::Show { name } => show(&users.lookup(&name).await?, context),
        Command::Bundle { name, to } => bundle(&name, &to, &session, context).await,
        Command::Fingerprint { name } => fingerprint(name, &session, context).await,
        Command::Verify(verify) => {
            let compared = verify
                .fingerprint
                .concat()
                .parse()
                .map_err(|_| ClientError::invalid("a fingerprint has 16 groups of four hexadecimal digits"))?;
            show(&users.verify(&verify.name, compared).await?, context)
        }
        Command::Unpin { name } => {
            let pin = users.unpin(&name)?;
            context.output.hint(&format!("Forgotten: {}", Fingerprint(pin.fingerprint)));
            Ok(())
        }
        Command::Activate(activate) => self::activate(activate, &session, context).await,
        Command::Deactivate { people, reason } => change(people, Action::Deactivate, reason, &session, context).await,
        Command::Disable(disable) => {
            let until = match &disable.until {
                Some(text) => when::parse(text, clock::now())
                    .ok_or_else(|| ClientError::invalid(format!("`{text}` is not a time; try `7d` or `2027-01-31`")))?,
                None => Timestamp::ABSENT,
            };
            change(disable.people, Action::DisableUntil(until), String::new(), &session, context).await
        }
        Command::Role { people, rank } => change(people, Action::Role(rank), String::new(), &session, context).await,
        Command::Permissions(change) => permissions(change, &session, context).await,
        Command::Reset(reset) => self::reset(reset, &session, context).await,
    }
}

async fn fingerprint(name: Option<UserName>, session: &Session, context: &Context) -> anyhow::Result<()> {
    let shown = match name {
        Some(name) => session.users.lookup(&name).await?.fingerprint(),
        None => session.me().bundle.fingerprint(),
    };
    context.output.result(&shown.to_string(), |out| writeln!(out, "{shown}"))
}

async fn bundle(name: &UserName, to: &Path, session: &Session, context: &Context) -> anyhow::Result<()> {
    let person = session.users.lookup(name).await?;
    home::write_new_atomic(to, person.bundle.as_bytes())?;
    show(&person, context)
}

async fn activate(activate: Activate, session: &Session, context: &Context) -> anyhow::Result<()> {
    let view = session.users.find(&activate.name).await?;
    let profile = match &activate.profile {
        Some(text) => Some(ticrypt_client::profile::find(session, text).await?),
        None => None,
    };
    let shown = Fingerprint(Digest::new(view.fingerprint.0));
    let compared = match activate.fingerprint {
        Some(fingerprint) => fingerprint,
        None => {
            let question = format!(
                "{} has asked for an account with the fingerprint\n  {shown}\nCompare it with the person, in person or by telephone. Is it the same? [y/N] ",
                view.name
            );
            match ask_line(&question)?.as_deref() {
                Some("y" | "Y" | "yes") => shown,
                Some(_) => {
                    return Err(ClientError::refused(
                        "fingerprint",
                        "the account was not activated; deactivate it if the fingerprint is not the person's",
                    )
                    .into());
                }
                None => return Err(ClientError::invalid("nobody is there to compare the fingerprint; give it with --fingerprint").into()),
            }
        }
    };
    let change = StateChange { view: view.clone(), action: Action::Activate, reason: String::new(), new_bundle: None };
    session.users.change_state(&*session.keys, change, Some(compared)).await?;
    context.output.hint(&format!("{} is active.", activate.name));
    match profile {
        Some(profile) => profile::give(&profile, vec![(activate.name, Ok(view))], session, context).await,
        None => Ok(()),
    }
}

/// Somebody as they were named, and their row.
pub(super) type Found = (UserName, Result<UserView, ClientError>);

/// The rows of these people, as far as one sees them.
pub(super) async fn views(people: Vec<UserName>, session: &Session) -> anyhow::Result<Vec<Found>> {
    let all = session.users.list(None).await?;
    let view = |name: UserName| {
        let found = all.iter().find(|view| view.name == name).cloned();
        let found = found.ok_or_else(|| ClientError::not_found(format!("there is no account {name}; run `ticrypt users list`")));
        (name, found)
    };
    Ok(people.into_iter().map(view).collect())
}

async fn change(people: Vec<UserName>, action: Action, reason: String, session: &Session, context: &Context) -> anyhow::Result<()> {
    let views = views(people, session).await?;
    let made = |view: &UserView| StateChange { view: view.clone(), action, reason: reason.clone(), new_bundle: None };
    let changes: Vec<StateChange> = views.iter().filter_map(|(_, view)| view.as_ref().ok()).map(made).collect();
    let bar = context.output.count_bar(changes.len() as u64, "changing");
    let results = change_states(session, &changes, &|done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let found = views.into_iter().map(|(name, view)| (name, view.map(|view| view.user))).collect();
    report(outcomes(found, results?, "done"), context)?;
    context.output.hint("Done; the statements are in the key log.");
    Ok(())
}

async fn permissions(change: PermissionChange, session: &Session, context: &Context) -> anyhow::Result<()> {
    let (give, take) = (change.give, change.take);
    let wanted = |had: Permissions| -> Permissions {
        let given = give.iter().copied().fold(had, Permissions::with);
        given.iter().filter(|permission| !take.contains(permission)).collect()
    };
    let views = views(change.people, session).await?;
    let changed = |view: &&UserView| wanted(view.permissions) != view.permissions;
    let whom: Vec<(UserId, Permissions)> =
        views.iter().filter_map(|(_, view)| view.as_ref().ok()).filter(changed).map(|view| (view.user, wanted(view.permissions))).collect();
    if let [(_, view)] = &views[..] {
        return of_one(view, &wanted, &whom, session, context).await;
    }
    let bar = context.output.count_bar(whom.len() as u64, "changing");
    let results = set_permissions(session, &whom, &|done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let (found, results) = held(views, results?, |view| changed(&view));
    report(outcomes(found, results, "done"), context)
}

/// What came of each who was found: `results` are of those who were `asked`, in order; the others have it already, and so are done.
pub(super) fn held(
    views: Vec<Found>,
    results: Vec<Result<(), ClientError>>,
    asked: impl Fn(&UserView) -> bool,
) -> (Vec<each::Found>, Vec<Result<(), ClientError>>) {
    let mut results = results.into_iter();
    let of = |view: &UserView| if asked(view) { results.next().unwrap_or(Ok(())) } else { Ok(()) };
    let all = views.iter().filter_map(|(_, view)| view.as_ref().ok()).map(of).collect();
    (views.into_iter().map(|(name, view)| (name, view.map(|view| view.user))).collect(), all)
}

/// Changes what one person may do, and shows all of it.
async fn of_one(
    view: &Result<UserView, ClientError>,
    wanted: &dyn Fn(Permissions) -> Permissions,
    whom: &[(UserId, Permissions)],
    session: &Session,
    context: &Context,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Held {
        permission: &'static str,
        category: &'static str,
        held: bool,
    }
    let view = match view {
        Ok(view) => view,
        Err(error) => return Err(ClientError::not_found(error.to_string()).into()),
    };
    if !whom.is_empty() {
        for result in set_permissions(session, whom, &|_| ()).await? {
            result?;
        }
    }
    let permissions = wanted(view.permissions);
    let rows = Permission::ALL.iter().map(|permission| Held {
        permission: permission.word(),
        category: permission.category().word(),
        held: permissions.contains(*permission),
    });
    let mark = |held: bool| if held { "yes" } else { "no" };
    context.output.table(&rows.collect::<Vec<_>>(), &["PERMISSION", "HELD", "CATEGORY"], |row| {
        vec![row.permission.to_owned(), mark(row.held).to_owned(), row.category.to_owned()]
    })
}

async fn reset(reset: Reset, session: &Session, context: &Context) -> anyhow::Result<()> {
    let bytes = home::read_named(&reset.bundle, BUNDLE_MAX_LEN)?;
    session.users.accept_reset(&*session.keys, &reset.name, bytes, reset.fingerprint).await?;
    context.output.hint(
        "Done. They log in with the new keys and begin with an empty vault. Everybody who shares with them has to compare the new fingerprint \
         (`ticrypt users verify`) and to share again; shares with the old keys are dead.",
    );
    Ok(())
}

fn list(users: &[UserView], context: &Context) -> anyhow::Result<()> {
    context.output.table(users, &["NAME", "RANK", "STATE", "PROFILE", "LAST LOGIN", "FINGERPRINT"], |view| {
        let state = match view.disabled_until_ms {
            Some(until) if !until.is_expired(clock::now()) && until != Timestamp::ABSENT => {
                format!("{}, disabled until {until}", view.state)
            }
            _ => view.state.to_string(),
        };
        vec![
            view.name.to_string(),
            view.rank.to_string(),
            state,
            view.profile.as_ref().map_or_else(|| "-".to_owned(), profile_word),
            view.last_login_ms.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            Fingerprint(Digest::new(view.fingerprint.0)).to_string(),
        ]
    })
}

/// Whoever has other permissions by now than the profile gives is not just like it.
fn profile_word(label: &ProfileLabel) -> String {
    if label.exact { label.name.to_string() } else { format!("{}, changed", label.name) }
}

fn show(person: &Person, context: &Context) -> anyhow::Result<()> {
    let shown = Shown {
        name: person.name.clone(),
        user: person.user,
        fingerprint: person.fingerprint().to_string(),
        generation: person.bundle.payload().generation,
        trust: person.trust,
        first_contact: person.first_contact,
    };
    let trust = match (shown.trust, shown.first_contact) {
        (Trust::Compared, _) => "fingerprint compared",
        (Trust::FirstContact, true) => "seen for the first time now; compare the fingerprint",
        (Trust::FirstContact, false) => "unchanged since first contact; fingerprint not compared",
    };
    context.output.record(
        &shown,
        &[
            ("name", shown.name.to_string()),
            ("fingerprint", shown.fingerprint.clone()),
            ("generation", shown.generation.to_string()),
            ("trust", trust.to_owned()),
        ],
    )
}
