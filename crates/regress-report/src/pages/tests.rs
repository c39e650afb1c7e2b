//! What strangers name their benchmarks must stay text on every page.

use regress_core::detect::VerdictKind;
use regress_core::measurement::{Direction, Unit};

use super::*;
use crate::benchmarks::Outcome;
use crate::benchmarks::words::tests::example_report;

const EVIL: &str = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

fn evil_link() -> Link {
    Link::new(EVIL, format!("/r/{EVIL}"))
}

fn frame() -> Frame {
    Frame {
        title: EVIL.to_owned(),
        style: "/style.css".to_owned(),
        path: vec![Link::new("regressd", "/"), evil_link(), Link::new(EVIL, "")],
        foot: vec![evil_link()],
    }
}

fn evil_message() -> MessagePage {
    MessagePage {
        heading: EVIL.to_owned(),
        paragraphs: vec![EVIL.to_owned()],
        commands: vec![EVIL.to_owned()],
        links: vec![evil_link()],
        form: Some(TokenForm {
            action: EVIL.to_owned(),
            next: EVIL.to_owned(),
            asks: true,
            button: EVIL.to_owned(),
        }),
    }
}

fn when() -> When {
    When {
        text: EVIL.to_owned(),
        iso: EVIL.to_owned(),
    }
}

fn run_line() -> RunLine {
    RunLine {
        href: EVIL.to_owned(),
        commit: EVIL.to_owned(),
        of: evil_link(),
        place: EVIL.to_owned(),
        received: when(),
        outcome: None,
    }
}

fn repository_view() -> RepositoryPage {
    let row = SeriesLine {
        name: EVIL.to_owned(),
        href: EVIL.to_owned(),
        unit: Unit::Custom(EVIL.to_owned()),
        direction: Direction::BiggerIsBetter,
        history: vec![1.0, 2.0, 3.0],
        percent: Some(4.0),
        verdict: Some(VerdictKind::Regression),
    };
    RepositoryPage {
        name: EVIL.to_owned(),
        links: vec![evil_link()],
        branches: vec![Link::new(EVIL, ""), evil_link()],
        search: EVIL.to_owned(),
        search_action: EVIL.to_owned(),
        branch: EVIL.to_owned(),
        streams: vec![StreamSection {
            component: EVIL.to_owned(),
            environment: EVIL.to_owned(),
            outcome: Some(Outcome::Regression),
            judged: Some(when()),
            rows: vec![row],
            more: 3,
        }],
        runs: vec![run_line()],
        archived: true,
        administered_at: Some(EVIL.to_owned()),
        empty: evil_message(),
    }
}

fn benchmark_view() -> BenchmarkPage {
    let point = |index: usize| HistoryPoint {
        value: 100.0 + index as f64,
        commit: EVIL.to_owned(),
        commit_href: EVIL.to_owned(),
        run_href: EVIL.to_owned(),
        when: when(),
        state: if index == 3 {
            PointState::Rejected
        } else {
            PointState::Accepted
        },
    };
    let change = |index: usize, kind: ChangeKind| Change {
        index,
        before: 100.0,
        after: 120.0,
        kind,
    };
    BenchmarkPage {
        range: None,
        beside: Default::default(),
        accept: None,
        name: EVIL.to_owned(),
        unit: Unit::Custom(EVIL.to_owned()),
        direction: Direction::SmallerIsBetter,
        places: vec![evil_link()],
        verdict: Some(VerdictKind::EnvironmentChanged),
        reason: EVIL.to_owned(),
        facts: vec![Fact {
            name: EVIL.to_owned(),
            value: EVIL.to_owned(),
        }],
        points: (0..40).map(point).collect(),
        band: Some((90.0, 110.0, 10)),
        changes: vec![
            change(10, ChangeKind::Own),
            change(20, ChangeKind::Machine),
            change(99, ChangeKind::Accepted(EVIL.to_owned())),
        ],
        spans: vec![Link::new("100 runs", ""), evil_link()],
        others: vec![evil_link()],
    }
}

fn run_view() -> RunPage {
    let mut report = example_report();
    report.rows[0].name = EVIL.to_owned();
    report.summary = EVIL.to_owned();
    RunPage {
        facts: vec![evil_link()],
        received: when(),
        links: vec![EVIL.to_owned(); report.rows.len()],
        report: Some(report),
        files: vec![evil_link()],
    }
}

/// No element of theirs, no attribute of theirs, and nothing that a strict content policy would refuse.
fn check(page: &str) {
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(!page.contains(" style=") && !page.contains("<style"), "{page}");
    assert!(!page.contains("\"'>"), "a quotation mark was left as it is");
    assert_eq!(page.matches("<a ").count(), page.matches("</a>").count());
    assert_eq!(page.matches("<main>").count(), 1);
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn names_stay_text_on_every_page() {
    check(&render_message_page(&frame(), &evil_message()));
    let cards = RepositoriesPage {
        repositories: vec![RepositoryCard {
            name: EVIL.to_owned(),
            href: EVIL.to_owned(),
            outcome: Some(Outcome::Mixed),
            summary: EVIL.to_owned(),
            updated: Some(when()),
        }],
        next: Some(EVIL.to_owned()),
        empty: MessagePage::default(),
    };
    check(&render_repositories_page(&frame(), &cards));
    check(&render_repository_page(&frame(), &repository_view()));
    check(&render_benchmark_page(&frame(), &benchmark_view()));
    check(&render_run_page(&frame(), &run_view()));
}

#[test]
fn pages_with_nothing_to_show_say_what_to_do() {
    let nothing = RepositoriesPage {
        empty: evil_message(),
        ..RepositoriesPage::default()
    };
    check(&render_repositories_page(&frame(), &nothing));
    let mut empty = repository_view();
    empty.streams.clear();
    empty.runs.clear();
    check(&render_repository_page(&frame(), &empty));
    let mut waiting = run_view();
    waiting.report = None;
    assert!(render_run_page(&frame(), &waiting).contains("Not judged yet"));
    let mut young = benchmark_view();
    young.points.truncate(1);
    young.changes.clear();
    assert!(render_benchmark_page(&frame(), &young).contains("Two runs make a history"));
}

#[test]
fn what_asks_for_attention_comes_first() {
    let mut section = repository_view().streams.remove(0);
    let mut quiet = section.rows[0].clone();
    quiet.verdict = Some(VerdictKind::Unchanged);
    quiet.name = "a".to_owned();
    section.rows.insert(0, quiet);
    section.sort_rows();
    assert_eq!(section.rows[0].verdict, Some(VerdictKind::Regression));
}
