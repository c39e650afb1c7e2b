//! Images with wrong bytes in them: nothing may panic through, take all memory or go on for ever.
//!
//! `HOSTILE_IMAGES=100000 cargo test --release -p snippex-image --test hostile -- --nocapture` is the long form, which says what the
//! slowest image took. `HOSTILE_FIRST=N HOSTILE_IMAGES=1` makes image N alone, since each has its own numbers, and two processes can
//! share the work. A form of its own takes the limits that users have: `HOSTILE_LIMITS=default`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use snippex_image::{Image, Limits};

/// Small, so that what leads in circles is soon over.
const LIMITS: Limits = Limits {
    entries: 20_000,
    file_size: 8 << 20,
    unpacked: 32 << 20,
    read: 64 << 20,
    depth: 8,
};

/// A generator of numbers that are the same each time (SplitMix64, Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Sound images of every kind, small.
fn sound_images(folder: &Path) -> Vec<PathBuf> {
    let command = "set -e; PATH=$PATH:/usr/sbin:/sbin; mkdir -p root/a/b; head -c 20000 /bin/ls > root/a/b/program; echo x > root/a/x; ln -s b root/a/link; \
        for i in $(seq 60); do echo $i > root/a/a-name-long-enough-to-fill-a-block-$i; done; \
        mke2fs -q -t ext4 -d root i.ext4 1M; mke2fs -q -t ext2 -d root i.ext2 1M; mke2fs -q -t ext4 -O inline_data -d root i.inline.ext4 1M; \
        mksquashfs root i.gzip.squashfs -quiet -no-progress >&2; mksquashfs root i.zstd.squashfs -comp zstd -quiet -no-progress >&2; \
        mkfs.erofs i.erofs root >&2; mkfs.erofs -zlz4 i.lz4.erofs root >&2; \
        truncate -s 1M i.fat; mkfs.vfat i.fat >&2; mcopy -s -i i.fat root/a/b root/a/x ::; \
        truncate -s 3M i.ntfs; mkntfs -q -F -f i.ntfs >&2; ntfscp -q i.ntfs root/a/x x; \
        xorriso -as mkisofs -quiet -R -J -o i.iso root; \
        printf '/dev/null\\n0 0\\nd--755 0 0\\nprogram ---755 0 0 root/a/b/program\\nx ---644 0 0 root/a/x\\nlink l--777 0 0 x\\n' > proto; \
        (echo 'a d--755 0 0'; for i in $(seq 60); do echo \"a-name-long-enough-to-fill-a-block-$i ---644 0 0 root/a/x\"; done; echo '$'; echo '$') >> proto; \
        truncate -s 16M i.xfs; TEST_DIR=/ TEST_DEV=/ QA_CHECK_FS=1 mkfs.xfs -q -f -p proto i.xfs; rm proto; \
        tar -C root -cf i.tar .; (cd root; find . | cpio -o -H newc) > i.cpio; (cd root; zip -q -y -r ../i.zip .); gzip -k i.tar; xz -k i.tar; \
        truncate -s 4M i.disk; sgdisk -n 1:2048:+1M i.disk >&2; dd if=i.ext4 of=i.disk bs=1M seek=1 conv=notrunc; \
        for f in qcow2 vmdk vdi vpc vhdx; do qemu-img convert -O $f i.disk i.$f; done; qemu-img convert -c -O qcow2 i.disk i.c.qcow2; \
        qemu-img convert -O vmdk -o subformat=streamOptimized i.disk i.s.vmdk; \
        truncate -s 5M i.mbr; printf 'label: dos\\nstart=2048,size=2048,type=83\\nstart=4096,size=6144,type=5\\nstart=6144,size=2048,type=83\\n' | sfdisk -q i.mbr; \
        dd if=i.ext2 of=i.mbr bs=1M seek=1 conv=notrunc; dd if=i.gzip.squashfs of=i.mbr bs=1M seek=3 conv=notrunc; \
        mkdir -p p/DEBIAN up/a; cp -a root/. p/; printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@y>\\nDescription: x\\n' > p/DEBIAN/control; \
        dpkg-deb -Zgzip --root-owner-group -b p i.deb >&2; dpkg-deb -Znone --root-owner-group -b p i.plain.deb >&2; \
        printf 'Name: x\\nVersion: 1\\nRelease: 1\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%%define _binaries_in_noarch_packages_terminate_build 0\\n%%description\\nx\\n%%install\\nmkdir -p %%{buildroot}\\ncp -a '$PWD'/root/. %%{buildroot}/\\n%%files\\n/*\\n' > spec; \
        rpmbuild -bb --define \"_topdir $PWD/rpm\" --define '__os_install_post %{nil}' --nocheck spec >&2; mv rpm/RPMS/*/*.rpm i.rpm; rm spec; \
        : > up/a/.wh.x; tar -C up -cf up.layer .; mkdir -p saved/a saved/b; cp i.tar saved/a/layer.tar; cp up.layer saved/b/layer.tar; \
        printf '[{\"Config\":\"c.json\",\"RepoTags\":[\"name/image:1\"],\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}]' > saved/manifest.json; \
        tar -C saved -cf i.docker.tar manifest.json a b; \
        mkdir -p oci/blobs/sha256; cp i.tar oci/blobs/sha256/aa; gzip -c up.layer > oci/blobs/sha256/bb; rm up.layer; \
        printf '{\"layers\":[{\"digest\":\"sha256:aa\"},{\"digest\":\"sha256:bb\"}]}' > oci/blobs/sha256/cc; \
        printf '{\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:cc\",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}]}' > oci/index.json; \
        printf '{\"imageLayoutVersion\":\"1.0.0\"}' > oci/oci-layout; tar -C oci -cf i.oci.tar oci-layout index.json blobs";
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}; cargo xtask install",
        String::from_utf8_lossy(&output.stderr)
    );
    let system = fs::read(folder.join("i.ext4")).unwrap();
    fs::write(folder.join("i.lvm"), logical_volumes(&system)).unwrap();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut images: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    images.sort();
    assert_eq!(images.len(), 31);
    images
}

