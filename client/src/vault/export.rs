//! The vault as files that anybody with the key can open without this program and without a server (docs/formats.md §10).
//!
//! Everything goes out sealed, as it is stored: envelopes, wraps, chunks. The independent decryptor verifies and opens it with the key file alone.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use futures::stream::{self, StreamExt};
use ticrypt_api::Blob;
use ticrypt_api::node::ManifestView;
use ticrypt_api::version::FileVersions;
use ticrypt_crypto::Digest;
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::record::Record;
use ticrypt_types::{NodeId, VersionId};

use super::Vault;
use super::boundary::left_locked;
use super::load::blocking;
use super::open::{Content, Wanted};
use super::path::{Place, VaultPath};
use super::progress::{Cancel, Progress, Report};
use super::put::cancelled;
use super::source::shown;
use super::tree::{Directory, Held, Parts};
use super::trust::lie;
use crate::error::{ClientError, Result};

/// How to export.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Every version of every file, not the current ones alone.
    pub history: bool,
}

/// Bundles come first in the file, but who wrote what is known only at its end: all else is collected beside it.
struct Writer {
    rest: BufWriter<File>,
    bundles: Vec<u8>,
    named: HashSet<Digest>,
    grants: HashSet<Digest>,
}

/// Manifests by their place in a history, and the versions they name.
type Chosen = (Vec<usize>, Vec<(VersionId, Digest)>);

/// Files whose histories and contents are asked for together; contents that are small come whole, and wait in memory.
const TOGETHER: usize = 128;
const REST: &str = "vault.cbor.part";

