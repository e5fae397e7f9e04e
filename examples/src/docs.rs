//! Finding and reading Markdown files under one directory, and nothing outside it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::markdown;

/// A directory of Markdown files.
///
/// Hidden files and directories and those named `target` are left out. A symbolic link can be read when it leads to a
/// document in the same directory; it is not listed, because that document is.
#[derive(Debug, Clone)]
pub struct Docs {
    root: PathBuf,
}

/// One Markdown file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// Its path under the root, with `/` between the parts: what `/docs/` takes.
    pub path: String,
    /// Its first heading, or else its path.
    pub title: String,
    /// The Markdown text.
    pub source: String,
}

impl Docs {
    /// The Markdown files under `root`.
    ///
    /// Fails when `root` is not a directory that can be read.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// Every document, read now, in the order of their paths.
    ///
    /// A file or directory that vanished or may not be read is left out; trouble with the root itself is an error.
    pub fn all(&self) -> io::Result<Vec<Document>> {
        let mut documents = Vec::new();
        let mut directories = vec![(fs::read_dir(&self.root)?, String::new())];
        while let Some((entries, prefix)) = directories.pop() {
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name();
                let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { continue };
                if left_out(name) {
                    continue;
                }
                let path = format!("{prefix}{name}");
                if kind.is_dir() {
                    if let Ok(entries) = fs::read_dir(entry.path()) {
                        directories.push((entries, path + "/"));
                    }
                } else if kind.is_file()
                    && let Ok(Some(document)) = self.read(&path)
                {
                    documents.push(document);
                }
            }
        }
        documents.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(documents)
    }

    /// The document at `path`, read now; `None` when there is none, or when `path` tries to leave the root.
    pub fn read(&self, path: &str) -> io::Result<Option<Document>> {
        let Some(file) = self.resolve(path) else { return Ok(None) };
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let source = String::from_utf8_lossy(&bytes).into_owned();
        let title = markdown::title(&source).unwrap_or_else(|| path.to_owned());
        Ok(Some(Document { path: path.to_owned(), title, source }))
    }

    fn resolve(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path);
        // A backslash, a drive letter or a NUL means different things on different systems; no document needs one.
        if path.contains(['\\', ':', '\0']) || relative.extension() != Some(OsStr::new("md")) {
            return None;
        }
        for component in relative.components() {
            match component {
                Component::Normal(name) if !left_out(name.to_str()?) => {}
                _ => return None,
            }
        }
        // The name is harmless, but a symbolic link need not be: what counts is where the file really is.
        let real = self.root.join(relative).canonicalize().ok()?;
        let inside = real.strip_prefix(&self.root).ok()?;
        let hidden = inside.components().any(|part| part.as_os_str().to_str().is_none_or(left_out));
        (!hidden && real.is_file()).then_some(real)
    }
}

fn left_out(name: &str) -> bool {
    name.starts_with('.') || name == "target"
}
