//! What a test says about itself: the JSON between `%ifdef CONFIG` and `%endif` in the source, in the form of
//! FEX-Emu's unit tests.
//!
//! Keys are read in either case, numbers are strings as C writes them (`"0x10"`, `"16"`). `Match` and `Ignore` name
//! registers that two engines must agree on. A test starts at its first byte with RSP = 0, as in FEX-Emu's own harness;
//! `StackSize` gives it a stack. `Mode` says whether it is 64-bit or 32-bit code; what a 32-bit program has no register for is
//! an error. What else `EntryPoint` and `ABI` may ask for is unsupported. `DisabledHostFeatures`
//! becomes a variable that FEX reads; other engines have no such host.

mod values;

use serde_json::Value;
use thiserror::Error;

use self::values::{
    hex_bytes, number_in, read_expected, read_number, read_object, read_registers, read_string, read_strings,
};
use super::{Area, Expected, Register};

/// Most bytes of stack: what Linux gives a thread.
const MAX_STACK: u64 = 8 << 20;

/// Whether a test is 64-bit or 32-bit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TestMode {
    /// 64-bit code.
    #[default]
    Bits64,
    /// 32-bit code.
    Bits32,
}

/// A feature of the processor that a test needs or must do without.
///
/// The names are those of FEX-Emu's tests; [`Feature::NAMES`] lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Feature(&'static str);

impl Feature {
    /// Every feature that a test can name.
    pub const NAMES: [&'static str; 24] = [
        "3DNOW", "SSE4A", "AVX", "RAND", "SHA", "CLZERO", "BMI1", "BMI2", "CLWB", "LINUX", "AES256", "AFP",
        "SSSE3", "SSE4.1", "SSE4.2", "AES", "PCLMUL", "MOVBE", "ADX", "XSAVE", "RDPID", "CLFLOPT",
        "FSGSBASE", "EMMI",
    ];

    /// The feature called `name`, in either case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let known = Self::NAMES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name));
        known.map(Self)
    }

    /// As tests name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// What a test says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestHeader {
    /// `RegData`: registers and their values at the end, by name.
    pub expected: Vec<Expected>,
    /// `Match` without `Ignore`: registers that two engines must agree on.
    pub agreed: Vec<Register>,
    /// `MemoryRegions`.
    pub areas: Vec<Area>,
    /// `MemoryData`: bytes put at addresses.
    pub data: Vec<(u64, Vec<u8>)>,
    /// `HostFeatures`.
    pub features: Vec<Feature>,
    /// `DisabledHostFeatures`: what FEX's host is to do without, in FEX's own names.
    pub disabled_features: Vec<String>,
    /// `Mode`.
    pub mode: TestMode,
    /// `Env`: variables of the engine's environment.
    pub environment: Vec<(String, String)>,
    /// `StackSize`: bytes of the stack that RSP points behind at the start.
    pub stack_size: Option<u64>,
    /// Something it asks for that no engine can give, in words.
    pub unsupported: Option<String>,
    /// Keys that no test form knows; FEX-Emu's harness passes over them as well.
    pub unknown: Vec<String>,
}

