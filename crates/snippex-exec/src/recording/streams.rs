//! Bytes of packed results, in streams by what they are: like beside like is what a compressor makes small.

use super::RecordingError;

/// Number of streams.
pub(super) const COUNT: usize = 4;

/// Packed results while they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    /// How values are made of others, counts, addresses.
    pub(super) models: Vec<u8>,
    /// Which bytes of a value follow in `values`, and which runs something is true of.
    pub(super) masks: Vec<u8>,
    /// Bytes that follow from nothing.
    pub(super) values: Vec<u8>,
    /// The status flags of each run.
    pub(super) flags: Vec<u8>,
}

/// A place in each stream.
pub(super) type Places = [usize; COUNT];

impl Streams {
    pub(super) fn parts(&self) -> [&[u8]; COUNT] {
        [&self.models, &self.masks, &self.values, &self.flags]
    }

    /// Where each ends now.
    pub(super) fn places(&self) -> Places {
        self.parts().map(<[u8]>::len)
    }

    /// A number that is mostly small.
    pub(super) fn number(&mut self, number: u64) {
        push_number(&mut self.models, number);
    }

    /// Which of some runs something is true of.
    pub(super) fn bits(&mut self, bits: impl ExactSizeIterator<Item = bool>) {
        let mut byte = 0;
        let mut used = 0;
        for bit in bits {
            byte |= u8::from(bit) << used;
            used += 1;
            if used == 8 {
                self.masks.push(std::mem::take(&mut byte));
                used = 0;
            }
        }
        if used > 0 {
            self.masks.push(byte);
        }
    }

    /// A value, of which only the bytes that are not 0 are written.
    pub(super) fn sparse(&mut self, value: u64) {
        self.sparse_bytes(&value.to_le_bytes());
    }

    /// The same for up to eight bytes.
    pub(super) fn sparse_bytes(&mut self, bytes: &[u8]) {
        let set = bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0)
            .fold(0u8, |set, (index, _)| set | 1 << index);
        self.masks.push(set);
        self.values.extend(bytes.iter().filter(|byte| **byte != 0));
    }
}

/// Appends a number in groups of seven bits, the lowest first.
pub(super) fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Packed results while they are read. Everything is refused that goes beyond an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'r> {
    parts: [&'r [u8]; COUNT],
}

const CUT: RecordingError = RecordingError::Invalid("the ends of a block are cut short");

impl<'r> Reader<'r> {
    pub(super) fn new(parts: [&'r [u8]; COUNT]) -> Self {
        Self { parts }
    }

    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.is_empty())
    }

    fn take<const PART: usize>(&mut self, count: usize) -> Result<&'r [u8], RecordingError> {
        let (taken, rest) = self.parts[PART].split_at_checked(count).ok_or(CUT)?;
        self.parts[PART] = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RecordingError> {
        Ok(self.take::<0>(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, RecordingError> {
        take_number(&mut self.parts[0]).ok_or(CUT)
    }

    /// A number below `limit`.
    pub(super) fn number_below(&mut self, limit: usize) -> Result<usize, RecordingError> {
        let number = self.number()?;
        let fits = usize::try_from(number).ok().filter(|number| *number < limit);
        fits.ok_or(RecordingError::Invalid("a number is out of its range"))
    }

    pub(super) fn flags(&mut self) -> Result<u8, RecordingError> {
        Ok(self.take::<3>(1)?[0])
    }

    pub(super) fn bits(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = bool> + use<'r>, RecordingError> {
        let bytes = self.take::<1>(count.div_ceil(8))?;
        Ok((0..count).map(|index| bytes[index / 8] & (1 << (index % 8)) != 0))
    }

    pub(super) fn sparse(&mut self) -> Result<u64, RecordingError> {
        let mut bytes = [0; 8];
        self.sparse_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn sparse_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RecordingError> {
        let set = self.take::<1>(1)?[0];
        let mut values = self.take::<2>(set.count_ones() as usize)?.iter();
        for index in 0..8 {
            if set & (1 << index) != 0 {
                let byte = bytes
                    .get_mut(index)
                    .ok_or(RecordingError::Invalid("a value is longer than its place"))?;
                *byte = *values.next().expect("as many as there are bits");
            }
        }
        Ok(())
    }
}

/// The number at the front of `bytes`, which is taken off. `None` when there is none of 64 bits.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
