//! A whole ARM64 machine without one: qemu-system-aarch64 with Debian's kernel and, in memory, a system of Debian's sshd, busybox and
//! box64, which is reached by ssh on a port of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::debian::DebianPackages;
use crate::install::{self, Need, need};
use crate::{Failure, shell};

const NEEDS: &[Need] = &[
    need(
        &["qemu-system-aarch64"],
        &["qemu-system-arm"],
        "is an ARM64 machine",
    ),
    need(&["cpio"], &["cpio"], "packs the system that it starts with"),
    need(&["xz"], &["xz-utils"], "unpacks modules of its kernel"),
    need(&["ssh"], &["openssh-client"], "reaches it"),
];

/// Modules that the network needs, in this order; all else is built into Debian's kernel.
const MODULES: [&str; 3] = [
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
];

/// The first program of the system.
const INIT: &str = "#!/usr/bin/busybox sh
/usr/bin/busybox --install -s /usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run/sshd
mount -t devpts pts /dev/pts
for name in failover net_failover virtio_net; do insmod /modules/$name.ko; done
ifconfig lo 127.0.0.1
ifconfig eth0 10.0.2.15
hostname guest
/usr/sbin/sshd -f /etc/ssh/guest_config
while :; do sleep 3600; done
";

const SSHD: &str = "HostKey /etc/ssh/host_key
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
PidFile none
";

/// Longest time until it answers: seconds where it has a processor for itself.
const PATIENCE: Duration = Duration::from_secs(300);

/// A machine that runs, until this is dropped.
pub(crate) struct Guest {
    machine: Child,
    /// Settings of ssh that know it as `guest`.
    pub(crate) ssh_config: PathBuf,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}

impl Guest {
    /// Starts one, with all that it is made of below `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        install::install(NEEDS)?;
        let folder = folder.join("guest");
        let system = System::prepare(&folder)?;
        let port = test_kit::free_port();
        let ssh_config = system.write_ssh_config(port)?;
        let console = folder.join("console.log");
        let mut command = Command::new("qemu-system-aarch64");
        command
            // Pointer authentication is what costs an emulator most.
            .args(["-M", "virt", "-cpu", "max,pauth=off", "-smp", "2", "-m", "1536"])
            .args([
                "-accel",
                "tcg,thread=multi",
                "-display",
                "none",
                "-monitor",
                "none",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(&system.kernel)
            .arg("-initrd")
            .arg(&system.initrd)
            .args(["-append", "console=ttyAMA0 quiet panic=-1"])
            .arg("-netdev")
            .arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"))
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .stdin(Stdio::null());
        println!("$ {}", shell::words(&command));
        let machine = command
            .spawn()
            .map_err(|error| format!("cannot start qemu-system-aarch64: {error}"))?;
        let guest = Self { machine, ssh_config };
        guest.wait(&console)?;
        Ok(guest)
    }

    fn wait(&self, console: &Path) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let mut ask = Command::new("ssh");
            ask.arg("-F").arg(&self.ssh_config).args([
                "-oBatchMode=yes",
                "-oConnectTimeout=10",
                "guest",
                "uname",
                "-rm",
            ]);
            match shell::capture(&mut ask) {
                Ok(said) => {
                    println!(
                        "the ARM64 machine is up after {:?}: {}",
                        started.elapsed(),
                        said.trim()
                    );
                    return Ok(());
                }
                Err(error) if started.elapsed() > PATIENCE => {
                    let said = fs::read_to_string(console).unwrap_or_default();
                    return Err(format!("the ARM64 machine does not come up: {error}\n{said}"));
                }
                Err(_) => thread::sleep(Duration::from_secs(1)),
            }
        }
    }
}

/// What a machine starts with.
struct System {
    folder: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
}

impl System {
    /// Fetches and packs it, unless that was done before.
    fn prepare(folder: &Path) -> Result<Self, Failure> {
        let system = Self {
            folder: folder.to_owned(),
            kernel: folder.join("vmlinuz"),
            initrd: folder.join("initrd"),
        };
        if !system.initrd.is_file() {
            let root = fetch(folder)?;
            system
                .make(&root)
                .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
            system.pack(&root)?;
        }
        Ok(system)
    }

