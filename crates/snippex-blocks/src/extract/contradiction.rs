//! Contradicting starts: two ways of reading the same bytes, of which only one is what the compiler wrote.
//!
//! A start that is none comes from a guess, most often from a jump table that was read on past its end; what follows from it cuts
//! into instructions that control flow reaches from elsewhere. Each piece of code is as doubtful as the worst step on the best way
//! that leads to it from what the file declares. Where two pieces contradict each other, the more doubtful one goes, with all that
//! leads nowhere but there and all that only follows from it; a table ends before the entry that led there. When they are equally
//! doubtful both stay: code that jumps behind a LOCK prefix is written by hand.
//!
//! Runs only when some byte was read in two ways, and in time linear in the size of the code then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use iced_x86::Instruction;

use super::code::{CodeRegions, Position};
use super::trace::Tracer;
use snippex_core::block::{Origin, Terminator};
use snippex_core::decode::{Control, MAX_LENGTH, control_flow, intel_decoder};

/// Times that what was decided decides more.
const ROUNDS: u32 = 8;

/// How doubtful it is that something is code: as doubtful as the worst step on the best way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Doubt(u32);

impl Doubt {
    /// The file declares it, or it follows from what the file declares.
    const DECLARED: Self = Self(0);
    /// An entry of a table that a comparison bounds.
    const BOUNDED_TABLE: Self = Self(1);
    /// Code loads its address, or nothing tells how it was found.
    const TAKEN: Self = Self(u32::MAX - 1);
    /// Nothing leads to it.
    const UNREACHED: Self = Self(u32::MAX);

    /// An entry of a table that says nowhere how long it is: the first is one for certain, each later one less so.
    fn of_open_table(entry: usize) -> Self {
        Self(
            u32::try_from(entry)
                .map_or(Self::TAKEN.0, |entry| entry.saturating_add(2))
                .min(Self::TAKEN.0),
        )
    }
}

/// Index of a piece.
type PieceId = u32;

/// A block as it was traced.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: Position,
    /// Behind its last byte.
    end: Position,
    /// Where its last instruction begins.
    last: Position,
    /// How it ends.
    terminator: Terminator,
    /// What the branch or call that it ends in leads to.
    target: Option<PieceId>,
    /// Where control goes on behind it.
    next: Option<PieceId>,
}

/// Where a piece leads, before it is known which pieces those are.
#[derive(Clone, Copy, Debug, Default)]
struct Exits {
    target: Option<Position>,
    next: Option<Position>,
}

/// What resolving works on.
struct Resolver {
    pieces: Vec<Piece>,
    /// Pieces of which one has an instruction inside one of the other, the first the one that begins earlier.
    pairs: Vec<(PieceId, PieceId)>,
    /// Pieces that are not code after all.
    refused: Vec<bool>,
    /// Entries of each table that are believed.
    lengths: Vec<usize>,
    /// Tables by the position of their jump.
    tables: Vec<(Position, usize)>,
    doubts: Vec<Doubt>,
    /// Pieces at which something begins a block: everything else only goes on there.
    begun: Vec<bool>,
    /// Each piece with one that goes on in it, ascending. (Behind a call it may be the callee that never returns.)
    leads: Vec<(PieceId, PieceId)>,
}

/// Takes back what contradicts what is less doubtful.
pub(super) fn resolve_contradictions(tracer: &mut Tracer<'_, '_>) {
    if !tracer.code.is_contradictory {
        return;
    }
    let mut resolver = Resolver::new(tracer);
    resolver.propagate(tracer, &[]);
    // What nothing known leads to stays a start of its own, and is not taken back because something else is.
    let unexplained: Vec<PieceId> = resolver.unvisited().collect();
    for _ in 0..ROUNDS {
        resolver.propagate(tracer, &unexplained);
        if !resolver.refuse_weaker(tracer) {
            break;
        }
    }
    resolver.propagate(tracer, &unexplained);
    resolver.take_back(tracer);
}

