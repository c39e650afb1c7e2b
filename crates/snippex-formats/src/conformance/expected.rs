//! What a test expects, and how an end differs from that.

use thiserror::Error;

use super::{ProgramEnd, Register};
use snippex_core::state::Components;

/// A register and the values it has to have: as many as the test lists, the rest is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expected {
    /// Which register.
    pub register: Register,
    /// From the lowest 64 bits upward.
    pub values: Vec<u64>,
}

/// A register that has other values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mismatch {
    /// Which register.
    pub register: Register,
    /// What the test lists.
    pub expected: Vec<u64>,
    /// As many values as are expected.
    pub actual: Vec<u64>,
}

/// A test lists a register that an engine does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the test lists {register}, of which the engine shows nothing, or too little")]
pub struct Uncovered {
    /// Which.
    pub register: Register,
}

/// The registers of `end` that are not as expected, given what the engine covers.
///
/// # Errors
/// When a register is listed that the engine does not cover.
pub fn find_mismatches(
    expected: &[Expected],
    end: &ProgramEnd,
    covered: Components,
) -> Result<Vec<Mismatch>, Uncovered> {
    let mut found = Vec::new();
    for Expected { register, values } in expected {
        let register = *register;
        if !covered.contains(register.component_for(values.len())) {
            return Err(Uncovered { register });
        }
        let mut actual = register.values_at_end(end);
        actual.truncate(values.len());
        if actual != *values {
            found.push(Mismatch {
                register,
                expected: values.clone(),
                actual,
            });
        }
    }
    Ok(found)
}

/// `xmm0 is 0x1:0x2, expected 0x1:0x3`, highest part first.
impl std::fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |values: &[u64]| {
            let parts: Vec<String> = values
                .iter()
                .rev()
                .map(|value| match values.len() {
                    1 => format!("{value:#x}"),
                    _ => format!("{value:016x}"),
                })
                .collect();
            parts.join(":")
        };
        let (actual, expected) = (list(&self.actual), list(&self.expected));
        write!(formatter, "{} is {actual}, expected {expected}", self.register)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(register: Register, values: &[u64]) -> Expected {
        Expected {
            register,
            values: values.to_vec(),
        }
    }

    #[test]
    fn only_what_is_listed_is_compared() {
        let mut end = ProgramEnd::default();
        end.state.gpr[0] = 5;
        end.state.vectors[1][8] = 7;
        let all = Components::ALL;
        let low = expect(Register::Xmm(1), &[0]);
        assert_eq!(find_mismatches(&[low], &end, all), Ok(vec![]));
        let wrong = [expect(Register::Gpr(0), &[6]), expect(Register::Xmm(1), &[0, 8])];
        let found = find_mismatches(&wrong, &end, all).unwrap();
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "rax is 0x5, expected 0x6",
                "xmm1 is 0000000000000007:0000000000000000, expected 0000000000000008:0000000000000000",
            ]
        );
    }

    #[test]
    fn a_register_that_is_not_shown_is_not_judged() {
        let end = ProgramEnd::default();
        let sse = Components::GENERAL.union(Components::SSE);
        let ymm = [expect(Register::Xmm(3), &[0; 4])];
        let register = Register::Xmm(3);
        assert_eq!(find_mismatches(&ymm, &end, sse), Err(Uncovered { register }));
        assert_eq!(
            find_mismatches(&[expect(Register::Xmm(3), &[0; 2])], &end, sse),
            Ok(vec![])
        );
    }
}