impl Vault {
    /// Writes a tree, sealed as it is stored, into a new directory.
    pub async fn export(
        &self,
        path: &VaultPath,
        destination: &Path,
        options: ExportOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Report> {
        cancel.run_until_cancelled(self.export_tree(path, destination, options, progress)).await.unwrap_or_else(|| Err(cancelled()))
    }

    async fn export_tree(&self, path: &VaultPath, destination: &Path, options: ExportOptions, progress: &dyn Progress) -> Result<Report> {
        if !path.names().is_empty() || path.is_index() {
            return Err(ClientError::invalid("an export begins where a grant opens a tree: `/`, or a share as /@shared/person/name"));
        }
        let found = self.resolve(path).await?;
        super::get::check_download(&found.held, path)?;
        std::fs::create_dir(destination).map_err(|e| {
            ClientError::invalid(format!("`{}` cannot be made: {e}; name a directory that does not exist", shown(destination))).because(e)
        })?;
        let rest = File::options().read(true).write(true).create_new(true).open(destination.join(REST));
        let rest = BufWriter::new(rest.map_err(|e| unwritable(destination, e))?);
        let writer = Mutex::new(Writer { rest, bundles: Vec::new(), named: HashSet::new(), grants: HashSet::new() });
        let share = match path.place() {
            Place::Home => self.roots().await?.home,
            _ => found.share.clone(),
        };
        let share = share.ok_or_else(|| lie("the grant of this tree is not at hand"))?;
        self.trust.admit_bundle(std::sync::Arc::new(self.me().bundle.clone()));
        self.export_own_bundles(&writer).await?;
        self.export_grant(&writer, &share.root().grant.record_hash(), &share.seal.sealed)?;
        self.export_props(&writer, &share.entry.entry)?;
        let mut report = Report::default();
        if !found.is_directory() {
            self.export_files(&writer, destination, std::slice::from_ref(&found.held), options, &mut report, progress).await?;
        }
        let mut stack = if found.is_directory() { vec![(found.path.clone(), found.held.clone())] } else { Vec::new() };
        while !stack.is_empty() {
            let from = stack.len().saturating_sub(super::load::LIST_DIRECTORIES);
            let (paths, held): (Vec<VaultPath>, Vec<Held>) = stack.split_off(from).into_iter().unzip();
            for (directory, at) in self.load_all(held, true).await?.into_iter().zip(paths) {
                self.export_directory(&writer, &directory)?;
                self.export_own_keys(&writer, &directory).await?;
                report.directories += 1;
                let Parts { directories, files, locked } = directory.parts();
                report.notes.extend(locked.iter().map(|member| left_locked(&at.child(&member.name))));
                for member in directories {
                    stack.push((at.child(&member.name), self.descend(&directory, &member).await?));
                }
                progress.expect(files.len() as u64, 0);
                // What is listed as current is seen from here on: a history that hides it is older.
                let files: Vec<Held> = self.currents(&directory, &files).await?.into_iter().map(|(held, _)| held).collect();
                for some in files.chunks(TOGETHER) {
                    self.export_files(&writer, destination, some, options, &mut report, progress).await?;
                }
            }
        }
        let writer = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let root = destination.to_owned();
        blocking(move || finish(writer, &root)).await??;
        Ok(report)
    }

    fn export_directory(&self, writer: &Mutex<Writer>, directory: &Directory) -> Result<()> {
        let head = &directory.head;
        self.export_writer(writer, head.writer_bundle, head.authority)?;
        let mut record = Vec::new();
        let mut e = minicbor::Encoder::new(&mut record);
        let encoded = (|| {
            e.array(4)?.str("directory")?.bytes(directory.id().as_bytes())?.bytes(&directory.head_bytes)?.array(directory.len() as u64)?;
            for member in directory.members() {
                e.bytes(&member.bytes)?;
            }
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })();
        append(writer, encoded, &record)
    }

    /// Histories and contents of some files, asked for together.
    async fn export_files(
        &self,
        writer: &Mutex<Writer>,
        root: &Path,
        files: &[Held],
        options: ExportOptions,
        report: &mut Report,
        progress: &dyn Progress,
    ) -> Result<()> {
        let histories = self.histories(&files.iter().map(|file| file.id).collect::<Vec<_>>()).await?;
        let mut chosen = Vec::with_capacity(files.len());
        let mut wanted = Vec::new();
        for (file, history) in files.iter().zip(histories) {
            let (manifests, versions) = self.choose(writer, file, &history, options)?;
            wanted.extend(versions.iter().map(|(_, manifest)| Wanted { file: file.clone(), manifest: Some(*manifest), keep: true }));
            chosen.push((file, history, manifests, versions));
        }
        let mut contents = self.open(&wanted).await?.into_iter();
        for (file, history, manifests, versions) in chosen {
            let mut stored = Vec::with_capacity(versions.len());
            for ((version, _), content) in versions.into_iter().zip(contents.by_ref()) {
                let wrap = history.contents.iter().find(|stored| stored.version == version);
                let wrap = wrap.ok_or_else(|| lie("the server withholds a version it has shown"))?;
                self.export_chunks(root, &content).await?;
                report.bytes += content.current.manifest.size;
                progress.advance(content.current.manifest.size);
                stored.push((version, wrap.content_wrap.0.as_slice(), content.hashes().to_vec()));
            }
            let manifests: Vec<_> = manifests.iter().filter_map(|at| history.manifests.get(*at)).collect();
            export_file(writer, file.id, &manifests, &stored)?;
            report.files += 1;
            progress.finish(1);
        }
        Ok(())
    }

    /// Which manifests of a file go out, by their place in its history, and which versions they name, each once.
    fn choose(&self, writer: &Mutex<Writer>, file: &Held, history: &FileVersions, options: ExportOptions) -> Result<Chosen> {
        let (mut manifests, mut versions): Chosen = (Vec::new(), Vec::new());
        let mut is_first = true;
        for (at, view) in history.manifests.iter().enumerate() {
            // Newest first: the first that is no conflict is the current one.
            let is_current = is_first && !view.conflict;
            is_first &= view.conflict;
            if !options.history && !is_current {
                continue;
            }
            let current = if is_current { self.current(file, view)? } else { self.verify_past(file, view)? };
            self.export_writer(writer, current.manifest.writer_bundle, current.manifest.authority)?;
            if !versions.iter().any(|(version, _)| *version == current.manifest.version) {
                versions.push((current.manifest.version, current.manifest.record_hash()));
            }
            manifests.push(at);
        }
        if manifests.is_empty() {
            return Err(lie("the server withholds what is current in a file"));
        }
        Ok((manifests, versions))
    }

    /// The chunks as they are stored, each checked against its hash and opened once, so that what is exported is known to be whole.
    async fn export_chunks(&self, root: &Path, content: &Content) -> Result<()> {
        let (file, version): (NodeId, VersionId) = (content.file.id, content.current.manifest.version);
        let folder = root.join("chunks").join(file.to_string()).join(version.to_string());
        let made = folder.clone();
        blocking(move || std::fs::create_dir_all(&made).map_err(|e| unwritable(&made, e))).await??;
        let count = content.current.manifest.chunk_count;
        let mut chunks = std::pin::pin!(
            stream::iter(0..count).map(|number| async move { (number, self.stored_chunk(content, number).await) }).buffered(4)
        );
        while let Some((number, stored)) = chunks.next().await {
            let (stored, path) = (stored?, folder.join(number.to_string()));
            blocking(move || std::fs::write(&path, stored).map_err(|e| unwritable(&path, e))).await??;
        }
        Ok(())
    }

    fn export_writer(&self, writer: &Mutex<Writer>, bundle: Digest, authority: Option<Digest>) -> Result<()> {
        self.export_bundle(writer, bundle)?;
        match authority {
            Some(hash) => self.export_grant(writer, &hash, &[]),
            None => Ok(()),
        }
    }

    /// One's own present bundle and those before it, by which retired keys are known.
    async fn export_own_bundles(&self, writer: &Mutex<Writer>) -> Result<()> {
        let mut next = Some(self.me().hash());
        while let Some(hash) = next {
            if self.trust.bundle(&hash).is_none() {
                self.trust.admit_bundle(self.session.users.bundle(&hash).await?);
            }
            self.export_bundle(writer, hash)?;
            next = self.trust.bundle(&hash).and_then(|bundle| bundle.payload().predecessor);
        }
        Ok(())
    }

    /// Name and times of a share, whose parent is not in the export.
    fn export_props(&self, writer: &Mutex<Writer>, entry: &Blob) -> Result<()> {
        if entry.0.is_empty() {
            return Ok(());
        }
        let entry = Entry::parse(&entry.0).map_err(|e| lie("the entry of a share cannot be read").because(e))?;
        let mut record = Vec::new();
        let mut e = minicbor::Encoder::new(&mut record);
        let encoded = (|| e.array(3)?.str("props")?.bytes(entry.child.as_bytes())?.bytes(&entry.props)?.ok())();
        append(writer, encoded, &record)
    }

    fn export_bundle(&self, writer: &Mutex<Writer>, hash: Digest) -> Result<()> {
        if !lock(writer).named.insert(hash) {
            return Ok(());
        }
        let bundle = self.trust.bundle(&hash).ok_or_else(|| lie("the key of a writer is not at hand"))?;
        let mut record = Vec::new();
        let mut e = minicbor::Encoder::new(&mut record);
        let encoded: Encoded = (|| e.array(2)?.str("bundle")?.bytes(bundle.as_bytes())?.ok())();
        encoded.map_err(unencodable)?;
        lock(writer).bundles.extend_from_slice(&record);
        Ok(())
    }

    /// A grant and all it rests on; only one's own comes with keys.
    /// The grants of those members that are tagged themselves: their keys are in nothing else.
    async fn export_own_keys(&self, writer: &Mutex<Writer>, directory: &Directory) -> Result<()> {
        self.open_members(directory, directory.members().map(|member| &**member)).await?;
        for member in directory.members() {
            if let Some(own) = &member.own_keys {
                let hash = self.grant_of(&own.grant).await?.record_hash();
                self.export_grant(writer, &hash, &own.sealed.0)?;
            }
        }
        Ok(())
    }

    fn export_grant(&self, writer: &Mutex<Writer>, hash: &Digest, sealed: &[u8]) -> Result<()> {
        if !lock(writer).grants.insert(*hash) {
            return Ok(());
        }
        let grant = self.trust.grant(hash).ok_or_else(|| lie("the server withholds a grant that something rests on"))?;
        let envelope = self.trust.envelope(hash).ok_or_else(|| lie("a grant is not at hand"))?;
        self.export_bundle(writer, grant.sealer_bundle)?;
        for below in grant.authority.iter().chain(&grant.predecessor) {
            if self.trust.grant(below).is_some() {
                self.export_grant(writer, below, &[])?;
            }
        }
        let mut record = Vec::new();
        let mut e = minicbor::Encoder::new(&mut record);
        let encoded = (|| e.array(3)?.str("grant")?.bytes(&envelope)?.bytes(sealed)?.ok())();
        append(writer, encoded, &record)
    }
}

/// The record of one file.
fn export_file(
    writer: &Mutex<Writer>,
    file: NodeId,
    manifests: &[&ManifestView],
    versions: &[(VersionId, &[u8], Vec<Digest>)],
) -> Result<()> {
    let mut record = Vec::new();
    let mut e = minicbor::Encoder::new(&mut record);
    let encoded = (|| {
        e.array(4)?.str("file")?.bytes(file.as_bytes())?.array(manifests.len() as u64)?;
        for view in manifests {
            e.array(2)?.bytes(&view.manifest.0)?.bytes(&view.props_key.0)?;
        }
        e.array(versions.len() as u64)?;
        for (version, wrap, hashes) in versions {
            e.array(3)?.bytes(version.as_bytes())?.bytes(wrap)?.array(hashes.len() as u64)?;
            for hash in hashes {
                e.bytes(hash.as_bytes())?;
            }
        }
        Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    append(writer, encoded, &record)
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn unencodable(error: minicbor::encode::Error<std::convert::Infallible>) -> ClientError {
    ClientError::broken("a record could not be written").because(error)
}

fn append(writer: &Mutex<Writer>, encoded: Encoded, record: &[u8]) -> Result<()> {
    encoded.map_err(unencodable)?;
    lock(writer).rest.write_all(record).map_err(|e| unwritable(Path::new(REST), e))
}

/// Joins the bundles and the rest; the file has its name only once it is whole.
fn finish(writer: Writer, root: &Path) -> Result<()> {
    let Writer { rest, bundles, .. } = writer;
    let join = || -> io::Result<()> {
        let mut rest = rest.into_inner().map_err(io::IntoInnerError::into_error)?;
        io::Seek::rewind(&mut rest)?;
        let mut whole = File::create_new(root.join("vault.cbor.whole"))?;
        whole.write_all(&bundles)?;
        io::copy(&mut rest, &mut whole)?;
        whole.sync_all()?;
        std::fs::rename(root.join("vault.cbor.whole"), root.join("vault.cbor"))?;
        std::fs::remove_file(root.join(REST))
    };
    join().map_err(|e| unwritable(root, e))?;
    super::target::Target::open(root)?.sync()
}

fn lock(writer: &Mutex<Writer>) -> std::sync::MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(path: &Path, error: std::io::Error) -> ClientError {
    ClientError::broken(format!("`{}` cannot be written: {error}", shown(path))).because(error)
}
