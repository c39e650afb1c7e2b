//! A case from text. Every problem names its line; nothing here panics, and nothing large is made of little text.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::error::{SnipError, SnipProblem};
use super::line::{Line, parse_number, split_lines};
use super::registers::Place;
use super::words::Named;
use super::{Snip, SnipExpectation, derived};
use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE};
use snippex_core::block::Block;
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::observation::{Endpoint, LINE_SIZE, Observation, Signal};
use snippex_core::state::{Components, MachineState};

/// Bytes of code, pages and addresses that are read; blocks and cases have far fewer.
const MAX_CODE: usize = 1 << 16;
const MAX_PAGES: usize = 4096;

pub(super) fn read_snip(text: &str) -> Result<Snip, SnipError> {
    let lines = split_lines(text)?;
    let mut reader = Reader {
        lines: &lines,
        at: 0,
        after: text.lines().count() + 1,
    };
    reader.snip()
}

struct Reader<'l, 't> {
    lines: &'l [Line<'t>],
    at: usize,
    /// Number of the line after the last.
    after: usize,
}

impl<'l, 't> Reader<'l, 't> {
    fn peek(&self) -> Option<&'l Line<'t>> {
        self.lines.get(self.at)
    }

    fn next(&mut self) -> Option<&'l Line<'t>> {
        let line = self.peek()?;
        self.at += 1;
        Some(line)
    }

    /// The next line, if it begins with one of `words`.
    fn take(&mut self, words: &[&str]) -> Option<&'l Line<'t>> {
        self.peek().filter(|line| words.contains(&line.words[0]))?;
        self.next()
    }

    fn missing(&self, what: &'static str) -> SnipError {
        SnipError {
            line: self.peek().map_or(self.after, |line| line.number),
            problem: SnipProblem::Missing(what),
        }
    }

    fn snip(&mut self) -> Result<Snip, SnipError> {
        self.header()?;
        let (mut title, mut notes, mut needs) = (None, Vec::new(), Vec::new());
        while let Some(line) = self.take(&["title", "note", "needs"]) {
            match line.words[0] {
                "title" if title.is_some() => return Err(line.error(SnipProblem::Twice("the title".into()))),
                "title" => title = Some(super::write::one_line(line.text)),
                "note" => notes.push(super::write::one_line(line.text)),
                _ => needs.extend(line.words[1..].iter().map(|word| (*word).to_owned())),
            }
        }
        let (block, placement) = self.block()?;
        let mut state = MachineState::default();
        if let Some(line) = self.take(&["start"]) {
            line.ends_after(1)?;
            self.registers(&mut state)?;
        }
        let pages = self.pages()?;
        let case = Case {
            block: Arc::new(block),
            placement,
            state,
            pages: pages.into(),
        };
        let end = self.end(&case)?;
        match self.peek() {
            None => Ok(Snip {
                title: title.unwrap_or_default(),
                notes,
                needs,
                case,
                end,
            }),
            Some(line) => Err(line.error(SnipProblem::Keyword {
                word: line.words[0].to_owned(),
                expected: "a register of this section, or the next of block, start, page, end",
            })),
        }
    }

    fn header(&mut self) -> Result<(), SnipError> {
        let line = self.next().ok_or(SnipError {
            line: 1,
            problem: SnipProblem::Header,
        })?;
        match line.words[..] {
            ["snip", "1"] => Ok(()),
            ["snip", version] => Err(line.error(SnipProblem::Version(version.to_owned()))),
            _ => Err(line.error(SnipProblem::Header)),
        }
    }

