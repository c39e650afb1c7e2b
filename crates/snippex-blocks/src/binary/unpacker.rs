//! Programs that carry another one and unpack it when they run: their own code is little, and not what they are about.

/// What unpacks the program that a file carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacker {
    /// UPX: the code is compressed; `upx -d` writes the program itself.
    Upx,
    /// An AppImage: a squashfs image follows the program.
    AppImage,
    /// PyInstaller: an archive of Python code and shared libraries follows the program.
    PyInstaller,
    /// The installer of NSIS: what it installs follows the program.
    Nsis,
}

/// Where UPX writes its mark: behind the program headers of ELF, behind the section table of PE.
const UPX_LIMIT: usize = 0x1000;
/// PyInstaller's mark begins the last 88 bytes, which padding and a signature may follow.
const PYINSTALLER_LIMIT: usize = 0x4000;
/// NSIS writes its data at a multiple of this.
const NSIS_ALIGNMENT: usize = 512;

impl Unpacker {
    /// What unpacks the program that `data` carries; `None` of programs that stand for themselves. Marks of each are those that its own
    /// source looks for: UPX's `conf.h`, the AppImage specification (type 1 and 2), PyInstaller's `pyi_archive.c`, NSIS's `fileform.h`.
    #[must_use]
    pub fn of_file(data: &[u8]) -> Option<Self> {
        let has = |part: &[u8], mark: &[u8]| part.windows(mark.len()).any(|window| window == mark);
        let end = data.len().saturating_sub(PYINSTALLER_LIMIT);
        let is_nsis = |part: &[u8]| part.get(4..20) == Some(b"\xef\xbe\xad\xdeNullsoftInst");
        if matches!(data.get(8..11), Some(b"AI\x01" | b"AI\x02")) {
            Some(Self::AppImage)
        } else if has(&data[..data.len().min(UPX_LIMIT)], b"UPX!") {
            Some(Self::Upx)
        } else if has(&data[end..], b"MEI\x0c\x0b\x0a\x0b\x0e") {
            Some(Self::PyInstaller)
        } else if data.chunks(NSIS_ALIGNMENT).any(is_nsis) {
            Some(Self::Nsis)
        } else {
            None
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upx => "UPX",
            Self::AppImage => "AppImage",
            Self::PyInstaller => "PyInstaller",
            Self::Nsis => "NSIS",
        }
    }

    /// How the program that it carries is had.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Upx => "`upx -d FILE` writes the program itself",
            Self::AppImage => "`FILE --appimage-extract` writes what it carries",
            Self::PyInstaller => "`pyi-archive_viewer FILE` writes the libraries that it carries",
            Self::Nsis => "`7z x FILE` writes the programs that it installs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_where_they_belong() {
        let with = |length: usize, at: usize, mark: &[u8]| {
            let mut data = vec![0; length];
            data[at..at + mark.len()].copy_from_slice(mark);
            Unpacker::of_file(&data)
        };
        assert_eq!(with(0x8000, 0xb4, b"UPX!"), Some(Unpacker::Upx));
        assert_eq!(with(0x8000, 0x2000, b"UPX!"), None);
        assert_eq!(with(64, 8, b"AI\x02"), Some(Unpacker::AppImage));
        assert_eq!(
            with(0x8000, 0x8000 - 88, b"MEI\x0c\x0b\x0a\x0b\x0e"),
            Some(Unpacker::PyInstaller)
        );
        let nsis = b"\xef\xbe\xad\xdeNullsoftInst";
        assert_eq!(with(0x8000, 0x1204, nsis), Some(Unpacker::Nsis));
        assert_eq!(with(0x8000, 0x1205, nsis), None);
        assert_eq!((Unpacker::of_file(&[]), with(9, 0, b"UPX")), (None, None));
    }
}
