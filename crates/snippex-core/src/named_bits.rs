//! Registers whose bits have names: flags, status and control words.
//!
//! Intel SDM volume 1: RFLAGS 3.4.3, x87 status word 8.1.3, x87 control word 8.1.5, MXCSR 10.2.3.

/// One named field of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedField {
    /// As the manuals call it.
    pub name: &'static str,
    /// Its lowest bit.
    pub first: u8,
    /// How many bits it has.
    pub width: u8,
    /// What it says.
    pub meaning: &'static str,
}

const fn bit(name: &'static str, first: u8, meaning: &'static str) -> NamedField {
    field(name, first, 1, meaning)
}

const fn field(name: &'static str, first: u8, width: u8, meaning: &'static str) -> NamedField {
    NamedField {
        name,
        first,
        width,
        meaning,
    }
}

/// The flags of RFLAGS that user programs see.
pub const FLAGS: [NamedField; 11] = [
    bit("CF", 0, "carry out of the highest bit, or borrow into it"),
    bit("PF", 2, "the low byte of the result has an even number of ones"),
    bit("AF", 4, "carry out of bit 3, or borrow into it"),
    bit("ZF", 6, "the result is zero"),
    bit("SF", 7, "the highest bit of the result"),
    bit("TF", 8, "trap after each instruction"),
    bit("DF", 10, "string instructions go downward"),
    bit("OF", 11, "the result does not fit a signed number"),
    bit("NT", 14, "nested task"),
    bit("AC", 18, "accesses that are not aligned trap"),
    bit("ID", 21, "CPUID is there"),
];

/// The x87 status word.
pub const X87_STATUS: [NamedField; 14] = [
    bit("IE", 0, "invalid operation"),
    bit("DE", 1, "denormal operand"),
    bit("ZE", 2, "division by zero"),
    bit("OE", 3, "overflow"),
    bit("UE", 4, "underflow"),
    bit("PE", 5, "the result is rounded"),
    bit("SF", 6, "stack fault"),
    bit("ES", 7, "an unmasked exception is pending"),
    bit("C0", 8, "condition code 0: less, or bit 2 of a quotient"),
    bit(
        "C1",
        9,
        "condition code 1: rounded up, stack overflow, or bit 0 of a quotient",
    ),
    bit(
        "C2",
        10,
        "condition code 2: unordered, or a reduction that is not complete",
    ),
    field("TOP", 11, 3, "top of the register stack"),
    bit("C3", 14, "condition code 3: equal, or bit 1 of a quotient"),
    bit("B", 15, "busy: the same as ES"),
];

/// The x87 control word.
pub const X87_CONTROL: [NamedField; 9] = [
    bit("IM", 0, "invalid operation is masked"),
    bit("DM", 1, "denormal operand is masked"),
    bit("ZM", 2, "division by zero is masked"),
    bit("OM", 3, "overflow is masked"),
    bit("UM", 4, "underflow is masked"),
    bit("PM", 5, "inexact is masked"),
    field("PC", 8, 2, "precision: 0 single, 2 double, 3 extended"),
    field("RC", 10, 2, "rounding: 0 nearest, 1 down, 2 up, 3 to zero"),
    bit("X", 12, "infinity control of the 80287; without effect"),
];

/// MXCSR.
pub const MXCSR: [NamedField; 15] = [
    bit("IE", 0, "invalid operation"),
    bit("DE", 1, "denormal operand"),
    bit("ZE", 2, "division by zero"),
    bit("OE", 3, "overflow"),
    bit("UE", 4, "underflow"),
    bit("PE", 5, "the result is rounded"),
    bit("DAZ", 6, "denormal operands count as zero"),
    bit("IM", 7, "invalid operation is masked"),
    bit("DM", 8, "denormal operand is masked"),
    bit("ZM", 9, "division by zero is masked"),
    bit("OM", 10, "overflow is masked"),
    bit("UM", 11, "underflow is masked"),
    bit("PM", 12, "inexact is masked"),
    field("RC", 13, 2, "rounding: 0 nearest, 1 down, 2 up, 3 to zero"),
    bit("FZ", 15, "results that are denormal become zero"),
];

impl NamedField {
    /// The bits that it has in its register.
    #[must_use]
    pub const fn mask(self) -> u64 {
        ((1 << self.width) - 1) << self.first
    }

    /// Its value in a register that holds `register`.
    #[must_use]
    pub const fn value_in_register(self, register: u64) -> u64 {
        (register & self.mask()) >> self.first
    }
}

/// The fields of `fields` that are not zero: `IE TOP=3 B`.
#[must_use]
pub fn set_fields(fields: &[NamedField], register: u64) -> String {
    let set = fields
        .iter()
        .filter(|field| field.value_in_register(register) != 0);
    let names: Vec<String> = set
        .map(|field| match field.width {
            1 => field.name.to_owned(),
            _ => format!("{}={}", field.name, field.value_in_register(register)),
        })
        .collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(" ")
    }
}

/// The fields that differ in two values of a register, each with a sentence: `C1 is 1, not 0`.
pub fn differing_fields(
    fields: &[NamedField],
    expected: u64,
    actual: u64,
) -> impl Iterator<Item = (NamedField, String)> {
    let differing = fields
        .iter()
        .filter(move |field| field.value_in_register(expected) != field.value_in_register(actual));
    differing.map(move |field| {
        let (expected, actual) = (field.value_in_register(expected), field.value_in_register(actual));
        (*field, format!("{} is {actual}, not {expected}", field.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::rflags;

    #[test]
    fn no_two_fields_share_a_bit() {
        for fields in [&FLAGS[..], &X87_STATUS, &X87_CONTROL, &MXCSR] {
            let mut seen = 0;
            for field in fields {
                assert_eq!(seen & field.mask(), 0, "{}", field.name);
                seen |= field.mask();
            }
        }
    }

    #[test]
    fn flags_are_where_the_state_has_them() {
        for field in FLAGS {
            let (_, bit) = rflags::NAMES
                .into_iter()
                .find(|(name, _)| *name == field.name)
                .expect("the state knows it");
            assert_eq!(field.mask(), bit, "{}", field.name);
        }
    }

    #[test]
    fn fields_are_named() {
        assert_eq!(set_fields(&X87_STATUS, 0x3a00), "C1 TOP=7");
        assert_eq!(set_fields(&MXCSR, 0), "-");
        let sentences: Vec<String> = differing_fields(&X87_STATUS, 0x3800, 0x2a00)
            .map(|(_, sentence)| sentence)
            .collect();
        assert_eq!(sentences, ["C1 is 1, not 0", "TOP is 5, not 7"]);
    }

    /// What users read about flags names each of them.
    #[test]
    fn the_document_about_flags_has_all_of_them() {
        let document = include_str!("../../../docs/flags.md");
        for field in FLAGS.iter().chain(&X87_STATUS).chain(&MXCSR) {
            assert!(
                document.contains(&format!("**{}**", field.name)),
                "{}",
                field.name
            );
        }
    }
}
