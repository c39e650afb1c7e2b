//! The text of a bundle, in pieces.

use serde::Serialize;

use super::{BUNDLE_VERSION, Section};

/// A piece is handed over when it is so long, in bytes.
const PIECE: usize = 64 << 10;

/// Takes pieces of text; `false` when nobody wants more.
pub(super) type Sink<'s> = dyn FnMut(String) -> bool + Send + 's;

/// Writes sections in their order, a record a line.
pub(super) struct BundleText<'s> {
    text: String,
    sink: &'s mut Sink<'s>,
    is_first: bool,
    /// Whether somebody still reads.
    pub(super) is_wanted: bool,
}

impl<'s> BundleText<'s> {
    pub(super) fn begin_document(sink: &'s mut Sink<'s>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            text: format!("{{\"snippex_bundle\":{BUNDLE_VERSION},\"snippex\":\"{version}\""),
            sink,
            is_first: true,
            is_wanted: true,
        }
    }

    pub(super) fn begin_section(&mut self, section: Section) {
        self.text += &format!(",\n\"{section}\":[");
        self.is_first = true;
    }

    pub(super) fn write_record(&mut self, record: &impl Serialize) {
        self.text.push_str(if self.is_first { "\n" } else { ",\n" });
        self.is_first = false;
        self.text += &serde_json::to_string(record).expect("plain data is JSON");
        if self.text.len() >= PIECE {
            self.hand_over();
        }
    }

    pub(super) fn end_section(&mut self) {
        self.text.push_str(if self.is_first { "]" } else { "\n]" });
    }

    pub(super) fn end_document(mut self) {
        self.text.push_str("}\n");
        self.hand_over();
    }

    fn hand_over(&mut self) {
        let piece = std::mem::take(&mut self.text);
        self.is_wanted = self.is_wanted && (self.sink)(piece);
    }
}
