//! Compiles `guest/` into a static, freestanding x86-64 ELF with the toolchain's own compiler and linker, whatever
//! the host is, so that a plain `cargo build` needs no assembler, linker script or extra tool. `guest_32/` is i386 code that
//! the same compiler makes for x86-64; it is linked to plain bytes, which become an i386 ELF here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Keep in step with `layout::RUNNER_BASE`; the guest checks it when it starts.
const RUNNER_BASE: &str = "0x70000000";

/// Names and sources of what is built: the runner without any library, and the one that takes system calls from libc.
const RUNNER: &str = "runner";
const LIBC_RUNNER: &str = "libc-runner";
/// Stands in for libc while [`LIBC_RUNNER`] is linked; the name is what the loader is told to look for.
const LIBC: &str = "libc.so.6";
/// Name of the runner of 32-bit programs, and the symbol where its code begins.
const RUNNER_32: &str = "runner-32";
const START_32: &str = "runner32";
/// What its code begins with: a jump over a word.
const MARK_32: &[u8] = b"\xeb\x06RUNNER";

#[path = "src/layout_32.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the guest and the host use the rest, which is public there"
)]
mod layout_32;

fn main() {
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=guest_32");
    println!("cargo::rerun-if-changed=src/layout.rs");
    println!("cargo::rerun-if-changed=src/layout_32.rs");
    println!("cargo::rerun-if-changed=build.rs");

    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let linker = bundled_linker(&rustc);
    let link = Link {
        rustc: &rustc,
        linker: linker.as_deref(),
        out: &out,
    };
    let base = |lld: &str, cc: &str| match link.linker {
        Some(_) => format!("{lld} --image-base={RUNNER_BASE}"),
        None => {
            format!("-nostdlib -nostartfiles {cc} -Wl,-Ttext-segment={RUNNER_BASE} -Wl,--build-id=none")
        }
    };
    link.build(
        "guest/main.rs",
        RUNNER,
        "bin",
        &[],
        &base("-static --no-pie", "-static -no-pie"),
    );
    let shared = match link.linker {
        Some(_) => format!("-soname={LIBC}"),
        None => format!("-nostdlib -nostartfiles -Wl,-soname,{LIBC}"),
    };
    link.build("guest/libc_stub.rs", LIBC, "cdylib", &[], &shared);
    let libc = out.join(LIBC);
    let libc = libc.display();
    let dynamic = base(
        &format!("{libc} --no-pie -z now --dynamic-linker=/lib64/ld-linux-x86-64.so.2"),
        &format!("{libc} -no-pie -Wl,-z,now"),
    );
    link.build("guest/main.rs", LIBC_RUNNER, "bin", &["--cfg", "libc"], &dynamic);
    // What GNU ld would put behind the code, on a page of its own, is nothing that anybody reads.
    let code = match link.linker {
        Some(_) => format!(
            "-static --no-pie --oformat=binary -Ttext={:#x} -e {START_32}",
            layout_32::BASE
        ),
        None => format!(
            "-nostdlib -nostartfiles -static -no-pie -Wl,--oformat=binary -Wl,-Ttext={:#x} -Wl,-e,{START_32} \
             -Wl,--build-id=none -Wl,-z,noseparate-code",
            layout_32::BASE
        ),
    };
    link.build("guest_32/main.rs", RUNNER_32, "bin", &[], &code);
    let place = out.join(RUNNER_32);
    let code = match fs::read(&place) {
        Ok(code) if !code.starts_with(MARK_32) => {
            fail("the linker has put something before the 32-bit runner's code")
        }
        Ok(code) if code.len() > layout_32::MAX_CODE_SIZE as usize => fail(&format!(
            "the linker has made {} bytes of the 32-bit runner, for which there are {}",
            code.len(),
            layout_32::MAX_CODE_SIZE
        )),
        Ok(code) => code,
        Err(error) => fail(&format!("failed to read the 32-bit runner: {error}")),
    };
    if let Err(error) = fs::write(&place, i386_program(&code)) {
        fail(&format!("failed to write the 32-bit runner: {error}"));
    }
}

/// A static i386 ELF of one segment that begins with `code`, where execution starts as well (System V ABI, chapter 4 and 5).
fn i386_program(code: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 52;
    const PROGRAM_HEADER: u32 = 32;
    /// Where the segment is in the file: as far into a page as in memory.
    const OFFSET: u32 = 0x1000;
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    // ET_EXEC, EM_386.
    half(&mut file, 2);
    half(&mut file, 3);
    // Version, entry, program headers, no section headers, no flags.
    for value in [1, layout_32::BASE, HEADER, 0, 0] {
        word(&mut file, value);
    }
    for value in [HEADER as u16, PROGRAM_HEADER as u16, 1, 0, 0, 0] {
        half(&mut file, value);
    }
    // PT_LOAD, readable, writable and executable.
    let size = code.len() as u32;
    for value in [
        1,
        OFFSET,
        layout_32::BASE,
        layout_32::BASE,
        size,
        layout_32::MEMORY_SIZE,
        7,
        0x1000,
    ] {
        word(&mut file, value);
    }
    file.resize(OFFSET as usize, 0);
    file.extend(code);
    file
}

/// The tools, and where what they make goes.
struct Link<'l> {
    rustc: &'l str,
    /// `rust-lld`, when the toolchain has it.
    linker: Option<&'l Path>,
    out: &'l Path,
}

impl Link<'_> {
    /// Compiles `source` and links it with `arguments`, which are those of the linker that there is.
    fn build(&self, source: &str, name: &str, kind: &str, more: &[&str], arguments: &str) {
        let mut command = Command::new(self.rustc);
        command
            .args([
                "--edition",
                "2024",
                "--crate-name",
                "runner",
                "--crate-type",
                kind,
            ])
            .args(["--target", TARGET, "-C", "panic=abort", "-C", "opt-level=3"])
            .args(["-C", "force-unwind-tables=no", "-C", "strip=symbols"])
            .args(["-C", "codegen-units=1"])
            .args(more);
        if kind == "bin" {
            command.args(["-C", "relocation-model=static"]);
        }
        if let Some(linker) = self.linker {
            command.arg("-C").arg(format!("linker={}", linker.display()));
            command.args(["-C", "linker-flavor=ld.lld"]);
        }
        command
            .arg("-C")
            .arg(format!("link-args={arguments}"))
            .arg("-o")
            .arg(self.out.join(name))
            .arg(source);
        let status = match command.status() {
            Ok(status) => status,
            Err(error) => fail(&format!("failed to start {}: {error}", self.rustc)),
        };
        if !status.success() {
            fail(&format!(
                "failed to compile the runner for {TARGET}. On a host of another architecture its core library must \
                 be installed: rustup target add {TARGET}"
            ));
        }
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
