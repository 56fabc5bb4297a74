//! Which wiki a request is for. Pure: nothing is looked up, and no wiki need exist.

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

/// How to tell from a request which wiki it is for. Cheap to clone.
///
/// # Example
/// ```
/// use wikigrove_tenant::{Resolution, Resolver};
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

/// What a [`Resolver`] read from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The request is for the wiki of this name, if there is one.
    Slug(Slug),
    /// The request is for the wiki that owns this domain. If none does, `otherwise` holds.
    Domain {
        /// The host that was named.
        domain: Domain,
        /// What the resolvers that come later say.
        otherwise: Box<Resolution>,
    },
    /// The request is for a wiki, by a name that none can have, such as `Garden` or `a_b`.
    InvalidSlug,
    /// The request is for no wiki.
    NotFound,
    /// The request contradicts itself or can't be read: an answer 400 with this reason.
    Invalid(&'static str),
}

impl Resolver {
    /// By the beginning of the path: `/w/{slug}` finds `garden` in `/w/garden` and below it.
    ///
    /// The path is the one that the client sent, also under axum's `nest` (feature `axum`), and is
    /// compared as it was sent: a percent-encoded slug is no slug. A path that begins as the pattern
    /// says is for a wiki, even by a name that none can have; an empty name or one that is reserved,
    /// as `admin` is, names no wiki.
    ///
    /// # Panics
    /// The pattern doesn't start with `/`, has an empty segment, or hasn't exactly one `{slug}`.
    pub fn path(pattern: &str) -> Self {
        Self::of(Rule::Path(PathPattern::new(pattern)))
    }

    /// By one label below a base domain: `{slug}.example.org`. Case, port and a trailing dot of
    /// the request's host don't matter. The base domain itself is no wiki, nor is a reserved label,
    /// such as `www`; any other label names one, even if none can have that name.
    ///
    /// # Panics
    /// The pattern isn't `{slug}.` and a domain.
    pub fn host(pattern: &str) -> Self {
        Self::of(Rule::Host(HostPattern::new(pattern)))
    }

    /// By the domains that wikis own. Put what should hold on all other hosts after it. To a caller
    /// who may not see the wiki, its domain is like one that no wiki owns.
    pub fn domains() -> Self {
        Self::of(Rule::Domains)
    }

    /// By a function of the request's head; `None`: it names no wiki. It must not block.
    pub fn closure(find: impl Fn(&Parts) -> Option<Slug> + Send + Sync + 'static) -> Self {
        Self::of(Rule::Closure(Arc::new(find)))
    }

    /// Asks `next` when this one finds no wiki. A host that can't be read ends the search.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        Self(self.0.iter().chain(next.0.iter()).cloned().collect())
    }

    /// Reads which wiki a request is for.
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
            // An address: nobody owns it.
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

/// Which wiki a name stands for, in the place where a request names one.
fn by_name(name: &str) -> Option<Resolution> {
    match Slug::try_from(name) {
        Ok(slug) => Some(Resolution::Slug(slug)),
        // Reserved for the app's own pages and hosts.
        Err(SlugError::Reserved { .. }) => None,
        Err(SlugError::Invalid { .. }) if name.is_empty() => None,
        Err(SlugError::Invalid { .. }) => Some(Resolution::InvalidSlug),
    }
}

/// What later resolvers say of a request that names a wiki by an invalid slug: if they find none, it
/// is still for a wiki.
fn or_invalid_slug(later: Resolution) -> Resolution {
    match later {
        Resolution::NotFound => Resolution::InvalidSlug,
        Resolution::Domain { domain, otherwise } => {
            Resolution::Domain { domain, otherwise: Box::new(or_invalid_slug(*otherwise)) }
        }
        found => found,
    }
}

/// What the client asked for: `nest` takes its prefix off `parts.uri` and leaves the whole here.
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
