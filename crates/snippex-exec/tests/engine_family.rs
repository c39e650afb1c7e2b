//! Of which emulator an engine is a build, by what it says to the guest.

use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};

#[test]
fn emulators_are_known_by_what_they_call_themselves() {
    let native = RunnerEngine::start(EngineSpec::native()).unwrap();
    let cpu = &native.identity().cpu;
    for (hypervisor, brand, preset) in [
        ("FEXIFEXIEMU", "Cortex-A76", Some("fex-emu")),
        ("TCGTCGTCGTCG", "QEMU TCG CPU version 2.5+", Some("qemu-x86_64")),
        ("", "Box64 on ARM Cortex-A76", Some("box64")),
        ("KVMKVMKVM", "AMD EPYC", None),
        ("", "Intel Xeon", None),
    ] {
        let mut said = cpu.clone();
        (said.hypervisor, said.brand) = (hypervisor.into(), brand.into());
        assert_eq!(said.emulator_preset(), preset, "{hypervisor} {brand}");
    }
}
