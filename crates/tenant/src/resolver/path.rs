//! Slugs in paths.

/// The placeholder for the slug in a pattern.
pub(super) const SLUG: &str = "{slug}";

/// The first segments of a path, one of which is the slug.
#[derive(Clone, Debug)]
pub(super) struct PathPattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Literal(String),
    Slug,
}

impl PathPattern {
    /// # Panics
    /// The pattern is malformed. It is part of the program, like a route.
    pub(super) fn new(pattern: &str) -> Self {
        let rest = pattern.strip_prefix('/');
        let rest = rest.unwrap_or_else(|| panic!("path pattern `{pattern}` must start with /"));
        let segments: Vec<Segment> = rest
            .split('/')
            .map(|segment| match segment {
                "" => panic!("path pattern `{pattern}` has an empty segment"),
                SLUG => Segment::Slug,
                literal if literal.contains(['{', '}']) => {
                    panic!("path pattern `{pattern}`: a segment is either {SLUG} or plain text")
                }
                literal => Segment::Literal(literal.to_owned()),
            })
            .collect();
        let slugs = segments.iter().filter(|segment| **segment == Segment::Slug).count();
        assert!(slugs == 1, "path pattern `{pattern}` must have exactly one {SLUG}, not {slugs}");
        Self(segments)
    }

    /// The segment of `path` in the slug's place, if the path matches the pattern. Nothing is decoded: a name that
    /// needs decoding is no slug, and a router would see a different segment.
    pub(super) fn find<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut sent = path.strip_prefix('/')?.split('/');
        let mut found = None;
        for expected in &self.0 {
            let segment = sent.next()?;
            match expected {
                Segment::Literal(literal) if literal == segment => {}
                Segment::Literal(_) => return None,
                Segment::Slug => found = Some(segment),
            }
        }
        found
    }
}
