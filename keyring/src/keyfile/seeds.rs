//! The seeds inside a key file: `[1, [[generation, seed]…]]`, newest first.

use minicbor::{Decoder, Encoder};
use ticrypt_crypto::record::{self, VERSION};
use zeroize::Zeroizing;

use super::KeyFileError;
use crate::identity::KemSeed;

/// More generations than a person rotates in a lifetime.
const SEEDS_MAX: u64 = 1024;
/// Bytes of one seed with its generation, at most.
const SEED_LEN: usize = 40;

pub(super) fn encode(seeds: &[(u32, KemSeed)]) -> Zeroizing<Vec<u8>> {
    // Room for all of it at once: a vector that grows would leave seeds behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 + seeds.len() * SEED_LEN));
    let mut encoder = Encoder::new(&mut *bytes);
    // Writing to memory cannot fail; an incomplete plaintext would be refused when the file is read back.
    let _ = encoder.array(2).and_then(|e| e.u64(VERSION)?.array(seeds.len() as u64));
    for (generation, seed) in seeds {
        let _ = encoder.array(2).and_then(|e| e.u32(*generation)?.bytes(seed.expose()));
    }
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(u32, KemSeed)>, KeyFileError> {
    let seeds = read(bytes).map_err(|_| KeyFileError::SecondBlock)?;
    let mut keys = Vec::with_capacity(seeds.len());
    for (generation, seed) in &seeds {
        keys.push((*generation, KemSeed::from_bytes(seed)?));
    }
    if *encode(&keys) != bytes {
        return Err(KeyFileError::SecondBlock);
    }
    Ok(keys)
}

type Seeds = Vec<(u32, Zeroizing<[u8; 32]>)>;

fn read(bytes: &[u8]) -> Result<Seeds, minicbor::decode::Error> {
    let wrong = || minicbor::decode::Error::message("not a list of seeds");
    let mut decoder = Decoder::new(bytes);
    record::open_array(&mut decoder, 2)?;
    let count = decoder.array()?.filter(|count| (1..=SEEDS_MAX).contains(count)).ok_or_else(wrong)?;
    let mut seeds = Vec::new();
    for _ in 0..count {
        if decoder.array()? != Some(2) {
            return Err(wrong());
        }
        let generation = decoder.u32()?;
        let seed: &[u8; 32] = decoder.bytes()?.try_into().map_err(|_| wrong())?;
        seeds.push((generation, Zeroizing::new(*seed)));
    }
    Ok(seeds)
}
