//! Runs of slashes in a path count as one: clients do request `/api/v1//projects`.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The address with every run of slashes in its path collapsed to one.
pub fn collapse_slashes(uri: &Uri) -> Uri {
    if !uri.path().contains("//") {
        return uri.clone();
    }
    let mut path = String::with_capacity(uri.path().len());
    for c in uri.path().chars() {
        if c != '/' || !path.ends_with('/') {
            path.push(c);
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_collapse_in_the_path_alone() {
        for (given, expected) in [
            ("/api/v1/projects", "/api/v1/projects"),
            ("/api/v1//projects", "/api/v1/projects"),
            ("//api////v1/projects//?a=//b", "/api/v1/projects/?a=//b"),
            ("////", "/"),
            ("http://host//api//v1", "http://host/api/v1"),
            ("/%2F%2F/a", "/%2F%2F/a"),
        ] {
            assert_eq!(collapse_slashes(&given.parse().unwrap()), expected, "{given}");
        }
    }
}