/// A physical volume of LVM2 with one linear and one striped volume, both of which hold `system`; the tools for it need root.
fn logical_volumes(system: &[u8]) -> Vec<u8> {
    const TEXT: &str = r#"group {
  id = "group"
  extent_size = 8
  physical_volumes { pv0 { id = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa" pe_start = 2048 } }
  logical_volumes {
    linear { segment1 { start_extent = 0 extent_count = 256 type = "striped" stripe_count = 1 stripes = ["pv0", 0] } }
    striped { segment1 { start_extent = 0 extent_count = 256 type = "striped" stripe_count = 2 stripe_size = 8 stripes = ["pv0", 0, "pv0", 0] } }
  }
}"#;
    let mut disk = vec![0; (1 << 20) + system.len()];
    let mut put = |at: usize, bytes: &[u8]| disk[at..at + bytes.len()].copy_from_slice(bytes);
    put(512, b"LABELONE");
    put(520, &1u64.to_le_bytes());
    put(532, &32u32.to_le_bytes());
    put(536, b"LVM2 001");
    put(544, &[b'a'; 32]);
    put(576, &((1u64 << 20) + system.len() as u64).to_le_bytes());
    put(584, &(1u64 << 20).to_le_bytes());
    // Behind the list of data, which a pair of zeros ends, the place of the metadata.
    put(616, &4096u64.to_le_bytes());
    put(624, &((1u64 << 20) - 4096).to_le_bytes());
    put(4100, b" LVM2 x[5A%r0N*>");
    put(4136, &512u64.to_le_bytes());
    put(4144, &(TEXT.len() as u64).to_le_bytes());
    put(4608, TEXT.as_bytes());
    put(1 << 20, system);
    disk
}

/// Opens an image and reads all that it has; how many files that were.
fn read_all(path: &Path, limits: Limits) -> usize {
    let Ok(image) = Image::open(path, limits) else {
        return 0;
    };
    let files = image.list_files();
    for file in files.iter().take(100) {
        let _ = image.read_file(file);
    }
    let _ = image.find_programs(&files);
    let _ = image.list_systems();
    files.len()
}

/// Makes some of the bytes of an image wrong.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    // What says where things are lies at the beginning of most formats, and is seldom zero.
    let region = [512, 4096, 65_536, bytes.len()][numbers.below(4)].min(bytes.len());
    for _ in 0..=numbers.below(12) {
        let at = numbers.below(region);
        let length = (1 << numbers.below(4)).min(bytes.len() - at);
        let value = match numbers.below(6) {
            0 => u64::MAX,
            1 => 1 << numbers.below(64),
            2 => 0,
            3 => numbers.below(70) as u64,
            4 => (numbers.below(70) as u64).to_be() >> (64 - 8 * length.min(8)),
            _ => numbers.next(),
        };
        match numbers.below(8) {
            // What leads to itself or to another of its kind.
            0 => {
                let length = (4 << numbers.below(8)).min(region);
                let from = numbers.below(region - length + 1);
                let to = numbers.below(region - length + 1);
                bytes.copy_within(from..from + length, to);
            }
            // Numbers that are written as text.
            1 => {
                let digits = bytes[at..].iter().position(u8::is_ascii_digit);
                let digits = digits.map_or(at, |digits| at + digits);
                let digits = bytes[digits..]
                    .iter_mut()
                    .take_while(|byte| byte.is_ascii_digit());
                let digit = b'0' + (value % 10) as u8;
                digits.take(16).for_each(|byte| *byte = digit);
            }
            _ => bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]),
        }
    }
    if numbers.below(8) == 0 {
        bytes.truncate(numbers.below(bytes.len()));
    }
}

