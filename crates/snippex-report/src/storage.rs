//! The storage of an image as a diagram: what lies in what.

use std::collections::BTreeMap;

use cli_kit::units;
use report_kit::escape::code_block;

use crate::format_count;
use crate::mermaid::mermaid_label;
use crate::report::ProgramFigures;

/// A layer of an image: a container, a partition, a file system, an archive.
#[derive(Clone, Debug, Default)]
pub struct StorageLayer {
    /// Name of a partition or a volume; else empty.
    pub name: String,
    /// What it is.
    pub format: String,
    /// Bytes.
    pub size: u64,
    /// Files in it, where it holds any.
    pub files: Option<u64>,
    /// What is in it.
    pub inner: Vec<StorageLayer>,
}

/// What GitHub draws, at most.
const MAX_TEXT: usize = 5000;

/// The layers of an image as a Mermaid flowchart in a code block of Markdown.
#[must_use]
pub fn storage_diagram(image: &str, layer: &StorageLayer) -> String {
    let mut diagram = Diagram::default();
    let outermost = diagram.add_box(file_name(image), None);
    diagram.add_layer(layer, outermost);
    diagram.finish("layers") + "\n"
}

/// In which folders of which images the programs of a report are, as a Mermaid flowchart in a code block of Markdown; empty
/// without an image.
pub(crate) fn programs_diagram(programs: &[ProgramFigures]) -> String {
    let mut images: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for place in programs.iter().flat_map(|program| &program.places) {
        // Two slashes are where an image ends.
        if let Some((image, inside)) = place.split_once("//") {
            let folder = inside.rsplit_once('/').map_or("", |(folder, _)| folder);
            *images.entry(image).or_default().entry(folder).or_default() += 1;
        }
    }
    if images.is_empty() {
        return String::new();
    }
    let mut diagram = Diagram::default();
    for (image, folders) in images {
        if !diagram.has_room() {
            diagram.left_out += folders.len();
            continue;
        }
        let above = diagram.add_box(file_name(image), None);
        for (folder, count) in folders {
            if diagram.has_room() {
                let label = format!("/{folder}, {}", format_count(count, "program"));
                diagram.add_box(&label, Some(above));
            } else {
                diagram.left_out += 1;
            }
        }
    }
    diagram.finish("folders")
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A flowchart that is drawn from above.
#[derive(Default)]
struct Diagram {
    text: String,
    boxes: usize,
    left_out: usize,
}

impl Diagram {
    /// Whether one more box, and the line about what is left out, keep it small enough to be drawn.
    fn has_room(&self) -> bool {
        /// A label, an arrow, and the last line.
        const LONGEST_LINE: usize = 200;
        self.text.len() + LONGEST_LINE <= MAX_TEXT
    }

    /// The code block; `what` was left out where there was no room.
    fn finish(self, what: &str) -> String {
        let mut text = format!("flowchart TD\n{}", self.text);
        if self.left_out > 0 {
            let label = mermaid_label(&format!("and {} more {what}", self.left_out));
            text += &format!("  more[{label}]\n");
        }
        code_block("mermaid", &text)
    }

    /// Draws a box below another one; answers with its number.
    fn add_box(&mut self, label: &str, above: Option<usize>) -> usize {
        let number = self.boxes;
        self.boxes += 1;
        let label = mermaid_label(label);
        self.text += &match above {
            None => format!("  b{number}[{label}]\n"),
            Some(above) => format!("  b{above} --> b{number}[{label}]\n"),
        };
        number
    }

    fn add_layer(&mut self, layer: &StorageLayer, above: usize) {
        if !self.has_room() {
            self.left_out += 1;
            return;
        }
        let size = (layer.size > 0).then(|| units::format_bytes(layer.size));
        let files = layer.files.map(|files| format_count(files, "file"));
        let named = [
            Some(layer.name.clone()).filter(|name| !name.is_empty()),
            Some(layer.format.clone()),
            size,
            files,
        ];
        let label: Vec<String> = named.into_iter().flatten().collect();
        let number = self.add_box(&label.join(", "), Some(above));
        for inner in &layer.inner {
            self.add_layer(inner, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_is_short_enough_and_says_what_is_left_out() {
        let part = |number: u64| StorageLayer {
            name: format!("p{number}\" --> x"),
            format: "ext4".to_owned(),
            size: number << 20,
            files: Some(number),
            inner: Vec::new(),
        };
        let disk = |parts: u64| StorageLayer {
            format: "GPT".to_owned(),
            inner: (1..=parts).map(part).collect(),
            ..StorageLayer::default()
        };
        let small = storage_diagram("a/disk.qcow2", &disk(2));
        let lines: Vec<&str> = small.lines().collect();
        assert_eq!(lines[2], "  b0[\"disk.qcow2\"]");
        assert_eq!(lines[3], "  b0 --> b1[\"GPT\"]");
        assert_eq!(lines[4], "  b1 --> b2[\"p1  --  x, ext4, 1.00 MiB, 1 file\"]");
        let large = storage_diagram("disk", &disk(1000));
        assert!(large.len() < MAX_TEXT + 30, "{}", large.len());
        assert!(large.contains("more layers"), "{large}");
    }
}
