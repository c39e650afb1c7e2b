//! A block: straight-line code found in a binary, with its terminator.

use serde::{Deserialize, Serialize};

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terminator {
    /// No branch: the next instruction is the start of another block.
    FallThrough,
    /// Conditional branch (Jcc).
    Jcc,
    /// JRCXZ, JECXZ, LOOP, LOOPE, LOOPNE.
    Loop,
    /// Direct unconditional jump.
    Jmp,
    /// Direct call.
    Call,
    /// Jump through a register or memory.
    IndirectJmp,
    /// Call through a register or memory.
    IndirectCall,
    /// Near return.
    Ret,
    /// SYSCALL, SYSENTER, INT 80H.
    Syscall,
    /// INT3, INT n, UD0/1/2, HLT: ends in a signal by design.
    Trap,
}

/// How extraction found the first byte of a block. When several ways lead to it, the first of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The entry point of the file.
    Entry,
    /// A function symbol.
    Symbol,
    /// Start of a function in `.eh_frame` or `.pdata`.
    UnwindInfo,
    /// `.init_array`, `.fini_array` or another table of code pointers of the format.
    InitArray,
    /// A relocated pointer into code.
    Relocation,
    /// Target of a direct jump or conditional branch.
    BranchTarget,
    /// Target of a direct call.
    CallTarget,
    /// The instruction after a terminator that can come back or fall through (call, jcc).
    AfterTerminator,
    /// An entry of a recognised jump table.
    JumpTable,
    /// Address taken by code (`lea reg, [rip + x]`) that decodes as a function.
    AddressTaken,
    /// Filled in by linear sweep; may be data.
    Sweep,
    /// Not found at all but made from the instruction set (see `generate`).
    Generated,
}

/// Why a block is kept but not run: its result would depend on more than the case says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unrunnable {
    /// Enters the kernel.
    Syscall,
    /// Needs a privilege level below 3.
    Privileged,
    /// Processors or hypervisors differ in it, or the manuals reserve the encoding.
    HostDependent,
    /// Changes state that a case does not carry and that cannot be put back: PKRU, AMX tiles, transactional memory.
    StateNotCovered,
    /// Far control transfer (far jump, call or return, IRET).
    FarTransfer,
    /// Holds bytes that do not decode.
    Invalid,
}

/// A basic block as it stands in its binary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Block {
    /// Address of the first byte, as the file says it (before any relocation of the image).
    pub address: u64,
    /// The instructions, terminator included.
    pub bytes: Vec<u8>,
    /// Number of instructions in `bytes`.
    pub instruction_count: u32,
    /// How it ends.
    pub terminator: Terminator,
    /// Addresses that control can reach from here and that are known from the code alone, in file addresses:
    /// for Jcc and Loop the taken target first, then the fall-through.
    pub successors: Vec<u64>,
    /// How the first byte was found.
    pub origin: Origin,
    /// Set when the block is stored but not run.
    pub unrunnable: Option<Unrunnable>,
}

impl Block {
    /// Address of the first byte after the block.
    #[must_use]
    pub fn end_address(&self) -> u64 {
        self.address.wrapping_add(self.bytes.len() as u64)
    }
}
