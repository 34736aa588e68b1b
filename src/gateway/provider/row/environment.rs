//! What the environment says of a provider: its keys, its address, and what stands for a variable in a row's address.

use url::Url;

use super::super::credentials::{ListError, WeightedKey, read_list};
use super::{CatalogueError, Env};

/// The keys of the first variable that is set, with its name: of each the list (`..._API_KEYS`) stands over the single.
pub(super) fn read_keys(
    variables: &[String],
    env: Env<'_>,
) -> Result<Option<(String, Vec<WeightedKey>)>, CatalogueError> {
    let set = |variable: &str| {
        let value = env(variable)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    for variable in variables {
        let several = format!("{variable}S");
        if let Some(text) = set(&several) {
            let refused = |error: ListError| CatalogueError::Keys {
                variable: several.clone(),
                reason: error.to_string(),
            };
            let keys = read_list(&text).map_err(refused)?;
            return Ok(Some((several, keys)));
        }
        if let Some(key) = set(variable) {
            return Ok(Some((variable.clone(), vec![WeightedKey::alone(key)])));
        }
    }
    Ok(None)
}

pub(super) fn override_address(variable: &str, env: Env<'_>) -> Result<Option<Url>, CatalogueError> {
    let value = env(variable).filter(|value| !value.trim().is_empty());
    value.map(|value| address(variable, value.trim())).transpose()
}

/// The address with what the environment says of `${NAME:-default}` in it.
pub(super) fn expanded(url: &str, env: Env<'_>) -> String {
    let Some((before, (inside, behind))) = url
        .split_once("${")
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return url.to_owned();
    };
    let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
    // Addresses are often kept with a slash at the end, and what follows here begins with one.
    let value = env(name).map(|value| value.trim().trim_end_matches('/').to_owned());
    let value = value.filter(|value| !value.is_empty());
    format!("{before}{}{behind}", value.unwrap_or_else(|| default.to_owned()))
}

/// A base address without a slash at the end.
pub(super) fn address(name: &str, text: &str) -> Result<Url, CatalogueError> {
    let refused = |reason| CatalogueError::Address {
        name: name.to_owned(),
        reason,
    };
    let mut url = Url::parse(text).map_err(|_| refused("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("it must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it must have no user, query or fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_a_variable_may_end_in_a_slash() {
        let env = |name: &str| (name == "EU").then(|| " https://eu.example.com/ ".to_owned());
        for (url, expected) in [
            ("${EU}/openai/v1", "https://eu.example.com/openai/v1"),
            ("${EU:-https://unset.invalid}/v1", "https://eu.example.com/v1"),
            ("${US:-https://unset.invalid}/v1", "https://unset.invalid/v1"),
        ] {
            assert_eq!(expanded(url, &env), expected);
        }
    }
}
