//! Where the bytes of blobs are: files in the data directory, or an object store.

use std::collections::BTreeMap;

use kiln_server::config::ObjectPlace;

use crate::data::DataDirectory;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::settings::Layer;

/// How the variables begin that the providers' own tools read.
const PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Keys and other options of object stores: those of a file, and over them the variables.
pub(crate) fn options(
    of_file: BTreeMap<String, String>,
    environment: &Environment,
) -> BTreeMap<String, String> {
    let mut options = of_file;
    for (name, value) in environment.beginning_with(&PREFIXES) {
        options.insert(name.to_lowercase(), value.to_owned());
    }
    options
}

/// The place that the text names.
pub(crate) fn place(text: &str, options: BTreeMap<String, String>) -> Result<ObjectPlace, Failure> {
    ObjectPlace::parse(text, options).map_err(|cause| {
        Failure::usage(format!("the place of extents, `{text}`, cannot be used"))
            .because(cause)
            .hint(
                "write az://CONTAINER/PREFIX, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, and set \
                   the variables that the provider's own tools read",
            )
    })
}

/// Where the bytes of a data directory are, if not in it: for a check of it.
pub(crate) fn place_of(
    data: &DataDirectory,
    environment: &Environment,
) -> Result<Option<ObjectPlace>, Failure> {
    let noted = kiln_server::place_of(data.path()).map_err(|cause| {
        Failure::new("cannot find out where the bytes of the blobs are").because(cause)
    })?;
    let Some(text) = noted else { return Ok(None) };
    let layer = Layer::from_usual_file(&data.file("kiln.toml"))?;
    place(&text, options(layer.extents_options.unwrap_or_default(), environment)).map(Some)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{options, place};
    use crate::environment::Environment;

    #[test]
    fn variables_stand_over_the_file() {
        let file = [("aws_region", "one"), ("aws_endpoint", "two")];
        let file: BTreeMap<String, String> =
            file.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let environment = Environment::of(&[("AWS_REGION", "three"), ("OTHER", "four")]);
        let found: Vec<_> = options(file, &environment).into_iter().collect();
        let expected = [("aws_endpoint", "two"), ("aws_region", "three")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn places_are_named_as_they_were_written() {
        let options = || BTreeMap::from([("aws_region".to_owned(), "r".to_owned())]);
        let bucket = place("s3://bucket/some/prefix/", options()).expect("a place");
        assert_eq!(bucket.name(), "s3://bucket/some/prefix");
        for bad in ["bucket", "ftp://bucket/x", ""] {
            assert!(place(bad, options()).is_err(), "{bad}");
        }
    }

    #[test]
    fn places_of_google_say_what_is_wrong_with_their_keys() {
        let of = |name: &str, value: &str| {
            place("gs://bucket/kiln/", BTreeMap::from([(name.to_owned(), value.to_owned())]))
        };
        let another = r#"{"gcs_base_url": "http://127.0.0.1:1", "disable_oauth": true,
            "client_email": "", "private_key": "", "private_key_id": ""}"#;
        let bucket = of("google_service_account_key", another).expect("a place");
        assert_eq!(bucket.name(), "gs://bucket/kiln");
        for (name, value, expected) in [
            ("google_service_account", "/no/such/key.json", "/no/such/key.json"),
            ("google_service_account_key", "no JSON", "service account"),
        ] {
            let refused = of(name, value).expect_err(value);
            let said = format!("{refused:?}");
            assert!(said.contains("gs://bucket/kiln") && said.contains(expected), "{said}");
        }
    }
}
