//! Images made by the tools that people make them with: every file has to be what went in.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use snippex_image::{Image, ImageError, ImageFile, Layer, Limits, ProgramKind};

/// Contents by path.
type Contents = BTreeMap<String, Vec<u8>>;

struct Tree {
    folder: tempfile::TempDir,
    contents: Contents,
}

impl Tree {
    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

/// A small root file system, made once.
fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for path in ["usr/bin", "usr/lib", "etc", "deep/a/b/c/d/e/f/g/h/i/j"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let put = |path: &str, contents: &[u8]| fs::write(root.join(path), contents).unwrap();
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        // Neither a multiple of a block nor small enough to lie in an inode, and not to be compressed.
        put("usr/bin/program", &program[..program.len().min(700_001)]);
        fs::set_permissions(root.join("usr/bin/program"), fs::Permissions::from_mode(0o755)).unwrap();
        put("usr/lib/zeros", &vec![0; 200_000]);
        put("usr/lib/empty", b"");
        put("usr/lib/tiny", b"x");
        put("usr/lib/short", &[7; 100]);
        put("etc/os-release", b"ID=test\nPRETTY_NAME=\"A system 1\"\n");
        put("deep/a/b/c/d/e/f/g/h/i/j/file", b"deep");
        for index in 0..300 {
            put(
                &format!("usr/lib/a-name-that-is-long-enough-for-folders-of-several-blocks-{index}"),
                &[index as u8; 37],
            );
        }
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("program", root.join("usr/bin/other")).unwrap();
        let mut contents = Contents::new();
        add_folder(&root, "", &mut contents);
        Tree { folder, contents }
    })
}

fn add_folder(folder: &Path, path: &str, contents: &mut Contents) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            add_folder(&entry.path(), &path, contents);
        } else if kind.is_file() {
            contents.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

/// Runs a tool, which has to be there: `cargo xtask install` brings it.
fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let output = Command::new(program).args(arguments).env("PATH", path).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; cargo xtask install"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn shell(command: &str, folder: &Path) {
    run(
        "sh",
        ["-c", &format!("set -e; cd '{}'; {command}", folder.display())],
    );
}

fn open(path: &Path) -> Image {
    Image::open(path, Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every regular file by its path in its file system.
fn contents(image: &Image) -> Contents {
    assert_eq!(image.layer().all_problems(), Vec::<String>::new());
    let read = |file: ImageFile| (file.path.clone(), image.read_file(&file).unwrap());
    image.list_files().into_iter().map(read).collect()
}

fn assert_holds_tree(path: &Path) {
    let mut found = contents(&open(path));
    found.retain(|path, _| path != "/lost+found");
    let expected = &tree().contents;
    let names = |contents: &Contents| contents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{}", path.display());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{}: {name} differs", path.display());
    }
}

/// Makes an image of the tree by a command that knows `$ROOT` and `$OUT`, and looks at what is in it.
fn check_made_by(command: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("image");
    let command = format!(
        "ROOT='{}' OUT='{}'; {command}",
        tree().root().display(),
        out.display()
    );
    shell(&command, folder.path());
    assert_holds_tree(&out);
    (folder, out)
}

#[test]
fn ext_file_systems() {
    for kind in ["ext4", "ext4 -b 1024", "ext4 -b 4096"] {
        check_made_by(&format!("mke2fs -q -t {kind} -d \"$ROOT\" \"$OUT\" 64M"));
    }
    // Without extents, with holes for which a whole block of pointers is missing.
    for kind in [
        "ext2",
        "ext3",
        "ext4 -O ^extents,^64bit",
        "ext2 -b 1024",
        "ext2 -b 4096",
    ] {
        check_made_by(&format!("mke2fs -q -t {kind} -d \"$ROOT\" \"$OUT\" 64M"));
    }
}

#[test]
fn ext_file_systems_with_contents_in_inodes_and_with_small_ones() {
    for kind in [
        "ext4 -I 128",
        "ext4 -I 128 -b 1024",
        "ext3 -I 128",
        "ext2 -I 128",
        "ext4 -O inline_data",
        "ext4 -O inline_data -I 1024 -b 1024",
        "ext4 -O inline_data,^metadata_csum,^64bit -I 512",
    ] {
        check_made_by(&format!("mke2fs -q -t {kind} -d \"$ROOT\" \"$OUT\" 64M"));
    }
}

