//! Repeatable randomness (splitmix64): a test prints its seed, and with the seed runs again the same way.

/// The environment variable that sets the seed of a test.
pub const SEED_VARIABLE: &str = "TICRYPT_E2E_SEED";

#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded from the environment, else from the operating system; the seed is printed.
    pub fn from_environment(test: &str) -> Self {
        use std::hash::{BuildHasher, Hasher};
        let drawn = || std::hash::RandomState::new().build_hasher().finish();
        let seed = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or_else(drawn);
        println!("{test}: {SEED_VARIABLE}={seed}");
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub const fn even(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Lower-case letters and digits.
    pub fn word(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        self.bytes(length).iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).map(|b| char::from(*b)).collect()
    }
}