/// The traced code in pieces, ascending by start.
fn cut_pieces(tracer: &mut Tracer<'_, '_>) -> Vec<Piece> {
    let (mut pieces, mut exits) = (Vec::new(), Vec::new());
    for region in tracer.code.regions.clone() {
        for position in region.base..region.end_position() {
            if tracer.code.is_leader(position) && tracer.code.is_instruction(position) {
                let (piece, mut exit) = cut_piece(&tracer.code, region.end_position(), position);
                exit.next = match piece.terminator {
                    Terminator::Jmp | Terminator::IndirectJmp | Terminator::Ret | Terminator::Trap => None,
                    Terminator::FallThrough => Some(piece.end),
                    _ => Some(tracer.skip_alignment(piece.end)),
                };
                pieces.push(piece);
                exits.push(exit);
            }
        }
    }
    for (index, exit) in exits.into_iter().enumerate() {
        pieces[index].target = exit.target.and_then(|position| find_piece(&pieces, position));
        pieces[index].next = exit.next.and_then(|position| {
            let behind = pieces.get(index + 1).filter(|piece| piece.start == position);
            behind.map_or_else(|| find_piece(&pieces, position), |_| Some(index as PieceId + 1))
        });
    }
    pieces
}

/// The piece that begins at `position`.
fn find_piece(pieces: &[Piece], position: Position) -> Option<PieceId> {
    let found = pieces.binary_search_by_key(&position, |piece| piece.start);
    found.ok().map(|index| index as PieceId)
}

fn cut_piece(code: &CodeRegions<'_>, end: Position, start: Position) -> (Piece, Exits) {
    let mut decoder = intel_decoder(code.bytes_from(start), code.address_of(start));
    let mut instruction = Instruction::default();
    let mut piece = Piece {
        start,
        end: start,
        last: start,
        terminator: Terminator::FallThrough,
        target: None,
        next: None,
    };
    let mut exits = Exits::default();
    loop {
        decoder.decode_out(&mut instruction);
        piece.last = piece.end;
        piece.end += instruction.len() as Position;
        if let Control::End(terminator) = control_flow(&instruction) {
            piece.terminator = terminator;
            if matches!(
                terminator,
                Terminator::Jcc | Terminator::Loop | Terminator::Jmp | Terminator::Call
            ) {
                exits.target = code.position_of(instruction.near_branch_target());
            }
            return (piece, exits);
        }
        if piece.end >= end || !code.is_instruction(piece.end) || code.is_leader(piece.end) {
            return (piece, exits);
        }
    }
}

impl Resolver {
    fn new(tracer: &mut Tracer<'_, '_>) -> Self {
        let pieces = cut_pieces(tracer);
        let followed = &tracer.tables.followed;
        let mut tables: Vec<(Position, usize)> = followed
            .iter()
            .enumerate()
            .map(|(number, table)| (table.jump, number))
            .collect();
        tables.sort_unstable();
        Self {
            pairs: contradicting_pairs(&tracer.code, &pieces),
            refused: vec![false; pieces.len()],
            lengths: followed.iter().map(|table| table.targets.len()).collect(),
            tables,
            doubts: Vec::new(),
            begun: Vec::new(),
            leads: list_leads(&pieces),
            pieces,
        }
    }

    fn find(&self, position: Position) -> Option<PieceId> {
        find_piece(&self.pieces, position)
    }

