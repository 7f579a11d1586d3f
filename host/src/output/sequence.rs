//! Files with running numbers, safe against everyone else who saves into the same folder.
//!
//! A number belongs to whoever creates its reservation, a hidden file such as `.00007.tmp` that
//! only one can create. The bytes are written there, and the file is renamed to its final name
//! without ever replacing another. A number counts as taken while its reservation or a file with
//! it exists; a reservation made on an outdated view of the folder shows itself because the
//! number's file is already there, and is given back.
//!
//! If the process is killed while it writes, its reservation stays behind and its number is
//! skipped; the file may be deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::OutputError;
use super::safe_name::{MAX_NAME_BYTES, component};

/// How many `-1`, `-2`, … are tried before a name counts as hopeless.
const MAX_SUFFIX: u32 = 100_000;

/// Room in a name for number, extension and suffix.
const MAX_DECORATION_BYTES: usize = MAX_NAME_BYTES - 80;

/// How a file gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// With a number before it: one more than the highest in the folder, from 0 on.
    Numbered,
    /// Without a number; a file of that name is replaced.
    Replace,
    /// Without a number; beside a file of that name it becomes `name-1`, `name-2`, ….
    Suffixed,
}

/// Where a file goes and what it is called.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The folder; made if it is not there.
    pub folder: &'a Path,
    /// Comes before the number, `grid` as `grid-0007`; files with another base name are counted
    /// apart. Empty for pictures, which are numbered `00007`.
    pub basename: &'a str,
    /// Comes behind the number: see [`file_stem`](super::filename::file_stem). If it is empty the
    /// file is numbered whatever `naming` says.
    pub decoration: &'a str,
    /// Extension without a dot.
    pub extension: &'a str,
    /// Numbered or not.
    pub naming: Naming,
}

/// Saves a file and says what it is called now.
///
/// # Errors
/// As [`Reservation::new`] and [`Reservation::commit`].
pub fn save_image_file(target: &Target<'_>, bytes: &[u8]) -> Result<PathBuf, OutputError> {
    Reservation::new(target)?.commit(bytes)
}

/// A file name that nobody else will use; dropped without [`commit`](Self::commit) it is free
/// again.
#[derive(Debug)]
pub struct Reservation {
    file: NamedTempFile<File>,
    path: PathBuf,
    replace: bool,
}

impl Reservation {
    /// Takes a name, for a caller that has to know it before the bytes exist.
    ///
    /// # Errors
    /// [`OutputError::Folder`] if the folder cannot be made or listed, [`OutputError::Save`] if no
    /// file can be made in it, [`OutputError::NoNumberLeft`] after number 2^64 - 1.
    pub fn new(target: &Target<'_>) -> Result<Self, OutputError> {
        let folder = target.folder;
        fs::create_dir_all(folder).map_err(|source| in_folder(folder, source))?;
        let basename = component(target.basename, MAX_NAME_BYTES / 8);
        let decoration = component(target.decoration, MAX_DECORATION_BYTES);
        let extension = component(target.extension, 16);
        if target.naming == Naming::Numbered || decoration.is_empty() {
            let (mut name, file) = reserve_number(folder, &basename)?;
            if !decoration.is_empty() {
                name = format!("{name}-{decoration}");
            }
            let path = folder.join(format!("{name}.{extension}"));
            return Ok(Self { file, path, replace: false });
        }
        let path = folder.join(format!("{decoration}.{extension}"));
        let file = Builder::new()
            .prefix(".")
            .suffix(".tmp")
            .make_in(folder, create_new)
            .map_err(|source| OutputError::Save { path: path.clone(), source })?;
        Ok(Self { file, path, replace: target.naming == Naming::Replace })
    }

