//! The formats of a result as media types, and which of them a client is sent (RFC 9110, 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use crds::ResultFormat;
use headers_accept::Accept;
use mediatype::{MediaType, MediaTypeBuf, ReadParams, WriteParams, names};

use crate::limits::body::{BINARY, JSON};

/// The media type of a format, by which it is asked for.
pub fn media_type(format: ResultFormat) -> &'static str {
    match format {
        ResultFormat::Json => JSON,
        ResultFormat::Csv => "text/csv",
        ResultFormat::Ndjson => "application/x-ndjson",
        ResultFormat::Parquet => "application/vnd.apache.parquet",
        ResultFormat::Anonlink => BINARY,
    }
}

/// The same with its parameters, as an answer says it.
pub fn content_type(format: ResultFormat) -> &'static str {
    match format {
        ResultFormat::Csv => "text/csv; charset=utf-8; header=present",
        other => media_type(other),
    }
}

/// The format that a client is sent of those that there are; None if it takes none of them.
///
/// Who takes anything, does not say what it takes, or says it in a way that cannot be understood, gets the preferred one if
/// there is one, else JSON, as ever. Parameters of media types, but for their quality, do not count.
pub fn negotiated(
    headers: &HeaderMap,
    available: &[ResultFormat],
    preferred: Option<ResultFormat>,
) -> Option<ResultFormat> {
    let first = preferred.filter(|format| available.contains(format)).unwrap_or_default();
    let Some(accept) = accept(headers) else { return Some(first) };
    // whoever takes anything gets the first
    let all = [first].into_iter().chain(ResultFormat::ALL).chain([ResultFormat::Anonlink]);
    let formats = all.filter(|format| available.contains(format));
    let types = formats.filter_map(|format| Some((format, MediaType::parse(media_type(format)).ok()?)));
    let types: Vec<(ResultFormat, MediaType<'static>)> = types.collect();
    let chosen = accept.negotiate(types.iter().map(|(_, media_type)| media_type))?;
    types.iter().find(|(_, media_type)| media_type == chosen).map(|(format, _)| *format)
}

fn accept(headers: &HeaderMap) -> Option<Accept> {
    let values: Result<Vec<&str>, _> = headers.get_all(ACCEPT).iter().map(|value| value.to_str()).collect();
    let values = values.ok().filter(|values| !values.is_empty())?;
    let accept: Accept = values.join(",").parse().ok()?;
    let without_parameters = |media_type: &MediaTypeBuf| {
        let mut essence = MediaType::new(media_type.ty(), media_type.subty());
        if let Some(quality) = media_type.get_param(names::Q) {
            essence.set_param(names::Q, quality);
        }
        MediaTypeBuf::from(essence)
    };
    let types: Vec<MediaTypeBuf> = accept.media_types().map(without_parameters).collect();
    (!types.is_empty()).then(|| types.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ResultFormat::{Anonlink, Csv, Json, Ndjson, Parquet};
    use proptest::prelude::*;

    fn of(accept: &str, available: &[ResultFormat]) -> Option<ResultFormat> {
        negotiated(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]), available, None)
    }

    #[test]
    fn who_does_not_choose_gets_json() {
        assert_eq!(negotiated(&HeaderMap::new(), &ResultFormat::ALL, None), Some(Json));
        for accept in [
            "*/*",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/*",
            "application/json, text/plain, */*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html;q=0.1, */*",
            "",
            " ",
            "nonsense",
            ";q=1",
            "*",
            "text/",
        ] {
            assert_eq!(of(accept, &ResultFormat::ALL), Some(Json), "{accept}");
        }
    }

    #[test]
    fn who_chooses_gets_what_it_likes_best() {
        for (accept, expected) in [
            ("text/csv", Csv),
            ("TEXT/CSV", Csv),
            ("text/csv; charset=utf-8", Csv),
            ("text/csv;header=present;q=0.5", Csv),
            ("text/*", Csv),
            ("application/x-ndjson", Ndjson),
            ("application/vnd.apache.parquet", Parquet),
            ("application/json;q=0.5, text/csv", Csv),
            ("application/json;q=0.5, text/csv;q=0.4", Json),
            ("application/json;q=0, */*", Csv),
            ("*/*;q=0.1, application/vnd.apache.parquet;q=0.2", Parquet),
            ("text/html, application/x-ndjson;q=0.001", Ndjson),
            ("text/csv, */*;q=0.1", Csv),
        ] {
            assert_eq!(of(accept, &ResultFormat::ALL), Some(expected), "{accept}");
        }
    }

    #[test]
    fn a_preferred_format_is_for_who_takes_anything() {
        let available = [&ResultFormat::ALL[..], &[Anonlink]].concat();
        for (accept, expected) in [
            (None, Anonlink),
            (Some("*/*"), Anonlink),
            (Some("nonsense"), Anonlink),
            (Some("application/octet-stream"), Anonlink),
            (Some("application/json"), Json),
            (Some("text/csv, */*;q=0.1"), Csv),
        ] {
            let headers = accept.map(|accept| (ACCEPT, accept.parse().unwrap())).into_iter().collect();
            assert_eq!(negotiated(&headers, &available, Some(Anonlink)), Some(expected), "{accept:?}");
            // a run of an earlier version has none
            let without = negotiated(&headers, &ResultFormat::ALL, Some(Anonlink));
            let expected = (expected != Anonlink).then_some(expected).or(Some(Json));
            assert!(without == expected || accept == Some("application/octet-stream"), "{accept:?}");
        }
        assert_eq!(of("application/octet-stream", &available), Some(Anonlink));
        assert_eq!(of("*/*", &available), Some(Json));
    }

    #[test]
    fn what_was_not_written_is_not_sent() {
        for (accept, expected) in [
            ("text/csv", None),
            ("text/csv, application/json;q=0.1", Some(Json)),
            ("application/json;q=0", None),
            ("application/x-ndjson, */*;q=0", None),
            ("text/html", None),
        ] {
            assert_eq!(of(accept, &[Json]), expected, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/html".parse().unwrap());
        headers.append(ACCEPT, "text/csv;q=0.5".parse().unwrap());
        assert_eq!(negotiated(&headers, &ResultFormat::ALL, None), Some(Csv));
    }

    #[test]
    fn parameters_follow_the_media_type() {
        for format in ResultFormat::ALL {
            assert!(content_type(format).starts_with(media_type(format)));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_one_of_those_there_is_sent(accept in "[a-z*/;,=q.0-9 \"\\\\-]{0,60}|\\PC{0,30}") {
            if let Ok(value) = accept.parse() {
                let sent = negotiated(&HeaderMap::from_iter([(ACCEPT, value)]), &[Json, Csv], None);
                prop_assert!(matches!(sent, None | Some(Json | Csv)));
            }
        }
    }
}
