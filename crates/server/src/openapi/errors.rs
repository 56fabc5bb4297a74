//! The error responses shared by all operations: problem details (RFC 9457).

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{
    ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, path::Paths,
};

/// Media type of a problem.
const PROBLEM: &str = "application/problem+json";
/// Error responses of every operation: a refused request and a server failure.
const KINDS: [(char, &str, &str); 2] = [
    ('4', "4XX", "the request was refused; `code` says why"),
    ('5', "5XX", "the server is busy, short of something or failing; nothing is half done"),
];

/// Corrects the media type of each error; the derived documents call every body `application/json`.
pub(super) fn describe(document: &mut OpenApi) {
    let Paths { paths, .. } = &mut document.paths;
    for operation in paths.values_mut().flat_map(operations) {
        let responses = &mut operation.responses.responses;
        for (kind, range, description) in KINDS {
            if !responses.keys().any(|status| status.starts_with(kind)) {
                let response = ResponseBuilder::new().description(description).build();
                responses.insert(range.to_owned(), RefOr::T(response));
            }
        }
        for (status, response) in responses {
            if let (Some('4' | '5'), RefOr::T(response)) = (status.chars().next(), response) {
                send_as_problem(response);
            }
        }
    }
}

fn send_as_problem(response: &mut Response) {
    let problem =
        || RefOr::T(ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build());
    let content = response.content.values().next().cloned().unwrap_or_else(problem);
    response.content.clear();
    response.content.insert(PROBLEM.to_owned(), content);
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}
