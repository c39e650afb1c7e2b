//! The fonts, and how wide text is in them.

use krilla::text::Font;
use ttf_parser::Face;

use super::PdfError;

/// Stands for a letter that a font lacks.
const REPLACEMENT: char = '\u{fffd}';

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typeface {
    Text,
    Bold,
    Code,
}

/// The three fonts, and which letters were not in them.
pub(super) struct Fonts {
    text: OpenFont,
    bold: OpenFont,
    code: OpenFont,
    replaced: Vec<char>,
}

struct OpenFont {
    font: Font,
    face: Face<'static>,
}

impl OpenFont {
    fn open(bytes: &'static [u8]) -> Result<Self, PdfError> {
        let face = Face::parse(bytes, 0).map_err(|error| PdfError(format!("a font: {error}")))?;
        let font = Font::new(bytes.into(), 0).ok_or_else(|| PdfError("a font cannot be read".to_owned()))?;
        Ok(Self { font, face })
    }

    /// In thousandths of the size of letters.
    fn advance(&self, letter: char) -> f32 {
        let units = f32::from(self.face.units_per_em());
        let glyph = self.face.glyph_index(letter);
        let advance = glyph.and_then(|glyph| self.face.glyph_hor_advance(glyph));
        f32::from(advance.unwrap_or(0)) / units
    }
}

impl Fonts {
    pub(super) fn new() -> Result<Self, PdfError> {
        Ok(Self {
            text: OpenFont::open(dejavu::sans::regular())?,
            bold: OpenFont::open(dejavu::sans::bold())?,
            code: OpenFont::open(dejavu::sans_mono::regular())?,
            replaced: Vec::new(),
        })
    }

    fn of(&self, face: Typeface) -> &OpenFont {
        match face {
            Typeface::Text => &self.text,
            Typeface::Bold => &self.bold,
            Typeface::Code => &self.code,
        }
    }

    pub(super) fn font(&self, face: Typeface) -> Font {
        self.of(face).font.clone()
    }

    /// Letters that were replaced, each once.
    pub(super) fn replaced_letters(&self) -> Vec<char> {
        self.replaced.clone()
    }

    /// The text with what a font can show: tabs are spaces, what it lacks is U+FFFD.
    pub(super) fn replace_unprintable(&mut self, face: Typeface, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for letter in text.chars() {
            let letter = if letter == '\t' { ' ' } else { letter };
            let has = !letter.is_control() && self.of(face).face.glyph_index(letter).is_some();
            if has {
                shown.push(letter);
                continue;
            }
            if !self.replaced.contains(&letter) {
                self.replaced.push(letter);
            }
            shown.push(REPLACEMENT);
        }
        shown
    }

    /// Width of printable text in points.
    pub(super) fn text_width(&self, face: Typeface, size: f32, text: &str) -> f32 {
        let font = self.of(face);
        text.chars().map(|letter| font.advance(letter)).sum::<f32>() * size
    }

    /// Printable text in lines of at most `width` points, broken between words where that is possible.
    pub(super) fn wrap_text(&self, face: Typeface, size: f32, text: &str, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_inclusive(' ') {
            let fits = |line: &str| self.text_width(face, size, line.trim_end()) <= width;
            if fits(&format!("{line}{word}")) {
                line.push_str(word);
                continue;
            }
            if !line.trim().is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.clear();
            for letter in word.chars() {
                line.push(letter);
                if !fits(&line) && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::take(&mut line));
                    line.push(letter);
                }
            }
        }
        if !line.trim().is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }
}
