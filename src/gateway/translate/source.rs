//! Files inside a call: data URLs, as OpenAI's dialect writes them, and the sources of the inner form.

use super::inner::Source;

impl Source {
    /// Reads an address: a data URL in base64, or a file on the web. `None` for any other.
    pub fn of_url(url: &str) -> Option<Self> {
        if let Some((media_type, data)) = split_data_url(url) {
            return Some(Self::Inline {
                media_type: media_type.to_owned(),
                data: data.to_owned(),
            });
        }
        let on_the_web = ["https://", "http://"].iter().any(|scheme| {
            url.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        on_the_web.then(|| Self::Url(url.to_owned()))
    }
}

/// A data URL of a file.
pub fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// The media type without its parameters, and the base64 text.
fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("data:")?;
    let (head, data) = rest.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default();
    (!media_type.is_empty()).then_some((media_type, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_data_urls_and_addresses_of_the_web_and_nothing_else() {
        let inline = |media_type: &str, data: &str| {
            Some(Source::Inline {
                media_type: media_type.to_owned(),
                data: data.to_owned(),
            })
        };
        let table = [
            ("data:image/png;base64,AAA=", inline("image/png", "AAA=")),
            (
                "data:application/pdf;name=a.pdf;base64,AA",
                inline("application/pdf", "AA"),
            ),
            (
                "https://a.example/b.png",
                Some(Source::Url("https://a.example/b.png".to_owned())),
            ),
            ("HTTP://a.example", Some(Source::Url("HTTP://a.example".to_owned()))),
            ("data:text/plain,hello", None),
            ("data:;base64,AA", None),
            ("file:///etc/passwd", None),
            ("", None),
        ];
        for (url, expected) in table {
            assert_eq!(Source::of_url(url), expected, "{url}");
        }
        assert_eq!(data_url("image/png", "AAA="), "data:image/png;base64,AAA=");
    }
}
