//! Which emulator an engine is, by what the guest sees: builds of one emulator share what it documents to do otherwise.

use std::sync::Arc;

use snippex_core::address_space::ARENA;
use snippex_core::block::Terminator;
use snippex_core::case::{PAGE_SIZE, Page, PageAccess};
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;

use crate::RunOutcome;
use crate::engine::{Engine, EngineError};
use crate::engine_check::build_case;

/// What valgrind.h calls the special instruction sequence of x86-64 (four rotations of RDI that cancel out, and an exchange
/// of RBX with itself): a request to valgrind, which a processor executes to no effect.
const VALGRIND_REQUEST: [u8; 19] = [
    0x48, 0xc1, 0xc7, 0x03, // rol rdi, 3
    0x48, 0xc1, 0xc7, 0x0d, // rol rdi, 13
    0x48, 0xc1, 0xc7, 0x3d, // rol rdi, 61
    0x48, 0xc1, 0xc7, 0x33, // rol rdi, 51
    0x48, 0x87, 0xdb, // xchg rbx, rbx
];
/// `VG_USERREQ__RUNNING_ON_VALGRIND` of valgrind.h, whose answer in RDX is how many valgrinds there are.
const RUNNING_ON_VALGRIND: u64 = 0x1001;
/// A page for the request's words.
const REQUEST: u64 = ARENA;
/// Places of general registers in a state.
const RAX: usize = 0;
const RDX: usize = 2;

/// The preset whose emulator `engine` is a build of. `None` when it runs on the CPU itself, or on an emulator that snippex does
/// not know.
///
/// # Errors
/// When the engine cannot be used.
pub fn recognize_family(engine: &mut dyn Engine) -> Result<Option<&'static str>, EngineError> {
    if let Some(preset) = engine.identity().cpu.emulator_preset() {
        return Ok(Some(preset));
    }
    Ok(answers_valgrind_request(engine)?.then_some("valgrind"))
}

/// Whether the engine is valgrind, which says so to programs that ask.
fn answers_valgrind_request(engine: &mut dyn Engine) -> Result<bool, EngineError> {
    let mut words = [0; PAGE_SIZE];
    words[..8].copy_from_slice(&RUNNING_ON_VALGRIND.to_le_bytes());
    let mut case = build_case(Terminator::FallThrough, &VALGRIND_REQUEST, |builder| {
        builder.set_register(RAX, REQUEST);
        // What comes out where nobody answers.
        builder.set_register(RDX, 0);
    });
    Arc::make_mut(&mut case.block).instruction_count = 5;
    let page = Page {
        address: REQUEST,
        access: PageAccess::Read,
        content: Arc::new(words),
    };
    case.pages = [page].into();
    let groups = [Group::from_case(&case)];
    Ok(match engine.run(&groups)?.outcome(0, 0) {
        RunOutcome::Ran(end) => matches!(end.endpoint, Endpoint::Exit { .. }) && end.state.gpr[RDX] != 0,
        RunOutcome::Unsupported(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineSpec, RunnerEngine};

    #[test]
    fn this_cpu_is_no_emulator() {
        let mut native = RunnerEngine::start(EngineSpec::native()).unwrap();
        assert_eq!(recognize_family(&mut native).unwrap(), None);
    }
}
