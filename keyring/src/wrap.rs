//! What every wrap is bound to: the one additional data of docs/formats.md §5.
//!
//! A wrap opens only where it was made: same deployment, purpose, parent, child, kind and epochs. The server can withhold a wrap;
//! it cannot put one in another's place.

use minicbor::encode::{Encode, Encoder, Write};
use ticrypt_crypto::record::{self, VERSION};
use ticrypt_crypto::{Suite, entry::Entry};
use ticrypt_types::{DeploymentId, NodeId, NodeKind, VersionId};

/// What a wrap holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Name,
    List,
    Tree,
    EntryProps,
    Content,
    ManifestPropsKey,
    ManifestProps,
}

impl Purpose {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::List => "list",
            Self::Tree => "tree",
            Self::EntryProps => "entry-props",
            Self::Content => "content",
            Self::ManifestPropsKey => "manifest-props-key",
            Self::ManifestProps => "manifest-props",
        }
    }
}

/// A child in its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildPlace {
    pub deployment: DeploymentId,
    pub parent: NodeId,
    pub parent_epoch: u32,
    pub child: NodeId,
    pub kind: NodeKind,
    pub child_epoch: u32,
}

impl ChildPlace {
    pub fn of(deployment: DeploymentId, entry: &Entry) -> Self {
        Self {
            deployment,
            parent: entry.parent,
            parent_epoch: entry.parent_epoch,
            child: entry.child,
            kind: entry.kind,
            child_epoch: entry.child_epoch,
        }
    }

    /// The child itself, apart from where it hangs.
    pub fn node(&self) -> NodePlace {
        NodePlace { deployment: self.deployment, node: self.child, kind: self.kind, epoch: self.child_epoch }
    }
}

/// A node, wherever it hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePlace {
    pub deployment: DeploymentId,
    pub node: NodeId,
    pub kind: NodeKind,
    pub epoch: u32,
}

/// A version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionPlace {
    pub deployment: DeploymentId,
    pub file: NodeId,
    pub epoch: u32,
    pub version: VersionId,
}

/// A manifest of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestPlace {
    pub deployment: DeploymentId,
    pub file: NodeId,
    pub epoch: u32,
    pub version: VersionId,
    pub sequence: u64,
}

/// Kind of a version, beside directory (0) and file (1).
const KIND_VERSION: u8 = 2;

/// The additional data of a wrap: `[1, suite, purpose, deployment, parent, child, kind, parent epoch, child epoch]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrapContext {
    purpose: Purpose,
    deployment: DeploymentId,
    parent: [u8; 16],
    child: [u8; 16],
    kind: u8,
    parent_epoch: u64,
    child_epoch: u64,
}

impl WrapContext {
    /// A child's name; it stays as it is when the child gets new keys.
    pub fn name(place: &ChildPlace) -> Self {
        Self { child_epoch: 0, ..Self::child(Purpose::Name, place) }
    }

    /// A child's list key.
    pub fn list(place: &ChildPlace) -> Self {
        Self::child(Purpose::List, place)
    }

    /// A child's tree key.
    pub fn tree(place: &ChildPlace) -> Self {
        Self::child(Purpose::Tree, place)
    }

    fn child(purpose: Purpose, place: &ChildPlace) -> Self {
        Self {
            purpose,
            deployment: place.deployment,
            parent: place.parent.to_bytes(),
            child: place.child.to_bytes(),
            kind: place.kind.code(),
            parent_epoch: place.parent_epoch.into(),
            child_epoch: place.child_epoch.into(),
        }
    }

    /// A node's properties under its own key.
    pub fn entry_props(place: &NodePlace) -> Self {
        Self {
            purpose: Purpose::EntryProps,
            deployment: place.deployment,
            parent: place.node.to_bytes(),
            child: place.node.to_bytes(),
            kind: place.kind.code(),
            parent_epoch: place.epoch.into(),
            child_epoch: 0,
        }
    }

    /// A version's content key.
    pub fn content(place: &VersionPlace) -> Self {
        Self {
            purpose: Purpose::Content,
            deployment: place.deployment,
            parent: place.file.to_bytes(),
            child: place.version.to_bytes(),
            kind: KIND_VERSION,
            parent_epoch: place.epoch.into(),
            child_epoch: 0,
        }
    }

    /// The key of a manifest's properties.
    pub fn manifest_props_key(place: &ManifestPlace) -> Self {
        Self { parent_epoch: place.epoch.into(), ..Self::manifest(Purpose::ManifestPropsKey, place) }
    }

    /// A manifest's properties; they are signed, so they do not change with the file's keys.
    pub fn manifest_props(place: &ManifestPlace) -> Self {
        Self::manifest(Purpose::ManifestProps, place)
    }

    fn manifest(purpose: Purpose, place: &ManifestPlace) -> Self {
        Self {
            purpose,
            deployment: place.deployment,
            parent: place.file.to_bytes(),
            child: place.version.to_bytes(),
            kind: KIND_VERSION,
            parent_epoch: 0,
            child_epoch: place.sequence,
        }
    }

    /// The bytes themselves.
    pub fn aad(&self) -> Vec<u8> {
        record::encode(self)
    }
}

impl<C> Encode<C> for WrapContext {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(9)?.u64(VERSION)?.u8(Suite::CURRENT.id())?.str(self.purpose.word())?;
        e.encode(self.deployment)?.bytes(&self.parent)?.bytes(&self.child)?;
        e.u8(self.kind)?.u64(self.parent_epoch)?.u64(self.child_epoch)?.ok()
    }
}
