//! One request, read as far as all operations need it.

use std::net::IpAddr;

use kiln_domain::blob::condition::Conditions;
use kiln_domain::blob::edition::parse_moment;
use kiln_domain::blob::rejection::BlobRejection;
use kiln_domain::time::Timestamp;
use kiln_store::{KeyedContainer, StoreError, View};
use kiln_wire::auth::SharedKey;
use kiln_wire::auth::sas::Token;
use kiln_wire::blob::error::BlobError;
use kiln_wire::blob::gates::Gates;
use kiln_wire::blob::headers::Headers;
use kiln_wire::blob::operation::{Copying, NoOperation, Operation, Place, Signs};
use kiln_wire::blob::target::{Address, Target};
use kiln_wire::blob::version::{ServiceVersion, VersionSigns};

use super::BlobService;
use super::access::Access;
use super::failure::Failure;
use crate::http::Request;

/// One request, read as far as all operations need it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) service: BlobService,
    pub(super) method: String,
    pub(super) raw_path: String,
    pub(super) host: String,
    pub(super) scheme: &'static str,
    pub(super) query: Vec<(String, String)>,
    pub(super) header_pairs: Vec<(String, String)>,
    pub(super) peer: Option<IpAddr>,
    pub(super) received_at: Timestamp,
    pub(super) target: Target,
    pub(super) at: At,
    pub(super) operation: Operation,
    pub(super) gates: Gates,
    pub(super) token: Option<Token>,
    pub(super) access: Access,
}

impl Call {
    /// Reads the head of a request; who asks is decided later.
    pub(super) fn read(service: &BlobService, request: &Request) -> Result<Self, Failure> {
        Self::read_in(service, request, None)
    }

    /// The same for a request inside another one, whose version it has.
    pub(super) fn read_in(
        service: &BlobService,
        request: &Request,
        inherited: Option<ServiceVersion>,
    ) -> Result<Self, Failure> {
        let header_pairs = request.header_pairs();
        let token = Token::from_query(&request.query);
        let parameter = |name| request.parameter(name).unwrap_or("");
        let is_for_container = matches!(parameter("restype"), "container" | "account");
        let target = target(service, request, is_for_container)?;
        let version = match inherited {
            Some(version) => version,
            None => version(service, request, &target, token.as_ref())?,
        };
        let gates = Gates::of(version);
        let signs = Signs {
            method: request.method.as_str(),
            place: match (&target.container, &target.blob) {
                (None, _) => Place::Service,
                (Some(_), None) => Place::Container,
                (Some(_), Some(_)) => Place::Blob,
            },
            restype: parameter("restype"),
            comp: parameter("comp"),
            copying: match request.header("x-ms-copy-source") {
                None => Copying::Not,
                Some(_) if request.header("x-ms-requires-sync") == Some("true") => Copying::Awaited,
                Some(_) => Copying::Beside,
            },
            has_blob_type: request.headers.contains_key("x-ms-blob-type"),
            is_of_past: request.parameter("snapshot").is_some()
                || request.parameter("versionid").is_some(),
        };
        let operation = Operation::of(signs).map_err(|none| no_operation(none, signs))?;
        request.asked.note(crate::monitor::Operation::Blob(operation));
        Ok(Self {
            service: service.clone(),
            method: request.method.as_str().to_owned(),
            raw_path: request.raw_path.clone(),
            host: request.host.clone(),
            scheme: request.scheme(),
            query: request.query.clone(),
            header_pairs,
            peer: request.peer.map(|peer| peer.ip()),
            received_at: request.received_at,
            target,
            at: At::of_query(&request.query)?,
            operation,
            gates,
            token,
            access: Access::Owner,
        })
    }

    /// The headers of the request.
    pub(super) fn headers(&self) -> Headers<'_> {
        Headers(&self.header_pairs)
    }

    /// The conditions of the request.
    pub(super) fn conditions(&self) -> Result<Conditions, Failure> {
        Ok(self.headers().conditions()?)
    }

    /// A query parameter that is there and not empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Where the request's container is.
    pub(super) fn spot(&self) -> Spot {
        Spot {
            account: self.target.account.clone(),
            container: self.target.container.clone().unwrap_or_default(),
            blob: self.target.blob.clone().unwrap_or_default(),
            at: self.at,
        }
    }

    /// Where the service is for this client, with a slash at the end.
    pub(super) fn service_endpoint(&self) -> String {
        if self.target.is_path_style {
            format!("{}://{}/{}/", self.scheme, self.host, self.target.account)
        } else {
            format!("{}://{}/", self.scheme, self.host)
        }
    }
}

