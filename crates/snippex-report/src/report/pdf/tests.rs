use super::*;
use crate::report::model::{CheckFigures, NamedCount, ReportBug, ReportExample, ReportFinding};

fn report(bugs: usize) -> ReportModel {
    ReportModel {
        title: "What differs".to_owned(),
        made_by: "snippex".to_owned(),
        kinds: vec![NamedCount {
            name: "register".to_owned(),
            blocks: None,
            runs: 3,
        }],
        checks: vec![CheckFigures::default()],
        bugs: (0..bugs)
            .map(|index| ReportBug {
                id: format!("bug-{index}"),
                title: format!("cause number {index} \u{4e2d}"),
                example: Some(ReportExample {
                    code: vec!["mov eax, 1".to_owned()],
                    ..ReportExample::default()
                }),
                ..ReportBug::default()
            })
            .collect(),
        findings: vec![ReportFinding::default(); 100],
        ..ReportModel::default()
    }
}

#[test]
fn the_same_report_gives_the_same_bytes_on_every_paper() {
    for size in [PaperSize::A4, PaperSize::Letter, PaperSize::Legal] {
        let first = render_pdf(&report(3), size).expect("a PDF");
        let second = render_pdf(&report(3), size).expect("a PDF");
        assert_eq!(first.bytes, second.bytes);
        assert!(first.bytes.starts_with(b"%PDF-"));
    }
}

#[test]
fn a_letter_that_the_fonts_lack_is_replaced_and_said() {
    let pdf = render_pdf(&report(1), PaperSize::A4).expect("a PDF");
    assert_eq!(pdf.replaced, ['\u{4e2d}']);
}

#[test]
fn many_bugs_fill_many_pages_and_an_empty_report_is_one_too() {
    let many = render_pdf(&report(400), PaperSize::A4).expect("a PDF");
    assert!(many.pages > 60, "{}", many.pages);
    let none = render_pdf(&ReportModel::default(), PaperSize::A4).expect("a PDF");
    assert!(none.pages >= 3, "{}", none.pages);
}
