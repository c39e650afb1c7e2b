//! What a document is made of: headings, paragraphs, code, tables and charts, one below the other.

use std::fmt;

use super::fonts::Fonts;
use super::layout::{
    BLACK, BODY, FAINT, Layout, MARGIN, PartKind, Placed, Rgb, SMALL, STRONG, Shape, TextStyle,
};

/// A bar of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct PdfBar {
    /// What it is.
    pub label: String,
    /// Its length, from 0 to 1.
    pub share: f32,
    /// What stands behind it.
    pub figure: String,
}

/// A chart of values in their order.
#[derive(Clone, Copy)]
pub struct PdfLine<'a> {
    /// What it is a chart of.
    pub name: &'a str,
    /// The values; what is no number is left out.
    pub values: &'a [f64],
    /// Index of the first value that is new: a line stands before it.
    pub new_from: usize,
    /// How a value is written.
    pub format: &'a dyn Fn(f64) -> String,
}

impl fmt::Debug for PdfLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdfLine")
            .field("name", &self.name)
            .field("values", &self.values)
            .field("new_from", &self.new_from)
            .finish_non_exhaustive()
    }
}

/// Writes a document from top to bottom; pages follow by themselves.
pub struct PdfWriter<'f> {
    pub(super) layout: Layout,
    pub(super) fonts: &'f mut Fonts,
}

impl fmt::Debug for PdfWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdfWriter")
            .field("pages", &self.layout.pages.len())
            .finish_non_exhaustive()
    }
}

impl PdfWriter<'_> {
    /// A heading; level 1 is the document's title. Levels from 2 on stand in the list of contents.
    pub fn add_heading(&mut self, level: u16, text: &str) {
        self.layout.add_heading(self.fonts, level, text);
    }

    /// A paragraph, wrapped.
    pub fn add_paragraph(&mut self, text: &str, style: TextStyle) {
        self.layout.add_paragraph(self.fonts, text, style);
    }

    /// Lines of code.
    pub fn add_code_block(&mut self, lines: &[String]) {
        self.layout.add_code_block(self.fonts, lines);
    }

    /// Blank space, in points.
    pub fn add_space(&mut self, points: f32) {
        self.layout.add_space(points);
    }

    /// A table; `widths` are shares of the page's width, a column each. Nothing without rows.
    pub fn add_table(&mut self, names: &[&str], widths: &[f32], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let columns: Vec<f32> = widths
            .iter()
            .map(|share| share * self.layout.inner_width())
            .collect();
        let part = self.layout.add_part(PartKind::Table, None);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.layout
            .add_table_row(self.fonts, part, &names, &columns, true);
        for row in rows {
            self.layout.add_table_row(self.fonts, part, row, &columns, false);
        }
    }

    /// Bars below each other. Nothing without bars.
    pub fn add_bar_chart(&mut self, name: &str, bars: &[PdfBar], color: Rgb) {
        const ROW: f32 = 14.0;
        const LABELS: f32 = 150.0;
        const FIGURES: f32 = 70.0;
        if bars.is_empty() {
            return;
        }
        self.layout.keep_together(ROW * bars.len() as f32 + 24.0);
        self.add_paragraph(name, STRONG);
        let words: Vec<String> = bars
            .iter()
            .map(|bar| format!("{}: {}", bar.label, bar.figure))
            .collect();
        let part = Some(
            self.layout
                .add_part(PartKind::Figure(format!("{name}: {}", words.join(", "))), None),
        );
        let room = self.layout.inner_width() - LABELS - FIGURES;
        for bar in bars {
            let y = self.layout.next_line_position();
            let label = self.fit_label(&bar.label, LABELS - 8.0);
            let figure = self.fonts.replace_unprintable(FIGURE.face, &bar.figure);
            let length = if bar.share > 0.0 {
                (room * bar.share.min(1.0)).max(1.0)
            } else {
                0.0
            };
            self.place_text(MARGIN, y + 9.0, label, part);
            self.layout.place_item(Placed {
                x: MARGIN + LABELS,
                y: y + 1.0,
                shape: Shape::Bar {
                    width: length,
                    height: 10.0,
                    color,
                },
                part,
                link: None,
            });
            self.place_text(MARGIN + LABELS + length + 4.0, y + 9.0, figure, part);
            self.layout.add_space(ROW);
        }
        self.layout.add_space(8.0);
    }

    /// Values as a line between their least and their most, which are written beside it. Nothing below two values.
    pub fn add_line_chart(&mut self, chart: &PdfLine<'_>, color: Rgb) {
        const HEIGHT: f32 = 70.0;
        const LABELS: f32 = 80.0;
        let values: Vec<(usize, f64)> = (chart.values.iter().copied().enumerate())
            .filter(|(_, value)| value.is_finite())
            .collect();
        let (Some(first), Some(last)) = (values.first(), values.last()) else {
            return;
        };
        if values.len() < 2 {
            return;
        }
        let least = values
            .iter()
            .map(|(_, value)| *value)
            .fold(f64::INFINITY, f64::min);
        let most = values
            .iter()
            .map(|(_, value)| *value)
            .fold(f64::NEG_INFINITY, f64::max);
        let format = chart.format;
        self.layout.keep_together(HEIGHT + 30.0);
        let words = format!(
            "{}: {} values from {} to {}, between {} and {}",
            chart.name,
            values.len(),
            format(first.1),
            format(last.1),
            format(least),
            format(most)
        );
        let part = Some(self.layout.add_part(PartKind::Figure(words), None));
        let top = self.layout.next_line_position() + 4.0;
        let room = self.layout.inner_width() - LABELS - 4.0;
        let x_of = |index: usize| room * index as f32 / (chart.values.len() - 1) as f32;
        let y_of = |value: f64| {
            let share = if most > least {
                (value - least) / (most - least)
            } else {
                0.5
            };
            HEIGHT * (1.0 - share as f32)
        };
        for (value, down) in [(most, 3.0), (least, HEIGHT + 3.0)] {
            let text = self.fit_label(&format(value), LABELS - 6.0);
            self.place_text(MARGIN, top + down, text, part);
        }
        let mut place_line = |points: Vec<(f32, f32)>, width: f32, color: Rgb| {
            self.layout.place_item(Placed {
                x: MARGIN + LABELS,
                y: top,
                shape: Shape::Line { points, width, color },
                part,
                link: None,
            });
        };
        for height in [0.0, HEIGHT] {
            place_line(vec![(0.0, height), (room, height)], 0.3, FAINT);
        }
        if (1..chart.values.len()).contains(&chart.new_from) {
            let x = (x_of(chart.new_from - 1) + x_of(chart.new_from)) / 2.0;
            place_line(vec![(x, 0.0), (x, HEIGHT)], 0.6, FAINT);
        }
        let points = values
            .iter()
            .map(|&(index, value)| (x_of(index), y_of(value)))
            .collect();
        place_line(points, 1.2, color);
        self.layout.add_space(HEIGHT + 18.0);
    }

    fn place_text(&mut self, x: f32, y: f32, text: String, part: Option<usize>) {
        self.layout.place_item(Placed {
            x,
            y,
            shape: Shape::Text { text, style: FIGURE },
            part,
            link: None,
        });
    }

    /// As much of a label as fits, in what the font can show.
    fn fit_label(&mut self, label: &str, room: f32) -> String {
        let label = self.fonts.replace_unprintable(FIGURE.face, label);
        self.fonts
            .wrap_text(FIGURE.face, FIGURE.size, &label, room)
            .remove(0)
    }
}

