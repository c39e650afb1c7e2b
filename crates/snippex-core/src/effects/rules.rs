//! The one table of results that the architecture leaves open, with the manual's place for each.
//!
//! "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, "APM" the AMD64 Architecture
//! Programmer's Manual. A mask names the rules that led to each of its bits, so that a report can say why
//! something was not compared. Which instruction a rule applies to is decided in `undefined`, `x87`,
//! `stored` and `vector`; nothing here computes.

use serde::{Serialize, Serializer};

/// How open a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Openness {
    /// The manual says "undefined".
    Undefined,
    /// The manual gives bounds or says that implementations differ.
    ImplementationDefined,
    /// The result describes the machine or the operating system, not the computation.
    HostDependent,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RuleInfo {
    /// Stable name, as reports show it.
    pub id: &'static str,
    /// How open the result is.
    pub openness: Openness,
    /// What is left open, in a sentence.
    pub what: &'static str,
    /// Where the manual says so.
    pub reference: &'static str,
}

macro_rules! rules {
    ($($variant:ident = $id:literal, $open:ident, $what:literal, $reference:literal;)+) => {
        /// A reason for which some bit of a result is not compared. See [`Rule::info`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Rule {
            $(#[doc = $what] #[doc = ""] #[doc = $reference] $variant,)+
        }

        impl Rule {
            /// Every rule, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The row of the table.
            #[must_use]
            pub const fn info(self) -> RuleInfo {
                match self {
                    $(Self::$variant => RuleInfo {
                        id: $id,
                        openness: Openness::$open,
                        what: $what,
                        reference: $reference,
                    },)+
                }
            }
        }
    };
}

