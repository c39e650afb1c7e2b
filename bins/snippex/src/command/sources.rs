//! `snippex sources`: what is in disk images, file systems, archives and packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use cli_kit::style::HEADING;
use cli_kit::{ExitStatus, Failure, Format, Table, units};
use serde::Serialize;
use snippex_core::words::escape_control;
use snippex_image::{Image, ImageError, Layer, Limits, System};
use snippex_report::format_count;
use snippex_report::storage::storage_diagram;
use snippex_session::ProgramName;

use crate::app::App;
use crate::args::{ImagesArgs, ListSourcesArgs, ShowSourcesArgs, SourcesCommand};

/// The processor that blocks are run for.
const ARCHITECTURE: &str = "x86-64";

pub(crate) fn run(app: &App<'_>, command: &SourcesCommand) -> Result<ExitStatus, Failure> {
    match command {
        SourcesCommand::List(args) => list(app, args),
        SourcesCommand::Show(args) => show(app, args),
    }
}

/// A program in a list.
#[derive(Debug, Serialize)]
struct ProgramRow {
    /// As `check` takes it.
    name: String,
    architecture: &'static str,
    format: &'static str,
    size: u64,
}

/// What was found in an image, or why nothing was.
#[derive(Debug, Serialize)]
struct ImagePrograms {
    image: String,
    programs: Vec<ProgramRow>,
    problems: Vec<String>,
}

/// An image in a view.
#[derive(Debug, Serialize)]
struct ImageView {
    image: String,
    /// Missing where the image cannot be opened.
    layer: Option<Layer>,
    systems: Vec<System>,
    /// Programs and libraries by architecture.
    programs: BTreeMap<&'static str, u64>,
    problems: Vec<String>,
}

fn list(app: &App<'_>, args: &ListSourcesArgs) -> Result<ExitStatus, Failure> {
    let found = with_images(app, &args.images, |name| programs_of(name, args.all))?;
    match app.format {
        Format::Json => app.printer.print_json(&found)?,
        Format::Jsonl => {
            for image in &found {
                app.printer.print_json_line(image)?;
            }
        }
        Format::Human => {
            let mut rows = Table::new(["program", "for", "format", "size"]).fit(app.printer.width());
            for program in found.iter().flat_map(|image| &image.programs) {
                rows.add_row([
                    escape_control(&program.name).into_owned(),
                    program.architecture.to_owned(),
                    program.format.to_owned(),
                    units::format_bytes(program.size),
                ]);
            }
            let count: usize = found.iter().map(|image| image.programs.len()).sum();
            if count > 0 {
                app.printer.print_line(&rows)?;
            }
            app.printer.print_line(format_args!(
                "{} in {}",
                format_count(count as u64, "program"),
                format_count(found.len() as u64, "image")
            ))?;
        }
    }
    Ok(tell_problems(
        app,
        found.iter().map(|found| (&found.image, &found.problems)),
    ))
}

fn show(app: &App<'_>, args: &ShowSourcesArgs) -> Result<ExitStatus, Failure> {
    let found = with_images(app, &args.images, view_of)?;
    match app.format {
        Format::Json => app.printer.print_json(&found)?,
        Format::Jsonl => {
            for image in &found {
                app.printer.print_json_line(image)?;
            }
        }
        Format::Human if args.mermaid => {
            for image in found
                .iter()
                .filter_map(|image| Some((&image.image, image.layer.as_ref()?)))
            {
                app.printer
                    .print_text(storage_diagram(image.0, &storage(image.1)))?;
            }
        }
        Format::Human => {
            // What cannot be opened is told below.
            for image in found.iter().filter(|image| image.layer.is_some()) {
                print_view(app, image)?;
            }
        }
    }
    Ok(tell_problems(
        app,
        found.iter().map(|found| (&found.image, &found.problems)),
    ))
}

/// Opens images on several threads; what comes out has the order of what was named.
fn with_images<T: Send>(
    app: &App<'_>,
    args: &ImagesArgs,
    work: impl Fn(&ProgramName) -> T + Sync,
) -> Result<Vec<T>, Failure> {
    let names = newest(args);
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok());
    let jobs = jobs.map_or(1, std::num::NonZeroUsize::get).min(names.len());
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<T>>> = Mutex::new(names.iter().map(|_| None).collect());
    let progress = app
        .printer
        .start_progress("reading images", Some(names.len() as u64));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((index, name)) = take_next(&next, &names) {
                    let made = work(name);
                    done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(made);
                    progress.advance(1);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(done.into_iter().flatten().collect())
}

fn take_next<'n>(next: &AtomicUsize, names: &'n [ProgramName]) -> Option<(usize, &'n ProgramName)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, names.get(index)?))
}

/// The images that are meant, in the order in which they were named.
fn newest(args: &ImagesArgs) -> Vec<ProgramName> {
    let mut names: Vec<(usize, ProgramName)> = args
        .images
        .iter()
        .map(|name| ProgramName::parse(name))
        .enumerate()
        .collect();
    if let Some(count) = args.newest {
        let changed = |name: &ProgramName| {
            let (ProgramName::File(path) | ProgramName::InImage { image: path, .. }) = name;
            fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .unwrap_or(SystemTime::UNIX_EPOCH)
        };
        names.sort_by_key(|(_, name)| std::cmp::Reverse(changed(name)));
        names.truncate(count);
        names.sort_by_key(|(index, _)| *index);
    }
    names.into_iter().map(|(_, name)| name).collect()
}

