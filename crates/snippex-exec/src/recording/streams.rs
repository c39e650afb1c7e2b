//! Bytes of packed results, in streams by what they are: like beside like is what a compressor makes small.

use super::RecordingError;

/// Number of streams.
pub(crate) const COUNT: usize = 4;

/// Packed results while they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    /// How values are made of others, counts, addresses.
    pub(crate) models: Vec<u8>,
    /// Which bytes of a value follow in `values`, and which runs something is true of.
    pub(crate) masks: Vec<u8>,
    /// Bytes that follow from nothing.
    pub(crate) values: Vec<u8>,
    /// The status flags of each run.
    pub(crate) flags: Vec<u8>,
}

/// A place in each stream.
pub(crate) type Places = [usize; COUNT];

impl Streams {
    pub(crate) fn parts(&self) -> [&[u8]; COUNT] {
        [&self.models, &self.masks, &self.values, &self.flags]
    }

    /// Where each ends now.
    pub(crate) fn end_positions(&self) -> Places {
        self.parts().map(<[u8]>::len)
    }

    /// A number that is mostly small.
    pub(crate) fn write_number(&mut self, number: u64) {
        push_number(&mut self.models, number);
    }

    /// Which of some runs something is true of.
    pub(crate) fn write_bits(&mut self, bits: impl ExactSizeIterator<Item = bool>) {
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
    pub(crate) fn write_sparse_value(&mut self, value: u64) {
        self.sparse_bytes(&value.to_le_bytes());
    }

    /// The same for up to eight bytes.
    pub(crate) fn sparse_bytes(&mut self, bytes: &[u8]) {
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
pub(crate) fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Packed results while they are read. Everything is refused that goes beyond an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'r> {
    parts: [&'r [u8]; COUNT],
}

/// The streams of several blocks one after another, with what tells them apart.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    bytes: Vec<u8>,
    /// Where each stream begins.
    streams: [usize; COUNT],
    /// By block, where it ends in each stream.
    places: Vec<Places>,
}

impl Joined {
    /// The bytes of `streams`, in which block `i` ends at `places[i]`.
    pub(crate) fn encode_streams(streams: &Streams, places: &[Places]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let parts = streams.parts();
        for part in parts {
            push_number(&mut bytes, part.len() as u64);
        }
        push_number(&mut bytes, places.len() as u64);
        let mut last = [0; COUNT];
        for place in places {
            for (end, before) in place.iter().zip(last) {
                push_number(&mut bytes, (end - before) as u64);
            }
            last = *place;
        }
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// What [`Joined::encode_streams`] made `bytes` from.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, RecordingError> {
        const WHAT: RecordingError = RecordingError::Invalid("the streams of a batch are not there");
        let mut rest = &bytes[..];
        let mut number = || {
            take_number(&mut rest)
                .and_then(|number| usize::try_from(number).ok())
                .ok_or(WHAT)
        };
        let mut streams = [0; COUNT];
        let mut lengths = [0; COUNT];
        for length in &mut lengths {
            *length = number()?;
        }
        let blocks = number()?;
        let mut places = Vec::new();
        let mut ends = [0usize; COUNT];
        for _ in 0..blocks {
            for (end, length) in ends.iter_mut().zip(lengths) {
                *end = end
                    .checked_add(number()?)
                    .filter(|end| *end <= length)
                    .ok_or(WHAT)?;
            }
            places.push(ends);
        }
        let mut at = bytes.len() - rest.len();
        for (stream, length) in streams.iter_mut().zip(lengths) {
            *stream = at;
            at = at
                .checked_add(length)
                .filter(|end| *end <= bytes.len())
                .ok_or(WHAT)?;
        }
        Ok(Self {
            bytes,
            streams,
            places,
        })
    }

    /// Reads the streams of the block at `position`.
    pub(crate) fn reader(&self, position: usize) -> Result<Reader<'_>, RecordingError> {
        let ends = self
            .places
            .get(position)
            .ok_or(RecordingError::Invalid("the ends of a block are not there"))?;
        let begins = position
            .checked_sub(1)
            .map_or([0; COUNT], |before| self.places[before]);
        Ok(Reader::new(std::array::from_fn(|stream| {
            let start = self.streams[stream];
            &self.bytes[start + begins[stream]..start + ends[stream]]
        })))
    }
}

const CUT: RecordingError = RecordingError::Invalid("the ends of a block are cut short");

impl<'r> Reader<'r> {
    pub(crate) fn new(parts: [&'r [u8]; COUNT]) -> Self {
        Self { parts }
    }

    /// Whether everything was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.is_empty())
    }

    fn take<const PART: usize>(&mut self, count: usize) -> Result<&'r [u8], RecordingError> {
        let (taken, rest) = self.parts[PART].split_at_checked(count).ok_or(CUT)?;
        self.parts[PART] = rest;
        Ok(taken)
    }

    pub(crate) fn read_byte(&mut self) -> Result<u8, RecordingError> {
        Ok(self.take::<0>(1)?[0])
    }

    pub(crate) fn read_number(&mut self) -> Result<u64, RecordingError> {
        take_number(&mut self.parts[0]).ok_or(CUT)
    }

    /// A number below `limit`.
    pub(crate) fn number_below(&mut self, limit: usize) -> Result<usize, RecordingError> {
        let number = self.read_number()?;
        let fits = usize::try_from(number).ok().filter(|number| *number < limit);
        fits.ok_or(RecordingError::Invalid("a number is out of its range"))
    }

    pub(crate) fn read_flags(&mut self) -> Result<u8, RecordingError> {
        Ok(self.take::<3>(1)?[0])
    }

    pub(crate) fn read_bits(
        &mut self,
        count: usize,
    ) -> Result<impl Iterator<Item = bool> + use<'r>, RecordingError> {
        let bytes = self.take::<1>(count.div_ceil(8))?;
        Ok((0..count).map(|index| bytes[index / 8] & (1 << (index % 8)) != 0))
    }

    pub(crate) fn read_sparse_value(&mut self) -> Result<u64, RecordingError> {
        let mut bytes = [0; 8];
        self.sparse_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn sparse_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RecordingError> {
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
pub(crate) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
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