#[test]
fn squashfs_of_every_compression_but_one() {
    for compression in ["gzip", "xz", "zstd", "lz4"] {
        check_made_by(&format!(
            "mksquashfs \"$ROOT\" \"$OUT\" -quiet -no-progress -comp {compression} >&2"
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("image");
    let root = tree().root();
    run(
        "mksquashfs",
        [
            root.as_os_str(),
            out.as_os_str(),
            "-quiet".as_ref(),
            "-comp".as_ref(),
            "lzo".as_ref(),
        ],
    );
    let refused = Image::open(&out, Limits::default()).unwrap_err();
    assert!(refused.to_string().to_lowercase().contains("lzo"), "{refused}");
}

#[test]
fn erofs_plain_and_compressed() {
    for options in ["", "-zlz4", "-zlz4hc -C65536", "-Eztailpacking -zlz4"] {
        check_made_by(&format!("mkfs.erofs {options} \"$OUT\" \"$ROOT\" >&2"));
    }
}

/// A prototype file, which is how xfs is filled without mounting it.
fn xfs_prototype(folder: &Path, lines: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            lines.push(format!(
                "{name} l--777 0 0 {}",
                fs::read_link(entry.path()).unwrap().display()
            ));
        } else if kind.is_dir() {
            lines.push(format!("{name} d--755 0 0"));
            xfs_prototype(&entry.path(), lines);
            lines.push("$".to_owned());
        } else {
            lines.push(format!("{name} ---755 0 0 {}", entry.path().display()));
        }
    }
}

#[test]
fn xfs_of_both_versions() {
    let mut lines = ["/dev/null", "0 0", "d--755 0 0"].map(str::to_owned).to_vec();
    xfs_prototype(&tree().root(), &mut lines);
    lines.push("$\n".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let prototype = folder.path().join("prototype");
    fs::write(&prototype, lines.join("\n")).unwrap();
    for options in [
        "",
        "-b size=1024",
        "-m crc=0,finobt=0 -n ftype=0",
        "-n size=16384",
    ] {
        let prototype = prototype.display();
        check_made_by(&format!(
            "truncate -s 320M \"$OUT\"; mkfs.xfs -q -f {options} -p '{prototype}' \"$OUT\""
        ));
    }
}

#[test]
fn fat_and_ntfs() {
    let folder = tempfile::tempdir().unwrap();
    for bits in ["16", "32"] {
        let image = folder.path().join(format!("fat{bits}"));
        let command = format!(
            "truncate -s 64M fat{bits}; mkfs.vfat -F {bits} fat{bits} >&2; mcopy -s -i fat{bits} '{root}/usr' '{root}/etc' '{root}/deep' ::",
            root = tree().root().display()
        );
        // A FAT has no links.
        shell(&format!("{command} || true"), folder.path());
        let mut found = contents(&open(&image));
        found.retain(|path, _| !path.ends_with("/other"));
        assert!(found == tree().contents, "FAT {bits}");
    }
    let image = folder.path().join("ntfs");
    shell("truncate -s 64M ntfs; mkntfs -q -F -f ntfs >&2", folder.path());
    let names = ["usr/bin/program", "usr/lib/zeros", "usr/lib/tiny"];
    for name in names {
        let source = tree().root().join(name);
        let target = Path::new(name).file_name().unwrap();
        run(
            "ntfscp",
            [OsStr::new("-q"), image.as_os_str(), source.as_os_str(), target],
        );
    }
    let found = contents(&open(&image));
    let expected: Contents = names
        .iter()
        .map(|name| {
            (
                format!("/{}", name.rsplit('/').next().unwrap()),
                tree().contents[&format!("/{name}")].clone(),
            )
        })
        .collect();
    assert!(found == expected, "{:?}", found.keys());
}

#[test]
fn iso_images_with_rock_ridge_and_with_joliet() {
    let (_folder, image) = check_made_by("xorriso -as mkisofs -quiet -R -J -o \"$OUT\" \"$ROOT\"");
    // Links are Rock Ridge's.
    assert_eq!(
        open(&image).find_files("/bin/other").unwrap()[0].path,
        "/usr/bin/program"
    );
    let folder = tempfile::tempdir().unwrap();
    let root = tree().root();
    shell(
        &format!(
            "xorriso -as mkisofs -quiet --norock -J -joliet-long -o image '{}'",
            root.display()
        ),
        folder.path(),
    );
    let found = contents(&open(&folder.path().join("image")));
    assert!(found["/usr/bin/program"] == tree().contents["/usr/bin/program"]);
}

#[test]
fn archives_and_their_compressions() {
    for compress in ["cat", "gzip", "xz", "zstd -q", "bzip2"] {
        check_made_by(&format!("tar -C \"$ROOT\" -c . | {compress} > \"$OUT\""));
        check_made_by(&format!(
            "(cd \"$ROOT\" && find . -print0 | cpio -0 -o -H newc) | {compress} > \"$OUT\""
        ));
    }
    check_made_by("tar -C \"$ROOT\" -S -cf \"$OUT\" .");
    check_made_by("(cd \"$ROOT\" && zip -q -y -r \"$OUT.zip\" .); mv \"$OUT.zip\" \"$OUT\"");
    let control = "mkdir -p p/DEBIAN; cp -a \"$ROOT\"/. p/; \
                   printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@y>\\nDescription: x\\n' > p/DEBIAN/control";
    for compression in ["xz", "zstd", "gzip"] {
        check_made_by(&format!(
            "rm -rf p; {control}; dpkg-deb -Z{compression} --root-owner-group -b p out.deb >&2; mv out.deb \"$OUT\""
        ));
    }
    let spec = "Name: x\\nVersion: 1\\nRelease: 1\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%define _build_id_links none\\n%define _binaries_in_noarch_packages_terminate_build 0\\n%description\\nx\\n\
                %install\\nmkdir -p %{buildroot}\\ncp -a '$ROOT'/. %{buildroot}/\\n%files\\n/*\\n";
    check_made_by(&format!(
        "printf '%s' \"{spec}\" | sed 's/\\\\n/\\n/g' > x.spec; \
         rpmbuild -bb --define \"_topdir $PWD/rpm\" --define '__os_install_post %{{nil}}' --nocheck x.spec >&2; mv rpm/RPMS/*/*.rpm \"$OUT\""
    ));
}

#[test]
fn an_initramfs_is_several_archives_over_each_other() {
    let (_folder, image) = check_made_by("(cd \"$ROOT\" && find . -print0 | cpio -0 -o -H newc) > \"$OUT\"");
    let folder = tempfile::tempdir().unwrap();
    let combined = folder.path().join("image");
    let command = format!(
        "mkdir early; echo old > early/tiny-new; (cd early && echo tiny-new | cpio -o -H newc) > '{out}'; \
         gzip -c '{image}' >> '{out}'",
        out = combined.display(),
        image = image.display()
    );
    shell(&command, folder.path());
    let found = contents(&open(&combined));
    assert_eq!(found.len(), tree().contents.len() + 1);
    assert_eq!(found["/tiny-new"], b"old\n");
}

/// A disk with a table and two file systems, as a raw image.
fn raw_disk(folder: &Path) -> PathBuf {
    let root = tree().root();
    let command = format!(
        "mke2fs -q -t ext4 -d '{root}' ext4 64M; mksquashfs '{root}' squashfs -quiet -no-progress >&2; \
         truncate -s 160M disk; sgdisk -n 1:2048:+64M -n 3:0:+30M disk >&2; \
         dd if=ext4 of=disk bs=1M seek=1 conv=notrunc,sparse; dd if=squashfs of=disk bs=1M seek=65 conv=notrunc,sparse",
        root = root.display()
    );
    shell(&command, folder);
    folder.join("disk")
}

#[test]
fn containers_of_disks() {
    let folder = tempfile::tempdir().unwrap();
    let raw = raw_disk(folder.path());
    assert_holds_tree(&raw);
    let formats = [
        ("qcow2", ""),
        ("qcow2", "-c"),
        ("qcow2", "-c -o compression_type=zstd"),
        ("qcow2", "-o compat=0.10"),
        ("qcow2", "-o extended_l2=on,cluster_size=128k"),
        ("qcow2", "-o cluster_size=512"),
        ("vmdk", ""),
        ("vmdk", "-o subformat=streamOptimized"),
        ("vmdk", "-o subformat=monolithicFlat"),
        ("vmdk", "-o subformat=twoGbMaxExtentSparse"),
        ("vdi", ""),
        ("vdi", "-o static=on"),
        ("vpc", ""),
        ("vpc", "-o subformat=fixed"),
        ("vhdx", ""),
    ];
    for (format, options) in formats {
        shell(
            &format!("rm -f out*; qemu-img convert -O {format} {options} disk out"),
            folder.path(),
        );
        let image = folder.path().join("out");
        assert_holds_tree(&image);
        let volumes: Vec<String> = open(&image)
            .list_files()
            .into_iter()
            .map(|file| file.volume)
            .collect();
        let of = |volume: &str| volumes.iter().filter(|name| *name == volume).count();
        assert_eq!(
            (of("p1"), of("p3")),
            (tree().contents.len(), tree().contents.len()),
            "{format} {options}"
        );
    }
}

#[test]
fn an_overlay_reads_what_lies_beside_it_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    raw_disk(folder.path());
    shell(
        "qemu-img convert -O qcow2 disk base; qemu-img create -q -f qcow2 -b base -F qcow2 over; \
         qemu-img create -q -f qcow2 -b over -F qcow2 top; qemu-img create -q -f qcow2 -b disk -F raw raw-below; \
         mkdir inner; qemu-img create -q -f qcow2 -b ../base -F qcow2 inner/outside; \
         qemu-img create -q -f qcow2 -u -b round -F qcow2 circle 160M; qemu-img create -q -f qcow2 -u -b circle -F qcow2 round 160M",
        folder.path(),
    );
    for name in ["top", "raw-below"] {
        assert_holds_tree(&folder.path().join(name));
    }
    let refused = |name: &str| match Image::open(&folder.path().join(name), Limits::default()) {
        Err(error @ ImageError::Unsupported { .. }) => error.to_string(),
        other => panic!("{name}: {other:?}"),
    };
    assert!(refused("inner/outside").contains("another folder"));
    assert!(refused("circle").contains("below each other"));
    // A guest that writes a header on its raw disk gets nothing of the machine that reads it.
    shell(
        "qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw hostile 160M; dd if=hostile of=disk conv=notrunc bs=64k count=1",
        folder.path(),
    );
    let image = open(&folder.path().join("raw-below"));
    let told = image.layer().all_problems();
    assert!(told[0].contains("/etc/passwd"), "{told:?}");
    assert_eq!(image.list_files(), []);
}

#[test]
fn partitions_of_a_master_boot_record() {
    let folder = tempfile::tempdir().unwrap();
    let root = tree().root();
    let command = format!(
        "mke2fs -q -t ext4 -d '{root}' ext4 64M; mksquashfs '{root}' squashfs -quiet -no-progress >&2; truncate -s 160M disk; \
         printf 'label: dos\\nstart=2048,size=131072,type=83\\nstart=147456,type=5\\nstart=149504,size=60000,type=83\\n' | sfdisk -q disk; \
         dd if=ext4 of=disk bs=512 seek=2048 conv=notrunc,sparse; dd if=squashfs of=disk bs=512 seek=149504 conv=notrunc",
        root = root.display()
    );
    shell(&command, folder.path());
    let image = open(&folder.path().join("disk"));
    let names: Vec<&str> = image
        .layer()
        .inner
        .iter()
        .map(|layer: &Layer| layer.name.as_str())
        .collect();
    assert_eq!(names, ["p1", "p5"]);
    assert_holds_tree(&folder.path().join("disk"));
}

/// An image of two layers, the second of which takes things away, in the form of `docker save` and of the OCI.
#[test]
fn containers_with_layers_that_take_away() {
    let folder = tempfile::tempdir().unwrap();
    let root = tree().root();
    let command = format!(
        "tar -C '{root}' -cf lower.tar .; mkdir -p upper/usr/lib upper/etc; : > upper/usr/lib/.wh.tiny; : > upper/etc/.wh..wh..opq; \
         echo new > upper/etc/new; tar -C upper -cf upper.tar .; \
         mkdir -p saved/a saved/b; cp lower.tar saved/a/layer.tar; cp upper.tar saved/b/layer.tar; \
         printf '[{{\"Config\":\"c.json\",\"RepoTags\":[\"name/image:1\"],\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}}]' > saved/manifest.json; \
         tar -C saved -cf saved.tar .; \
         mkdir -p oci/blobs/sha256; gzip -c lower.tar > oci/blobs/sha256/aa; zstd -q -c upper.tar > oci/blobs/sha256/bb; \
         printf '{{\"layers\":[{{\"digest\":\"sha256:aa\"}},{{\"digest\":\"sha256:bb\"}}]}}' > oci/blobs/sha256/cc; \
         printf '{{\"manifests\":[{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:cc\",\"platform\":{{\"architecture\":\"amd64\",\"os\":\"linux\"}}}}]}}' > oci/index.json; \
         printf '{{\"imageLayoutVersion\":\"1.0.0\"}}' > oci/oci-layout; tar -C oci -cf oci.tar .",
        root = root.display()
    );
    shell(&command, folder.path());
    let mut expected = tree().contents.clone();
    expected.remove("/usr/lib/tiny");
    expected.remove("/etc/os-release");
    expected.insert("/etc/new".to_owned(), b"new\n".to_vec());
    for (name, volume) in [
        ("saved.tar", "name-image:1"),
        ("oci.tar", "linux-amd64"),
        ("oci", "linux-amd64"),
    ] {
        let image = open(&folder.path().join(name));
        assert!(contents(&image) == expected, "{name}");
        assert!(
            image.list_files().iter().all(|file| file.volume == volume),
            "{name}"
        );
    }
}

#[test]
fn files_are_found_by_patterns_and_through_links() {
    let (_folder, path) = check_made_by("mksquashfs \"$ROOT\" \"$OUT\" -quiet -no-progress >&2");
    let image = open(&path);
    let paths = |pattern: &str| -> Vec<String> {
        image
            .find_files(pattern)
            .unwrap()
            .into_iter()
            .map(|file| file.full_path())
            .collect()
    };
    assert_eq!(paths("/usr/bin/*"), ["/usr/bin/program"]);
    assert_eq!(paths("bin/other"), ["/usr/bin/program"]);
    assert_eq!(paths("/bin/*"), ["/usr/bin/program"]);
    assert_eq!(paths("/deep/**/fil?"), ["/deep/a/b/c/d/e/f/g/h/i/j/file"]);
    assert_eq!(paths("/*"), Vec::<String>::new());
    assert_eq!(paths("/nothing"), Vec::<String>::new());
    let system = &image.list_systems()[0];
    assert_eq!((system.name.as_str(), system.packages.len()), ("A system 1", 0));
    let (programs, problems) = image.find_programs(&image.list_files());
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(programs.len(), 1);
    assert_eq!(programs[0].kind.format, "elf");
    assert_eq!(
        ProgramKind::from_head(&image.read_head(&programs[0].file, 64).unwrap()),
        Some(programs[0].kind)
    );
}

#[test]
fn what_is_no_image_is_refused_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    fs::File::create(&large).unwrap().set_len(1 << 42).unwrap();
    let refused = |path: &Path| Image::open(path, Limits::default()).unwrap_err().to_string();
    assert!(refused(&large).contains("begins with zeros"));
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    assert!(refused(&script).contains("a script"));
    assert!(refused(&std::env::current_exe().unwrap()).contains("a program"));
    // Whose path it is, is said by who named it.
    assert!(refused(Path::new("/nowhere")).starts_with("it cannot be opened: "));
}

