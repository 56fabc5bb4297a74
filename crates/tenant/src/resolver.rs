//! Determines the wiki that a request is for. Pure: nothing is looked up, and the wiki need not exist.

mod host;
mod path;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::request::Parts;

use crate::{Domain, Slug, SlugError};
use host::HostPattern;
use path::PathPattern;

/// A rule, or a sequence of rules, that reads a wiki's name or domain from a request. Cheap to clone.
///
/// # Example
/// ```
/// use wikigrove_tenant::{Resolution, Resolver};
///
/// let resolver = Resolver::host("{slug}.example.org").or(Resolver::path("/w/{slug}"));
/// let request = http::Request::get("/w/garden/home").header("host", "example.org").body(()).unwrap();
/// let (parts, ()) = request.into_parts();
/// assert_eq!(resolver.resolve(&parts), Resolution::Slug("garden".parse().unwrap()));
/// ```
#[derive(Clone)]
pub struct Resolver(Arc<[Rule]>);

type Find = dyn Fn(&Parts) -> Option<Slug> + Send + Sync;

#[derive(Clone)]
enum Rule {
    Path(PathPattern),
    Host(HostPattern),
    Domains,
    Closure(Arc<Find>),
}

/// The result of a [`Resolver`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The request is for the wiki with this name. The wiki may not exist.
    Slug(Slug),
    /// The request is for the wiki that owns this domain. If no wiki owns it, `otherwise` applies.
    Domain {
        /// The host of the request.
        domain: Domain,
        /// The result of the later rules.
        otherwise: Box<Resolution>,
    },
    /// The request is for a wiki, but under an invalid name, such as `Garden` or `a_b`.
    InvalidSlug,
    /// The request is for no wiki.
    NotFound,
    /// The request is ambiguous or malformed: the answer is 400 with this reason.
    Invalid(&'static str),
}

impl Resolver {
    /// Finds the name at the beginning of the path: `/w/{slug}` finds `garden` in `/w/garden` and below it.
    ///
    /// The path is the one that the client sent, also under axum's `nest` (feature `axum`). It is compared without
    /// decoding: a percent-encoded slug is invalid. A path that matches the pattern is for a wiki, even if the name is
    /// invalid; but an empty name or a reserved one, such as `admin`, names no wiki.
    ///
    /// # Panics
    /// The pattern doesn't start with `/`, has an empty segment, or doesn't have exactly one `{slug}`.
    pub fn path(pattern: &str) -> Self {
        Self::of(Rule::Path(PathPattern::new(pattern)))
    }

    /// Finds the name in one label below a base domain: `{slug}.example.org`. Case, port and a trailing dot of the
    /// request's host don't matter. The base domain itself is no wiki, nor is a reserved label, such as `www`; any
    /// other label names a wiki, even if it is invalid.
    ///
    /// # Panics
    /// The pattern isn't `{slug}.` and a domain.
    pub fn host(pattern: &str) -> Self {
        Self::of(Rule::Host(HostPattern::new(pattern)))
    }

    /// Finds the wiki by its own domain. Rules for all other hosts must come after this one. For a caller who may not
    /// see the wiki, the domain behaves like one that no wiki owns.
    pub fn domains() -> Self {
        Self::of(Rule::Domains)
    }

    /// Finds the name with a function of the request's head; `None` means no wiki. The function must not block.
    pub fn closure(find: impl Fn(&Parts) -> Option<Slug> + Send + Sync + 'static) -> Self {
        Self::of(Rule::Closure(Arc::new(find)))
    }

    /// Adds rules that apply if these find no wiki. A malformed host ends the search.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        Self(self.0.iter().chain(next.0.iter()).cloned().collect())
    }

    /// Applies the rules to a request.
    pub fn resolve(&self, parts: &Parts) -> Resolution {
        resolve(&self.0, parts)
    }

    fn of(rule: Rule) -> Self {
        Self(Arc::new([rule]))
    }
}

fn resolve(rules: &[Rule], parts: &Parts) -> Resolution {
    let Some((rule, later)) = rules.split_first() else {
        return Resolution::NotFound;
    };
    let uri = original_uri(parts);
    let found = match rule {
        Rule::Path(pattern) => pattern.find(uri.path()).and_then(by_name),
        Rule::Closure(find) => find(parts).map(Resolution::Slug),
        Rule::Host(pattern) => match host::named(uri, &parts.headers) {
            Ok(host) => pattern.find(&host).and_then(by_name),
            Err(why) => return Resolution::Invalid(why),
        },
        Rule::Domains => match host::named(uri, &parts.headers).map(|host| host.parse()) {
            Ok(Ok(domain)) => {
                return Resolution::Domain { domain, otherwise: Box::new(resolve(later, parts)) };
            }
            // An IP address, which no wiki can own.
            Ok(Err(_)) => None,
            Err(why) => return Resolution::Invalid(why),
        },
    };
    match found {
        Some(Resolution::InvalidSlug) => or_invalid_slug(resolve(later, parts)),
        Some(found) => found,
        None => resolve(later, parts),
    }
}

/// The wiki for a name that stands in a wiki's place.
fn by_name(name: &str) -> Option<Resolution> {
    match Slug::try_from(name) {
        Ok(slug) => Some(Resolution::Slug(slug)),
        // Reserved for the application's own pages and hosts.
        Err(SlugError::Reserved { .. }) => None,
        Err(SlugError::Invalid { .. }) if name.is_empty() => None,
        Err(SlugError::Invalid { .. }) => Some(Resolution::InvalidSlug),
    }
}

/// The result of the later rules for a request with an invalid name. If they find no wiki, the request is still for a
/// wiki.
fn or_invalid_slug(later: Resolution) -> Resolution {
    match later {
        Resolution::NotFound => Resolution::InvalidSlug,
        Resolution::Domain { domain, otherwise } => {
            Resolution::Domain { domain, otherwise: Box::new(or_invalid_slug(*otherwise)) }
        }
        found => found,
    }
}

/// The URI that the client sent: `nest` strips its prefix from `parts.uri` and keeps the original here.
#[cfg(feature = "axum")]
fn original_uri(parts: &Parts) -> &Uri {
    parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn original_uri(parts: &Parts) -> &Uri {
    &parts.uri
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(pattern) => pattern.fmt(f),
            Self::Host(pattern) => pattern.fmt(f),
            Self::Domains => f.write_str("Domains"),
            Self::Closure(_) => f.write_str("Closure"),
        }
    }
}
