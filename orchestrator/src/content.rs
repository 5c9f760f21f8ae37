//! The files that a run distributes: made from a seed or taken as they are, each with its manifest and digest.
//!
//! What a manifest is lives in `peerbed_proto::content`. Who gets a file, and when, is the scenario's business.

use std::{
    fs::File,
    io::{BufRead, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use peerbed_proto::{
    Hash,
    content::{Manifest, ManifestBuilder},
};
use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

use crate::{
    plan,
    run_directory::{RunDirectory, disk_problem},
};

/// One file of the plan, ready to be distributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The original; read only for everybody.
    pub path: PathBuf,
    /// Its manifest as JSON.
    pub manifest: PathBuf,
    /// The hashes of its leaves for seeds, 32 bytes each in the file's order.
    pub leaves: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 over all its bytes.
    pub sha256: [u8; 32],
}

/// Makes `file` ready: writes its bytes where they are generated, its manifest and the hashes of its leaves in any case.
///
/// Paths of files are relative to `files_root`.
///
/// # Errors
///
/// One sentence naming the file: not there, empty, changed while it was read, disk full.
pub fn make(file: &plan::File, run: &RunDirectory, files_root: &Path) -> anyhow::Result<Content> {
    let piece = u32::try_from(file.piece.0).with_context(|| format!("file `{}`: piece too large", file.name))?;
    let builder = ManifestBuilder::new(&file.name, piece).with_context(|| format!("file `{}`", file.name))?;
    let mut digests = Digests { builder, sha256: Sha256::new(), bytes: 0 };
    let path = match &file.content {
        plan::Content::Generated { size, seed } => {
            let path = run.original(&file.name);
            generate(&path, size.0, *seed, &mut digests).map_err(|e| disk_problem(&e, "write", &path))?;
            path
        }
        plan::Content::Path(path) => {
            let path = files_root.join(path);
            let path =
                path.canonicalize().with_context(|| format!("file `{}`: cannot open {}", file.name, path.display()))?;
            read(&path, &mut digests)
                .with_context(|| format!("file `{}`: cannot read {}", file.name, path.display()))?;
            path
        }
    };
    if digests.bytes == 0 {
        bail!("file `{}` is empty ({}), and there is nothing to distribute", file.name, path.display());
    }
    let Digests { builder, sha256, bytes } = digests;
    let (manifest, leaves): (Manifest, Vec<Hash>) =
        builder.finish_with_leaves().with_context(|| format!("file `{}`", file.name))?;
    let text = serde_json::to_vec(&manifest).context("encoding a manifest")?;
    let places = (run.manifest(&file.name), run.leaves(&file.name));
    run.write_whole(&places.0, &text)?;
    run.write_whole(&places.1, &leaves.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>())?;
    Ok(Content { path, manifest: places.0, leaves: places.1, bytes, sha256: sha256.finalize().into() })
}

/// The bytes of `file`, without writing anything.
///
/// # Errors
///
/// When it is a real file, relative to `files_root`, and cannot be opened.
pub fn open(file: &plan::File, files_root: &Path) -> anyhow::Result<Box<dyn Read>> {
    Ok(match &file.content {
        plan::Content::Generated { size, seed } => Box::new(Generated::new(size.0, *seed)),
        plan::Content::Path(path) => {
            let path = files_root.join(path);
            let opened = File::open(&path);
            Box::new(opened.with_context(|| format!("file `{}`: cannot open {}", file.name, path.display()))?)
        }
    })
}

/// SHA-256 over the bytes of a file.
///
/// # Errors
///
/// When it cannot be read.
pub fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut sha256 = Sha256::new();
    each_block(path, |block| sha256.update(block))?;
    Ok(sha256.finalize().into())
}

/// SHA-256 over some bytes, as hexadecimal digits.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Digests {
    builder: ManifestBuilder,
    sha256: Sha256,
    bytes: u64,
}

impl Digests {
    fn feed(&mut self, block: &[u8]) {
        self.builder.feed(block);
        self.sha256.update(block);
        self.bytes += block.len() as u64;
    }
}