    /// The name the file will have. Only with [`Naming::Suffixed`] it may still get a suffix.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the bytes and puts the file in place: nobody sees it half written.
    ///
    /// # Errors
    /// [`OutputError::Save`] if the disk is full or the folder is gone; the name is free again.
    pub fn commit(mut self, bytes: &[u8]) -> Result<PathBuf, OutputError> {
        let failed = |path: &Path, source| OutputError::Save { path: path.to_owned(), source };
        self.file.write_all(bytes).map_err(|source| failed(&self.path, source))?;
        if self.replace {
            self.file.persist(&self.path).map_err(|lost| failed(&self.path, lost.error))?;
            return Ok(self.path);
        }
        let mut file = self.file;
        for suffix in 0..MAX_SUFFIX {
            let path = with_suffix(&self.path, suffix);
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => file = lost.file,
                Err(lost) => return Err(failed(&path, lost.error)),
            }
        }
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        Err(OutputError::NoNumberLeft { folder })
    }
}

/// A number's name (`00007`, `grid-0007`) and the file that reserves it.
fn reserve_number(
    folder: &Path,
    basename: &str,
) -> Result<(String, NamedTempFile<File>), OutputError> {
    let no_number_left = || OutputError::NoNumberLeft { folder: folder.to_owned() };
    let highest = numbers(folder, basename)?.map(|entry| entry.number).max();
    let mut number =
        highest.map_or(Some(0), |highest| highest.checked_add(1)).ok_or_else(no_number_left)?;
    loop {
        let name = if basename.is_empty() {
            format!("{number:05}")
        } else {
            format!("{basename}-{number:04}")
        };
        let reserved = Builder::new()
            .prefix(&format!(".{name}"))
            .suffix(".tmp")
            .rand_bytes(0)
            .make_in(folder, create_new);
        match reserved {
            // Another may have finished with this number since the folder was listed.
            Ok(file) => {
                let used = numbers(folder, basename)?
                    .any(|entry| entry.number == number && !entry.reservation);
                if !used {
                    return Ok((name, file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(OutputError::Save { path: folder.join(name), source }),
        }
        number = number.checked_add(1).ok_or_else(no_number_left)?;
    }
}

/// A name in the folder that has a number.
struct Numbered {
    number: u64,
    reservation: bool,
}

fn numbers(folder: &Path, basename: &str) -> Result<impl Iterator<Item = Numbered>, OutputError> {
    let listed: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let listed = listed.map_err(|source| in_folder(folder, source))?;
    let prefix = if basename.is_empty() { String::new() } else { format!("{basename}-") };
    Ok(listed.into_iter().filter_map(move |entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let reserved = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
        let stem = reserved.unwrap_or_else(|| name.rsplit_once('.').map_or(&*name, |name| name.0));
        let digits = stem.strip_prefix(&prefix)?.split('-').next()?;
        let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse())?;
        Some(Numbered { number: number.ok()?, reservation: reserved.is_some() })
    }))
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn with_suffix(path: &Path, suffix: u32) -> PathBuf {
    if suffix == 0 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{suffix}.{extension}"))
}

fn in_folder(folder: &Path, source: io::Error) -> OutputError {
    OutputError::Folder { folder: folder.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target<'a>(folder: &'a Path, decoration: &'a str) -> Target<'a> {
        Target { folder, basename: "", decoration, extension: "png", naming: Naming::Numbered }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn numbers_go_on_from_the_highest_of_their_base_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/when/needed");
        save_image_file(&target(&folder, "a-b"), b"one").unwrap();
        for name in ["00041-x.jpg", "99x.png", "x-100.png", "grid-0200.png", "٣.png"] {
            fs::write(folder.join(name), b"").unwrap();
        }
        let second = save_image_file(&target(&folder, ""), b"two").unwrap();
        assert_eq!(second, folder.join("00042.png"));
        assert_eq!(fs::read(second).unwrap(), b"two");
        assert_eq!(fs::read(folder.join("00000-a-b.png")).unwrap(), b"one");
        let grid = Target { basename: "grid", ..target(&folder, "7") };
        assert_eq!(save_image_file(&grid, b"").unwrap(), folder.join("grid-0201-7.png"));
    }

    #[test]
    fn runs_that_save_side_by_side_share_one_gapless_sequence() {
        const EACH: usize = 100;
        let folder = tempfile::tempdir().unwrap();
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|threads| {
            for run in ["one", "two"] {
                let (folder, start) = (folder.path(), &start);
                threads.spawn(move || {
                    start.wait();
                    for picture in 0..EACH {
                        // Different names: only the number can keep the two apart.
                        let decoration = format!("{run}-{picture}");
                        let bytes = format!("bytes of {decoration}");
                        save_image_file(&target(folder, &decoration), bytes.as_bytes()).unwrap();
                    }
                });
            }
        });
        let names = names(folder.path());
        assert_eq!(names.len(), 2 * EACH, "{names:?}");
        for (number, name) in names.iter().enumerate() {
            assert!(name.starts_with(&format!("{number:05}-")), "{name} at {number}");
            let bytes = fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(format!("{number:05}-{}.png", bytes.replace("bytes of ", "")), *name);
        }
    }

    #[test]
    fn a_reserved_number_is_taken_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let first = Reservation::new(&target(folder.path(), "a")).unwrap();
        let second = Reservation::new(&target(folder.path(), "b")).unwrap();
        assert!(first.path().ends_with("00000-a.png"));
        assert!(second.path().ends_with("00001-b.png"));
        assert!(!first.path().exists());
        drop(second);
        first.commit(b"x").unwrap();
        assert_eq!(names(folder.path()), ["00000-a.png"]);
        let third = save_image_file(&target(folder.path(), "c"), b"").unwrap();
        assert!(third.ends_with("00001-c.png"));
    }

    #[test]
    fn without_a_number_a_file_is_replaced_or_stands_beside_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let replace = Target { naming: Naming::Replace, ..target(folder.path(), "cat") };
        let suffixed = Target { naming: Naming::Suffixed, ..replace };
        for (target, bytes, name) in [
            (replace, b"1", "cat.png"),
            (replace, b"2", "cat.png"),
            (suffixed, b"3", "cat-1.png"),
            (suffixed, b"4", "cat-2.png"),
        ] {
            let path = save_image_file(&target, bytes).unwrap();
            assert!(path.ends_with(name), "{path:?}");
            assert_eq!(fs::read(path).unwrap(), bytes);
        }
        let nameless = Target { decoration: "", ..replace };
        assert!(save_image_file(&nameless, b"").unwrap().ends_with("00000.png"));
        assert_eq!(names(folder.path()), ["00000.png", "cat-1.png", "cat-2.png", "cat.png"]);
    }

    #[test]
    fn a_number_whose_file_appeared_in_between_is_not_used_twice() {
        let folder = tempfile::tempdir().unwrap();
        let reserved = Reservation::new(&target(folder.path(), "a")).unwrap();
        // Someone who does not know about reservations.
        fs::write(reserved.path(), b"theirs").unwrap();
        let path = reserved.commit(b"ours").unwrap();
        assert!(path.ends_with("00000-a-1.png"));
        assert_eq!(fs::read(folder.path().join("00000-a.png")).unwrap(), b"theirs");
    }

    #[test]
    fn hostile_names_stay_in_the_folder_and_long_ones_fit() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        let long = "猫".repeat(300);
        for text in ["../../x", "/etc/x", "a\0b", "..", &long] {
            for naming in [Naming::Numbered, Naming::Replace, Naming::Suffixed] {
                let target = Target {
                    folder: &inside,
                    basename: text,
                    decoration: text,
                    extension: "png",
                    naming,
                };
                let path = save_image_file(&target, b"x").unwrap();
                assert_eq!(path.parent(), Some(&*inside));
                assert!(path.is_file());
            }
        }
        assert_eq!(names(folder.path()), ["inside"]);
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = save_image_file(&target(&file, "x"), b"").unwrap_err();
        assert!(matches!(&error, OutputError::Folder { folder, .. } if *folder == file));
        fs::write(folder.path().join(format!("{}.png", u64::MAX)), b"").unwrap();
        let error = save_image_file(&target(folder.path(), "x"), b"").unwrap_err();
        assert!(matches!(error, OutputError::NoNumberLeft { .. }));
    }
}
