//! Opens reports as their readers do: in Chromium at two sizes, light and dark, with what axe-core finds; diagrams in Mermaid; and
//! PDF files in the programs that others read them with.

use std::path::Path;
use std::process::Command;

use crate::{Failure, shell};

/// What node is given, below this crate.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "check_reports.mjs"];
/// What one of the made-up bugs is called, and has to be found in the text of a PDF.
const TITLE: &str = "flags after a shift by 0 are not kept (0)";

/// Makes reports and checks them.
pub(crate) fn check() -> Result<(), Failure> {
    let samples = shell::target().join("xtask-tools/reports");
    shell::run(&mut shell::cargo([
        "build",
        "--locked",
        "--workspace",
        "--all-features",
        "--examples",
    ]))?;
    let maker = shell::target().join("debug/examples/report_samples");
    shell::run(Command::new(maker).arg(&samples))?;
    check_pages(&samples)?;
    for name in ["empty", "small", "large"] {
        check_pdf(&samples.join(format!("{name}.pdf")), name != "empty")?;
    }
    check_sizes(&samples)
}

fn check_pages(samples: &Path) -> Result<(), Failure> {
    let folder = shell::target().join("xtask-tools/browser");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for name in FILES {
        let from = shell::root().join("xtask/browser").join(name);
        std::fs::copy(&from, folder.join(name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    shell::install_node_packages(&folder)?;
    let names = ["chromium", "chromium-browser"];
    let chromium = names.iter().find_map(|name| shell::find(name));
    let chromium = chromium.ok_or("no Chromium is installed: cargo xtask install")?;
    let mut node = Command::new("node");
    node.current_dir(&folder)
        .arg("check_reports.mjs")
        .arg(samples)
        .arg(chromium);
    if let Some(pictures) = std::env::var_os("REPORT_PICTURES") {
        node.arg(pictures);
    }
    shell::run(&mut node)
}

fn check_pdf(file: &Path, has_bugs: bool) -> Result<(), Failure> {
    shell::run(Command::new("qpdf").arg("--check").arg(file))?;
    let fonts = shell::capture(Command::new("pdffonts").arg(file))?;
    // The columns emb, sub and uni, in front of the object's two numbers.
    let whole = |line: &str| {
        line.split_whitespace()
            .rev()
            .skip(2)
            .take(3)
            .all(|word| word == "yes")
    };
    if !fonts.lines().skip(2).all(whole) {
        return Err(format!(
            "{}: a font is not in the file, or its text cannot be read:\n{fonts}",
            file.display()
        ));
    }
    let text = shell::capture(Command::new("pdftotext").arg(file).arg("-"))?;
    if has_bugs && !text.contains(TITLE) {
        return Err(format!("{}: {TITLE:?} is not in its text", file.display()));
    }
    Ok(())
}

/// A page with 10,000 findings is to be sent and opened on a phone.
fn check_sizes(samples: &Path) -> Result<(), Failure> {
    const MOST: u64 = 2_500_000;
    let file = samples.join("large.html");
    let size = std::fs::metadata(&file)
        .map_err(|error| format!("{}: {error}", file.display()))?
        .len();
    if size > MOST {
        return Err(format!("{} has {size} bytes, more than {MOST}", file.display()));
    }
    Ok(())
}
