//! The file: pages with text and bars, page numbers, an outline, links, and the structure that readers aloud go by.

use std::num::NonZeroU16;

use krilla::Document;
use krilla::SerializeSettings;
use krilla::annotation::{Annotation, LinkAnnotation, Target};
use krilla::color::rgb;
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::{Page, PageSettings};
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, Node, SpanTag, TableHeaderScope, Tag, TagGroup, TagTree,
};
use krilla::text::TextDirection;

use super::fonts::Fonts;
use super::layout::{FAINT, Layout, MARGIN, Part, PartKind, Placed, Rgb, SMALL, Shape};
use super::{DocumentInfo, PaperSize, PdfError};

/// The document `layout` as a file.
pub(super) fn draw_pdf_document(
    layout: &Layout,
    info: &DocumentInfo<'_>,
    size: PaperSize,
    fonts: &Fonts,
) -> Result<Vec<u8>, PdfError> {
    let settings = SerializeSettings {
        enable_tagging: true,
        ..SerializeSettings::default()
    };
    let mut document = Document::new_with(settings);
    let (width, height) = size.points();
    // What stands on the pages, by the part that it is of.
    let mut leaves: Vec<Vec<Identifier>> = vec![Vec::new(); layout.parts.len()];
    for (number, placed) in layout.pages.iter().enumerate() {
        let settings =
            PageSettings::from_wh(width, height).ok_or_else(|| PdfError("no such sheet".to_owned()))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        for placed in placed {
            draw_placed(&mut surface, placed, fonts, &mut leaves);
        }
        let words = format!("{} / {}", number + 1, layout.pages.len());
        let x = width - MARGIN - fonts.text_width(SMALL.face, SMALL.size, &words);
        surface.start_tagged(ContentTag::Artifact(Artifact::new(
            ArtifactType::PageNumber,
            None,
        )));
        set_color(&mut surface, FAINT);
        draw_words(&mut surface, fonts, &words, (x, height - MARGIN / 2.0), SMALL);
        surface.end_tagged();
        surface.finish();
        add_links(&mut page, placed, width, &mut leaves);
        page.finish();
    }
    document.set_outline(outline(layout));
    document.set_tag_tree(tag_tree(&layout.parts, &leaves));
    let metadata = Metadata::new()
        .title(info.title.to_owned())
        .creator(info.made_by.to_owned())
        .language("en".to_owned());
    document.set_metadata(metadata);
    document.finish().map_err(|error| PdfError(format!("{error:?}")))
}

fn draw_placed(surface: &mut Surface<'_>, placed: &Placed, fonts: &Fonts, leaves: &mut [Vec<Identifier>]) {
    let tag = match (&placed.part, &placed.shape) {
        (None, _) => ContentTag::Artifact(Artifact::new(ArtifactType::Layout, None)),
        (Some(_), Shape::Text { .. }) => ContentTag::Span(SpanTag::empty()),
        (Some(_), Shape::Bar { .. } | Shape::Line { .. }) => ContentTag::Other,
    };
    let identifier = surface.start_tagged(tag);
    match &placed.shape {
        Shape::Text { text, style } => {
            set_color(surface, style.color);
            draw_words(surface, fonts, text, (placed.x, placed.y), *style);
        }
        Shape::Bar { width, height, color } => {
            set_color(surface, *color);
            draw_bar(surface, placed, *width, *height);
        }
        Shape::Line { points, width, color } => draw_line(surface, placed, points, *width, *color),
    }
    surface.end_tagged();
    if let Some(part) = placed.part {
        leaves[part].push(identifier);
    }
}

fn draw_words(
    surface: &mut Surface<'_>,
    fonts: &Fonts,
    words: &str,
    (x, y): (f32, f32),
    style: super::layout::TextStyle,
) {
    surface.draw_text(
        Point::from_xy(x, y),
        fonts.font(style.face),
        style.size,
        words,
        false,
        TextDirection::LeftToRight,
    );
}

fn draw_bar(surface: &mut Surface<'_>, placed: &Placed, width: f32, height: f32) {
    let mut path = PathBuilder::new();
    if let Some(rect) = Rect::from_xywh(placed.x, placed.y, width, height) {
        path.push_rect(rect);
    }
    if let Some(path) = path.finish() {
        surface.draw_path(&path);
    }
}