/// Bytes of memory that this process has had at most.
fn highest_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Names the image that is being read while it takes long: one that goes on for ever would never be named.
fn tell_of_slow_images(round: &Arc<AtomicUsize>) {
    let round = Arc::clone(round);
    std::thread::spawn(move || {
        let mut last = usize::MAX;
        loop {
            std::thread::sleep(Duration::from_secs(30));
            let now = round.load(Ordering::Relaxed);
            if now == last {
                eprintln!("image {now} takes more than 30 s");
            }
            last = now;
        }
    });
}

#[test]
fn no_image_is_too_wrong() {
    const MOST_MEMORY: u64 = 512 << 20;
    let number =
        |name: &str, default: usize| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = number("HOSTILE_FIRST", 0);
    let rounds = first..first + number("HOSTILE_IMAGES", 1500);
    let limits = match std::env::var("HOSTILE_LIMITS") {
        Ok(name) if name == "default" => Limits::default(),
        _ => LIMITS,
    };
    let folder = tempfile::tempdir().unwrap();
    let sound: Vec<(PathBuf, Vec<u8>)> = sound_images(folder.path())
        .into_iter()
        .map(|path| {
            assert!(read_all(&path, limits) > 0, "{}", path.display());
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    let target = folder.path().join("mutated");
    let now = Arc::new(AtomicUsize::new(first));
    tell_of_slow_images(&now);
    let (mut with_files, mut slowest) = (0, (Duration::ZERO, first));
    for round in rounds.clone() {
        now.store(round, Ordering::Relaxed);
        let mut numbers = Numbers(round as u64);
        let (path, bytes) = &sound[round % sound.len()];
        let mut mutated = bytes.clone();
        mutate(&mut mutated, &mut numbers);
        fs::write(&target, &mutated).unwrap();
        let started = Instant::now();
        let ended = catch_unwind(|| read_all(&target, limits));
        let Ok(files) = ended else {
            panic!("image {round}, made of {}", path.display());
        };
        with_files += usize::from(files > 0);
        slowest = slowest.max((started.elapsed(), round));
        let memory = highest_memory();
        assert!(
            memory <= MOST_MEMORY,
            "image {round}, made of {}: {memory} bytes of memory",
            path.display()
        );
    }
    println!(
        "{} images, {with_files} of them with files; the slowest, {}, took {:?}; {} MiB of memory at most",
        rounds.len(),
        slowest.1,
        slowest.0,
        highest_memory() >> 20
    );
}
