//! What `snippex sources` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// List the programs in images
    List(ListSourcesArgs),
    /// Say what images are: their layers, systems and packages, and their programs by architecture
    Show(ShowSourcesArgs),
}

/// Images, and how they are worked off.
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Disk images, file systems, archives, packages and folders; IMAGE:PATTERN means those files of it only
    #[arg(value_name = "IMAGE[:PATTERN]", required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// Only the N images that were changed last
    #[arg(long, value_name = "N")]
    pub(crate) newest: Option<usize>,
    /// Images that are read at once [default: one a processor]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex sources list disk.qcow2                      the x86-64 programs in it
  snippex sources list 'rootfs.sqsh:/usr/lib/**/*.so'  of these files
  snippex sources list images/* --newest 3 --format json
  snippex check 'disk.qcow2:/usr/bin/*'                check them

Nothing is mounted, and no other program is started.")]
pub(crate) struct ListSourcesArgs {
    #[command(flatten)]
    pub(crate) images: ImagesArgs,
    /// Programs for other processors, too
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex sources show disk.qcow2
  snippex sources show image.tar --mermaid >> notes.md")]
pub(crate) struct ShowSourcesArgs {
    #[command(flatten)]
    pub(crate) images: ImagesArgs,
    /// Draw the layers as a Mermaid diagram, for Markdown
    #[arg(long)]
    pub(crate) mermaid: bool,
}
