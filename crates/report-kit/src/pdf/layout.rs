//! Where things stand: text flows down the pages, and each piece knows of which part of the document it is.

use super::PaperSize;
use super::fonts::{Fonts, Typeface};

/// Blank space at every side, in points.
pub(super) const MARGIN: f32 = 50.0;
/// Distance of lines in sizes of letters.
const LINE: f32 = 1.4;

/// Colours: red, green, blue.
pub type Rgb = (u8, u8, u8);
/// Of text.
pub const BLACK: Rgb = (0x16, 0x20, 0x2b);
/// Of what is said beside the text.
pub const FAINT: Rgb = (0x56, 0x61, 0x6d);
/// Of what is as it should be.
pub const GOOD: Rgb = (0x1a, 0x73, 0x40);
/// Of what is not.
pub const BAD: Rgb = (0xb3, 0x26, 0x1e);

/// How a line of text looks.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    pub(super) face: Typeface,
    pub(super) size: f32,
    pub(super) color: Rgb,
}

/// Text to be read.
pub const BODY: TextStyle = TextStyle {
    face: Typeface::Text,
    size: 9.5,
    color: BLACK,
};
/// What is said beside it.
pub const SMALL: TextStyle = TextStyle {
    face: Typeface::Text,
    size: 8.0,
    color: FAINT,
};
/// Names of columns and charts.
pub const STRONG: TextStyle = TextStyle {
    face: Typeface::Bold,
    size: 8.0,
    color: BLACK,
};
/// Lines of code.
pub const CODE: TextStyle = TextStyle {
    face: Typeface::Code,
    size: 8.0,
    color: BLACK,
};
/// Headings, from the title of the document downwards.
const HEADINGS: [f32; 3] = [20.0, 14.0, 11.0];

/// A part of the document's structure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PartKind {
    Heading(u16, String),
    Paragraph,
    Code,
    Contents,
    ContentsEntry,
    Table,
    Row,
    HeaderCell,
    Cell,
    Figure(String),
}

/// A part and the one that it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    pub(super) parent: Option<usize>,
}

/// Something that is seen.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Text {
        text: String,
        style: TextStyle,
    },
    Bar {
        width: f32,
        height: f32,
        color: Rgb,
    },
    /// A line through points, each right of and below where it is seen.
    Line {
        points: Vec<(f32, f32)>,
        width: f32,
        color: Rgb,
    },
}

/// Where something is seen: from the left and the top of the page; text by its base line.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) shape: Shape,
    /// Index of its part; nothing for what is decoration.
    pub(super) part: Option<usize>,
    /// The page, from 0, and the height on it that a click on the line leads to.
    pub(super) link: Option<(usize, f32)>,
}

/// A heading, for the list of contents.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) level: u16,
    pub(super) text: String,
    pub(super) page: usize,
    pub(super) y: f32,
}

/// Pages and the structure of what stands on them.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) pages: Vec<Vec<Placed>>,
    pub(super) parts: Vec<Part>,
    pub(super) headings: Vec<Heading>,
    width: f32,
    height: f32,
    y: f32,
}

impl Layout {
    pub(super) fn new(size: PaperSize) -> Self {
        let (width, height) = size.points();
        Self {
            pages: vec![Vec::new()],
            width,
            height,
            y: MARGIN,
            ..Self::default()
        }
    }

    /// Points between the margins.
    pub(super) fn inner_width(&self) -> f32 {
        self.width - 2.0 * MARGIN
    }

    /// Lines of the contents that a page has.
    pub(super) fn contents_lines(&self) -> usize {
        let room = self.height - 2.0 * MARGIN - HEADINGS[1] * LINE * 2.0;
        (room / (BODY.size * LINE)) as usize
    }

    pub(super) fn add_part(&mut self, kind: PartKind, parent: Option<usize>) -> usize {
        self.parts.push(Part { kind, parent });
        self.parts.len() - 1
    }

    pub(super) fn break_page(&mut self) {
        self.pages.push(Vec::new());
        self.y = MARGIN;
    }

    pub(super) fn add_space(&mut self, points: f32) {
        self.y += points;
    }

