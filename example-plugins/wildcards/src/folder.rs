//! The folder with the wildcard files.

use std::{
    collections::BTreeSet,
    fs::{DirEntry, read_dir},
    io,
    path::{Path, PathBuf},
};

use crate::pattern;

const ENDING: &str = ".txt";
/// How many files and folders are looked at for names with `*`, in one run.
const MOST_LOOKED_AT: usize = 100_000;

/// Why a name does not lead to files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error(
        "“__{name}__” leads out of the wildcard folder {}: name files below it, without “..” and \
         without a “/” at the beginning, and put no links to other places into it",
        folder.display()
    )]
    Outside { name: String, folder: PathBuf },
    #[error("{} cannot be listed: it has to be a folder that the host may read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "with “__{name}__” more than {MOST_LOOKED_AT} files in {} would have to be looked at: use \
         fewer “*”, or name sub-folders",
        folder.display()
    )]
    TooMany { name: String, folder: PathBuf },
}

/// A folder of wildcard files. Nothing outside of it is read.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Files and folders so far.
    looked_at: usize,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, looked_at: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The files that a name leads to, sorted; none where there is no such file.
    pub(crate) fn find(&mut self, name: &str) -> Result<Vec<PathBuf>, FolderError> {
        let outside = || FolderError::Outside { name: name.to_owned(), folder: self.path.clone() };
        let mut segments: Vec<&str> = name.split('/').collect();
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(outside());
        }
        if segments.ends_with(&["**"]) {
            segments.push("*");
        }
        let Ok(root) = self.path.canonicalize() else { return Ok(Vec::new()) };
        let mut search = Search { name, folder: &self.path, looked_at: &mut self.looked_at };
        let found = search.files(&root, &segments)?;
        let is_inside =
            |file: &PathBuf| file.canonicalize().is_ok_and(|file| file.starts_with(&root));
        if !found.iter().all(is_inside) {
            return Err(outside());
        }
        Ok(found.into_iter().collect())
    }
}

/// A walk along the segments of a name.
struct Search<'a> {
    name: &'a str,
    folder: &'a Path,
    looked_at: &'a mut usize,
}

