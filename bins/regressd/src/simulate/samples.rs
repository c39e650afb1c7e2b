//! The sample results of `fixtures/regressd`, built in, so that trying the service out needs no checkout.

/// The language of a sample project, and so its benchmark tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `go test -bench`.
    Go,
    /// `cargo bench`.
    Rust,
    /// pytest-benchmark.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Go, Self::Rust, Self::Python];

    /// Its name, which is also the component's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Python => "python",
        }
    }
}

/// Which code was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// The main branch, run after run.
    Base,
    /// A change that makes one benchmark a third slower.
    Slower,
    /// A change that makes one benchmark a quarter faster.
    Faster,
}

/// What one run of a benchmark tool printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatedSample {
    /// The file's name; adapters may look at its ending.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! files {
    ($($path:literal),*) => {
        &[$(SimulatedSample {
            path: $path,
            text: include_str!(concat!("../../../../fixtures/regressd/", $path)),
        }),*]
    };
}

/// The runs of a language and kind.
#[must_use]
pub fn samples_for_language(language: Language, kind: SampleKind) -> &'static [SimulatedSample] {
    match (language, kind) {
        (Language::Go, SampleKind::Base) => files!(
            "go/base-1.txt",
            "go/base-2.txt",
            "go/base-3.txt",
            "go/base-4.txt",
            "go/base-5.txt",
            "go/base-6.txt",
            "go/base-7.txt",
            "go/base-8.txt"
        ),
        (Language::Go, SampleKind::Slower) => files!("go/slower-1.txt", "go/slower-2.txt"),
        (Language::Go, SampleKind::Faster) => files!("go/faster-1.txt", "go/faster-2.txt"),
        (Language::Rust, SampleKind::Base) => files!(
            "rust/base-1.txt",
            "rust/base-2.txt",
            "rust/base-3.txt",
            "rust/base-4.txt",
            "rust/base-5.txt",
            "rust/base-6.txt",
            "rust/base-7.txt",
            "rust/base-8.txt"
        ),
        (Language::Rust, SampleKind::Slower) => files!("rust/slower-1.txt", "rust/slower-2.txt"),
        (Language::Rust, SampleKind::Faster) => files!("rust/faster-1.txt", "rust/faster-2.txt"),
        (Language::Python, SampleKind::Base) => files!(
            "python/base-1.json",
            "python/base-2.json",
            "python/base-3.json",
            "python/base-4.json",
            "python/base-5.json",
            "python/base-6.json",
            "python/base-7.json",
            "python/base-8.json"
        ),
        (Language::Python, SampleKind::Slower) => files!("python/slower-1.json", "python/slower-2.json"),
        (Language::Python, SampleKind::Faster) => files!("python/faster-1.json", "python/faster-2.json"),
    }
}