/// The account, container and blob of a request, as operations on the store need them.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) account: String,
    pub(super) container: String,
    pub(super) blob: String,
    pub(super) at: At,
}

/// Which edition of a blob is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Now,
    Snapshot(Timestamp),
    Version(Timestamp),
}

impl At {
    /// The edition that the parameters of an address name.
    pub(super) fn of_query(query: &[(String, String)]) -> Result<Self, BlobError> {
        let moment = |name: &str| -> Result<Option<Timestamp>, BlobError> {
            let found = query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            let Some((_, text)) = found.filter(|(_, text)| !text.is_empty()) else {
                return Ok(None);
            };
            match parse_moment(text) {
                Some(at) => Ok(Some(at)),
                None => {
                    let reason = "a time like 2026-01-02T03:04:05.1234567Z is expected";
                    Err(BlobError::invalid_parameter(name, text, reason))
                }
            }
        };
        match (moment("snapshot")?, moment("versionid")?) {
            (None, None) => Ok(Self::Now),
            (Some(at), None) => Ok(Self::Snapshot(at)),
            (None, Some(at)) => Ok(Self::Version(at)),
            (Some(_), Some(_)) => {
                let message = "A snapshot and a version cannot be asked for together.";
                Err(BlobError::new(400, "MutuallyExclusiveQueryParameters", message))
            }
        }
    }
}

impl Spot {
    /// The container, which must be there.
    pub(super) fn container(&self, view: &View<'_>) -> Result<KeyedContainer, Failure> {
        match view.container(&self.account, &self.container)? {
            Some(container) => Ok(container),
            None => Err(BlobRejection::ContainerNotFound { name: self.container.clone() }.into()),
        }
    }

    /// That there is no such blob.
    pub(super) fn no_blob(&self) -> Failure {
        BlobRejection::BlobNotFound { name: self.blob.clone() }.into()
    }
}

fn target(
    service: &BlobService,
    request: &Request,
    is_for_container: bool,
) -> Result<Target, Failure> {
    let signer = request.header("authorization").and_then(SharedKey::parse);
    let signer = signer.map(|key| key.account.to_owned());
    let signer = match signer {
        Some(signer) if service.accounts.storage(&signer)?.is_some() => Some(signer),
        Some(_) | None => service.accounts.default_storage()?,
    };
    let mut failed: Option<StoreError> = None;
    let address = Address {
        host: &request.host,
        raw_path: &request.raw_path,
        is_for_container,
        fallback_account: signer.as_deref(),
    };
    let is_account = |name: &str| match service.accounts.storage(name) {
        Ok(account) => account.is_some(),
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let parsed = Target::parse(address, is_account);
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(parsed?),
    }
}

/// The version to execute.
fn version(
    service: &BlobService,
    request: &Request,
    target: &Target,
    token: Option<&Token>,
) -> Result<ServiceVersion, Failure> {
    let given = |text: &&str| !text.trim().is_empty();
    let signs = VersionSigns {
        header: request.header("x-ms-version").filter(given).map(str::trim),
        parameter: request.parameter("api-version").filter(given),
        token: token.map(Token::version),
    };
    signs.decide(|| {
        let settings = service.accounts.storage_settings(&target.account)?;
        Ok(settings.service.default_version.clone())
    })
}

fn no_operation(none: NoOperation, signs: Signs<'_>) -> Failure {
    let error = match none {
        NoOperation::Verb => BlobError::new(
            405,
            "UnsupportedHttpVerb",
            "The resource doesn't support specified Http Verb.",
        ),
        NoOperation::OfPast => {
            let reason = "the operation is not for snapshots and versions";
            BlobError::invalid_parameter("snapshot", "", reason)
        }
        NoOperation::Parameter => {
            let reason = "no operation of this resource has these values of `restype` and `comp`";
            BlobError::invalid_parameter("comp", signs.comp, reason)
                .with_detail("RestType", signs.restype)
        }
    };
    error.into()
}