    /// Begins a page when less than `points` are left of this one.
    pub(super) fn keep_together(&mut self, points: f32) {
        if self.y + points > self.height - MARGIN && self.y > MARGIN {
            self.break_page();
        }
    }

    pub(super) fn place_item(&mut self, placed: Placed) {
        if let Some(page) = self.pages.last_mut() {
            page.push(placed);
        }
    }

    /// Height of the line that would come next, in points from the top.
    pub(super) fn next_line_position(&self) -> f32 {
        self.y
    }

    pub(super) fn add_heading(&mut self, fonts: &mut Fonts, level: u16, text: &str) {
        let size = HEADINGS[usize::from(level - 1).min(HEADINGS.len() - 1)];
        // What it is the heading of should stand on the same page.
        self.keep_together(size * LINE * 2.0 + 60.0);
        if self.y > MARGIN {
            self.add_space(size * 0.8);
        }
        let page = self.pages.len() - 1;
        self.headings.push(Heading {
            level,
            text: text.to_owned(),
            page,
            y: self.y,
        });
        let part = self.add_part(PartKind::Heading(level, text.to_owned()), None);
        let style = TextStyle {
            face: Typeface::Bold,
            size,
            color: BLACK,
        };
        self.add_text_lines(fonts, text, style, 0.0, Some(part));
        self.add_space(size * 0.3);
    }

    pub(super) fn add_paragraph(&mut self, fonts: &mut Fonts, text: &str, style: TextStyle) {
        let part = self.add_part(PartKind::Paragraph, None);
        self.add_text_lines(fonts, text, style, 0.0, Some(part));
        self.add_space(3.0);
    }

    pub(super) fn add_code_block(&mut self, fonts: &mut Fonts, lines: &[String]) {
        let part = self.add_part(PartKind::Code, None);
        for line in lines {
            self.add_text_lines(fonts, line, CODE, 10.0, Some(part));
        }
        self.add_space(4.0);
    }

    /// Text in as many lines as it takes, `indent` points from the margin.
    pub(super) fn add_text_lines(
        &mut self,
        fonts: &mut Fonts,
        text: &str,
        style: TextStyle,
        indent: f32,
        part: Option<usize>,
    ) {
        for text in text.lines() {
            let text = fonts.replace_unprintable(style.face, text);
            for line in fonts.wrap_text(style.face, style.size, &text, self.inner_width() - indent) {
                self.keep_together(style.size * LINE);
                let y = self.y + style.size;
                self.y += style.size * LINE;
                if !line.is_empty() {
                    self.place_item(Placed {
                        x: MARGIN + indent,
                        y,
                        shape: Shape::Text { text: line, style },
                        part,
                        link: None,
                    });
                }
            }
        }
    }

    /// A row of cells, each in its column and in as many lines as it takes. `columns` are widths in points.
    pub(super) fn add_table_row(
        &mut self,
        fonts: &mut Fonts,
        table: usize,
        cells: &[String],
        columns: &[f32],
        is_header: bool,
    ) {
        const GAP: f32 = 6.0;
        let style = if is_header {
            STRONG
        } else {
            TextStyle {
                color: BLACK,
                ..SMALL
            }
        };
        let wrapped: Vec<Vec<String>> = cells
            .iter()
            .zip(columns)
            .map(|(cell, width)| {
                let cell = fonts.replace_unprintable(style.face, cell);
                fonts.wrap_text(style.face, style.size, &cell, width - GAP)
            })
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(1) as f32 * style.size * LINE;
        self.keep_together(height);
        let row = self.add_part(PartKind::Row, Some(table));
        let mut x = MARGIN;
        for (lines, width) in wrapped.into_iter().zip(columns) {
            let kind = if is_header {
                PartKind::HeaderCell
            } else {
                PartKind::Cell
            };
            let cell = self.add_part(kind, Some(row));
            for (index, text) in lines.into_iter().enumerate().filter(|(_, text)| !text.is_empty()) {
                self.place_item(Placed {
                    x,
                    y: self.y + style.size + index as f32 * style.size * LINE,
                    shape: Shape::Text { text, style },
                    part: Some(cell),
                    link: None,
                });
            }
            x += width;
        }
        self.y += height + 1.5;
    }
}