/// Why a header cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// There is none.
    #[error("the test has no header: no line says %ifdef CONFIG")]
    Missing,
    /// It does not end.
    #[error("the header does not end: %endif is missing after %ifdef CONFIG in line {line}")]
    Open {
        /// Line where it begins, from 1.
        line: usize,
    },
    /// It is not JSON.
    #[error("line {line}: the header is not JSON: {problem}")]
    Json {
        /// Line in the source, from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A value is not what its key takes.
    #[error("{key}: {problem}")]
    Value {
        /// Key of the header.
        key: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Reads the header of a test's source.
///
/// # Errors
/// When there is none, or it is wrong.
pub fn read_header(source: &str) -> Result<TestHeader, HeaderError> {
    const START: &str = "%ifdef CONFIG";
    let line_of = |offset: usize| 1 + source[..offset].matches('\n').count();
    let start = source.find(START).ok_or(HeaderError::Missing)?;
    let after = start + START.len();
    let length = source[after..]
        .find("%endif")
        .ok_or_else(|| HeaderError::Open { line: line_of(start) })?;
    let value: Value =
        serde_json::from_str(&source[after..after + length]).map_err(|error| HeaderError::Json {
            line: line_of(after) + error.line().max(1) - 1,
            problem: words_of(&error),
        })?;
    let Value::Object(keys) = value else {
        return Err(HeaderError::Json {
            line: line_of(start),
            problem: "it is not an object".into(),
        });
    };
    let mut header = TestHeader::default();
    let mut ignored = Vec::new();
    for (key, value) in &keys {
        header.take(key, value, &mut ignored)?;
    }
    header.agreed.retain(|register| !ignored.contains(register));
    if header.mode == TestMode::Bits32 {
        header.check_32_bits()?;
    }
    Ok(header)
}

/// Without serde_json's own place, which counts from the header.
fn words_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl TestHeader {
    /// What a 32-bit program cannot end with is an error; of registers that have to agree, those are passed over.
    fn check_32_bits(&mut self) -> Result<(), HeaderError> {
        let wrong = |problem: String| HeaderError::Value {
            key: "RegData".into(),
            problem,
        };
        for Expected { register, values } in &self.expected {
            if !register.exists_in_32_bits() {
                return Err(wrong(format!(
                    "{register} is no register of a 32-bit program; it has rax to rdi, xmm0 to 7 and mm0 to 7"
                )));
            }
            let is_wide = matches!(register, Register::Gpr(_) | Register::Rip);
            if let Some(value) = values
                .iter()
                .find(|value| is_wide && **value > u64::from(u32::MAX))
            {
                return Err(wrong(format!(
                    "{register} is {value:#x}, which a register of 32 bits cannot be"
                )));
            }
        }
        self.agreed.retain(|register| register.exists_in_32_bits());
        Ok(())
    }

    fn take(&mut self, key: &str, value: &Value, ignored: &mut Vec<Register>) -> Result<(), HeaderError> {
        let wrong = |problem: String| HeaderError::Value {
            key: key.into(),
            problem,
        };
        match key.to_ascii_uppercase().as_str() {
            "REGDATA" => {
                for (name, values) in read_object(value).map_err(wrong)? {
                    self.expected.push(read_expected(name, values).map_err(wrong)?);
                }
            }
            "MATCH" => read_registers(value, &mut self.agreed).map_err(wrong)?,
            "IGNORE" => read_registers(value, ignored).map_err(wrong)?,
            "MEMORYREGIONS" => {
                for (address, size) in read_object(value).map_err(wrong)? {
                    let address = number_in(address).map_err(wrong)?;
                    let size = read_number(size).map_err(wrong)?;
                    self.areas.push(Area { address, size });
                }
            }
            "MEMORYDATA" => {
                for (address, bytes) in read_object(value).map_err(wrong)? {
                    let address = number_in(address).map_err(wrong)?;
                    self.data.push((
                        address,
                        hex_bytes(read_string(bytes).map_err(wrong)?).map_err(wrong)?,
                    ));
                }
            }
            "HOSTFEATURES" => {
                for name in read_strings(value).map_err(wrong)? {
                    let feature = Feature::from_name(name);
                    self.features.push(feature.ok_or_else(|| {
                        wrong(format!(
                            "{name} is no feature; known are {}",
                            Feature::NAMES.join(", ")
                        ))
                    })?);
                }
            }
            "DISABLEDHOSTFEATURES" => {
                let names = read_strings(value).map_err(wrong)?;
                self.disabled_features
                    .extend(names.into_iter().map(str::to_owned));
            }
            "MODE" => {
                self.mode = match read_string(value).map_err(wrong)?.to_ascii_uppercase().as_str() {
                    "64BIT" => TestMode::Bits64,
                    "32BIT" => TestMode::Bits32,
                    other => return Err(wrong(format!("{other} is neither 64BIT nor 32BIT"))),
                }
            }
            "ENV" => {
                for (name, value) in read_object(value).map_err(wrong)? {
                    let value = read_string(value).map_err(wrong)?;
                    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                        return Err(wrong(format!("{name:?} cannot be the name of a variable")));
                    }
                    self.environment.push((name.clone(), value.to_owned()));
                }
            }
            "STACKSIZE" => {
                let size = read_number(value).map_err(wrong)?;
                if size > MAX_STACK {
                    return Err(wrong(format!("{size} bytes of stack are more than {MAX_STACK}")));
                }
                self.stack_size = Some(size).filter(|size| *size > 0);
            }
            "ENTRYPOINT" => match read_number(value).map_err(wrong)? {
                0 => return Err(wrong("0 is no entry point".into())),
                // The only one that FEX-Emu's harness knows: the first byte.
                1 => {}
                other => {
                    self.unsupported =
                        Some(format!("EntryPoint {other}: programs start at their first byte"));
                }
            },
            "ABI" => {
                let name = read_string(value).map_err(wrong)?;
                if !["SYSTEMV", "WIN64", "NONE"].contains(&name.to_ascii_uppercase().as_str()) {
                    return Err(wrong(format!("{name} is none of SystemV, Win64 and None")));
                }
                // A test is not called and takes no arguments: System V's says no more than none.
                if name.eq_ignore_ascii_case("WIN64") {
                    self.unsupported = Some("ABI Win64: engines run programs of Linux".into());
                }
            }
            _ => self.unknown.push(key.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(json: &str) -> Result<TestHeader, HeaderError> {
        read_header(&format!("; a test\n%ifdef CONFIG\n{json}\n%endif\n\nhlt\n"))
    }

    #[test]
    fn every_key_is_read() {
        let read = header(
            r#"{
  "RegData": { "RAX": "0x10", "r9": "-1", "XMM0": ["1", "2", "0b11", "0o7"], "MM7": ["0x8000000000000000", "0x3fff"] },
  "Match": "All", "Ignore": ["RAX", "rdx"],
  "MemoryRegions": { "0x10000000": "4096" },
  "MemoryData": { "0x10000000": "AA BB 0x1122" },
  "HostFeatures": ["avx", "SSE4.1"], "DisabledHostFeatures": ["FLAGM"],
  "Mode": "64BIT", "StackSize": "8192", "EntryPoint": "1", "ABI": "SystemV",
  "Env": { "FEX_MAXINST": "1" }, "Colour": "blue"
}"#,
        )
        .unwrap();
        let values: Vec<_> = read
            .expected
            .iter()
            .map(|expected| (expected.register.to_string(), expected.values.clone()))
            .collect();
        for (name, list) in [
            ("rax", vec![0x10]),
            ("r9", vec![u64::MAX]),
            ("xmm0", vec![1, 2, 3, 7]),
            ("mm7", vec![1 << 63, 0x3fff]),
        ] {
            assert!(values.contains(&(name.to_owned(), list)), "{name}");
        }
        assert_eq!(read.agreed.len(), Register::all().count() - 2);
        assert!(!read.agreed.contains(&Register::Gpr(2)));
        assert_eq!(read.data, [(0x1000_0000, vec![0xaa, 0xbb, 0x22, 0x11])]);
        let names: Vec<_> = read.features.iter().map(|feature| feature.name()).collect();
        assert_eq!(names, ["AVX", "SSE4.1"]);
        assert_eq!(read.environment, [("FEX_MAXINST".to_owned(), "1".to_owned())]);
        assert_eq!((read.stack_size, &read.unsupported), (Some(8192), &None));
        let asks = |json| header(json).unwrap().unsupported.unwrap();
        assert!(asks(r#"{"EntryPoint": "64"}"#).starts_with("EntryPoint 64: "));
        assert!(asks(r#"{"ABI": "win64"}"#).starts_with("ABI Win64: "));
        assert_eq!(read.unknown, ["Colour"]);
        let read_32 = header(r#"{"Mode": "32BIT", "Match": "All", "RegData": {"RDI": "-1"}}"#);
        assert!(read_32.is_err());
        let read_32 = header(r#"{"Mode": "32BIT", "Match": "All"}"#).unwrap();
        assert_eq!(
            (read_32.mode, read_32.agreed.len()),
            (TestMode::Bits32, 8 + 8 + 8 + 1)
        );
        assert_eq!(header("{}").unwrap(), TestHeader::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |json: &str| header(json).unwrap_err().to_string();
        assert_eq!(
            problem("{\n  \"RegData\": {\n    \"RAX\": }\n}"),
            "line 5: the header is not JSON: expected value"
        );
        assert_eq!(
            problem("[]"),
            "line 2: the header is not JSON: it is not an object"
        );
        for (json, words) in [
            (
                r#"{"RegData": {"EAX": "1"}}"#,
                "RegData: EAX is no register of a test",
            ),
            (
                r#"{"RegData": {"RAX": []}}"#,
                "RegData: RAX has 0 values, it takes 1 to 1",
            ),
            (r#"{"RegData": {"RAX": "0x1ffffffffffffffff"}}"#, "not a number"),
            (r#"{"RegData": {"RAX": true}}"#, "not a number"),
            (r#"{"RegData": "RAX"}"#, "not an object"),
            (r#"{"Mode": "16BIT"}"#, "neither 64BIT nor 32BIT"),
            (
                r#"{"HostFeatures": ["FOO"]}"#,
                "HostFeatures: FOO is no feature; known are 3DNOW",
            ),
            (r#"{"MemoryData": {"0": "XY"}}"#, "XY is not a hexadecimal number"),
            (r#"{"Env": {"A=B": "1"}}"#, "cannot be the name"),
            (
                r#"{"Mode": "32BIT", "RegData": {"R8": "1"}}"#,
                "RegData: r8 is no register of a 32-bit program",
            ),
            (
                r#"{"Mode": "32BIT", "RegData": {"XMM8": "1"}}"#,
                "xmm8 is no register of a 32-bit program",
            ),
            (
                r#"{"RegData": {"RAX": "-1"}, "Mode": "32BIT"}"#,
                "rax is 0xffffffffffffffff, which a register of 32 bits cannot be",
            ),
            (r#"{"EntryPoint": "0"}"#, "0 is no entry point"),
            (r#"{"StackSize": "0x80000000"}"#, "are more than 8388608"),
        ] {
            assert!(problem(json).contains(words), "{json}: {}", problem(json));
        }
        assert_eq!(read_header("hlt"), Err(HeaderError::Missing));
        assert_eq!(
            read_header("\n%ifdef CONFIG\n{}"),
            Err(HeaderError::Open { line: 2 })
        );
    }
}
