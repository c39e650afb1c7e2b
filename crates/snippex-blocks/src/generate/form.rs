//! Instruction forms: what there is to generate, by the decoder's own list.

use iced_x86::{Code, CpuidFeature, DecoderOptions};
use snippex_core::decode::intel_decoder;

use snippex_core::block::Unrunnable;
use snippex_core::decode::unrunnable_form;

/// One instruction form: mnemonic, operand kinds, width and encoding, as the decoder tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form(Code);

/// Why a form is not generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// Its result depends on more than a case holds, or it needs privileges.
    Unrunnable(Unrunnable),
    /// Only processors that decode otherwise have it (386 and 486 steppings, Cyrix, Centaur, Knights Corner).
    OtherProcessors,
    /// A near branch with an operand-size prefix, which Intel and AMD decode differently.
    VendorSpecific,
}

impl Skip {
    /// Whether user programs could execute such forms: they need no privileges, and every maker's processors agree on
    /// what they are.
    #[must_use]
    pub const fn is_for_user_programs(self) -> bool {
        !matches!(
            self,
            Self::Unrunnable(Unrunnable::Privileged) | Self::OtherProcessors | Self::VendorSpecific
        )
    }

    /// The reason in words.
    #[must_use]
    pub const fn reason_text(self) -> &'static str {
        match self {
            Self::Unrunnable(Unrunnable::Syscall) => "enters the kernel",
            Self::Unrunnable(Unrunnable::Privileged) => "needs privileges",
            Self::Unrunnable(Unrunnable::HostDependent) => "machines differ in it",
            Self::Unrunnable(Unrunnable::StateNotCovered) => {
                "changes or reads state that a case does not carry"
            }
            Self::Unrunnable(Unrunnable::FarTransfer) => "far control transfer",
            Self::Unrunnable(Unrunnable::Invalid) => "does not decode",
            Self::OtherProcessors => "only on processors of other makers",
            Self::VendorSpecific => "Intel and AMD decode it differently",
        }
    }
}

impl Form {
    /// Every form that exists in 64-bit mode, in the decoder's order. Instructions that the decoder lists with an FWAIT
    /// in front (FINIT, FSTCW, ...) are two instructions and left to the forms they consist of.
    pub fn all() -> impl Iterator<Item = Self> {
        Code::values()
            .filter(|code| {
                let info = code.op_code();
                info.is_instruction() && info.mode64() && !info.fwait()
            })
            .map(Self)
    }

    /// The form with this number among the decoder's codes.
    pub(super) fn from_number(number: u64) -> Option<Self> {
        Code::try_from(usize::try_from(number).ok()?).ok().map(Self)
    }

    /// The form of an instruction that was decoded.
    #[must_use]
    pub const fn of_code(code: Code) -> Self {
        Self(code)
    }

    /// The decoder's code of it.
    #[must_use]
    pub const fn code(self) -> Code {
        self.0
    }

    /// Mnemonic and operands as the manuals write them: `BZHI r32a, r/m32, r32b`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.op_code().instruction_string()
    }

    /// Encoding as the manuals write it: `VEX.LZ.0F38.W0 F5 /r`.
    #[must_use]
    pub fn encoding(self) -> &'static str {
        self.0.op_code().op_code_string()
    }

    /// Mnemonic in lower case.
    #[must_use]
    pub fn mnemonic(self) -> String {
        format!("{:?}", self.0.mnemonic()).to_lowercase()
    }

    /// CPUID features that it needs.
    #[must_use]
    pub fn features(self) -> &'static [CpuidFeature] {
        self.0.cpuid_features()
    }

    /// The extension it is counted under: the most telling of its features. Vector length and the foundation say less
    /// than what came on top of them.
    #[must_use]
    pub fn extension(self) -> String {
        let says_little = |feature: &CpuidFeature| {
            matches!(
                feature,
                CpuidFeature::AVX512VL | CpuidFeature::AVX512F | CpuidFeature::AVX
            )
        };
        let features = self.features();
        let telling = features
            .iter()
            .rev()
            .find(|feature| !says_little(feature))
            .or_else(|| {
                features
                    .iter()
                    .find(|feature| **feature != CpuidFeature::AVX512VL)
            })
            .or_else(|| features.first());
        telling.map_or_else(|| "general".to_owned(), |feature| extension_name(*feature))
    }

    /// Whether it belongs to the extension called `name`, under which it is counted or not.
    #[must_use]
    pub fn is_in(self, name: &str) -> bool {
        self.features()
            .iter()
            .any(|&feature| extension_name(feature) == name)
    }

    /// Why it is not generated; `None` when it is.
    #[must_use]
    pub fn skip_reason(self) -> Option<Skip> {
        let info = self.0.op_code();
        if let Some(reason) = unrunnable_form(self.0) {
            return Some(Skip::Unrunnable(reason));
        }
        let elsewhere = |feature: &CpuidFeature| {
            use CpuidFeature as F;
            matches!(
                feature,
                F::PADLOCK_ACE
                    | F::PADLOCK_PHE
                    | F::PADLOCK_PMM
                    | F::PADLOCK_RNG
                    | F::PADLOCK_GMI
                    | F::PADLOCK_UNDOC
                    | F::KNC
            )
        };
        if info.decoder_option() != DecoderOptions::NONE || self.features().iter().any(elsewhere) {
            return Some(Skip::OtherProcessors);
        }
        if !info.intel_decoder64() || !info.amd_decoder64() {
            return Some(Skip::VendorSpecific);
        }
        None
    }

    /// Whether `bytes` are exactly one instruction of this form.
    pub(super) fn is_of(self, bytes: &[u8], address: u64) -> bool {
        let instruction = intel_decoder(bytes, address).decode();
        instruction.code() == self.0 && instruction.len() == bytes.len()
    }
}

/// Name of an extension, as `--isa` takes it.
pub(super) fn extension_name(feature: CpuidFeature) -> String {
    use CpuidFeature as F;
    match feature {
        F::INTEL8086
        | F::INTEL8086_ONLY
        | F::INTEL186
        | F::INTEL286
        | F::INTEL286_ONLY
        | F::INTEL386
        | F::INTEL386_ONLY
        | F::INTEL386_A0_ONLY
        | F::INTEL486
        | F::INTEL486_A_ONLY
        | F::X64
        | F::CMOV
        | F::CX8
        | F::MULTIBYTENOP
        | F::PAUSE => "general".to_owned(),
        F::FPU | F::FPU287 | F::FPU287XL_ONLY | F::FPU387 | F::FPU387SL_ONLY => "x87".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
