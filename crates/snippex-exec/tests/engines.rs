//! Every engine that this machine can run passes the conformance test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use snippex_exec::engine::{Engine, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::engine_check::check_engine;

fn passes(engine: &mut dyn Engine) {
    let failures = check_engine(engine).unwrap();
    assert!(
        failures.is_empty(),
        "{}: {failures:#?}",
        engine.identity().name_and_version()
    );
}

#[test]
fn native_conforms() {
    let mut engine = RunnerEngine::start(EngineSpec::native()).unwrap();
    passes(&mut engine);
    assert_eq!(engine.identity().cpu.emulator(), None);
}

#[test]
fn qemu_conforms() {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    let mut engine = RunnerEngine::start(spec).unwrap();
    passes(&mut engine);
    assert_eq!(engine.identity().cpu.emulator(), Some("TCGTCGTCGTCG"));
    assert!(
        engine.identity().version.contains("version"),
        "{}",
        engine.identity().version
    );
}

#[test]
fn a_command_of_ones_own_conforms() {
    let spec = EngineSpec::from_command("mine", "env A=b {runner}").unwrap();
    passes(&mut RunnerEngine::start(spec).unwrap());
}

#[test]
fn an_altered_engine_conforms_when_nothing_is_altered() {
    let native = RunnerEngine::start(EngineSpec::native()).unwrap();
    passes(&mut MockEngine::from_engine("mock", Box::new(native), |_, _| ()));
}

#[test]
fn a_wrong_engine_does_not() {
    assert!(
        !check_engine(&mut MockEngine::with_no_effect())
            .unwrap()
            .is_empty()
    );
}