    fn block(&mut self) -> Result<(Block, Placement), SnipError> {
        let Some(line) = self.take(&["block"]) else {
            return Err(match self.peek() {
                Some(line) => line.error(SnipProblem::Keyword {
                    word: line.words[0].to_owned(),
                    expected: "title, note, needs or block",
                }),
                None => self.missing("`block ADDRESS`"),
            });
        };
        let address = one_number(line, "the block's address in its file")?;
        let mut said = BTreeMap::new();
        let mut bytes = Vec::new();
        while let Some(line) = self.take(&[
            "origin",
            "terminator",
            "instructions",
            "successors",
            "unrunnable",
            "image-base",
            "code-base",
            "code",
        ]) {
            if line.words[0] == "code" {
                bytes.extend(line.parse_bytes(&line.words[1..])?);
                if bytes.len() > MAX_CODE {
                    return Err(line.error(SnipProblem::TooMany {
                        what: "bytes of code",
                        most: MAX_CODE,
                    }));
                }
            } else if said.insert(line.words[0], line).is_some() {
                return Err(line.error(SnipProblem::Twice(format!("`{}`", line.words[0]))));
            }
        }
        let mut block = derived::derive_block(address, bytes);
        if let Some(line) = said.get("origin") {
            block.origin = named(line, "origin of a block")?;
        }
        if let Some(line) = said.get("terminator") {
            block.terminator = named(line, "terminator")?;
            block.successors = derived::derive_successors(&block);
        }
        if let Some(line) = said.get("instructions") {
            let count = one_number(line, "the number of instructions")?;
            block.instruction_count = u32::try_from(count).map_err(|_| {
                line.error(SnipProblem::Width {
                    value: count.to_string(),
                    bits: 32,
                })
            })?;
        }
        if let Some(line) = said.get("successors") {
            let read = |word: &&str| parse_number(word).map_err(|problem| line.error(problem));
            block.successors = line.words[1..].iter().map(read).collect::<Result<_, _>>()?;
        }
        if let Some(line) = said.get("unrunnable") {
            block.unrunnable = Some(named(line, "reason not to run a block")?);
        }
        let base = |name: &str, default| {
            said.get(name)
                .map_or(Ok(default), |line| one_number(line, "an address"))
        };
        let placement = Placement {
            image_base: base("image-base", IMAGE_BASE)?,
            code_base: base("code-base", IMAGE_BASE + CODE_DISTANCE)?,
        };
        Ok((block, placement))
    }

    /// `NAME = VALUE` lines, as many as follow.
    fn registers(&mut self, state: &mut MachineState) -> Result<(), SnipError> {
        let mut seen = HashSet::new();
        while let Some(line) = self.peek().filter(|line| line.words.get(1) == Some(&"=")) {
            self.at += 1;
            let name = line.words[0];
            let place =
                Place::from_name(name).ok_or_else(|| line.error(SnipProblem::Register(name.to_owned())))?;
            if !seen.insert(place.whole_register()) {
                return Err(line.error(SnipProblem::Twice(format!("`{name}`"))));
            }
            place
                .set_from_words(state, &line.words[2..])
                .map_err(|problem| line.error(problem))?;
        }
        Ok(())
    }

    fn pages(&mut self) -> Result<Vec<Page>, SnipError> {
        let mut pages: Vec<Page> = Vec::new();
        while let Some(line) = self.take(&["page"]) {
            if pages.len() == MAX_PAGES {
                return Err(line.error(SnipProblem::TooMany {
                    what: "pages",
                    most: MAX_PAGES,
                }));
            }
            let wrong = |what| line.error(SnipProblem::Place(what));
            let address = line
                .words
                .get(1)
                .ok_or_else(|| line.error(SnipProblem::Missing("the address")))?;
            let address = parse_number(address).map_err(|problem| line.error(problem))?;
            if !address.is_multiple_of(PAGE_SIZE as u64) {
                return Err(wrong("a page begins at a multiple of 0x1000"));
            }
            if pages.last().is_some_and(|page| page.address >= address) {
                return Err(wrong("pages come in ascending order, each once"));
            }
            let access = match line.words.get(2) {
                None => PageAccess::ReadWrite,
                Some(word) => PageAccess::named(word).ok_or_else(|| {
                    line.error(SnipProblem::Name {
                        word: (*word).to_owned(),
                        what: "access to a page (read, read-write)",
                    })
                })?,
            };
            line.ends_after(3)?;
            pages.push(Page {
                address,
                access,
                content: Arc::new(self.content()?),
            });
        }
        Ok(pages)
    }

    /// The `OFFSET: BYTES` lines of a page.
    fn content(&mut self) -> Result<[u8; PAGE_SIZE], SnipError> {
        let (mut content, mut given) = ([0; PAGE_SIZE], [false; PAGE_SIZE]);
        while let Some(line) = self.peek().filter(|line| line.words[0].ends_with(':')) {
            self.at += 1;
            let offset =
                parse_number(line.words[0].trim_end_matches(':')).map_err(|problem| line.error(problem))?;
            for (at, byte) in (offset..).zip(line.parse_bytes(&line.words[1..])?) {
                let at = usize::try_from(at).ok().filter(|at| *at < PAGE_SIZE);
                let at = at.ok_or_else(|| line.error(SnipProblem::Place("this reaches beyond the page")))?;
                if std::mem::replace(&mut given[at], true) {
                    return Err(line.error(SnipProblem::Twice(format!("the byte at {at:#x}"))));
                }
                content[at] = byte;
            }
        }
        Ok(content)
    }