/// Writes the bytes that follow from `seed`.
fn generate(path: &Path, size: u64, seed: u64, digests: &mut Digests) -> std::io::Result<()> {
    let mut bytes = Generated::new(size, seed);
    let mut out = BufWriter::with_capacity(BLOCK, File::create(path)?);
    while let block @ [_, ..] = bytes.fill_buf()? {
        digests.feed(block);
        out.write_all(block)?;
        let length = block.len();
        bytes.consume(length);
    }
    out.flush()
}

/// So many bytes of Xoshiro256++ from a seed: the same on every host, and nothing that compresses.
struct Generated {
    random: Xoshiro256PlusPlus,
    /// Bytes that have not been made yet.
    left: u64,
    block: Vec<u8>,
    /// Where the bytes of the block begin that have not been taken yet.
    from: usize,
}

impl Generated {
    fn new(size: u64, seed: u64) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), left: size, block: Vec::new(), from: 0 }
    }
}

impl BufRead for Generated {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.from == self.block.len() {
            // The generator gives eight bytes at a time: only the last block may have another length.
            let length = usize::try_from(self.left).unwrap_or(BLOCK).min(BLOCK);
            self.block.resize(length, 0);
            self.random.fill_bytes(&mut self.block);
            self.left -= length as u64;
            self.from = 0;
        }
        Ok(&self.block[self.from..])
    }

    fn consume(&mut self, amount: usize) {
        self.from = (self.from + amount).min(self.block.len());
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

fn read(path: &Path, digests: &mut Digests) -> std::io::Result<()> {
    each_block(path, |block| digests.feed(block))
}

fn each_block(path: &Path, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(()),
            length => each(&block[..length]),
        }
    }
}

/// Bytes read or written at once.
const BLOCK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::File as Planned, units::Size};

    fn planned(content: plan::Content) -> Planned {
        Planned { name: "release".to_owned(), content, piece: Size(16 * 1024) }
    }

    fn run_directory() -> (tempfile::TempDir, RunDirectory) {
        let place = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(place.path()).unwrap();
        run.create_places().unwrap();
        (place, run)
    }

    #[test]
    fn generated_bytes_follow_from_the_seed_alone() {
        let make_with = |seed| {
            let (_place, run) = run_directory();
            let file = planned(plan::Content::Generated { size: Size(300_001), seed });
            let content = make(&file, &run, Path::new("/")).unwrap();
            assert_eq!(std::fs::metadata(&content.path).unwrap().len(), 300_001);
            assert_eq!(digest(&content.path).unwrap(), content.sha256);
            let mut bytes = Vec::new();
            open(&file, Path::new("/")).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, std::fs::read(&content.path).unwrap());
            content.sha256
        };
        assert_eq!(make_with(7), make_with(7));
        assert_ne!(make_with(7), make_with(8));
    }

    #[test]
    fn a_real_file_is_used_where_it_is() {
        let (_place, run) = run_directory();
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("data"), vec![5; 40_000]).unwrap();
        let content = make(&planned(plan::Content::Path("data".to_owned())), &run, other.path()).unwrap();
        assert!(content.path.ends_with("data"));
        let manifest: Manifest = serde_json::from_slice(&std::fs::read(content.manifest).unwrap()).unwrap();
        assert_eq!((manifest.size(), manifest.pieces()), (40_000, 3));
        assert_eq!(std::fs::metadata(content.leaves).unwrap().len(), 3 * 32, "each piece is one leaf");
    }

    #[test]
    fn an_absent_or_empty_file_is_named() {
        let (_place, run) = run_directory();
        let other = tempfile::tempdir().unwrap();
        let absent = planned(plan::Content::Path("absent".to_owned()));
        let text = format!("{:#}", make(&absent, &run, other.path()).unwrap_err());
        assert!(text.contains("release") && text.contains("absent"), "{text}");
        std::fs::write(other.path().join("absent"), "").unwrap();
        let text = format!("{:#}", make(&absent, &run, other.path()).unwrap_err());
        assert!(text.contains("is empty"), "{text}");
    }
}
