//! The options that every command has, as clap types.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where the answer goes and how it looks. Flatten this into a command's own arguments.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output options")]
pub struct OutputArgs {
    /// Write the answer to FILE instead of standard output; - is standard output
    #[arg(long, short, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,

    /// Use no colour; the same as --color never, or NO_COLOR in the environment
    #[arg(long, global = true, conflicts_with = "color")]
    pub no_color: bool,

    /// How to show progress on standard error
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t)]
    pub progress: ProgressChoice,

    /// Say nothing on standard error but warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb; anywhere if CLICOLOR_FORCE is set
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, else nothing
    #[default]
    Auto,
    /// A line every ten seconds, for logs
    Lines,
    /// Nothing
    Off,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text and tables for people
    #[default]
    Human,
    /// One JSON document
    Json,
    /// One JSON object a line, as results arrive
    Jsonl,
}

impl ColorChoice {
    /// Whether to colour a stream, given whether it is a terminal and how to read the environment.
    #[must_use]
    pub fn wants_color(self, is_terminal: bool, environment: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let no_color = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = environment("TERM").is_some_and(|value| value == "dumb");
                let forced =
                    environment("CLICOLOR_FORCE").is_some_and(|value| !matches!(value.as_str(), "" | "0"));
                !no_color && (forced || is_terminal && !dumb)
            }
        }
    }
}

impl OutputArgs {
    /// The choice that `--color` and `--no-color` make together.
    #[must_use]
    pub fn color_choice(&self) -> ColorChoice {
        if self.no_color {
            ColorChoice::Never
        } else {
            self.color
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        output: OutputArgs,
    }

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        let auto = ColorChoice::Auto;
        assert!(auto.wants_color(true, nothing));
        assert!(!auto.wants_color(false, nothing));
        assert!(!auto.wants_color(true, |name| (name == "NO_COLOR").then(|| "1".into())));
        assert!(
            auto.wants_color(true, |name| (name == "NO_COLOR").then(String::new)),
            "empty is unset"
        );
        assert!(!auto.wants_color(true, |name| (name == "TERM").then(|| "dumb".into())));
        assert!(
            ColorChoice::Always.wants_color(false, |_| Some("1".into())),
            "the flag wins"
        );
        assert!(!ColorChoice::Never.wants_color(true, nothing));
        let forced = |name: &str| (name == "CLICOLOR_FORCE").then(|| "1".into());
        assert!(auto.wants_color(false, forced));
        assert!(!auto.wants_color(false, |name| (name == "CLICOLOR_FORCE").then(|| "0".into())));
        assert!(
            !auto.wants_color(false, |_| Some("1".into())),
            "NO_COLOR is stronger"
        );
    }

    #[test]
    fn flags_are_read() {
        let command = Command::try_parse_from(["x", "--no-color", "--format", "jsonl", "-o", "f"]).unwrap();
        assert_eq!(command.output.color_choice(), ColorChoice::Never);
        assert_eq!(command.format, Format::Jsonl);
        assert_eq!(command.output.output, Some("f".into()));
        assert!(Command::try_parse_from(["x", "--no-color", "--color", "always"]).is_err());
    }
}
