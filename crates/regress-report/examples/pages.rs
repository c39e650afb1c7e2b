//! Draws the pages of the service with a real history, to look at them in a browser without a service:
//!
//! ```text
//! cargo run -p regress-report --example pages -- fixtures/.../series.csv /tmp/pages
//! ```
//!
//! The file has the columns group, name, tool, unit, seq, date_ms, commit, value.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use regress_core::detect::{ChangePointSettings, VerdictKind, change_points};
use regress_core::measurement::{Direction, Unit};
use regress_report::STYLE;
use regress_report::benchmarks::Outcome;
use regress_report::pages::{
    BenchmarkPage, Change, ChangeKind, Fact, Frame, HistoryPoint, Link, MessagePage, PointState,
    RepositoriesPage, RepositoryCard, RepositoryPage, RunLine, SeriesLine, StreamSection, When, badge,
    render_benchmark_page, render_message_page, render_repositories_page, render_repository_page,
};

struct Value {
    day: u64,
    commit: String,
    value: f64,
}

type AnyError = Box<dyn Error>;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, folder] = arguments.as_slice() else {
        return Err("give a CSV file and a folder for the pages".into());
    };
    let (all, folder) = (read(file)?, Path::new(folder));
    fs::create_dir_all(folder)?;
    fs::write(folder.join("style.css"), STYLE)?;
    let write = |name: &str, text: String| fs::write(folder.join(name), text);
    write(
        "repositories.html",
        render_repositories_page(&frame("Repositories", 1), &first_page()),
    )?;
    write(
        "repository.html",
        render_repository_page(&frame("hyper", 2), &repository_page(&all)),
    )?;
    for (index, (name, values)) in all.iter().enumerate() {
        let page = benchmark_page(name, values);
        write(
            &format!("benchmark-{index}.html"),
            render_benchmark_page(&frame(name, 3), &page),
        )?;
    }
    let missing = MessagePage {
        heading: "There is no such page".to_owned(),
        paragraphs: vec![
            "The repository is not known here, or it is private and you did not sign in.".to_owned(),
        ],
        commands: vec!["regressd token create hyperium/hyper --role read".to_owned()],
        links: vec![Link::new("Repositories", "repositories.html")],
        form: None,
    };
    write(
        "message.html",
        render_message_page(&frame("Not found", 2), &missing),
    )?;
    for (name, state) in [
        ("passing", badge::Badge::Passing),
        ("regression", badge::Badge::Regression(3)),
        ("suspected", badge::Badge::Suspected),
        ("not-judged", badge::Badge::NotJudged),
        ("no-data", badge::Badge::NoData),
        ("unknown", badge::Badge::Unknown),
    ] {
        write(&format!("badge-{name}.svg"), state.render_svg("benchmarks"))?;
    }
    Ok(())
}

fn read(file: &str) -> Result<BTreeMap<String, Vec<Value>>, AnyError> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in fs::read_to_string(file)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [group, name, _, _, _, date, commit, value, ..] = cells.as_slice() else {
            return Err(format!("a line has too few cells: {line}").into());
        };
        all.entry(format!("{group}/{name}")).or_default().push(Value {
            day: date.parse::<u64>()? / 86_400_000,
            commit: (*commit).to_owned(),
            value: value.parse()?,
        });
    }
    Ok(all)
}

fn frame(title: &str, depth: usize) -> Frame {
    let path = [
        Link::new("regressd", "repositories.html"),
        Link::new("hyperium/hyper", "repository.html"),
        Link::new(title, ""),
    ];
    Frame {
        title: format!("{title} · regressd"),
        style: "style.css".to_owned(),
        path: path.into_iter().take(depth).collect(),
        foot: vec![Link::new("regressd 0.1.0", ""), Link::new("API", "#")],
    }
}

fn first_page() -> RepositoriesPage {
    let card = |name: &str, outcome, summary: &str| RepositoryCard {
        name: name.to_owned(),
        href: "repository.html".to_owned(),
        outcome,
        summary: summary.to_owned(),
        updated: outcome.map(|_| When {
            text: "2026-11-21 13:02".to_owned(),
            iso: "2026-11-21T13:02:00Z".to_owned(),
        }),
    };
    RepositoriesPage {
        repositories: vec![
            card(
                "hyperium/hyper",
                Some(Outcome::Regression),
                "3 of 27 benchmarks are slower",
            ),
            card("serde-rs/serde", Some(Outcome::Unchanged), "112 benchmarks"),
            card(
                "a-team-with-a-long-name/and-a-repository-with-a-longer-one",
                Some(Outcome::Mixed),
                "2 slower, 1 faster",
            ),
            card("octo/empty", None, ""),
        ],
        next: Some("#".to_owned()),
        empty: MessagePage::default(),
    }
}

