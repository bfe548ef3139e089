//! Long lists in pages: `?limit=…`, and then the `Link` to the next page, whose cursor means nothing to the client.
//!
//! A cursor names the last item of a page by what lists are ordered by. So items that come or go meanwhile neither repeat
//! nor hide others.

use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64_simd::URL_SAFE_NO_PAD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::error::Error;

/// Most items of a page.
const MOST: usize = 1000;
/// Items of a page whose cursor came without a limit.
const USUAL: usize = 100;
/// Characters that a cursor has at most.
const MAX_CURSOR: usize = 200;

/// Which part of a list is asked for: all of it, unless one of these is given.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageOf {
    /// How many items to answer with, from 1 to 1000. Without `limit` and `cursor` it is all of them.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// Where to go on: taken from the `Link` header of the page before.
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageOf {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let Query(page) = Query::<Self>::try_from_uri(&parts.uri).map_err(|_| {
            Error::Invalid("the query cannot be read; give limit and cursor once at most".into())
        })?;
        Ok(page)
    }
}

/// By what lists are ordered: the time of creation, then the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    nanoseconds: i128,
    name: String,
}

impl Place {
    /// The place of what was created then under this name.
    pub fn new(created: Option<&Time>, name: &str) -> Self {
        Self { nanoseconds: created.map_or(i128::MIN, |time| time.0.as_nanosecond()), name: name.into() }
    }

    fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode_to_string(format!("{}/{}", self.nanoseconds, self.name))
    }

    fn read(cursor: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(cursor).ok().filter(|_| cursor.len() <= MAX_CURSOR)?;
        let text = String::from_utf8(bytes).ok()?;
        let (nanoseconds, name) = text.split_once('/')?;
        Some(Self { nanoseconds: nanoseconds.parse().ok()?, name: name.into() })
    }
}

/// A part of a list, in JSON.
#[derive(Debug)]
pub struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl PageOf {
    /// The part of a list, which is ordered, that is asked for. Only that part is made into what is shown.
    ///
    /// # Errors
    /// [`Error::Invalid`] when limit or cursor cannot be used.
    pub fn of<L, T>(
        &self,
        list: &[L],
        place: impl Fn(&L) -> Place,
        show: impl Fn(&L) -> T,
    ) -> Result<Page<T>, Error> {
        let after = self.cursor.as_deref().map(|cursor| {
            let unknown = || Error::Invalid("cursor is not one that this service has handed out".into());
            Place::read(cursor).ok_or_else(unknown)
        });
        let after = after.transpose()?;
        let limit = match (&self.limit, &after) {
            (None, None) => usize::MAX,
            (None, Some(_)) => USUAL,
            (Some(limit), _) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit) && !self.has_sign())
                .ok_or_else(|| Error::Invalid(format!("limit must be a whole number from 1 to {MOST}")))?,
        };
        let start = after.map_or(0, |after| list.partition_point(|item| place(item) <= after));
        let shown = list[start..].iter().take(limit);
        let end = start + shown.len();
        let next = list[..end].last().filter(|_| end < list.len()).map(|last| {
            format!("<?limit={}&cursor={}>; rel=\"next\"", limit.min(MOST), place(last).cursor())
        });
        Ok(Page { items: shown.map(show).collect(), next })
    }

    fn has_sign(&self) -> bool {
        self.limit.as_deref().is_some_and(|limit| limit.starts_with('+'))
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.items).into_response();
        if let Some(next) = self.next.and_then(|next| HeaderValue::try_from(next).ok()) {
            response.headers_mut().insert(LINK, next);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    type Item = (i64, String);

    fn page(
        list: &[Item],
        limit: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<(Vec<Item>, Option<String>), Error> {
        let asked = PageOf { limit: limit.map(Into::into), cursor: cursor.map(Into::into) };
        let place =
            |(second, name): &Item| Place::new(Some(&Time(Timestamp::from_second(*second).unwrap())), name);
        let page = asked.of(list, place, Clone::clone)?;
        let cursor =
            page.next.map(|next| next.split("cursor=").nth(1).unwrap().split('>').next().unwrap().to_owned());
        Ok((page.items, cursor))
    }

    fn list() -> Vec<Item> {
        // many in the same second, as Kubernetes tells no more
        (0..25).map(|n| (n / 10, format!("name-{n:02}"))).collect()
    }

    #[test]
    fn without_parameters_it_is_the_whole_list_and_no_link() {
        assert_eq!(page(&list(), None, None).unwrap(), (list(), None));
        assert_eq!(page(&[], None, None).unwrap(), (vec![], None));
        assert_eq!(page(&[], Some("5"), None).unwrap(), (vec![], None));
    }

    #[test]
    fn pages_make_up_the_list_whatever_comes_and_goes_between() {
        for limit in ["1", "7", "10", "25", "1000"] {
            let (mut found, mut cursor) = page(&list(), Some(limit), None).unwrap();
            while let Some(next) = cursor {
                let (more, further) = page(&list(), Some(limit), Some(&next)).unwrap();
                assert!(!more.is_empty());
                found.extend(more);
                cursor = further;
            }
            assert_eq!(found, list(), "{limit}");
        }
        let (first, cursor) = page(&list(), Some("10"), None).unwrap();
        let mut changed = list();
        changed.retain(|item| *item != first[9] && *item != first[3]);
        changed.push((9, "new".into()));
        let (rest, _) = page(&changed, Some("100"), cursor.as_deref()).unwrap();
        assert_eq!(rest[..15], list()[10..]);
        assert_eq!(rest[15].1, "new");
    }

    #[test]
    fn a_limit_or_cursor_that_cannot_be_is_refused() {
        for limit in ["0", "1001", "-1", "+1", "x", "", "1.5", "99999999999999999999999"] {
            assert!(matches!(page(&list(), Some(limit), None), Err(Error::Invalid(_))), "{limit}");
        }
        let long = "a".repeat(10_000);
        for cursor in ["", "a", "?", "LTEvYQ==", &long, "bm8gc2xhc2g"] {
            assert!(matches!(page(&list(), None, Some(cursor)), Err(Error::Invalid(_))), "{cursor}");
        }
    }
}
