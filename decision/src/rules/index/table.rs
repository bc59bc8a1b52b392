//! Texts to numbers: open addressing with a fixed hash, filled once.

use xxhash_rust::xxh64::xxh64;

/// Any number would do; the same everywhere.
const SEED: u64 = 0x0053_7769_7463_6879;

/// Each text of a set with a number.
#[derive(Clone)]
pub(super) struct Table {
    /// Places in `keys` counted from 1; 0 is free. At most half is taken, so that every search ends.
    slots: Vec<u32>,
    keys: Vec<Key>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Key {
    at: u32,
    len: u32,
    number: u32,
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Table {
    /// Of texts that differ from each other.
    pub(super) fn new<'a>(texts: impl ExactSizeIterator<Item = (&'a [u8], u32)>) -> Self {
        let size = texts.len().saturating_mul(2).next_power_of_two();
        let mut table = Self { slots: vec![0; size], keys: Vec::with_capacity(texts.len()), bytes: Vec::new() };
        for (text, number) in texts {
            let at = u32::try_from(table.bytes.len()).unwrap_or(u32::MAX);
            table.bytes.extend(text);
            table.keys.push(Key { at, len: u32::try_from(text.len()).unwrap_or(u32::MAX), number });
            let mut slot = table.first(text);
            while table.slots.get(slot).is_some_and(|taken| *taken != 0) {
                slot = table.after(slot);
            }
            if let Some(free) = table.slots.get_mut(slot) {
                *free = u32::try_from(table.keys.len()).unwrap_or(u32::MAX);
            }
        }
        table.bytes.shrink_to_fit();
        table
    }

    /// The number of a text.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        let mut slot = self.first(text);
        loop {
            let taken = self.slots.get(slot).copied().filter(|taken| *taken != 0)?;
            let key = self.keys.get(place(taken.wrapping_sub(1)))?;
            let from = place(key.at);
            if self.bytes.get(from..from.saturating_add(place(key.len))) == Some(text) {
                return Some(key.number);
            }
            slot = self.after(slot);
        }
    }

    fn first(&self, text: &[u8]) -> usize {
        // The upper half, cut to 32 bits, so that 32-bit wasm finds the same place.
        let hash = u32::try_from(xxh64(text, SEED) >> 32).unwrap_or(0);
        place(hash) & self.slots.len().wrapping_sub(1)
    }

    fn after(&self, slot: usize) -> usize {
        slot.wrapping_add(1) & self.slots.len().wrapping_sub(1)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.slots.as_slice()) + size_of_val(self.keys.as_slice()) + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_and_no_other() {
        let texts: Vec<String> = (0..1_000).map(|n| format!("shop-{n}")).collect();
        for count in [0, 1, 2, 3, 1_000] {
            let part = &texts[..count];
            let table =
                Table::new((0..).zip(part).map(|(n, text)| (text.as_bytes(), n)).collect::<Vec<_>>().into_iter());
            for (n, text) in (0..).zip(&texts) {
                let want = (usize::try_from(n).unwrap() < count).then_some(n);
                assert_eq!(table.find(text.as_bytes()), want);
            }
            assert_eq!(table.find(b""), None);
        }
    }
}