    fn unvisited(&self) -> impl Iterator<Item = PieceId> + '_ {
        (0..self.pieces.len() as PieceId).filter(|&id| self.doubts[id as usize] == Doubt::UNREACHED)
    }

    /// Finds how doubtful each piece is, from what the file declares on, and with `unexplained` pieces as weak starts.
    fn propagate(&mut self, tracer: &Tracer<'_, '_>, unexplained: &[PieceId]) {
        self.doubts = vec![Doubt::UNREACHED; self.pieces.len()];
        self.begun = vec![false; self.pieces.len()];
        let mut waiting: BinaryHeap<Reverse<(Doubt, PieceId)>> = BinaryHeap::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let doubt = match tracer.code.origin_at(piece.start) {
                Some(
                    Origin::Entry
                    | Origin::Symbol
                    | Origin::UnwindInfo
                    | Origin::InitArray
                    | Origin::Relocation,
                ) => Doubt::DECLARED,
                Some(Origin::AddressTaken) => Doubt::TAKEN,
                _ => continue,
            };
            self.begun[index] = true;
            waiting.push(Reverse((doubt, index as PieceId)));
        }
        for &id in unexplained {
            self.begun[id as usize] = true;
            waiting.push(Reverse((Doubt::TAKEN, id)));
        }
        // Most of what a piece leads to is as doubtful as itself: that needs no order.
        let mut alike: Vec<PieceId> = Vec::new();
        while let Some(Reverse((doubt, id))) = waiting.pop() {
            alike.push(id);
            while let Some(id) = alike.pop() {
                self.visit(tracer, doubt, id, &mut alike, &mut waiting);
            }
        }
    }

    /// Notes that a piece is as doubtful as `doubt`, unless it is refused or known, and where it leads: `alike`, or waiting with
    /// more doubt.
    fn visit(
        &mut self,
        tracer: &Tracer<'_, '_>,
        doubt: Doubt,
        id: PieceId,
        alike: &mut Vec<PieceId>,
        waiting: &mut BinaryHeap<Reverse<(Doubt, PieceId)>>,
    ) {
        let index = id as usize;
        if self.refused[index] || self.doubts[index] != Doubt::UNREACHED {
            return;
        }
        self.doubts[index] = doubt;
        let piece = self.pieces[index];
        for next in [piece.target, piece.next].into_iter().flatten() {
            self.begun[next as usize] |= piece.terminator != Terminator::FallThrough;
            alike.push(next);
        }
        if piece.terminator != Terminator::IndirectJmp {
            return;
        }
        for table in self.tables_of(piece.last) {
            let followed = &tracer.tables.followed[table];
            for (entry, &target) in followed.targets[..self.lengths[table]].iter().enumerate() {
                let own = match followed.is_bounded {
                    true => Doubt::BOUNDED_TABLE,
                    false => Doubt::of_open_table(entry),
                };
                if let Some(id) = self.find(target) {
                    self.begun[id as usize] = true;
                    waiting.push(Reverse((doubt.max(own), id)));
                }
            }
        }
    }

    /// Numbers of the tables that the jump at `position` goes through.
    fn tables_of(&self, position: Position) -> Vec<usize> {
        let first = self.tables.partition_point(|&(jump, _)| jump < position);
        let here = self.tables[first..]
            .iter()
            .take_while(|&&(jump, _)| jump == position);
        here.map(|&(_, table)| table).collect()
    }

    /// Refuses of each pair the more doubtful piece, and whatever has no way but there; whether there was one.
    fn refuse_weaker(&mut self, tracer: &Tracer<'_, '_>) -> bool {
        let mut lost: Vec<PieceId> = Vec::new();
        for &(first, second) in &self.pairs {
            let (a, b) = (self.doubts[first as usize], self.doubts[second as usize]);
            if a == Doubt::UNREACHED || b == Doubt::UNREACHED || a == b {
                continue;
            }
            lost.push(if a > b { first } else { second });
        }
        let any = !lost.is_empty();
        for id in lost {
            self.refused[id as usize] = true;
        }
        if any {
            self.refuse_what_leads_there();
            self.shorten_tables(tracer);
        }
        any
    }

    /// What goes on in something that is no code is none either.
    fn refuse_what_leads_there(&mut self) {
        let mut spreading: Vec<PieceId> = (0..self.pieces.len() as PieceId)
            .filter(|&id| self.refused[id as usize])
            .collect();
        while let Some(id) = spreading.pop() {
            let first = self.leads.partition_point(|&(to, _)| to < id);
            for &(_, from) in self.leads[first..].iter().take_while(|&&(to, _)| to == id) {
                if !std::mem::replace(&mut self.refused[from as usize], true) {
                    spreading.push(from);
                }
            }
        }
    }

    /// A table ends before its first entry that is no code.
    fn shorten_tables(&mut self, tracer: &Tracer<'_, '_>) {
        for (number, table) in tracer.tables.followed.iter().enumerate() {
            let is_refused =
                |&target: &Position| self.find(target).is_some_and(|id| self.refused[id as usize]);
            let length = table.targets[..self.lengths[number]].iter().position(is_refused);
            // A bound that is known is believed: it is one case that is wrong then, not where the table ends.
            if let Some(length) = length.filter(|_| !table.is_bounded) {
                self.lengths[number] = length;
            }
        }
    }

    /// Takes the marks of everything away that nothing leads to any more.
    fn take_back(&self, tracer: &mut Tracer<'_, '_>) {
        let gone: Vec<PieceId> = self.unvisited().collect();
        if gone.is_empty() {
            self.join_blocks(tracer);
            return;
        }
        for &id in &gone {
            let piece = self.pieces[id as usize];
            tracer.code.clear_leader(piece.start);
            for (at, length) in instructions(&tracer.code, &piece) {
                tracer.code.clear_instruction(at, length);
            }
        }
        // Their bytes were those of others, too.
        for &(first, second) in &self.pairs {
            for id in [first, second] {
                if self.doubts[id as usize] != Doubt::UNREACHED {
                    let piece = self.pieces[id as usize];
                    for (at, length) in instructions(&tracer.code, &piece) {
                        tracer.code.mark_instruction(at, length);
                    }
                }
            }
        }
        let declared = tracer.image.data_in_code().iter().filter_map(|range| {
            let position = tracer.code.position_of(range.start)?;
            Some((position, (range.end - range.start) as usize))
        });
        let tables = tracer.tables.followed.iter().filter_map(|table| table.data);
        let data: Vec<(Position, usize)> = declared.chain(tables).collect();
        for (position, length) in data {
            tracer.code.mark_data(position, length);
        }
        self.join_blocks(tracer);
    }

    /// Where nothing begins any more, the block before goes on.
    fn join_blocks(&self, tracer: &mut Tracer<'_, '_>) {
        for (index, piece) in self.pieces.iter().enumerate() {
            if self.doubts[index] != Doubt::UNREACHED && !self.begun[index] {
                tracer.code.clear_leader(piece.start);
            }
        }
    }
}

