//! General registers and flags at the start of each run of a block.

use super::values;
use super::{Role, Roles, StartCorner, Style, corners, vector_pool};
use crate::address_space::{ARENA, FS_BASE, GS_BASE, PAD_COUNT, PAD_SIZE, PADS, STACK};
use crate::block::Block;
use crate::case::PAGE_SIZE;
use crate::group::Start;
use crate::random::Random;
use crate::state::{RSP, rflags};

/// Sub-stream of the seed that start states come from.
const STREAM: u64 = 0x7374_6172_7473_0000;

/// The landing pad that a block's indirect exits are sent to.
#[must_use]
pub fn landing_pad(block: &Block) -> u64 {
    PADS + ((block.address >> 2) % PAD_COUNT) * PAD_SIZE
}

/// `count` start states for `block`: the same for the same seed, address and roles, whatever else is run.
#[must_use]
pub fn start_states(seed: u64, style: Style, block: &Block, roles: &Roles, count: usize) -> Vec<Start> {
    let random = Random::new(seed).derive_stream(&[STREAM, block.address]);
    let pinned = random.derive_stream(&[u64::MAX]);
    (0..count)
        .map(|index| {
            let mut random = random.derive_stream(&[index as u64]);
            let mut gpr = [0; 16];
            for (register, (slot, role)) in gpr.iter_mut().zip(roles.roles).enumerate() {
                *slot = match role {
                    _ if register == RSP => stack_pointer(&mut random, style, roles),
                    Role::Base { pinned: true, .. } => {
                        value(&mut pinned.derive_stream(&[register as u64]), style, role, block)
                    }
                    role => value(&mut random, style, role, block),
                };
            }
            let mut rflags = flags(&mut random, style, roles);
            let corner = StartCorner::of_start(index).filter(|_| style == Style::Corners);
            if let Some(corner) = corner {
                corner.move_operand(roles, &mut gpr);
                rflags = corner.set_flags(rflags);
            }
            Start {
                gpr,
                rflags,
                fs_base: FS_BASE,
                gs_base: GS_BASE,
                vectors: match style {
                    Style::Compiled => {
                        ((block.address as usize >> 1) + index) as u32 % vector_pool::SIZE as u32
                    }
                    Style::Corners => corners::choose_vector_entry(&mut random, roles, block.address, index),
                },
            }
        })
        .collect()
}

fn stack_pointer(random: &mut Random, style: Style, roles: &Roles) -> u64 {
    if style == Style::Corners && roles.target_slot.is_none() {
        return corners::stack_pointer(random);
    }
    // Code that returns finds its return address at one place; elsewhere both alignments the ABI knows occur.
    let odd = roles.target_slot.is_none() && random.next_below(4) == 0;
    STACK + 0x800 + if odd { 8 } else { 0 }
}

fn value(random: &mut Random, style: Style, role: Role, block: &Block) -> u64 {
    match role {
        Role::Data => values::random_data(random),
        Role::Base {
            displacement,
            aligned,
            ..
        } => match style {
            Style::Compiled => arena_address(random, aligned),
            Style::Corners => corners::random_corner_address(random, aligned),
        }
        .wrapping_sub(displacement as u64),
        Role::Index => match random.next_below(16) {
            0 => 0,
            1 => (random.next_below(8) as i64).wrapping_neg() as u64,
            _ => random.next_below(32),
        },
        Role::RepeatCount => match random.next_below(8) {
            0 => 0,
            1 => 64 + random.next_below(256),
            _ => 1 + random.next_below(16),
        },
        Role::BitOffset => ((random.next_u64() as i16) >> random.next_below(16)) as u64,
        Role::ShiftCount => values::shift_count(random),
        Role::Selector => values::random_selector(random),
        Role::DividendHigh => match random.next_below(8) {
            0 => values::random_data(random),
            1 => u64::MAX,
            _ => random.next_below(2),
        },
        Role::Division => match values::random_data(random) {
            value if value as u32 == 0 => 3,
            value => value,
        },
        Role::JumpTarget { displacement } => landing_pad(block).wrapping_sub(displacement as u64),
    }
}

/// Mostly well inside a page; one in ten at the end of a cache line or page, so that accesses cross it.
fn arena_address(random: &mut Random, aligned: bool) -> u64 {
    let line = ARENA + 0x400 + random.next_below(0x20) * 64;
    if aligned {
        return match random.next_below(16) {
            0 => line + 16 * random.next_below(4),
            1 => line + random.next_below(64),
            _ => line,
        };
    }
    match random.next_below(20) {
        0 => ARENA + PAGE_SIZE as u64 - 1 - random.next_below(8),
        1 => line + 64 - 1 - random.next_below(8),
        2..=5 => line + random.next_below(64),
        _ => line + 8 * random.next_below(8),
    }
}

fn flags(random: &mut Random, style: Style, roles: &Roles) -> u64 {
    let mut flags = rflags::INITIAL | (random.next_u64() & rflags::STATUS);
    // The ABI has DF clear at calls, so code that does not look at it may well run with it set.
    let direction = if roles.uses_direction { 16 } else { 8 };
    if random.next_below(direction) == 0 {
        flags |= rflags::DF;
    }
    if random.next_below(8) == 0 {
        flags |= rflags::ID;
    }
    if style == Style::Corners {
        for rare in [rflags::AC, rflags::NT] {
            if random.next_below(32) == 0 {
                flags |= rare;
            }
        }
    }
    flags
}