/// The day as year and month and day, after Howard Hinnant's well-known arithmetic.
fn when(day: u64) -> When {
    let z = day + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let text = format!("{year}-{month:02}-{date:02}");
    When {
        iso: text.clone(),
        text: format!("{text} 12:00"),
    }
}

fn repository_page(all: &BTreeMap<String, Vec<Value>>) -> RepositoryPage {
    let line = |(index, (name, values)): (usize, (&String, &Vec<Value>))| SeriesLine {
        name: name.clone(),
        href: format!("benchmark-{index}.html"),
        unit: Unit::Nanoseconds,
        direction: Direction::SmallerIsBetter,
        history: values[values.len().saturating_sub(60)..]
            .iter()
            .map(|value| value.value)
            .collect(),
        percent: Some(if index % 9 == 2 {
            12.4
        } else {
            0.3 * index as f64 - 2.0
        }),
        verdict: Some(match index % 9 {
            2 => VerdictKind::Regression,
            4 => VerdictKind::Improvement,
            7 => VerdictKind::NotEnoughData,
            _ => VerdictKind::Unchanged,
        }),
    };
    let mut stream = StreamSection {
        component: String::new(),
        environment: "linux, x86_64, AMD EPYC 7763 64-Core Processor, 4 cores, rustc 1.94".to_owned(),
        outcome: Some(Outcome::Mixed),
        judged: Some(when(20_778)),
        rows: all.iter().enumerate().map(line).collect(),
        more: 0,
    };
    stream.sort_rows();
    let run = |index: u64| RunLine {
        href: "#".to_owned(),
        commit: format!("{:040x}", index.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        of: Link::new(
            if index.is_multiple_of(3) {
                "main".to_owned()
            } else {
                format!("#{}", 400 + index)
            },
            "#",
        ),
        place: "linux x86_64".to_owned(),
        received: when(20_778 - index),
        outcome: [Some(Outcome::Unchanged), Some(Outcome::Regression), None][(index % 3) as usize],
    };
    RepositoryPage {
        name: "hyperium/hyper".to_owned(),
        links: vec![
            Link::new("GitHub", "#"),
            Link::new("Badge", "badge-regression.svg"),
        ],
        branches: vec![Link::new("main", ""), Link::new("release/1.x", "#")],
        search: String::new(),
        search_action: "repository.html".to_owned(),
        branch: "main".to_owned(),
        streams: vec![stream],
        runs: (0..8).map(run).collect(),
        archived: false,
        administered_at: Some("#".to_owned()),
        empty: MessagePage::default(),
    }
}

fn benchmark_page(name: &str, all: &[Value]) -> BenchmarkPage {
    let shown = &all[all.len().saturating_sub(500)..];
    let values: Vec<f64> = shown.iter().map(|value| value.value).collect();
    let recent = values.len().saturating_sub(30);
    let band = values[recent..]
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let point = |(index, value): (usize, &Value)| HistoryPoint {
        value: value.value,
        commit: value.commit.clone(),
        commit_href: format!("https://github.com/hyperium/hyper/commit/{}", value.commit),
        run_href: "#".to_owned(),
        when: when(value.day),
        state: if index + 3 == values.len() {
            PointState::Rejected
        } else {
            PointState::Accepted
        },
    };
    let change = |change: regress_core::detect::ChangePoint| Change {
        index: change.index,
        before: change.before,
        after: change.after,
        kind: if change.index.is_multiple_of(4) {
            ChangeKind::Machine
        } else {
            ChangeKind::Own
        },
    };
    let fact = |name: &str, value: &str| Fact {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    BenchmarkPage {
        range: None,
        beside: Default::default(),
        accept: None,
        name: name.to_owned(),
        unit: Unit::Nanoseconds,
        direction: Direction::SmallerIsBetter,
        places: vec![
            Link::new("main", "repository.html"),
            Link::new("linux, x86_64, AMD EPYC 7763 64-Core Processor, 4 cores", ""),
        ],
        verdict: Some(VerdictKind::Regression),
        reason: "slower by 8.1 %, at least 6.1 %, which is above 5 %".to_owned(),
        facts: vec![
            fact("now", "59.87 µs"),
            fact("baseline", "55.4 µs"),
            fact("change", "+8.1 %"),
            fact("95 % interval", "[+6.1, +10.1] %"),
            fact("threshold", "5 %"),
            fact("confidence", "97 %"),
            fact("runs in the baseline", "30"),
        ],
        points: shown.iter().enumerate().map(point).collect(),
        band: Some((band.0, band.1, recent)),
        changes: change_points(&values, &ChangePointSettings::default())
            .into_iter()
            .map(change)
            .collect(),
        spans: vec![Link::new("100 runs", "#"), Link::new("500 runs", "")],
        others: vec![Link::new("linux, aarch64, Neoverse-N1, 4 cores", "#")],
    }
}
