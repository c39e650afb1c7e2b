//! `snippex export csv`: stored tables for spreadsheets.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use cli_kit::{ExitStatus, Failure, OrFail};
use snippex_core::words::kebab_case;
use snippex_report::data_table::{Figure, csv_line};
use snippex_store::{BlockRow, ResultKind, ResultRow, RunId, RunRange, StoreHandle};

use super::super::stats::{each_run, summed_runs};
use super::stream;
use crate::app::App;
use crate::args::{CsvArgs, CsvTableArg};
use crate::stored_scope::require_stored;

const BLOCKS: [&str; 11] = [
    "block",
    "binary",
    "sha256",
    "address",
    "size",
    "instructions",
    "terminator",
    "successors",
    "origin",
    "not_run",
    "bytes",
];
const VALIDATIONS: [&str; 16] = [
    "run",
    "started",
    "command",
    "block",
    "binary",
    "address",
    "reference",
    "engine",
    "version",
    "verdict",
    "cases",
    "matched",
    "diverged",
    "inconclusive",
    "unsupported",
    "faulted",
];
const SIMULATIONS: [&str; 12] = [
    "run",
    "started",
    "command",
    "block",
    "binary",
    "address",
    "engine",
    "version",
    "cases",
    "completed",
    "faulted",
    "unsupported",
];

pub(super) fn run(app: &App<'_>, args: &CsvArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let runs = run_range(args)?;
    require_stored(&store, args.run.map(RunId), None)?;
    match args.table {
        CsvTableArg::Blocks => {
            let columns = Columns::choose(&BLOCKS, &args.columns)?;
            write(app, args, &columns, |out| blocks(&store, &columns, out))
        }
        CsvTableArg::Validations => {
            let columns = Columns::choose(&VALIDATIONS, &args.columns)?;
            write(app, args, &columns, |out| {
                results(&store, ResultKind::Validations, runs, validation, &columns, out)
            })
        }
        CsvTableArg::Simulations => {
            let columns = Columns::choose(&SIMULATIONS, &args.columns)?;
            write(app, args, &columns, |out| {
                results(&store, ResultKind::Simulations, runs, simulation, &columns, out)
            })
        }
        CsvTableArg::History => {
            let mut summed = summed_runs(&store, u32::MAX)?;
            summed.retain(|run| runs.contains(run.run));
            // The oldest first, so that what is appended stands behind what was there.
            summed.reverse();
            let table = each_run(&summed);
            let columns = Columns::choose(table.columns(), &args.columns)?;
            write(app, args, &columns, |out| {
                for row in table.rows() {
                    if !out(&columns.line(row))? {
                        break;
                    }
                }
                Ok(())
            })
        }
    }?;
    Ok(ExitStatus::NothingFound)
}

fn run_range(args: &CsvArgs) -> Result<RunRange, Failure> {
    let range = match (args.run, args.after_run) {
        (Some(run), _) => RunRange {
            first: RunId(run),
            last: RunId(run),
        },
        (None, Some(before)) => RunRange {
            first: RunId(before.saturating_add(1)),
            ..RunRange::ALL
        },
        (None, None) => RunRange::ALL,
    };
    if args.table == CsvTableArg::Blocks && range != RunRange::ALL {
        return Err(Failure::new("blocks do not belong to a run")
            .hint("leave out --run and --after-run, or export validations"));
    }
    Ok(range)
}

/// The columns that were asked for, by their places in a whole row.
struct Columns {
    names: Vec<&'static str>,
    places: Vec<usize>,
}