/// See [`Resolver::leads`].
fn list_leads(pieces: &[Piece]) -> Vec<(PieceId, PieceId)> {
    let mut leads: Vec<(PieceId, PieceId)> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let next = piece.next.filter(|_| {
            matches!(
                piece.terminator,
                Terminator::FallThrough | Terminator::Jcc | Terminator::Loop
            )
        });
        let to = [piece.target, next].into_iter().flatten();
        leads.extend(to.map(|to| (to, index as PieceId)));
    }
    leads.sort_unstable();
    leads
}

/// Places and lengths of a piece's instructions.
fn instructions(code: &CodeRegions<'_>, piece: &Piece) -> Vec<(Position, usize)> {
    let length = (piece.end - piece.start) as usize;
    let bytes = &code.bytes_from(piece.start)[..length];
    let mut decoder = intel_decoder(bytes, 0);
    let mut found = Vec::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        let at = piece.start + decoder.position() as Position;
        decoder.decode_out(&mut instruction);
        found.push((at, instruction.len()));
    }
    found
}

/// Pairs of pieces that share bytes, but no instruction where the second begins.
fn contradicting_pairs(code: &CodeRegions<'_>, pieces: &[Piece]) -> Vec<(PieceId, PieceId)> {
    let mut pairs = Vec::new();
    let mut open: Vec<PieceId> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        open.retain(|&id| pieces[id as usize].end > piece.start);
        if !is_behind_prefix(code, piece.start) {
            // As many as an instruction has bytes, and no more: where two meet, both end.
            let others = open.iter().take(MAX_LENGTH);
            pairs.extend(others.map(|&other| (other, index as PieceId)));
        }
        open.push(index as PieceId);
    }
    pairs
}

/// Whether a jump leads behind the LOCK of an instruction, as the C library does when there is one thread. (Behind other prefixes
/// begin the instructions that data in the middle of code decodes to.)
fn is_behind_prefix(code: &CodeRegions<'_>, position: Position) -> bool {
    const LOCK: u8 = 0xf0;
    let before = position.checked_sub(1);
    before.is_some_and(|before| code.is_instruction(before) && code.bytes_from(before)[0] == LOCK)
}