fn open(name: &ProgramName) -> (String, Result<(Image, &str), ImageError>) {
    let (path, pattern): (&PathBuf, &str) = match name {
        ProgramName::File(path) => (path, ""),
        ProgramName::InImage { image, pattern } => (image, pattern),
    };
    let opened = Image::open(path, Limits::default()).map(|image| (image, pattern));
    (path.display().to_string(), opened)
}

fn programs_of(name: &ProgramName, all: bool) -> ImagePrograms {
    let (path, opened) = open(name);
    let mut found = ImagePrograms {
        image: path,
        programs: Vec::new(),
        problems: Vec::new(),
    };
    let files = opened.and_then(|(image, pattern)| {
        let files = match pattern {
            "" => image.list_files(),
            pattern => image.find_files(pattern)?,
        };
        Ok((image, files))
    });
    match files {
        Ok((image, files)) => {
            let (programs, problems) = image.find_programs(&files);
            found.problems = image.layer().all_problems();
            found.problems.extend(problems);
            let wanted = programs
                .iter()
                .filter(|program| all || program.kind.architecture == ARCHITECTURE);
            found.programs = wanted
                .map(|program| ProgramRow {
                    name: format!("{}:{}", found.image, program.file.full_path()),
                    architecture: program.kind.architecture,
                    format: program.kind.format,
                    size: program.file.size,
                })
                .collect();
        }
        Err(error) => found.problems.push(error.to_string()),
    }
    found
}

fn view_of(name: &ProgramName) -> ImageView {
    let (path, opened) = open(name);
    let mut view = ImageView {
        image: path,
        layer: None,
        systems: Vec::new(),
        programs: BTreeMap::new(),
        problems: Vec::new(),
    };
    match opened {
        Ok((image, _)) => {
            view.problems = image.layer().all_problems();
            view.systems = image.list_systems();
            let (programs, problems) = image.find_programs(&image.list_files());
            view.problems.extend(problems);
            for program in programs {
                *view.programs.entry(program.kind.architecture).or_default() += 1;
            }
            view.layer = Some(image.layer().clone());
        }
        Err(error) => view.problems.push(error.to_string()),
    }
    view
}

fn print_view(app: &App<'_>, view: &ImageView) -> Result<(), Failure> {
    app.printer.print_line(format_args!(
        "{HEADING}{}{HEADING:#}",
        escape_control(&view.image)
    ))?;
    if let Some(layer) = &view.layer {
        print_layer(app, layer, 1)?;
    }
    for system in &view.systems {
        let packages = system.packages.iter().map(|(tool, count)| match count {
            Some(count) => format!(", {} of {tool}", format_count(*count, "package")),
            None => format!(", packages of {tool}"),
        });
        let place = match system.volume.as_str() {
            "" => String::new(),
            volume => format!("{volume}: "),
        };
        app.printer.print_line(format_args!(
            " {}{}{}",
            escape_control(&place),
            escape_control(&system.name),
            packages.collect::<String>()
        ))?;
    }
    let programs: Vec<String> = view
        .programs
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if !programs.is_empty() {
        app.printer
            .print_line(format_args!(" programs and libraries: {}", programs.join(", ")))?;
    }
    Ok(())
}

fn print_layer(app: &App<'_>, layer: &Layer, depth: usize) -> Result<(), Failure> {
    let name = if layer.name.is_empty() {
        String::new()
    } else {
        format!("{} ", escape_control(&layer.name))
    };
    let size = match layer.size {
        0 => String::new(),
        size => format!(", {}", units::format_bytes(size)),
    };
    let files = layer.files.map_or(String::new(), |files| {
        format!(", {}", format_count(files, "file"))
    });
    app.printer.print_line(format_args!(
        "{:indent$}{name}{}{size}{files}",
        "",
        layer.format,
        indent = depth
    ))?;
    layer
        .inner
        .iter()
        .try_for_each(|inner| print_layer(app, inner, depth + 2))
}

/// The layers as the diagram wants them.
fn storage(layer: &Layer) -> snippex_report::storage::StorageLayer {
    snippex_report::storage::StorageLayer {
        name: layer.name.clone(),
        format: layer.format.clone(),
        size: layer.size,
        files: layer.files,
        inner: layer.inner.iter().map(storage).collect(),
    }
}

/// Says what could not be read; one broken image is not the end of the others.
fn tell_problems<'p>(
    app: &App<'_>,
    problems: impl Iterator<Item = (&'p String, &'p Vec<String>)>,
) -> ExitStatus {
    let mut status = ExitStatus::NothingFound;
    for (image, problems) in problems {
        for problem in problems {
            let (image, problem) = (escape_control(image), escape_control(problem));
            app.printer.print_warning(format_args!("{image}: {problem}"));
            status = ExitStatus::CouldNot;
        }
    }
    status
}