impl Search<'_> {
    fn files(&mut self, root: &Path, name: &[&str]) -> Result<BTreeSet<PathBuf>, FolderError> {
        let mut found = BTreeSet::new();
        let mut open = vec![(root.to_owned(), name)];
        while let Some((folder, segments)) = open.pop() {
            let [segment, behind @ ..] = segments else { continue };
            if *segment == "**" {
                let below = self.list(&folder, "*", is_folder)?;
                open.extend(below.into_iter().map(|folder| (folder, segments)));
                open.push((folder, behind));
            } else if behind.is_empty() {
                let wanted = format!("{segment}{ENDING}");
                found.extend(self.matching(&folder, &wanted, Path::is_file)?);
            } else {
                let next = self.matching(&folder, segment, Path::is_dir)?;
                open.extend(next.into_iter().map(|folder| (folder, behind)));
            }
        }
        Ok(found)
    }

    /// What fits one segment. Without a `*` no folder has to be listed.
    fn matching(
        &mut self,
        folder: &Path,
        segment: &str,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<Vec<PathBuf>, FolderError> {
        if segment.contains('*') {
            return self.list(folder, segment, |entry| wanted(&entry.path()));
        }
        let path = folder.join(segment);
        Ok(if wanted(&path) { vec![path] } else { Vec::new() })
    }

    fn list(
        &mut self,
        folder: &Path,
        segment: &str,
        wanted: impl Fn(&DirEntry) -> bool,
    ) -> Result<Vec<PathBuf>, FolderError> {
        let unreadable = |source| FolderError::Unreadable { path: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in read_dir(folder).map_err(unreadable)? {
            *self.looked_at += 1;
            if *self.looked_at > MOST_LOOKED_AT {
                let (name, folder) = (self.name.to_owned(), self.folder.to_owned());
                return Err(FolderError::TooMany { name, folder });
            }
            let entry = entry.map_err(unreadable)?;
            let fits = entry.file_name().to_str().is_some_and(|name| pattern::fits(segment, name));
            if fits && wanted(&entry) {
                paths.push(entry.path());
            }
        }
        Ok(paths)
    }
}

/// Links to folders are not followed where a walk could go round in circles.
fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tempfile::TempDir;

    use super::*;

    /// A folder “inside” with these files, in a folder with a file “outside.txt”.
    fn folder(files: &[&str]) -> (TempDir, Folder) {
        let around = tempfile::tempdir().unwrap();
        fs::write(around.path().join("outside.txt"), "secret").unwrap();
        let inside = around.path().join("inside");
        fs::create_dir(&inside).unwrap();
        for file in files {
            let path = inside.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a line").unwrap();
        }
        (around, Folder::new(inside))
    }

    fn found(folder: &mut Folder, name: &str) -> Vec<String> {
        let root = folder.path().canonicalize().unwrap();
        let files = folder.find(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let below =
            files.iter().map(|file| file.strip_prefix(&root).unwrap().display().to_string());
        below.collect()
    }

    #[test]
    fn a_name_leads_to_the_file_of_that_name() {
        let (_around, mut folder) = folder(&["colours.txt", "animals/cats.txt", "notes.md"]);
        assert_eq!(found(&mut folder, "colours"), ["colours.txt"]);
        assert_eq!(found(&mut folder, "animals/cats"), ["animals/cats.txt"]);
        for missing in ["cats", "animals", "notes", "colours/cats", "no/such", "Colours"] {
            assert_eq!(found(&mut folder, missing), [""; 0], "{missing}");
        }
    }

    #[test]
    fn stars_lead_to_several_files_in_a_fixed_order() {
        let (_around, mut folder) = folder(&[
            "a/cats.txt",
            "a/dogs.txt",
            "a/b/cats.txt",
            "b/cats.txt",
            "cats.txt",
            "a/c.md",
        ]);
        assert_eq!(found(&mut folder, "a/*"), ["a/cats.txt", "a/dogs.txt"]);
        assert_eq!(found(&mut folder, "*/c*s"), ["a/cats.txt", "b/cats.txt"]);
        assert_eq!(found(&mut folder, "a/**"), ["a/b/cats.txt", "a/cats.txt", "a/dogs.txt"]);
        let cats = ["a/b/cats.txt", "a/cats.txt", "b/cats.txt", "cats.txt"];
        assert_eq!(found(&mut folder, "**/cats"), cats);
        assert_eq!(found(&mut folder, "**/**/cats"), cats);
        assert_eq!(found(&mut folder, "x*"), [""; 0]);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let (around, mut folder) = folder(&["a/cats.txt"]);
        let absolute = around.path().join("outside").display().to_string();
        for name in ["../outside", "a/../../outside", "a/..", "./a/cats", "a//cats", "", &absolute]
        {
            let error = folder.find(name).expect_err(name).to_string();
            assert!(error.contains(&format!("“__{name}__” leads out of")), "{error}");
        }
    }

    #[test]
    fn links_that_lead_out_are_refused_and_others_are_not() {
        let (around, mut folder) = folder(&["a/cats.txt"]);
        symlink("a/cats.txt", folder.path().join("felines.txt")).unwrap();
        assert_eq!(found(&mut folder, "felines"), ["felines.txt"]);
        symlink(around.path().join("outside.txt"), folder.path().join("link.txt")).unwrap();
        symlink(around.path(), folder.path().join("up")).unwrap();
        for name in ["link", "l*", "up/outside", "up/*", "u*/outside"] {
            assert!(matches!(folder.find(name), Err(FolderError::Outside { .. })), "{name}");
        }
    }

    #[test]
    fn folders_that_lie_in_themselves_end() {
        let (_around, mut folder) = folder(&["a/cats.txt"]);
        symlink(".", folder.path().join("a/again")).unwrap();
        assert_eq!(found(&mut folder, "**/cats"), ["a/cats.txt"]);
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_files() {
        let mut folder = Folder::new("no such folder".into());
        for name in ["a", "*", "**"] {
            assert!(folder.find(name).unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn a_file_is_no_folder() {
        let (around, _) = folder(&[]);
        let mut folder = Folder::new(around.path().join("outside.txt"));
        assert!(folder.find("a").unwrap().is_empty());
        let error = folder.find("*").unwrap_err().to_string();
        assert!(error.contains("outside.txt cannot be listed"), "{error}");
    }

    #[test]
    fn names_of_a_run_look_at_so_many_files_and_no_more() {
        let (_around, mut folder) = folder(&["a/cats.txt", "a/dogs.txt", "b.txt"]);
        folder.looked_at = MOST_LOOKED_AT - 4;
        assert_eq!(found(&mut folder, "a/*"), ["a/cats.txt", "a/dogs.txt"]);
        assert_eq!(found(&mut folder, "*"), ["b.txt"]);
        let error = folder.find("c*").unwrap_err().to_string();
        assert!(error.starts_with("with “__c*__” more than 100000 files in "), "{error}");
        assert_eq!(found(&mut folder, "a/cats"), ["a/cats.txt"]);
    }
}
