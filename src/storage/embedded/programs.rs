//! The PostgreSQL server programs of this machine. They are looked for on the PATH, where `pg_config` points, and
//! where the packages of Debian, Red Hat and Homebrew put them; an existing cluster gets the version that made it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EmbeddedError;

const OLDEST_MAJOR_VERSION: u32 = 14;
const NEEDED: [&str; 3] = ["postgres", "initdb", "pg_ctl"];
/// Directories that hold one directory a version, what that directory's name begins with, and where the programs are.
const VERSIONED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// The directory that holds the programs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    directory: PathBuf,
    major_version: u32,
}

impl Programs {
    /// The programs of this major version, or, without one, the first usable found.
    pub fn find(wanted: Option<u32>) -> Result<Self, EmbeddedError> {
        let found: Vec<Self> = candidates().into_iter().filter_map(Self::in_directory).collect();
        let is_usable = |programs: &&Self| match wanted {
            Some(version) => programs.major_version == version,
            None => programs.major_version >= OLDEST_MAJOR_VERSION,
        };
        let detail = match (wanted, found.first()) {
            (Some(version), _) => format!(" of version {version}, which made the cluster"),
            (None, Some(old)) => format!(
                " of version {OLDEST_MAJOR_VERSION} or newer, only {}",
                old.major_version
            ),
            (None, None) => String::new(),
        };
        found
            .iter()
            .find(is_usable)
            .cloned()
            .ok_or(EmbeddedError::NoPrograms { detail })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn in_directory(directory: PathBuf) -> Option<Self> {
        if !NEEDED.iter().all(|name| directory.join(name).is_file()) {
            return None;
        }
        let major_version = major_version(&first_line(&directory.join("postgres"), "--version")?)?;
        Some(Self {
            directory,
            major_version,
        })
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|entry| entry.is_absolute())
        .collect();
    directories.extend(first_line(Path::new("pg_config"), "--bindir").map(PathBuf::from));
    for (parent, prefix, inner) in VERSIONED {
        directories.extend(
            versions_in(parent, prefix)
                .into_iter()
                .map(|version| version.join(inner)),
        );
    }
    directories
}

/// The directories of versions, newest first.
fn versions_in(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let version_of = |name: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((version_of(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn first_line(program: &Path, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    let output = command
        .arg(argument)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_version(text: &str) -> Option<u32> {
    let digits = text.split_once(") ")?.1;
    let end = digits
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("something else", None),
        ] {
            assert_eq!(major_version(text), expected, "{text}");
        }
    }

    #[test]
    fn a_version_that_is_not_there_is_an_error_that_names_the_package() {
        let message = Programs::find(Some(7)).unwrap_err().to_string();
        assert!(
            message.contains("version 7") && message.contains("apt-get install postgresql"),
            "{message}"
        );
    }
}
