//! A node's two keys (docs/formats.md §5): the list key shows what is below, the tree key opens it.
//!
//! ```text
//!   parent  L ─┬─ name, tag of the child        T ─── child's T ──▶ … content keys of files
//!              └─ child's L ──▶ … all names below
//! ```
//! Derived keys are made once per key, so that wrapping thousands of children costs one AES-GCM each.

use aws_lc_rs::hmac;
use ticrypt_crypto::Digest;
use ticrypt_types::{NodeName, Secret};

use crate::aead::{AeadKey, OpenError, SealError};
use crate::derive::{Key, ProviderError, Source};
use crate::name;
use crate::props::EntryProps;
use crate::random::{self, Random};
use crate::version::{ContentKey, PropsKey};
use crate::wrap::{ChildPlace, ManifestPlace, NodePlace, VersionPlace, WrapContext};

/// What a holder of a node has: the list key, and with *view* the tree key.
#[derive(Debug)]
pub struct NodeKeys {
    pub list: ListKey,
    pub tree: Option<TreeKey>,
}

impl NodeKeys {
    /// Draws both keys of a node's new epoch.
    pub fn generate(random: &dyn Random) -> Result<Self, SealError> {
        Ok(Self { list: ListKey::generate(random)?, tree: Some(TreeKey::generate(random)?) })
    }
}

/// A node's list key with everything derived from it.
pub struct ListKey {
    key: Key,
    name: AeadKey,
    tag: hmac::Key,
    wrap: AeadKey,
    props: AeadKey,
}

impl ListKey {
    pub fn generate(random: &dyn Random) -> Result<Self, SealError> {
        Ok(Self::from_bytes(&*random::secret(random)?)?)
    }

    pub fn from_bytes(key: &[u8; 32]) -> Result<Self, ProviderError> {
        let source = Source::new(key);
        Ok(Self {
            key: Secret::new(*key),
            name: AeadKey::new(&*source.derive("list/name")?)?,
            tag: hmac::Key::new(hmac::HMAC_SHA256, source.derive("list/tag")?.as_slice()),
            wrap: AeadKey::new(&*source.derive("list/wrap")?)?,
            props: AeadKey::new(&*source.derive("list/props")?)?,
        })
    }

    /// The key itself, for sealing it in a grant.
    pub fn expose(&self) -> &[u8; 32] {
        self.key.expose()
    }

    /// What a grant's payload says the sealed list key is.
    pub fn commitment(&self) -> Digest {
        Digest::of_parts(&[b"ticrypt/v1/list-key", &[0], self.expose()])
    }

    /// Seals the name of a child of this directory.
    pub fn seal_name(&self, random: &dyn Random, place: &ChildPlace, name: &NodeName) -> Result<Vec<u8>, SealError> {
        self.name.seal(random, &WrapContext::name(place).aad(), &name::pad(name))
    }

    pub fn open_name(&self, place: &ChildPlace, sealed: &[u8]) -> Result<NodeName, OpenError> {
        Ok(name::unpad(&self.name.open(&WrapContext::name(place).aad(), sealed)?)?)
    }

    /// Lets the server see that two entries of this directory have the same name, and nothing of the name (HMAC-SHA-256, FIPS 198-1).
    pub fn name_tag(&self, name: &NodeName) -> [u8; 32] {
        tag(&self.tag, name.as_str().as_bytes())
    }

    /// Wraps the list key of a child of this directory.
    pub fn wrap_list(&self, random: &dyn Random, place: &ChildPlace, child: &Self) -> Result<Vec<u8>, SealError> {
        self.wrap.seal(random, &WrapContext::list(place).aad(), child.expose())
    }

    pub fn unwrap_list(&self, place: &ChildPlace, wrap: &[u8]) -> Result<Self, OpenError> {
        Ok(Self::from_bytes(&*self.wrap.open_key(&WrapContext::list(place).aad(), wrap)?)?)
    }

    /// Seals this node's own properties.
    pub fn seal_entry_props(&self, random: &dyn Random, place: &NodePlace, props: &EntryProps) -> Result<Vec<u8>, SealError> {
        self.props.seal(random, &WrapContext::entry_props(place).aad(), &props.to_plaintext()?)
    }

    pub fn open_entry_props(&self, place: &NodePlace, sealed: &[u8]) -> Result<EntryProps, OpenError> {
        EntryProps::from_plaintext(&self.props.open(&WrapContext::entry_props(place).aad(), sealed)?)
    }

    /// Wraps the key of a manifest's properties under this file's key.
    pub fn wrap_props_key(&self, random: &dyn Random, place: &ManifestPlace, key: &PropsKey) -> Result<Vec<u8>, SealError> {
        self.props.seal(random, &WrapContext::manifest_props_key(place).aad(), key.expose())
    }

    pub fn unwrap_props_key(&self, place: &ManifestPlace, wrap: &[u8]) -> Result<PropsKey, OpenError> {
        Ok(PropsKey::from_bytes(&*self.props.open_key(&WrapContext::manifest_props_key(place).aad(), wrap)?)?)
    }
}

impl std::fmt::Debug for ListKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ListKey(..)")
    }
}

/// A node's tree key with everything derived from it.
pub struct TreeKey {
    key: Key,
    wrap: AeadKey,
    content: AeadKey,
}

impl TreeKey {
    pub fn generate(random: &dyn Random) -> Result<Self, SealError> {
        Ok(Self::from_bytes(&*random::secret(random)?)?)
    }

    pub fn from_bytes(key: &[u8; 32]) -> Result<Self, ProviderError> {
        let source = Source::new(key);
        Ok(Self {
            key: Secret::new(*key),
            wrap: AeadKey::new(&*source.derive("tree/wrap")?)?,
            content: AeadKey::new(&*source.derive("tree/content")?)?,
        })
    }

    /// The key itself, for sealing it in a grant.
    pub fn expose(&self) -> &[u8; 32] {
        self.key.expose()
    }

    /// What a grant's payload says the sealed tree key is.
    pub fn commitment(&self) -> Digest {
        Digest::of_parts(&[b"ticrypt/v1/tree-key", &[0], self.expose()])
    }

    /// Wraps the tree key of a child of this directory.
    pub fn wrap_tree(&self, random: &dyn Random, place: &ChildPlace, child: &Self) -> Result<Vec<u8>, SealError> {
        self.wrap.seal(random, &WrapContext::tree(place).aad(), child.expose())
    }

    pub fn unwrap_tree(&self, place: &ChildPlace, wrap: &[u8]) -> Result<Self, OpenError> {
        Ok(Self::from_bytes(&*self.wrap.open_key(&WrapContext::tree(place).aad(), wrap)?)?)
    }

    /// Wraps the content key of a version of this file.
    pub fn wrap_content(&self, random: &dyn Random, place: &VersionPlace, key: &ContentKey) -> Result<Vec<u8>, SealError> {
        self.content.seal(random, &WrapContext::content(place).aad(), key.expose())
    }

    pub fn unwrap_content(&self, place: &VersionPlace, wrap: &[u8]) -> Result<ContentKey, OpenError> {
        Ok(ContentKey::from_bytes(&*self.content.open_key(&WrapContext::content(place).aad(), wrap)?))
    }
}

impl std::fmt::Debug for TreeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TreeKey(..)")
    }
}

/// HMAC-SHA-256 as an array.
pub(crate) fn tag(key: &hmac::Key, message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(hmac::sign(key, message).as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests;