fn draw_line(
    surface: &mut Surface<'_>,
    placed: &Placed,
    points: &[(f32, f32)],
    width: f32,
    (red, green, blue): Rgb,
) {
    let mut path = PathBuilder::new();
    for (index, (right, down)) in points.iter().enumerate() {
        let (x, y) = (placed.x + right, placed.y + down);
        if index == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    if let Some(path) = path.finish() {
        surface.set_fill(None);
        surface.set_stroke(Some(Stroke {
            paint: rgb::Color::new(red, green, blue).into(),
            width,
            ..Stroke::default()
        }));
        surface.draw_path(&path);
        surface.set_stroke(None);
    }
}

fn set_color(surface: &mut Surface<'_>, (red, green, blue): Rgb) {
    surface.set_fill(Some(Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::default(),
    }));
}

/// Makes the lines that lead somewhere clickable, over their whole width.
fn add_links(page: &mut Page<'_>, placed: &[Placed], width: f32, leaves: &mut [Vec<Identifier>]) {
    for placed in placed {
        let (Some((target, y)), Some(part), Shape::Text { text, style }) =
            (placed.link, placed.part, &placed.shape)
        else {
            continue;
        };
        let top = placed.y - style.size;
        let Some(rect) = Rect::from_ltrb(placed.x, top, width - MARGIN, placed.y + 3.0) else {
            continue;
        };
        let target = XyzDestination::new(target, Point::from_xy(0.0, (y - 10.0).max(0.0)));
        let link = LinkAnnotation::new(rect, Target::Destination(target.into()));
        let identifier = page.add_tagged_annotation(Annotation::new_link(link, Some(text.clone())));
        leaves[part].push(identifier);
    }
}

/// Headings, those of the third level under those of the second.
fn outline(layout: &Layout) -> Outline {
    let mut outline = Outline::new();
    let mut open: Option<OutlineNode> = None;
    for heading in &layout.headings {
        let target = XyzDestination::new(heading.page, Point::from_xy(0.0, (heading.y - 10.0).max(0.0)));
        let node = OutlineNode::new(heading.text.clone(), target);
        match &mut open {
            Some(above) if heading.level > 2 => above.push_child(node),
            _ => {
                if let Some(above) = open.replace(node) {
                    outline.push_child(above);
                }
            }
        }
    }
    if let Some(above) = open {
        outline.push_child(above);
    }
    outline
}

fn tag_tree(parts: &[Part], leaves: &[Vec<Identifier>]) -> TagTree {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
    let mut roots = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match part.parent {
            Some(parent) => children[parent].push(index),
            None => roots.push(index),
        }
    }
    let mut tree = TagTree::new().with_lang(Some("en".to_owned()));
    for root in roots {
        if let Some(group) = tag_group(root, parts, &children, leaves) {
            tree.push(group);
        }
    }
    tree
}

/// A part with all below it; `None` when nothing of it is on a page.
fn tag_group(
    index: usize,
    parts: &[Part],
    children: &[Vec<usize>],
    leaves: &[Vec<Identifier>],
) -> Option<TagGroup> {
    let below = || {
        children[index]
            .iter()
            .filter_map(|child| tag_group(*child, parts, children, leaves))
    };
    let mut nodes: Vec<Node> = leaves[index].iter().copied().map(Node::Leaf).collect();
    nodes.extend(below().map(Node::Group));
    // An empty cell still is the cell of its column.
    let is_cell = matches!(parts[index].kind, PartKind::Cell | PartKind::HeaderCell);
    if nodes.is_empty() && !is_cell {
        return None;
    }
    Some(match &parts[index].kind {
        PartKind::Heading(level, text) => {
            let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
            TagGroup::with_children(Tag::Hn(level, Some(text.clone())), nodes)
        }
        PartKind::Paragraph => TagGroup::with_children(Tag::P, nodes),
        PartKind::Code => {
            let code = TagGroup::with_children(Tag::Code, nodes);
            TagGroup::with_children(Tag::P, vec![Node::Group(code)])
        }
        PartKind::Contents => TagGroup::with_children(Tag::TOC, nodes),
        PartKind::ContentsEntry => {
            let link = TagGroup::with_children(Tag::Link, nodes);
            TagGroup::with_children(Tag::TOCI, vec![Node::Group(link)])
        }
        PartKind::Table => TagGroup::with_children(Tag::Table, nodes),
        PartKind::Row => TagGroup::with_children(Tag::TR, nodes),
        PartKind::HeaderCell => TagGroup::with_children(Tag::TH(TableHeaderScope::Column), nodes),
        PartKind::Cell => TagGroup::with_children(Tag::TD, nodes),
        PartKind::Figure(words) => TagGroup::with_children(Tag::Figure(Some(words.clone())), nodes),
    })
}
