//! Where a path leads: to a file, or by a URL to an object in a store.
//!
//! A path that begins with `s3://`, `gs://` or `az://` is a URL: behind the scheme stands the
//! bucket (Azure's container), and behind that the object's key, byte for byte, without any
//! escaping. Other paths are files, and so is what stands behind `file://`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// Whose protocol a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon S3, and what speaks like it.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
}

impl Scheme {
    const ALL: [(&'static str, Self); 3] =
        [("s3://", Self::S3), ("gs://", Self::Gs), ("az://", Self::Az)];

    /// What its URLs begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Gs => "gs://",
            Self::Az => "az://",
        }
    }
}

/// A bucket, and an object or a prefix in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectUrl {
    /// The kind of store.
    pub scheme: Scheme,
    /// The bucket; Azure's container.
    pub bucket: String,
    /// The key, without a slash before it; may be empty.
    pub key: String,
}

impl ObjectUrl {
    /// The URL that a path is; `None` when it leads to a file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let text = path.to_str()?;
        let (scheme, rest) = Scheme::ALL
            .iter()
            .find_map(|(prefix, scheme)| Some((*scheme, text.strip_prefix(prefix)?)))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// Whether it stands for all objects below a prefix: such a URL ends with a slash, or names a
    /// bucket alone.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// Whether its key is a pattern: it has `*`, `?` or `[`.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.key.contains(['*', '?', '['])
    }

    /// The prefix below which all of it lies: itself, or what stands before a pattern.
    #[must_use]
    pub fn base(&self) -> &str {
        let literal = self.key.find(['*', '?', '[']).unwrap_or(self.key.len());
        let literal = self.key.get(..literal).unwrap_or_default();
        match literal.rfind('/') {
            Some(slash) => self.key.get(..=slash).unwrap_or_default(),
            None => "",
        }
    }

    /// The same store with another key, as a path.
    #[must_use]
    pub fn with_key(&self, key: &str) -> PathBuf {
        let Self { scheme, bucket, .. } = self;
        PathBuf::from(format!("{}{bucket}/{key}", scheme.prefix()))
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, bucket, key } = self;
        write!(f, "{}{bucket}/{key}", scheme.prefix())
    }
}

/// Whether a path is the URL of an object or a prefix.
#[must_use]
pub fn is_url(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    Scheme::ALL.iter().any(|(prefix, _)| bytes.starts_with(prefix.as_bytes()))
}

/// The path itself, or what stands behind its `file://`.
#[must_use]
pub fn local(path: &Path) -> Cow<'_, Path> {
    match path.to_str().and_then(|text| text.strip_prefix("file://")) {
        Some(file) => Cow::Borrowed(Path::new(file)),
        None => Cow::Borrowed(path),
    }
}

/// Whether a path stands for many files: a directory, a prefix, a pattern. Nothing is asked of a
/// store.
#[must_use]
pub fn is_directory(path: &Path) -> bool {
    match ObjectUrl::of(path) {
        Some(url) => url.is_prefix() || url.is_pattern(),
        None => path.is_dir(),
    }
}

/// The directory that a listing's names are relative to: the path, or what stands before a pattern.
#[must_use]
pub fn base(path: &Path) -> PathBuf {
    match ObjectUrl::of(path) {
        Some(url) => url.with_key(url.base()),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_files() {
        let url = ObjectUrl::of(Path::new("s3://bucket/a/b%20c/binlog.000001")).unwrap();
        assert_eq!((url.scheme, &*url.bucket), (Scheme::S3, "bucket"));
        assert_eq!(url.key, "a/b%20c/binlog.000001");
        assert_eq!(url.to_string(), "s3://bucket/a/b%20c/binlog.000001");
        assert!(!url.is_prefix() && !url.is_pattern());
        for file in ["/s3://b", "s3:/b/k", "S3://b/k", "s3", "binlog.000001"] {
            assert!(!is_url(Path::new(file)), "{file}");
            assert_eq!(ObjectUrl::of(Path::new(file)), None, "{file}");
        }
        assert_eq!(local(Path::new("file:///a/b")), Path::new("/a/b"));
        assert_eq!(local(Path::new("file:/a")), Path::new("file:/a"));
    }

    #[test]
    fn a_url_stands_for_many_by_its_end_or_its_signs() {
        for (text, is_many, base_of_it) in [
            ("gs://b", true, "gs://b/"),
            ("gs://b/", true, "gs://b/"),
            ("gs://b/logs/", true, "gs://b/logs/"),
            ("gs://b/logs", false, "gs://b/"),
            ("az://b/x/h*/binlog.[0-9]*", true, "az://b/x/"),
            ("az://b/*", true, "az://b/"),
        ] {
            let path = Path::new(text);
            assert_eq!(is_directory(path), is_many, "{text}");
            assert_eq!(base(path), Path::new(base_of_it), "{text}");
        }
    }
}