rules! {
    LogicAf = "logic-af", Undefined, "AF is undefined after AND, OR, XOR and TEST",
        "SDM vol. 2, AND/OR/XOR/TEST, Flags Affected";
    BmiFlags = "bmi-flags", Undefined, "AF and PF (BEXTR: and SF) are undefined after BMI1, BMI2 and TBM instructions",
        "SDM vol. 2, ANDN/BEXTR/BLSI/BLSMSK/BLSR/BZHI, Flags Affected; APM vol. 3, TBM instructions";
    CountZerosFlags = "count-zeros-flags", Undefined, "OF, SF, AF and PF are undefined after LZCNT and TZCNT",
        "SDM vol. 2, LZCNT/TZCNT, Flags Affected";
    BitScanFlags = "bit-scan-flags", Undefined, "CF, OF, SF, AF and PF are undefined after BSF and BSR",
        "SDM vol. 2, BSF/BSR, Flags Affected";
    BitTestFlags = "bit-test-flags", Undefined, "OF, SF, AF and PF are undefined after BT, BTC, BTR and BTS",
        "SDM vol. 2, BT/BTC/BTR/BTS, Flags Affected";
    MultiplyFlags = "multiply-flags", Undefined, "SF, ZF, AF and PF are undefined after MUL and IMUL",
        "SDM vol. 2, MUL/IMUL, Flags Affected";
    DivideFlags = "divide-flags", Undefined, "the six status flags are undefined after DIV and IDIV",
        "SDM vol. 2, DIV/IDIV, Flags Affected";
    ShiftAf = "shift-af", Undefined, "AF is undefined after a shift by a count other than 0",
        "SDM vol. 2, SAL/SAR/SHL/SHR and SHLD/SHRD, Flags Affected";
    ShiftOf = "shift-of", Undefined, "OF is undefined after a shift by a count other than 0 and 1",
        "SDM vol. 2, SAL/SAR/SHL/SHR and SHLD/SHRD, Flags Affected";
    ShiftCf = "shift-cf", Undefined, "CF is undefined after SHL and SHR by at least the operand's width",
        "SDM vol. 2, SAL/SAR/SHL/SHR, Flags Affected";
    RotateOf = "rotate-of", Undefined, "OF is undefined after a rotate by a count other than 0 and 1",
        "SDM vol. 2, RCL/RCR/ROL/ROR, Flags Affected";
    DoubleShift = "double-shift", Undefined,
        "destination and status flags are undefined after SHLD and SHRD by more than the operand's width",
        "SDM vol. 2, SHLD/SHRD, Description and Flags Affected";
    VectorLength = "vector-length", ImplementationDefined,
        "a scalar VEX instruction with VEX.L = 1 may behave differently from processor to processor",
        "SDM vol. 2, VADDSD and the other VEX.LIG instructions, Description (software should ensure that VEX.L is 0)";
    X87Range = "x87-range", Undefined,
        "F2XM1 of an argument beyond -1 to 1, FYL2XP1 of one beyond -(1 - sqrt(2)/2) to 1 - sqrt(2)/2",
        "SDM vol. 2, F2XM1 and FYL2XP1, Description";
    X87NoQuotient = "x87-no-quotient", ImplementationDefined,
        "C0, C1 and C3 of an FPREM or FPREM1 that has no quotient, because an operand is a NaN, infinite, zero or invalid",
        "SDM vol. 2, FPREM/FPREM1, FPU Flags Affected (the codes are bits of the quotient)";
    Bswap16 = "bswap-16", Undefined, "BSWAP of a 16-bit register is undefined",
        "SDM vol. 2, BSWAP, Description; APM vol. 3, BSWAP";
    X87Codes = "x87-codes", Undefined,
        "the condition codes C0, C2 and C3 are undefined after x87 instructions that do not compare; all four after control instructions",
        "SDM vol. 2, each x87 instruction, FPU Flags Affected; vol. 1, section 8.1.3.2";
    X87Transcendental = "x87-transcendental", ImplementationDefined,
        "F2XM1, FYL2X, FYL2XP1 and FPATAN approximate to 1 ulp (1.5 unless rounded to nearest): two results may differ by twice that",
        "SDM vol. 1, section 8.3.10; APM vol. 1, section 6.4.5 (transcendental instructions)";
    X87Trigonometric = "x87-trigonometric", ImplementationDefined,
        "FSIN, FCOS, FSINCOS and FPTAN approximate to 1 ulp (1.5 unless rounded to nearest), and reduce arguments by an approximation of pi",
        "SDM vol. 1, sections 8.3.8 and 8.3.10; vol. 2, FSIN/FCOS/FPTAN";
    X87LargeArgument = "x87-large-argument", ImplementationDefined,
        "FSIN, FCOS, FSINCOS and FPTAN of an argument whose size is not known: the approximation of pi may decide",
        "SDM vol. 1, section 8.3.8 (approximation of pi); APM vol. 1, section 6.4.5";
    X87Rounding = "x87-rounding", ImplementationDefined,
        "C1, the precision and underflow flags of an approximated x87 result depend on its last bits",
        "SDM vol. 1, sections 8.1.3.3 and 8.3.10";
    X87PartialRemainder = "x87-partial-remainder", ImplementationDefined,
        "an incomplete FPREM or FPREM1 (C2 set) reduces the exponent by an amount between 32 and 63",
        "SDM vol. 2, FPREM/FPREM1, Operation";
    X87Bcd = "x87-bcd", Undefined, "FBLD of invalid digits is undefined",
        "SDM vol. 2, FBLD, Description";
    X87Pointers = "x87-pointers", ImplementationDefined,
        "the last x87 instruction and operand pointers and opcode (FIP, FDP, FOP, FCS, FDS) in a stored image",
        "SDM vol. 1, section 8.1.8; APM vol. 2, section 11.4 (FXSAVE and FXRSTOR)";
    ReservedBytes = "reserved-bytes", Undefined, "reserved fields of a stored x87 or XSAVE image",
        "SDM vol. 1, figures 8-9 to 8-12; vol. 1, table 10-2; vol. 1, section 13.4";
    ReservedControl = "reserved-control", ImplementationDefined,
        "reserved bits of the x87 control word (6, 7, 13 to 15) after FLDCW, FLDENV and their like",
        "SDM vol. 1, figure 8-6 and section 3.4.4 (reserved bits)";
    Sse4aUpper = "sse4a-upper", Undefined,
        "EXTRQ and INSERTQ leave the upper half of their destination undefined, and all of it when the field leaves the lower half",
        "APM vol. 4, EXTRQ/INSERTQ";
    MxcsrMask = "mxcsr-mask", HostDependent, "MXCSR_MASK in a stored image says which MXCSR bits the processor has",
        "SDM vol. 1, section 11.6.6";
    XstateBv = "xstate-bv", ImplementationDefined,
        "the XSAVE header and the parts that the init and modified optimisations may leave out",
        "SDM vol. 1, sections 13.4.2, 13.6, 13.7 to 13.9";
    XsaveLayout = "xsave-layout", HostDependent,
        "which components beyond AVX an XSAVE image has and where they lie, and so which headers XRSTOR refuses",
        "SDM vol. 1, sections 13.2, 13.4.3 and 13.8.1 (CPUID leaf 0DH and XCR0 tell); APM vol. 2, section 11.5";
    Reciprocal11 = "reciprocal-11", ImplementationDefined,
        "RCPPS, RCPSS, RSQRTPS and RSQRTSS have a relative error of up to 1.5 * 2^-12",
        "SDM vol. 2, RCPPS/RCPSS/RSQRTPS/RSQRTSS, Description";
    Reciprocal14 = "reciprocal-14", ImplementationDefined,
        "VRCP14*, VRSQRT14* have a relative error below 2^-14",
        "SDM vol. 2, VRCP14PD and relatives, Description";
    Reciprocal28 = "reciprocal-28", ImplementationDefined,
        "VRCP28*, VRSQRT28* and VEXP2* have a relative error below 2^-23",
        "SDM vol. 2, VRCP28PD/VRSQRT28PD/VEXP2PD and relatives, Description";
    ReciprocalHalf = "reciprocal-half", ImplementationDefined,
        "VRCPPH, VRSQRTPH and their scalar forms have a relative error below 2^-11 + 2^-14",
        "SDM vol. 2, VRCPPH/VRSQRTPH, Description";
    Reciprocal3dNow = "reciprocal-3dnow", ImplementationDefined,
        "PFRCP and PFRSQRT are exact to 14 and 15 bits only",
        "APM vol. 5, PFRCP/PFRSQRT";
    DotProductNan = "dot-product-nan", ImplementationDefined,
        "which NaN of several a dot product gives is implementation dependent",
        "SDM vol. 2, DPPS/DPPD, Description";
    Selector = "selector", HostDependent, "segment selectors and what descriptor tables say about them",
        "SDM vol. 3, section 3.4; vol. 2, LAR/LSL/VERR/SLDT/STR/SMSW";
    HostIdentity = "host-identity", HostDependent,
        "CPUID, time stamp, random numbers, XCR0, PKRU, processor number, descriptor table addresses",
        "SDM vol. 2, CPUID/RDTSC/RDRAND/RDSEED/XGETBV/RDPKRU/RDPID/SGDT";
    NullSelectorBase = "null-selector-base", ImplementationDefined,
        "whether loading a null selector into FS or GS clears its base: AMD's do where CPUID says so, Intel's do",
        "APM vol. 2, section 4.5.3 (FS and GS registers in 64-bit mode); vol. 3, CPUID Fn8000_0021, EAX bit 6 (NullSelectClearsBase)";
    ShadowStack = "shadow-stack", HostDependent,
        "what shadow-stack instructions give, and whether they fault: the system decides whether there is such a stack",
        "SDM vol. 1, section 17.2; vol. 2, RDSSP/INCSSP/SAVEPREVSSP/RSTORSSP/WRSS";
    NarrowBranch = "narrow-branch", ImplementationDefined,
        "a near branch with an operand-size prefix in 64-bit mode: Intel ignores the prefix, AMD takes 16 bits of the target",
        "SDM vol. 2, section 2.2.1.7 (default 64-bit operand size) and JMP/CALL/RET; APM vol. 3, near branches in 64-bit mode";
    PartialStore = "partial-store", ImplementationDefined,
        "a store of more than 8 bytes that faults may have written a part",
        "SDM vol. 3, section 9.1.1 (guaranteed atomic operations, last paragraphs)";
    PartialGather = "partial-gather", ImplementationDefined,
        "a gather or scatter that faults may have completed any of its later elements",
        "SDM vol. 2, VPGATHERDD and relatives, Description (faults are delivered in a right-to-left manner)";
    MaskedAccessFault = "masked-access-fault", ImplementationDefined,
        "MASKMOVQ and MASKMOVDQU with a mask of zeros may still report faults",
        "SDM vol. 2, MASKMOVDQU, Description";
    FaultAddress = "fault-address", ImplementationDefined,
        "which byte of an operand a page fault reports",
        "SDM vol. 3, section 4.7 (page-fault exceptions) and 9.1.1; sigaction(2)";
    SignalInfo = "signal-info", ImplementationDefined,
        "si_code, and si_addr of signals other than page faults",
        "SDM vol. 3, section 6.15 (what each exception saves); sigaction(2)";
    SignalFlags = "signal-flags", ImplementationDefined, "RF in the flags image of a fault",
        "SDM vol. 3, section 18.3.1.1 (instruction-breakpoint exception, RF); vol. 3, section 6.8.3";
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.info().id)
    }
}

/// A set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleSet(u64);

const _: () = assert!(Rule::ALL.len() <= 64, "a RuleSet has a bit for each rule");

impl RuleSet {
    /// No rule.
    pub const EMPTY: Self = Self(0);

    /// The set with one rule.
    #[must_use]
    pub const fn from_rule(rule: Rule) -> Self {
        Self(1 << rule as u8)
    }

    /// Whether no rule is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `rule` is in the set.
    #[must_use]
    pub const fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u8) != 0
    }

    /// The rules in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rules in the set, in table order.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.contains(*rule))
    }
}

impl std::ops::BitOrAssign for RuleSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        rules
            .into_iter()
            .fold(Self::EMPTY, |set, rule| set.union(Self::from_rule(rule)))
    }
}

impl Serialize for RuleSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_every_rule_names_a_manual() {
        let mut ids: Vec<_> = Rule::ALL.iter().map(|rule| rule.info().id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            let reference = rule.info().reference;
            assert!(
                reference.starts_with("SDM vol.") || reference.starts_with("APM vol."),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn a_set_gives_back_its_rules_in_order() {
        let set: RuleSet = [Rule::ShiftOf, Rule::LogicAf].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Rule::LogicAf, Rule::ShiftOf]);
    }
}