impl Columns {
    fn choose(all: &[&'static str], wanted: &[String]) -> Result<Self, Failure> {
        if wanted.is_empty() {
            return Ok(Self {
                names: all.to_vec(),
                places: (0..all.len()).collect(),
            });
        }
        let mut chosen = Self {
            names: Vec::new(),
            places: Vec::new(),
        };
        for name in wanted {
            let name = name.trim();
            let Some(place) = all.iter().position(|known| *known == name) else {
                return Err(Failure::new(format!("there is no column {name:?}"))
                    .hint(format!("there are {}", all.join(", "))));
            };
            if chosen.places.contains(&place) {
                return Err(Failure::new(format!("the column {name} is named twice")).hint("name it once"));
            }
            chosen.names.push(all[place]);
            chosen.places.push(place);
        }
        Ok(chosen)
    }

    fn header(&self) -> String {
        csv_line(&self.names)
    }

    fn line(&self, row: &[Figure]) -> String {
        csv_line(self.places.iter().map(|&place| row[place].for_spreadsheets()))
    }
}

/// Takes a line; `false` when nobody wants more.
type Out<'o> = dyn FnMut(&str) -> Result<bool, Failure> + 'o;

/// Writes a table to the answer, or to the end of a file.
fn write(
    app: &App<'_>,
    args: &CsvArgs,
    columns: &Columns,
    rows: impl FnOnce(&mut Out<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some(path) = &args.append else {
        app.printer.print_text(columns.header())?;
        return rows(&mut |line| {
            app.printer.print_text(line)?;
            Ok(!app.printer.reader_is_gone())
        });
    };
    let failed = || format!("cannot append to {}", path.display());
    let mut file = Appended::open(path, &columns.header())?;
    let written = rows(&mut |line| {
        file.out.write_all(line.as_bytes()).or_fail_with(failed)?;
        Ok(true)
    });
    file.finish(written, path)
}

/// A file to whose end rows are added, all of them or none.
struct Appended {
    out: BufWriter<File>,
    /// Its length in bytes before.
    before: u64,
}

impl Appended {
    /// Opens a file whose first line is `header`; a new or empty one gets it.
    fn open(path: &Path, header: &str) -> Result<Self, Failure> {
        let failed = || format!("cannot append to {}", path.display());
        let open = || -> io::Result<(File, u64)> {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            // Two that append at once take turns.
            file.lock()?;
            let before = file.metadata()?.len();
            Ok((file, before))
        };
        let (mut file, before) = open().or_fail_with(failed)?;
        if before > 0 {
            check_header(&file, header, path)?;
        }
        file.seek(SeekFrom::End(0)).or_fail_with(failed)?;
        let mut out = BufWriter::new(file);
        if before == 0 {
            out.write_all(header.as_bytes()).or_fail_with(failed)?;
        }
        Ok(Self { out, before })
    }

    /// Makes the rows stay; if they are not all written, the file is again as it was.
    fn finish(mut self, written: Result<(), Failure>, path: &Path) -> Result<(), Failure> {
        let failed = || format!("cannot append to {}", path.display());
        let done = written.and_then(|()| self.out.flush().or_fail_with(failed));
        if done.is_err() {
            let (file, _) = self.out.into_parts();
            file.set_len(self.before).or_fail_with(failed)?;
        }
        done
    }
}

/// Whether a file begins with this header and ends with a whole line.
fn check_header(file: &File, header: &str, path: &Path) -> Result<(), Failure> {
    let failed = || format!("cannot read {}", path.display());
    let refuse = |what: String| {
        Err(Failure::new(format!("{} {what}", path.display()))
            .hint("choose the same columns with --columns, or name another file"))
    };
    let mut first = String::new();
    // A header is far shorter; the file may be anything.
    let mut reader = BufReader::new(file.take(64 << 10));
    if reader.read_line(&mut first).or_fail_with(failed).is_err() {
        return refuse("is not a text file".to_owned());
    }
    let (expected, found) = (header.trim_end(), first.trim_end_matches(['\r', '\n']));
    if expected != found {
        let found: String = found.chars().take(200).collect();
        return refuse(format!("has the columns {found:?}, not {expected:?}"));
    }
    let mut last = [0];
    let mut end = file;
    end.seek(SeekFrom::End(-1)).or_fail_with(failed)?;
    end.read_exact(&mut last).or_fail_with(failed)?;
    if last != *b"\n" {
        return refuse("does not end with a whole line".to_owned());
    }
    Ok(())
}

fn blocks(store: &StoreHandle, columns: &Columns, out: &mut Out<'_>) -> Result<(), Failure> {
    stream(
        |rows| {
            store.call_and_wait(async move |store| store.each_block_row(|row| rows.send(row).is_ok()).await)
        },
        |row| out(&columns.line(&block(row))),
    )
}

fn results(
    store: &StoreHandle,
    kind: ResultKind,
    runs: RunRange,
    figures: fn(ResultRow) -> Vec<Figure>,
    columns: &Columns,
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    stream(
        |rows| {
            store.call_and_wait(async move |store| {
                store
                    .each_result_row(kind, runs, |row| rows.send(row).is_ok())
                    .await
            })
        },
        |row| out(&columns.line(&figures(row))),
    )
}

fn block(row: BlockRow) -> Vec<Figure> {
    let block = row.block;
    let successors = block.successors.iter().map(|address| format!("{address:#x}"));
    vec![
        Figure::Id(row.number.0),
        Figure::Text(row.binary),
        Figure::Text(row.sha256),
        address(block.address),
        Figure::Count(block.bytes.len() as u64),
        Figure::Count(block.instruction_count.into()),
        Figure::Text(kebab_case(&block.terminator)),
        Figure::Text(successors.collect::<Vec<_>>().join(" ")),
        Figure::Text(kebab_case(&block.origin)),
        block
            .unrunnable
            .as_ref()
            .map_or(Figure::Nothing, |reason| Figure::Text(kebab_case(reason))),
        Figure::Text(hex::encode(block.bytes)),
    ]
}

fn address(address: u64) -> Figure {
    Figure::Text(format!("{address:#x}"))
}

fn validation(row: ResultRow) -> Vec<Figure> {
    let verdict = match () {
        () if row.diverged > 0 => "diverged",
        () if row.matched == row.runs => "match",
        () => "inconclusive",
    };
    vec![
        Figure::Id(row.run.0),
        Figure::Time(row.started.0),
        Figure::Text(row.command),
        Figure::Id(row.block.0),
        Figure::Text(row.binary),
        address(row.address),
        Figure::Text(row.reference),
        Figure::Text(row.engine),
        Figure::Text(row.version),
        Figure::Text(verdict.to_owned()),
        Figure::Count(row.runs),
        Figure::Count(row.matched),
        Figure::Count(row.diverged),
        Figure::Count(row.inconclusive),
        Figure::Count(row.unsupported),
        Figure::Count(row.faulted),
    ]
}

fn simulation(row: ResultRow) -> Vec<Figure> {
    vec![
        Figure::Id(row.run.0),
        Figure::Time(row.started.0),
        Figure::Text(row.command),
        Figure::Id(row.block.0),
        Figure::Text(row.binary),
        address(row.address),
        Figure::Text(row.engine),
        Figure::Text(row.version),
        Figure::Count(row.runs),
        Figure::Count(row.completed),
        Figure::Count(row.faulted),
        Figure::Count(row.unsupported),
    ]
}