/// Text of charts.
const FIGURE: TextStyle = TextStyle {
    color: BLACK,
    ..SMALL
};

/// The list of contents, on the pages that were left for it from `page` on; headings from `first` on are in it.
pub(super) fn write_contents(
    layout: &mut Layout,
    fonts: &mut Fonts,
    contents: usize,
    page: usize,
    first: usize,
) {
    const LINE: f32 = 1.4;
    let lines = layout.contents_lines();
    let entries: Vec<_> = layout.headings[first..].to_vec();
    let title = layout.add_part(PartKind::Heading(2, "Contents".to_owned()), None);
    layout.pages[page].push(Placed {
        x: MARGIN,
        y: MARGIN + 14.0,
        shape: Shape::Text {
            text: "Contents".to_owned(),
            style: TextStyle { size: 14.0, ..STRONG },
        },
        part: Some(title),
        link: None,
    });
    for (index, entry) in entries.iter().enumerate() {
        let part = layout.add_part(PartKind::ContentsEntry, Some(contents));
        let y = MARGIN + 40.0 + (index % lines) as f32 * BODY.size * LINE;
        let indent = f32::from(entry.level - 2) * 14.0;
        let number = (entry.page + 1).to_string();
        let text = fonts.replace_unprintable(BODY.face, &entry.text);
        let room = layout.inner_width() - indent - 50.0;
        let mut wrapped = fonts.wrap_text(BODY.face, BODY.size, &text, room);
        let mut text = wrapped.remove(0);
        if !wrapped.is_empty() {
            text.push('\u{2026}');
        }
        let right = MARGIN + layout.inner_width() - fonts.text_width(BODY.face, BODY.size, &number);
        let target = Some((entry.page, entry.y));
        for (x, text, link) in [(MARGIN + indent, text, target), (right, number, None)] {
            layout.pages[page + index / lines].push(Placed {
                x,
                y,
                shape: Shape::Text { text, style: BODY },
                part: Some(part),
                link,
            });
        }
    }
}
