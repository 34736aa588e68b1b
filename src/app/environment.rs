//! The environment, and the only place where it is read. A secret may stand in a file that `NAME_FILE` names, as
//! orchestrators hand it over; line breaks at its end do not belong to it. It fails closed: a file that cannot be read,
//! that is empty or that stands beside the variable itself is refused by name, never taken for a secret that is not set.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

/// No secret is longer; a device that never ends is no secret.
const LONGEST_BYTES: u64 = 65_536;

/// Why a secret is refused; each is one line that names the variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{name} and {name}_FILE are both set; one of them must go")]
    Twice { name: String },
    #[error("{name}_FILE: cannot read {path}: {reason}")]
    Unreadable { name: String, path: String, reason: String },
    #[error("{name}_FILE: {path} is empty")]
    Empty { name: String, path: String },
}

/// Variables, of this process or of a test.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables whose names and values are text.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(text).collect()
    }

    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// A variable that is set and not empty.
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A secret: the variable, or what is in the file of `NAME_FILE`.
    pub fn secret(&self, name: &str) -> Result<Option<String>, SecretError> {
        let path = self.plain(&format!("{name}_FILE"));
        match (self.plain(name), path) {
            (value, None) => Ok(value.map(str::to_owned)),
            (None, Some(path)) => read(name, path).map(Some),
            (Some(_), Some(_)) => Err(SecretError::Twice { name: name.to_owned() }),
        }
    }

    /// Lends the look-up of secrets to somebody who only asks whether one is there; the first that was refused is the
    /// error.
    pub fn lend<T>(&self, work: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> T) -> Result<T, SecretError> {
        let refused = RefCell::new(None);
        let done = work(&|name| {
            self.secret(name).unwrap_or_else(|error| {
                refused.borrow_mut().get_or_insert(error);
                None
            })
        });
        refused.into_inner().map_or(Ok(done), Err)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

fn read(name: &str, path: &str) -> Result<String, SecretError> {
    let text = read_text(path).map_err(|error| SecretError::Unreadable {
        name: name.to_owned(),
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(SecretError::Empty {
            name: name.to_owned(),
            path: path.to_owned(),
        });
    }
    Ok(secret.to_owned())
}

fn read_text(path: &str) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(LONGEST_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > LONGEST_BYTES {
        return Err(io::Error::other(format!("it has more than {LONGEST_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn a_secret_stands_in_its_variable_or_in_the_file_of_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let good = file("good", b" of a file \r\n\n");
        let empty = file("empty", b"\n");
        let binary = file("binary", &[0xff, 0xfe]);
        let long = file("long", &[b'a'; LONGEST_BYTES as usize + 1]);
        let found = |variables: &[(&str, &str)]| environment(variables).secret("KEY");
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[("KEY", ""), ("KEY_FILE", "")]), Ok(None));
        assert_eq!(found(&[("KEY", "one")]), Ok(Some("one".to_owned())));
        assert_eq!(found(&[("KEY", "one"), ("KEY_FILE", "")]), Ok(Some("one".to_owned())));
        assert_eq!(
            found(&[("KEY", ""), ("KEY_FILE", &good)]),
            Ok(Some(" of a file ".to_owned()))
        );
        let refused = [
            (
                vec![("KEY", "one"), ("KEY_FILE", good.as_str())],
                "KEY and KEY_FILE are both set",
            ),
            (
                vec![("KEY_FILE", "/nowhere/at/all")],
                "KEY_FILE: cannot read /nowhere/at/all",
            ),
            (vec![("KEY_FILE", "/tmp")], "KEY_FILE: cannot read /tmp"),
            (vec![("KEY_FILE", binary.as_str())], "KEY_FILE: cannot read"),
            (vec![("KEY_FILE", long.as_str())], "more than 65536 bytes"),
            (vec![("KEY_FILE", empty.as_str())], "is empty"),
        ];
        for (variables, why) in refused {
            let error = found(&variables).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("one\""), "{error}");
        }
    }

    #[test]
    fn whoever_borrows_the_look_up_is_not_left_without_a_refusal() {
        let environment = environment(&[("A", "1"), ("B_FILE", "/nowhere"), ("C_FILE", "/nowhere/either")]);
        assert_eq!(environment.lend(|find| find("A")), Ok(Some("1".to_owned())));
        let refused = environment.lend(|find| ["A", "B", "C"].map(find)).unwrap_err();
        assert!(refused.to_string().starts_with("B_FILE"), "{refused}");
    }
}
