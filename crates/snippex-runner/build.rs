//! Compiles `guest/` into a static, freestanding x86-64 ELF with the toolchain's own compiler and linker, whatever
//! the host is, so that a plain `cargo build` needs no assembler, linker script or extra tool.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Keep in step with `layout::RUNNER_BASE`; the guest checks it when it starts.
const RUNNER_BASE: &str = "0x70000000";

fn main() {
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=src/layout.rs");
    println!("cargo::rerun-if-changed=build.rs");

    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("runner");
    let mut command = Command::new(&rustc);
    command
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "runner",
            "--crate-type",
            "bin",
            "--target",
            TARGET,
        ])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "opt-level=3",
            "-C",
            "relocation-model=static",
        ])
        .args([
            "-C",
            "force-unwind-tables=no",
            "-C",
            "strip=symbols",
            "-C",
            "codegen-units=1",
        ])
        .arg("-o")
        .arg(&out)
        .arg("guest/main.rs");
    match bundled_linker(&rustc) {
        Some(linker) => {
            command.arg("-C").arg(format!("linker={}", linker.display()));
            command.args(["-C", "linker-flavor=ld.lld"]);
            command
                .arg("-C")
                .arg(format!("link-args=-static --no-pie --image-base={RUNNER_BASE}"));
        }
        None => {
            command.arg("-C").arg(format!(
                "link-args=-nostdlib -nostartfiles -static -no-pie -Wl,-Ttext-segment={RUNNER_BASE} -Wl,--build-id=none"
            ));
        }
    }
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => fail(&format!("failed to start {rustc}: {error}")),
    };
    if !status.success() {
        fail(&format!(
            "failed to compile the runner for {TARGET}. On a host of another architecture its core library must be \
             installed: rustup target add {TARGET}"
        ));
    }
}

/// `rust-lld` of the toolchain; distributions that package Rust may leave it out.
fn bundled_linker(rustc: &str) -> Option<PathBuf> {
    let host = env::var("HOST").expect("cargo sets HOST");
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    let linker = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    linker.exists().then_some(linker)
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1);
}
