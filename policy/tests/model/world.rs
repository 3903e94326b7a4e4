//! One person and one thing in a vault, in the words of the rules of access: what both statements of the rules are asked about.
//!
//! Projects are numbers, and no type of the policy crate is used: the naive statement (`naive.rs`) reads this and nothing else.

/// A project and how the one person stands in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Project {
    /// `None`: right below Unlocked.
    pub parent: Option<usize>,
    pub membership: Membership,
    pub requirement: Requirement,
    pub is_manager: bool,
    pub is_pi: bool,
    pub restrictions: Vec<Restriction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Membership {
    Never,
    Expired,
    /// Given after the session began.
    SinceLogin,
    Before,
}

/// What the project itself asks for (not its ancestors), and whether the person has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    Nothing,
    Certified,
    Uncertified,
    /// Certified once; it has expired.
    Expired,
    /// Certified after the session began.
    CertifiedSinceLogin,
    /// The requirement came after the session began, and the person is not certified.
    NewAndUncertified,
    /// There was a requirement when the session began, which the person did not meet; it was dropped since.
    DroppedSinceLogin,
}

/// What is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    View,
    Download,
    Edit,
}

/// How the person comes by the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// No key at all.
    None,
    /// The thing is in the person's own tree, not in a group.
    Owner,
    /// Somebody else's tree. The share was given on the thing itself.
    Share(Share),
    /// Somebody else's tree. The share was given on the directory that holds the thing.
    ShareAbove(Share),
    /// The thing is in a group's tree, and the person is no member.
    OtherGroup,
    /// The thing is in a group's tree, and the person is a member.
    Member(Vec<GroupPermission>),
    /// The thing is in a group's tree, and the person owns the group.
    GroupOwner,
}

/// What a share allows. All false: names only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub view: bool,
    pub download: bool,
    pub edit: bool,
    pub share: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupPermission {
    AddMembers,
    RemoveMembers,
    ChangePermissions,
    AddEntries,
    RemoveEntries,
    CreateDirectories,
    ModifyTag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
}

#[derive(Clone, Debug)]
pub struct World {
    pub projects: Vec<Project>,
    /// The projects the person chose: at most one of each tree.
    pub working: Vec<usize>,
    pub kind: Kind,
    pub key: Key,
    /// Tags on the path above the thing: of the group, of directories.
    pub place: Vec<usize>,
    /// Tags of the thing itself. It is a boundary if it has any: its keys are not wrapped under those of its place.
    pub own: Vec<usize>,
    /// Has the system's permissions to classify and to declassify.
    pub may_classify: bool,
    pub may_declassify: bool,
}

/// What the person tries with the thing. It is neither in the trash nor under keys that somebody lost.
#[derive(Clone, Debug)]
pub enum Verb {
    /// A directory: what lies in it, by name.
    List,
    /// A file: its content, looked at.
    View,
    /// A file: its content, kept as a copy.
    Download,
    /// A file: a new version.
    Write,
    /// A directory: a new file in it.
    AddFile,
    /// A directory: a new directory in it.
    AddDirectory,
    Rename,
    Trash,
    Share,
    History,
    /// The thing's own tags are replaced by these.
    Retag(Vec<usize>),
    /// Into another directory of the same tree (in a group: of the same group), on which the person has the same rights. The tags on that
    /// directory and above it.
    Move(Vec<usize>),
}

/// How much of the thing is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    Name,
    Metadata,
    Whole,
}
