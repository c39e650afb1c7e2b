//! The stages of generation, and where their blocks lie: each stage has a range of addresses, and each form a part of it.

use snippex_core::block::Block;

use super::form::Form;

/// What a generated block was made for. The later a stage, the higher its addresses, except that sequences which were asked
/// for by their length lie above all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// One instruction, with what it needs around it to show its effect.
    Single,
    /// One instruction whose bytes lie across a line or a page.
    Placed,
    /// An encoding next to a form that processors refuse.
    Refused,
    /// A few instructions, with flags and registers that flow from one to the next.
    Short,
    /// As many instructions as were asked for.
    Long,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Single, Self::Placed, Self::Refused, Self::Short, Self::Long];

    /// The stage of a generated block, by where it lies.
    #[must_use]
    pub fn of_block(block: &Block) -> Self {
        let mut stages = Self::ALL.into_iter().rev();
        let stage = stages.find(|stage| stage.start() <= block.address);
        stage.expect("the first stage begins at 0")
    }

    const fn start(self) -> u64 {
        match self {
            Self::Single => 0,
            Self::Placed => 0x1380_0000,
            Self::Refused => 0x1800_0000,
            Self::Short => 0x1940_0000,
            Self::Long => 0x2000_0000,
        }
    }

    /// Bytes from one form's blocks to the next one's.
    pub(super) const fn form_stride(self) -> u64 {
        match self {
            Self::Single => 0x1_0000,
            Self::Placed => 0x3000,
            Self::Refused => 0x1000,
            Self::Short => 0x2000,
            Self::Long => 0x8000,
        }
    }

    /// Where the blocks of `form` begin.
    pub(super) const fn form_start(self, form: Form) -> u64 {
        self.start() + form.code() as u64 * self.form_stride()
    }

    /// The form that a block at `address` stands for.
    pub(super) fn form_at(self, address: u64) -> Option<Form> {
        Form::from_number((address - self.start()) / self.form_stride())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stage_reaches_into_the_next() {
        let last = Form::all().last().unwrap();
        for pair in Stage::ALL.windows(2) {
            let end = pair[0].form_start(last) + pair[0].form_stride();
            assert!(end <= pair[1].start(), "{pair:?}");
        }
        // The code of what is made by default lies below its own data (`snippex_core::address_space`).
        let end = Stage::Short.form_start(last) + Stage::Short.form_stride();
        assert!(end <= snippex_core::address_space::CODE_DISTANCE);
    }
}