    /// Turns unpacked packages into a system, and makes the keys of both sides.
    fn make(&self, root: &Path) -> std::io::Result<()> {
        let boot = root.join("boot");
        for entry in fs::read_dir(&boot)?.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with("vmlinuz") {
                fs::copy(entry.path(), &self.kernel)?;
            }
        }
        fs::create_dir_all(root.join("modules"))?;
        let versions = root.join("usr/lib/modules");
        for version in fs::read_dir(&versions)?.filter_map(Result::ok) {
            for module in MODULES {
                let from = version.path().join("kernel").join(format!("{module}.ko.xz"));
                let name = from.file_name().map(PathBuf::from).unwrap_or_default();
                fs::copy(&from, root.join("modules").join(name))?;
            }
        }
        // Modules, device trees and documents are most of it, and nobody needs them.
        for large in ["boot", "usr/lib/modules", "usr/share"] {
            fs::remove_dir_all(root.join(large))?;
        }
        for entry in fs::read_dir(root.join("usr/lib"))?.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with("linux-image") {
                fs::remove_dir_all(entry.path())?;
            }
        }
        for name in ["bin", "sbin", "lib"] {
            let link = root.join(name);
            if !link.exists() {
                std::os::unix::fs::symlink(format!("usr/{name}"), link)?;
            }
        }
        for name in [
            "proc",
            "sys",
            "dev",
            "run",
            "tmp",
            "var/tmp",
            "etc/ssh",
            "root/.ssh",
        ] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::write(root.join("init"), INIT)?;
        fs::write(root.join("etc/ssh/guest_config"), SSHD)?;
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:100::/run/sshd:/bin/false\n",
        )?;
        fs::write(root.join("etc/group"), "root:x:0:\nsshd:x:100:\n")
    }

    fn pack(&self, root: &Path) -> Result<(), Failure> {
        let modules = MODULES.map(|module| {
            let name = module.rsplit('/').next().unwrap_or(module);
            root.join("modules").join(format!("{name}.ko.xz"))
        });
        shell::run(Command::new("xz").args(["--decompress", "--force"]).args(modules))?;
        for (name, place) in [
            ("host_key", "etc/ssh/host_key"),
            ("user_key", "root/.ssh/authorized_keys"),
        ] {
            let key = self.folder.join(name);
            if !key.is_file() {
                shell::run(
                    Command::new("ssh-keygen")
                        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                        .arg(&key),
                )?;
            }
            let from = match name {
                "host_key" => key,
                _ => key.with_extension("pub"),
            };
            fs::copy(&from, root.join(place)).map_err(|error| format!("cannot copy {name}: {error}"))?;
        }
        shell::run(Command::new("chmod").arg("755").arg(root.join("init")))?;
        let pack = "find . | cpio -o -H newc -R 0:0 --quiet >\"$0.part\" && mv \"$0.part\" \"$0\"";
        shell::run(
            Command::new("sh")
                .args(["-c", pack])
                .arg(&self.initrd)
                .current_dir(root),
        )
    }

    /// Settings of ssh for the machine behind `port`, which has the key that was made for it.
    fn write_ssh_config(&self, port: u16) -> Result<PathBuf, Failure> {
        let failed = |error| format!("cannot write to {}: {error}", self.folder.display());
        let folder = self.folder.display();
        let key = fs::read_to_string(self.folder.join("host_key.pub")).map_err(failed)?;
        fs::write(
            self.folder.join("known_hosts"),
            format!("[127.0.0.1]:{port} {key}"),
        )
        .map_err(failed)?;
        let path = self.folder.join("ssh_config");
        let text = format!(
            "Host guest\n HostName 127.0.0.1\n Port {port}\n User root\n IdentityFile {folder}/user_key\n IdentityAgent none\n \
             IdentitiesOnly yes\n UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile /dev/null\n \
             StrictHostKeyChecking yes\n"
        );
        fs::write(&path, text).map_err(failed)?;
        Ok(path)
    }
}

/// Unpacked packages of Debian 13: kernel, shell, sshd and box64.
fn fetch(folder: &Path) -> Result<PathBuf, Failure> {
    let debian = DebianPackages::new(
        folder.parent().unwrap_or(folder),
        "guest",
        &["trixie"],
        &["arm64"],
    )?;
    let mut packages = Vec::new();
    for (package, prefixes) in [
        ("openssh-server:arm64", &["lib", "zlib1g"][..]),
        ("linux-image-arm64:arm64", &["linux-image-"]),
        ("box64:arm64", &["lib"]),
        ("busybox-static:arm64", &[]),
    ] {
        packages.extend(debian.list_dependencies(package, prefixes)?);
    }
    packages.sort();
    packages.dedup();
    debian.unpack_packages(&packages)
}
