//! The contract as a document: OpenAPI, made from the annotations of the endpoints.
//!
//! Beside those are here: which answers are no success ([`problems`]), headers ([`parameters`]), what is taken in and
//! handed out as a stream ([`bodies`], [`results`], of [`values`]), and what is common to all endpoints. [`page`] shows the document to people.

pub mod bodies;
pub mod page;
pub mod parameters;
pub mod problems;
pub mod results;
pub mod resumable;
pub mod values;

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Required, Response, Type};
use utoipa::{Modify, OpenApi};

use problems::{
    BadRequest, Fault, Forbidden, InUse, NotAcceptable, RangeNotSatisfiable, RunFailed, StoreFull, TooLarge,
    TooSlow, Unavailable, Unsupported,
};

/// The header with a request's id, as it is written in the document.
const REQUEST_ID: &str = "X-Request-Id";

/// The document without its endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "linkage-operator",
        description = "Privacy-preserving record linkage: which records in the data of several parties belong to one \
                       person, found from encodings alone. A drop-in replacement for the Anonlink Entity Service.\n\n\
                       Whoever creates a project gets an update token for each party, which uploads that party's \
                       encodings, and a result token, which creates runs and reads their results. A token is sent \
                       bare: `Authorization: TOKEN`, 48 hex digits, no `Bearer`.\n\n\
                       Bodies may be packed (`Content-Encoding: gzip`), and sent in chunks of unknown number. Runs of \
                       slashes in a path count as one. Errors are `application/problem+json` (RFC 9457). A 503 is to be \
                       tried again after the `Retry-After` seconds.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The service that this document comes from")),
    tags(
        (name = "projects", description = "What is to be linked, and by whom"),
        (name = "uploads", description = "The parties' data"),
        (name = "runs", description = "Linkages of a project's data, and their results"),
        (name = "service", description = "The service itself")
    ),
    components(responses(
        BadRequest,
        Forbidden,
        InUse,
        NotAcceptable,
        RangeNotSatisfiable,
        RunFailed,
        StoreFull,
        TooSlow,
        TooLarge,
        Unsupported,
        Fault,
        Unavailable
    )),
    modifiers(&Tokens)
)]
pub struct Document;

/// The tokens, each a scheme of its own, so that an endpoint can say which it asks for.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let schemes = [
            ("result_token", "The result token of the project."),
            (
                "update_token",
                "The update token of a party of the project. It is good for one contribution, which is the same one when the same content is \
                 uploaded again.",
            ),
            (
                "receipt_token",
                "The receipt token of a party, which its upload was answered with. For permutations only.",
            ),
        ];
        let scheme =
            |description| ApiKey::Header(ApiKeyValue::with_description("Authorization", description));
        let schemes = schemes.map(|(name, description)| (name, SecurityScheme::ApiKey(scheme(description))));
        document.components.get_or_insert_default().add_security_schemes_from_iter(schemes);
    }
}

/// Adds to the endpoints what is the same for each.
pub fn complete(document: &mut utoipa::openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    components.headers.insert(REQUEST_ID.into(), request_id_of_answer());
    components.responses.values_mut().for_each(complete_response);
    components.parameters.insert(REQUEST_ID.into(), request_id().into());
    for path in document.paths.paths.values_mut() {
        let parameter = RefOr::Ref(Ref::new(format!("#/components/parameters/{REQUEST_ID}")));
        path.parameters.get_or_insert_default().push(parameter);
        for operation in operations(path) {
            operation.responses.responses.values_mut().for_each(complete_response);
        }
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.head, &mut path.post, &mut path.patch, &mut path.delete].into_iter().flatten()
}

/// Adds the id that every answer has, and says which other header is always there.
fn complete_response(response: &mut RefOr<Response>) {
    if let RefOr::T(response) = response {
        if let Some(RefOr::T(retry)) = response.headers.get_mut("Retry-After") {
            retry.extensions = required();
        }
        let header = Ref::new(format!("#/components/headers/{REQUEST_ID}"));
        response.headers.insert(REQUEST_ID.into(), RefOr::Ref(header));
    }
}

fn request_id() -> Parameter {
    ParameterBuilder::new()
        .name(REQUEST_ID)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "An id for this request, by which it is found in the log. Taken over if it has at most 64 letters, digits, \
             dots, dashes and underscores, but not 48 of them, as many as a token has; else the request gets another.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn request_id_of_answer() -> RefOr<utoipa::openapi::header::Header> {
    let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9._-]{1,64}$"));
    HeaderBuilder::new()
        .description(Some("The id under which the log tells about this request."))
        .schema(Some(id))
        .extensions(required())
        .build()
        .into()
}

/// Of a header: that it is always there. The library has no word for it.
fn required() -> Option<Extensions> {
    Some(Extensions::from_iter([("required", true)]))
}
