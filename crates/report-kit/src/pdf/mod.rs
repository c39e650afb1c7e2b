//! Documents for printers: pages with numbers and a list of contents, text that can be selected and read aloud (tagged PDF).
//!
//! [`PdfWriter`] says what stands in a document, `layout` where, `draw` makes the file of that. Fonts are part of the program
//! (DejaVu) and of the file, as far as it uses them; a letter that they lack is shown as U+FFFD, and counted.

mod draw;
mod fonts;
mod layout;
mod writer;

use layout::{Layout, PartKind};

pub use layout::{BAD, BLACK, BODY, CODE, FAINT, GOOD, Rgb, SMALL, STRONG, TextStyle};
pub use writer::{PdfBar, PdfLine, PdfWriter};

/// Size of a sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaperSize {
    /// 210 mm by 297 mm (ISO 216).
    #[default]
    A4,
    /// 8.5 by 11 inches (ANSI A).
    Letter,
    /// 8.5 by 14 inches.
    Legal,
}

impl PaperSize {
    /// Width and height in points, a 72nd of an inch.
    fn points(self) -> (f32, f32) {
        match self {
            Self::A4 => (595.276, 841.89),
            Self::Letter => (612.0, 792.0),
            Self::Legal => (612.0, 1008.0),
        }
    }
}

/// A report as PDF.
#[derive(Clone, Debug)]
pub struct PdfReport {
    /// The file.
    pub bytes: Vec<u8>,
    /// Pages in it.
    pub pages: usize,
    /// Letters that the fonts lack, each once in the order in which they came; U+FFFD stands in their places.
    pub replaced: Vec<char>,
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
#[error("the PDF could not be made: {0}")]
pub struct PdfError(String);

/// What stands in the file beside its pages.
#[derive(Clone, Copy, Debug)]
pub struct DocumentInfo<'a> {
    /// Its title.
    pub title: &'a str,
    /// The program that made it, with its version.
    pub made_by: &'a str,
}

/// A document on sheets of `size`: what `first_page` writes, the list of contents, then what `body` writes. `body` is called
/// twice, as the length of the contents must be known first. The same calls give the same bytes.
///
/// # Errors
/// When the document cannot be written.
pub fn write_pdf_document(
    info: &DocumentInfo<'_>,
    size: PaperSize,
    first_page: &dyn Fn(&mut PdfWriter<'_>),
    body: &dyn Fn(&mut PdfWriter<'_>),
) -> Result<PdfReport, PdfError> {
    let mut fonts = fonts::Fonts::new()?;
    let mut trial = PdfWriter {
        layout: Layout::new(size),
        fonts: &mut fonts,
    };
    body(&mut trial);
    let entries = trial.layout.headings.len();
    let mut writer = PdfWriter {
        layout: Layout::new(size),
        fonts: &mut fonts,
    };
    first_page(&mut writer);
    let contents_page = writer.layout.pages.len();
    let contents_pages = entries.div_ceil(writer.layout.contents_lines()).max(1);
    for _ in 0..contents_pages {
        writer.layout.break_page();
    }
    writer.layout.break_page();
    let contents = writer.layout.add_part(PartKind::Contents, None);
    let first = writer.layout.headings.len();
    body(&mut writer);
    let mut layout = writer.layout;
    writer::write_contents(&mut layout, &mut fonts, contents, contents_page, first);
    Ok(PdfReport {
        bytes: draw::draw_pdf_document(&layout, info, size, &fonts)?,
        pages: layout.pages.len(),
        replaced: fonts.replaced_letters(),
    })
}