    fn end(&mut self, case: &Case) -> Result<Option<SnipExpectation>, SnipError> {
        let Some(line) = self.take(&["end"]) else {
            return Ok(None);
        };
        let endpoint = endpoint(line)?;
        let mut covered = Components::ALL;
        if let Some(line) = self.take(&["covers"]) {
            covered = line.words[1..].iter().try_fold(Components(0), |all, word| {
                let mut known = Components::NAMES.iter();
                let found = known.find(|(name, _)| name == word);
                let (_, part) = found.ok_or_else(|| {
                    line.error(SnipProblem::Name {
                        word: (*word).to_owned(),
                        what: "part of the state (general, segment-bases, x87, sse, avx, avx512)",
                    })
                })?;
                Ok(all.union(*part))
            })?;
        }
        let mut state = case.state.clone();
        self.registers(&mut state)?;
        let memory = self.memory(case)?;
        Ok(Some(SnipExpectation {
            observation: Observation {
                endpoint,
                state,
                memory,
            },
            covered,
        }))
    }

    /// The `memory ADDRESS: BYTES` lines.
    fn memory(&mut self, case: &Case) -> Result<Vec<snippex_core::observation::ChangedLine>, SnipError> {
        let mut changed: BTreeMap<u64, [u8; LINE_SIZE]> = BTreeMap::new();
        let mut given = BTreeSet::new();
        while let Some(line) = self.take(&["memory"]) {
            let word = line
                .words
                .get(1)
                .ok_or_else(|| line.error(SnipProblem::Missing("the address")))?;
            let word = word
                .strip_suffix(':')
                .ok_or_else(|| line.error(SnipProblem::Missing("`:` after the address")))?;
            let address = parse_number(word).map_err(|problem| line.error(problem))?;
            for (offset, byte) in (0..).zip(line.parse_bytes(&line.words[2..])?) {
                let at = address
                    .checked_add(offset)
                    .ok_or_else(|| line.error(SnipProblem::Place("this reaches beyond the address space")))?;
                if !given.insert(at) {
                    return Err(line.error(SnipProblem::Twice(format!("the byte at {at:#x}"))));
                }
                let start = at & !(LINE_SIZE as u64 - 1);
                let bytes = changed
                    .entry(start)
                    .or_insert_with(|| derived::initial_line_at(case, start));
                bytes[(at - start) as usize] = byte;
            }
        }
        let line = |(address, bytes)| snippex_core::observation::ChangedLine { address, bytes };
        Ok(changed.into_iter().map(line).collect())
    }
}

/// The words after `end`.
fn endpoint(line: &Line<'_>) -> Result<Endpoint, SnipError> {
    let read = |word: &str| parse_number(word).map_err(|problem| line.error(problem));
    let narrow = |word: &str, bits| {
        line.error(SnipProblem::Width {
            value: word.to_owned(),
            bits,
        })
    };
    match line.words[1..] {
        ["exit", target] => Ok(Endpoint::Exit {
            target: read(target)?,
        }),
        ["hung"] => Ok(Endpoint::Hung),
        ["died"] => Ok(Endpoint::EngineDied { signal: None }),
        ["died", number] => Ok(Endpoint::EngineDied {
            signal: Some(signed(line, number)?),
        }),
        ["signal", word, "at", rip, ref details @ ..] => {
            let mut signal = Signal {
                number: u8::try_from(read(word)?).map_err(|_| narrow(word, 8))?,
                code: 0,
                rip: read(rip)?,
                address: 0,
                write: false,
            };
            let mut details = details.iter();
            while let Some(detail) = details.next() {
                let mut word = || {
                    details
                        .next()
                        .ok_or_else(|| line.error(SnipProblem::Missing("a number at the end")))
                };
                match *detail {
                    "code" => signal.code = signed(line, word()?)?,
                    "address" => signal.address = read(word()?)?,
                    "write" => signal.write = true,
                    surplus => return Err(line.error(SnipProblem::Surplus(surplus.to_owned()))),
                }
            }
            Ok(Endpoint::Signal(signal))
        }
        [] => Err(line.error(SnipProblem::Missing("how it ends: exit, signal, hung or died,"))),
        [word, ..] => Err(line.error(SnipProblem::Keyword {
            word: word.to_owned(),
            expected: "exit ADDRESS, signal N at ADDRESS, hung or died",
        })),
    }
}

fn signed(line: &Line<'_>, word: &str) -> Result<i32, SnipError> {
    word.parse()
        .map_err(|_| line.error(SnipProblem::Number(word.to_owned())))
}

/// The only word after the first, as a number.
fn one_number(line: &Line<'_>, what: &'static str) -> Result<u64, SnipError> {
    parse_number(line.only_word(what)?).map_err(|problem| line.error(problem))
}

/// The only word after the first, as a name.
fn named<T: Named>(line: &Line<'_>, what: &'static str) -> Result<T, SnipError> {
    let word = line.only_word("a name")?;
    T::named(word).ok_or_else(|| {
        line.error(SnipProblem::Name {
            word: word.to_owned(),
            what,
        })
    })
}