#[test]
fn a_disk_of_a_terabyte_with_a_table_works() {
    let folder = tempfile::tempdir().unwrap();
    let root = tree().root();
    let command = format!(
        "truncate -s 1T disk; sgdisk -n 1:2048:+64M disk >&2; mke2fs -q -t ext4 -d '{}' ext4 64M; dd if=ext4 of=disk bs=1M seek=1 conv=notrunc,sparse",
        root.display()
    );
    shell(&command, folder.path());
    assert_holds_tree(&folder.path().join("disk"));
}

#[test]
fn limits_hold() {
    let (_folder, path) = check_made_by("tar -C \"$ROOT\" -c . | gzip > \"$OUT\"");
    let within = |limits: Limits| Image::open(&path, limits).map(|image| image.list_files().len());
    let few = Limits {
        unpacked: 100_000,
        ..Limits::default()
    };
    assert!(
        matches!(within(few), Err(ImageError::Limit { limit: 100_000, .. })),
        "{:?}",
        within(few)
    );
    let image = Image::open(
        &path,
        Limits {
            file_size: 100,
            ..Limits::default()
        },
    )
    .unwrap();
    let file = &image.find_files("/usr/bin/program").unwrap()[0];
    assert!(matches!(
        image.read_file(file),
        Err(ImageError::Limit { limit: 100, .. })
    ));
}
