//! What a release has, tried in a new root of Debian as a user would: archives are checked and unpacked, packages installed, and each
//! program does its work there. The root has nothing but what the README names.

use std::path::Path;
use std::process::Command;

use crate::dist::{Build, PROGRAMS};
use crate::fresh::{enter, make_root, remove_root};
use crate::{Failure, install, shell};

/// What the README tells users to have beside the programs: git for benchgate, an emulator for snippex.
const PACKAGES: &str = "ca-certificates,git,qemu-user";

/// Run in the root, in the folder with the files: `$1` is the version, `$2` the target.
const TRY: &str = r#"
set -eu
version=$1 target=$2
cd /dist
say() { printf '\n-- %s\n' "$*"; }

say checksums
sha256sum --check --quiet -- *.sha256

for name in snippex benchgate regressd; do
    say "$name from its archive"
    folder=$name-$version-$target
    tar --extract --file "$folder.tar.gz"
    for file in "$name" README.md LICENSE-MIT LICENSE-APACHE CHANGELOG.md "man/$name.1" "completions/$name.bash" "completions/_$name" "completions/$name.fish"; do
        test -s "$folder/$file" || { echo "$folder/$file is missing" >&2; exit 1; }
    done
    install "$folder/$name" /usr/local/bin/
    "$name" --version | grep -Fx "$name $version"
done

try() {
    say "snippex checks an emulator ($1)"
    ended=0
    snippex --database "/tmp/$1.db" check /bin/true -e qemu-x86_64 --count 40 || ended=$?
    [ "$ended" -le 1 ]
    snippex --database "/tmp/$1.db" bugs --format json > /tmp/bugs.json

    say "benchgate finds a slowdown and nothing else ($1)"
    rm -rf /tmp/project && mkdir /tmp/project && cd /tmp/project
    git init --quiet . && git config user.name x && git config user.email x@example.org && echo target > .gitignore
    bench() { printf '#!/bin/sh\necho "test parse ... bench: %s ns/iter (+/- 3)"\n' "$1" > bench.sh; chmod +x bench.sh; git add -A; git commit --quiet -m "$1"; }
    bench 1000; bench 1300
    ended=0; benchgate ab --base HEAD~1 --runs 5 -- ./bench.sh || ended=$?
    [ "$ended" = 1 ]
    benchgate ab --base HEAD --runs 5 -- ./bench.sh
    cd /dist

    say "regressd goes from an upload to a comment ($1)"
    regressd simulate --only go > /tmp/simulated
    grep -F 'makes parse/large a third slower' /tmp/simulated
    grep -F 'check run: failure' /tmp/simulated
}
try archives
rm /usr/local/bin/snippex /usr/local/bin/benchgate /usr/local/bin/regressd
hash -r

say packages
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends systemd man-db bash-completion ./*_"$version"_*.deb > /tmp/installed 2>&1 || { cat /tmp/installed; exit 1; }
for name in snippex benchgate regressd; do
    test "$(command -v "$name")" = "/usr/bin/$name"
    man --where "$name" > /dev/null
    test -s "/usr/share/bash-completion/completions/$name"
    test -s "/usr/share/doc/$name/copyright"
done
try packages

say 'the unit of regressd'
systemd-analyze verify regressd.service
systemd-analyze security --offline=true --threshold=15 /lib/systemd/system/regressd.service | tail -n 1
regressd --config /etc/regressd/regressd.toml config show | grep -F 'server.listen'

say 'removing'
apt-get purge --quiet=2 --yes snippex benchgate regressd > /dev/null
test ! -e /usr/bin/regressd
test ! -e /etc/regressd/regressd.toml
"#;

/// Makes the root and tries everything.
pub(crate) fn check(build: &Build, out: &Path, suite: &str) -> Result<(), Failure> {
    if !shell::is_root() {
        return Err("--check needs root, for debootstrap and for mounts".into());
    }
    if !build.target.starts_with(std::env::consts::ARCH) {
        return Err(format!(
            "--check runs the programs, and those of {} do not run here",
            build.target
        ));
    }
    install::install(install::FRESH)?;
    let root = make_root(suite, &format!("dist-{suite}"), PACKAGES)?;
    let ended = prepare(build, out, &root).and_then(|()| {
        let words = ["sh", "-c", TRY, "sh", &build.version, &build.target];
        enter(&root, &words.map(String::from))
    });
    remove_root(&root)?;
    ended
}

fn prepare(build: &Build, out: &Path, root: &Path) -> Result<(), Failure> {
    let folder = root.join("dist");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let architecture = if build.target.starts_with("x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    for name in PROGRAMS {
        let files = [
            format!("{name}-{}-{}.tar.gz", build.version, build.target),
            format!("{name}-{}-{}.cdx.json", build.version, build.target),
            format!("{name}_{}_{architecture}.deb", build.version),
        ];
        for file in files {
            shell::copy_files(out, &folder, &[&file, &format!("{file}.sha256")])?;
        }
    }
    // apt-get reads packages as a user of its own.
    shell::run(Command::new("chmod").args(["--recursive", "a+rX"]).arg(&folder))
}
