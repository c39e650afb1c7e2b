//! Images with wrong bytes in them: nothing may panic through, take all memory or go on for ever.
//!
//! `HOSTILE_IMAGES=100000 cargo test --release -p snippex-image --test hostile` is the long form.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        tar -C root -cf i.tar .; (cd root; find . | cpio -o -H newc) > i.cpio; (cd root; zip -q -y -r ../i.zip .); gzip -k i.tar; xz -k i.tar; \
        truncate -s 4M i.disk; sgdisk -n 1:2048:+1M i.disk >&2; dd if=i.ext4 of=i.disk bs=1M seek=1 conv=notrunc; \
        for f in qcow2 vmdk vdi vpc; do qemu-img convert -O $f i.disk i.$f; done; qemu-img convert -c -O qcow2 i.disk i.c.qcow2; \
        qemu-img convert -O vmdk -o subformat=streamOptimized i.disk i.s.vmdk";
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
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut images: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    images.sort();
    assert_eq!(images.len(), 22);
    images
}

/// Opens an image and reads all that it has.
fn read_all(path: &Path) {
    let Ok(image) = Image::open(path, LIMITS) else {
        return;
    };
    let files = image.list_files();
    for file in files.iter().take(100) {
        let _ = image.read_file(file);
    }
    let _ = image.find_programs(&files);
    let _ = image.list_systems();
}

#[test]
fn no_image_is_too_wrong() {
    let rounds: usize = std::env::var("HOSTILE_IMAGES").map_or(1500, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let sound: Vec<(PathBuf, Vec<u8>)> = sound_images(folder.path())
        .into_iter()
        .map(|path| {
            read_all(&path);
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    let mut numbers = Numbers(1);
    let target = folder.path().join("mutated");
    for round in 0..rounds {
        let (path, bytes) = &sound[round % sound.len()];
        let mut mutated = bytes.clone();
        // What says where things are lies at the beginning of most formats, and is seldom zero.
        let region = [512, 4096, 65_536, mutated.len()][numbers.below(4)].min(mutated.len());
        for _ in 0..=numbers.below(12) {
            let at = numbers.below(region);
            let length = (1 << numbers.below(4)).min(mutated.len() - at);
            let value = match numbers.below(4) {
                0 => u64::MAX,
                1 => 1 << numbers.below(64),
                2 => 0,
                _ => numbers.next(),
            };
            mutated[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
        }
        if numbers.below(8) == 0 {
            mutated.truncate(numbers.below(mutated.len()));
        }
        fs::write(&target, &mutated).unwrap();
        let ended = catch_unwind(|| read_all(&target));
        assert!(ended.is_ok(), "round {round}, made of {}", path.display());
    }
}
