//! What plugins are shipped in: a library alone, a `.zip`, a `.tar.gz`.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek as _, Write as _},
    path::{Component, Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::InstallError;

/// More than a plugin with its data has, and less than what fills a disk.
const MOST_BYTES: u64 = 2 << 30;
const MOST_FILES: usize = 10_000;

/// Unpacks an archive into a folder that is empty; a file that is none is copied there.
///
/// Nothing is written outside of the folder, and no links are made in it.
pub(super) fn unpack(file: &Path, to: &Path) -> Result<(), InstallError> {
    let failed = |source| InstallError::Read { path: file.to_owned(), source };
    let mut reader = BufReader::new(File::open(file).map_err(failed)?);
    let mut first = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut first).map_err(failed)?;
    reader.rewind().map_err(failed)?;
    let mut unpacking = Unpacking { file, to, bytes: 0, files: 0 };
    match first.as_slice() {
        [0x1f, 0x8b, ..] => unpacking.tar(GzDecoder::new(reader)),
        b"PK\x03\x04" => unpacking.zip(reader),
        _ => {
            let name = file.file_name().unwrap_or_default();
            unpacking.write(Path::new(name), reader)?;
            // A signature lies beside the library.
            let signature = crate::plugins::trust::signature_path(file);
            if let (Ok(beside), Some(name)) = (File::open(&signature), signature.file_name()) {
                unpacking.write(Path::new(name), beside)?;
            }
            Ok(())
        }
    }
}

struct Unpacking<'a> {
    file: &'a Path,
    to: &'a Path,
    bytes: u64,
    files: usize,
}

impl Unpacking<'_> {
    fn broken(&self, reason: &(impl ToString + ?Sized)) -> InstallError {
        InstallError::Archive { path: self.file.to_owned(), reason: reason.to_string() }
    }

    fn tar(&mut self, reader: impl Read) -> Result<(), InstallError> {
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(|error| self.broken(&error))? {
            let entry = entry.map_err(|error| self.broken(&error))?;
            let name = entry.path().map_err(|error| self.broken(&error))?.into_owned();
            match entry.header().entry_type() {
                tar::EntryType::Regular | tar::EntryType::Continuous => self.write(&name, entry)?,
                // A folder is made with what is in it; the other is a comment for whoever unpacks it.
                tar::EntryType::Directory | tar::EntryType::XGlobalHeader => {}
                _ => return Err(self.link(&name)),
            }
        }
        Ok(())
    }

    fn zip(&mut self, reader: BufReader<File>) -> Result<(), InstallError> {
        let mut archive = zip::ZipArchive::new(reader).map_err(|error| self.broken(&error))?;
        for at in 0..archive.len() {
            let entry = archive.by_index(at).map_err(|error| self.broken(&error))?;
            let name = entry.name().map_err(|error| self.broken(&error))?;
            let name = PathBuf::from(name.as_ref());
            if entry.is_dir() {
                continue;
            }
            if !entry.is_file() {
                return Err(self.link(&name));
            }
            self.write(&name, entry)?;
        }
        Ok(())
    }

    fn link(&self, name: &Path) -> InstallError {
        self.broken(&format!("{} is a link or a device in it", name.display()))
    }

    fn write(&mut self, name: &Path, mut from: impl Read) -> Result<(), InstallError> {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !name.components().all(plain) {
            return Err(self.broken(&format!("{} leads out of the folder", name.display())));
        }
        self.files += 1;
        if self.files > MOST_FILES {
            return Err(self.broken(&format!("more than {MOST_FILES} files are in it")));
        }
        let path = self.to.join(name);
        let failed = |source: io::Error| InstallError::Write { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = File::options().write(true).create_new(true).open(&path).map_err(failed)?;
        let mut piece = vec![0; 1 << 16];
        loop {
            let count = from.read(&mut piece).map_err(|error| self.broken(&error))?;
            if count == 0 {
                return Ok(());
            }
            // The size that an archive tells may be another one: what comes out is counted.
            self.bytes += count as u64;
            if self.bytes > MOST_BYTES {
                return Err(
                    self.broken(&format!("more than {} GiB come out of it", MOST_BYTES >> 30))
                );
            }
            file.write_all(&piece[..count]).map_err(failed)?;
        }
    }
}
