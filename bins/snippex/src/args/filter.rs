//! Options that say which blocks count and which of them are taken.

use std::fmt;
use std::ops::Range;

use clap::{Args, ValueEnum};
use snippex_blocks::select::{FilterOptions, Strategy};
use snippex_core::decode::Kinds;

use super::values;

/// Which blocks count.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only blocks with at least N instructions
    #[arg(long, value_name = "N")]
    min_size: Option<u32>,
    /// Only blocks with at most N instructions
    #[arg(long, value_name = "N")]
    max_size: Option<u32>,
    /// Only blocks that read or write memory through an operand
    #[arg(long, conflicts_with = "no_memory_access")]
    has_memory_access: bool,
    /// Only blocks that do not
    #[arg(long)]
    no_memory_access: bool,
    /// Only blocks that end in a jump, branch, call, return, system call or trap
    #[arg(long, conflicts_with = "no_control_flow")]
    has_control_flow: bool,
    /// Only blocks that fall through to the next one
    #[arg(long)]
    no_control_flow: bool,
    /// Only blocks with one of these: general, fpu, sse, avx, avx512, branch, syscall
    #[arg(long, value_name = "TYPE,...", value_parser = values::instruction_types)]
    instruction_types: Option<Kinds>,
    /// Only blocks that begin here, in addresses of the file such as 0x4000-0x5000, B excluded
    #[arg(long, value_name = "A-B", value_parser = values::address_range)]
    address_range: Option<Range<u64>>,
    /// Leave out blocks that cannot be run, such as those with system calls
    #[arg(long)]
    runnable: bool,
    /// Leave out blocks that linear sweep found, which may be data
    #[arg(long)]
    no_sweep: bool,
}

impl FilterArgs {
    pub(crate) fn to_filter_options(&self) -> FilterOptions {
        FilterOptions {
            min_size: self.min_size,
            max_size: self.max_size,
            has_memory_access: self.has_memory_access,
            no_memory_access: self.no_memory_access,
            has_control_flow: self.has_control_flow,
            no_control_flow: self.no_control_flow,
            instruction_types: self.instruction_types.unwrap_or_default(),
            address_range: self.address_range.clone(),
            skip_unrunnable: self.runnable,
            skip_sweep: self.no_sweep,
        }
    }
}

impl fmt::Display for FilterArgs {
    /// As it would be typed, each option after a space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in [("min-size", self.min_size), ("max-size", self.max_size)] {
            if let Some(value) = value {
                write!(f, " --{name} {value}")?;
            }
        }
        if let Some(kinds) = self.instruction_types {
            let names: Vec<&str> = kinds.names().collect();
            write!(f, " --instruction-types {}", names.join(","))?;
        }
        if let Some(range) = &self.address_range {
            write!(f, " --address-range {:#x}-{:#x}", range.start, range.end)?;
        }
        for (name, given) in [
            ("has-memory-access", self.has_memory_access),
            ("no-memory-access", self.no_memory_access),
            ("has-control-flow", self.has_control_flow),
            ("no-control-flow", self.no_control_flow),
            ("runnable", self.runnable),
            ("no-sweep", self.no_sweep),
        ] {
            if given {
                write!(f, " --{name}")?;
            }
        }
        Ok(())
    }
}

/// Which of the blocks that count are taken.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectArgs {
    /// Take at most N blocks [default: all that match]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// How to choose among more than --count
    #[arg(
        long,
        value_enum,
        value_name = "STRATEGY",
        requires = "count",
        default_value_t
    )]
    pub(crate) select_strategy: StrategyArg,
    /// Prefer what is likely to show a bug: rare instructions, scaled operands, several memory operands, mixed
    /// widths, categories of known problems
    #[arg(long, requires = "count")]
    pub(crate) smart_select: bool,
    /// Say why each block was chosen, which categories are covered, and how complexity is distributed
    #[arg(long)]
    pub(crate) selection_report: bool,
}

/// How blocks are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrategyArg {
    /// Every block has the same chance
    #[default]
    Random,
    /// As many shapes (terminator, kinds of instructions, size) as possible
    Diverse,
    /// The most complex first
    Complex,
}

impl From<StrategyArg> for Strategy {
    fn from(strategy: StrategyArg) -> Self {
        match strategy {
            StrategyArg::Random => Self::Random,
            StrategyArg::Diverse => Self::Diverse,
            StrategyArg::Complex => Self::Complex,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        filter: FilterArgs,
    }

    #[test]
    fn filters_are_written_as_they_are_read() {
        let words = "x --min-size 3 --max-size 9 --instruction-types fpu,avx --address-range 0x10-0x20 \
                     --has-memory-access --no-control-flow --runnable --no-sweep";
        let typed = Typed::parse_from(words.split_whitespace());
        assert_eq!(format!("x{}", typed.filter), words);
        assert_eq!(Typed::parse_from(["x"]).filter.to_string(), "");
    }
}
