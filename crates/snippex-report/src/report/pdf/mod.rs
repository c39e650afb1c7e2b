//! A report for printers: pages with numbers and a list of contents, text that can be selected and read aloud (tagged PDF).
//!
//! `content` says what stands in it, `layout` where, `draw` makes the file of that. Fonts are part of the program (DejaVu) and
//! of the file, as far as it uses them; a letter that they lack is shown as U+FFFD, and counted.

mod content;
mod draw;
mod fonts;
mod layout;

use super::model::ReportModel;

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

/// The report on sheets of `size`. The same report gives the same bytes.
///
/// # Errors
/// When the document cannot be written.
pub fn render_pdf(report: &ReportModel, size: PaperSize) -> Result<PdfReport, PdfError> {
    let mut fonts = fonts::Fonts::new()?;
    let laid_out = content::lay_out(report, size, &mut fonts);
    let pages = laid_out.pages.len();
    let bytes = draw::draw_pdf_document(&laid_out, report, size, &fonts)?;
    Ok(PdfReport {
        bytes,
        pages,
        replaced: fonts.replaced_letters(),
    })
}

#[cfg(test)]
mod tests;
