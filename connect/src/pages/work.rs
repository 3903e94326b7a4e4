//! The projects one works in: always in sight, and changed from every page. Tags of things are chosen the same way.

use std::collections::BTreeSet;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use ticrypt_api::project::ProjectView;
use ticrypt_client::project::{self, Projects};
use ticrypt_client::vault::progress::{Cancel, Quiet};
use ticrypt_types::ProjectId;

use super::Inside;
use super::vault::{one, shown};
use crate::desk::Office;
use crate::fields::Fields;
use crate::table::Tag;
use crate::transfer::upload::path;
use crate::trouble::{Result, Trouble};
use crate::ui::{self, Done};

/// What a field of a form is called that chooses in one tree; its id follows.
const TREE: &str = "tree-";

/// The button in the bar above.
#[derive(Template)]
#[template(path = "work.html")]
struct Bar {
    tags: Vec<Tag>,
    /// What one of them lacks, so that nothing can be written.
    missing: Option<String>,
}

/// One project of a tree.
struct Choice {
    id: String,
    name: String,
    tag: Tag,
    /// Levels below the root, as far as they are drawn.
    depth: usize,
    chosen: bool,
    /// Why it cannot be chosen.
    hint: Option<String>,
}

/// Of each tree one at most.
struct Tree {
    field: String,
    name: String,
    /// What choosing nothing is called.
    none: &'static str,
    choices: Vec<Choice>,
}

impl Tree {
    fn is_none(&self) -> bool {
        !self.choices.iter().any(|choice| choice.chosen)
    }
}

#[derive(Template)]
#[template(path = "choose.html")]
struct Choose {
    title: String,
    lede: &'static str,
    action: &'static str,
    button: &'static str,
    at: Option<String>,
    trees: Vec<Tree>,
    empty: &'static str,
}

/// Levels that are drawn one further in than the one above.
const DEPTH_DRAWN: usize = 5;

/// The trees one sees. `choice` says whether a project is chosen, and why it cannot be.
fn trees(projects: &Projects, none: &'static str, choice: impl Fn(&ProjectView) -> (bool, Option<String>)) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    for (depth, view) in projects.in_order() {
        if depth == 0 {
            trees.push(Tree { field: format!("{TREE}{}", view.project), name: shown(view.about.name.as_str()), none, choices: Vec::new() });
        }
        let (chosen, hint) = choice(view);
        let one = Choice {
            id: view.project.to_string(),
            name: shown(view.about.name.as_str()),
            tag: Tag::of(view),
            depth: depth.min(DEPTH_DRAWN),
            chosen,
            hint: hint.map(|hint| shown(&hint)),
        };
        if let Some(tree) = trees.last_mut() {
            tree.choices.push(one);
        }
    }
    trees
}

/// The projects that a form chose, of each tree one at most.
fn chosen(fields: &Fields) -> Result<Vec<ProjectId>> {
    let given = fields.all().filter(|(name, value)| name.starts_with(TREE) && !value.is_empty());
    given.map(|(_, value)| value.parse().map_err(|_| Trouble::invalid("this is not a project; load the page again"))).collect()
}

/// `GET /working`.
pub async fn bar(Inside(office): Inside) -> Result<Response> {
    Ok(Html(redraw(&office, &Projects::load(office.session()).await?)?).into_response())
}

/// Draws the bar, and keeps it for the next page.
fn redraw(office: &Office, projects: &Projects) -> Result<String> {
    let missing = projects.working().find_map(|view| view.own.as_ref()?.advice.clone());
    let bar = Bar { tags: projects.working().map(Tag::of).collect(), missing: missing.map(|missing| shown(&missing)) };
    let html = bar.render().map_err(|e| Trouble::broken(format!("the bar cannot be shown: {e}")))?;
    office.remember_work(html.clone());
    Ok(html)
}

/// `POST /working/dialog`.
pub async fn dialog(Inside(office): Inside) -> Result<Response> {
    let projects = Projects::load(office.session()).await?;
    let choice = |view: &ProjectView| match &view.own {
        None => (false, Some("you are no member".to_owned())),
        Some(own) => (own.working, own.advice.clone()),
    };
    ui::html(&Choose {
        title: "Work in a project".to_owned(),
        lede: "You read what carries its tag, the tag of a project above it, or none; you write where the tags are the same. It holds on all \
               your devices at once, and what the new choice does not cover is cut.",
        action: "/working",
        button: "Work here",
        at: None,
        trees: trees(&projects, "No project", choice),
        empty: "You are in no project yet. A manager of one adds you; it counts from your next login.",
    })
}

/// `POST /working`.
pub async fn work(Inside(office): Inside, fields: Fields) -> Result<Done> {
    work_in(&office, chosen(&fields)?).await
}

/// Works in these from now on, and says so on every page.
pub async fn work_in(office: &Office, wanted: Vec<ProjectId>) -> Result<Done> {
    project::work_in(office.session(), wanted).await?;
    let projects = Projects::load(office.session()).await?;
    let names: Vec<String> = projects.working().map(|view| shown(&projects.path(view))).collect();
    let told = if names.is_empty() { "You work in no project.".to_owned() } else { format!("You work in {}.", names.join(" and ")) };
    redraw(office, &projects)?;
    Ok(Done::page(told))
}

/// `POST /vault/tag-dialog`.
pub async fn tag_dialog(Inside(office): Inside, fields: Fields) -> Result<Response> {
    let at = one(&office, &fields).await?;
    let found = office.vault.resolve(&at).await?;
    let own: BTreeSet<ProjectId> = found.own_tags().into_iter().collect();
    let projects = Projects::load(office.session()).await?;
    // Down to the project one works in, or up from it; what it is tagged with now stays possible.
    let mut open: BTreeSet<ProjectId> = own.clone();
    for view in projects.working() {
        let mut step = Some(view);
        while let Some(view) = step {
            open.insert(view.project);
            step = view.parent.and_then(|parent| projects.get(parent));
        }
    }
    let choice = |view: &ProjectView| {
        let hint = (!open.contains(&view.project)).then(|| "not in your working set".to_owned());
        (own.contains(&view.project), hint)
    };
    ui::html(&Choose {
        title: format!("Tag {}", at.names().last().map(|name| name.harmless().to_string()).unwrap_or_default()),
        lede: match found.held.root.group {
            None => {
                "Who opens it then works in the project. It gets keys of its own: whoever it is shared with itself keeps it, and who has only \
                 the folder above sees its name. Taking a tag away is for the project's managers."
            }
            Some(_) => {
                "Who opens it then works in the project. Its keys go to those members of the group who are in the project as well; the others \
                 see its name. Taking a tag away is for the project's managers."
            }
        },
        action: "/vault/tag",
        button: "Tag",
        at: Some(at.text()),
        trees: trees(&projects, "No tag of this tree", choice),
        empty: "There is no project to tag with. A manager of one adds you; it counts from your next login.",
    })
}

/// `POST /vault/tag`.
pub async fn tag(Inside(office): Inside, fields: Fields) -> Result<Done> {
    let at = path(fields.need("at")?)?;
    let tags = chosen(&fields)?;
    let report = office.vault.tag(&at, &tags, &Quiet, &Cancel::new()).await?;
    let made = report.files + report.directories;
    let keys = if made == 0 { String::new() } else { format!(" New keys for {} inside.", ui::count_of(made, "item", "items")) };
    let told = if tags.is_empty() { "The tag is taken away." } else { "Tagged." };
    Ok(Done { notes: report.notes.iter().map(|note| note.to_string().into()).collect(), ..Done::rows(format!("{told}{keys}")) })
}
