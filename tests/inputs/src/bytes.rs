//! Choices out of bytes. Total: whatever the bytes are, and when they are used up, there is a choice.
//!
//! Why not the crate `arbitrary`: a byte is a choice here, so an input can be read and cut by hand, and the same few lines
//! run in wasm.

use decision::rng::Rng;

/// Bytes that choose.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The choices that these bytes make.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Are they used up? From then on every choice is the first.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 after the last.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A place among so many, at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()).checked_rem(bound).unwrap_or(0)
    }

    /// Once in so many.
    pub fn once_in(&mut self, many: usize) -> bool {
        // The last place: used-up bytes choose what is usual.
        self.below(many) + 1 == many
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, these: &'t [T]) -> &'t T {
        &these[self.below(these.len())]
    }

    /// A number of any size: as many bits as one byte says, filled by the next eight.
    pub fn number(&mut self) -> u64 {
        let bits = u32::from(self.byte()) % 65;
        let all = self.part(8).iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        all & u64::MAX.checked_shr(64 - bits).unwrap_or(0)
    }

    /// As many bytes as the next one says, fewer than 64.
    pub fn text(&mut self) -> &'a [u8] {
        let len = self.below(64);
        self.part(len)
    }

    fn part(&mut self, len: usize) -> &'a [u8] {
        let (part, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        part
    }
}

/// Random bytes of a seed, at most `len`.
pub fn random(seed: u64, len: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let len = rng.below(len);
    (0..len).map(|_| rng.draw().to_le_bytes()[0]).collect()
}
