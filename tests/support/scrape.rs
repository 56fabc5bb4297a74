//! What a server tells Prometheus, read strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use http::Method;

use crate::User;

/// How long anything may take to be counted.
const PATIENCE: Duration = Duration::from_secs(40);

/// The figures of one moment.
#[derive(Clone, Debug)]
pub struct Scrape {
    text: String,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Asks a server.
    ///
    /// # Panics
    /// It doesn't answer with what OpenMetrics allows.
    pub async fn of(operator: &User) -> Self {
        let answer = operator.admin(Method::GET, "/metrics").await.good();
        let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), form);
        Self::read(answer.text())
    }

    /// Asks a server until the figures are as wanted.
    ///
    /// # Panics
    /// They don't come to be.
    pub async fn until(operator: &User, wanted: &str, is_so: impl Fn(&Self) -> bool) -> Self {
        let started = Instant::now();
        loop {
            let scrape = Self::of(operator).await;
            if is_so(&scrape) {
                return scrape;
            }
            assert!(started.elapsed() < PATIENCE, "never {wanted}: {}", scrape.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads the text.
    fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("an end");
        let mut samples: Vec<Sample> = Vec::new();
        let (mut families, mut kind) = (BTreeSet::new(), ("", ""));
        for line in body.lines() {
            match line.strip_prefix("# ") {
                Some(about) => {
                    let (what, rest) = about.split_once(' ').expect(line);
                    let (name, said) = rest.split_once(' ').expect(line);
                    assert!(!said.is_empty(), "{line}");
                    match what {
                        "HELP" => assert!(families.insert(name), "{name} is there twice"),
                        "TYPE" => kind = (name, said),
                        "UNIT" => assert!(name.ends_with(&format!("_{said}")), "{line}"),
                        _ => panic!("{line}"),
                    }
                    assert!(families.contains(name), "{line} comes before its help");
                }
                None => {
                    let sample = Sample::read(line);
                    let suffix = sample.name.strip_prefix(kind.0).expect(line);
                    let suffixes: &[&str] = match kind.1 {
                        "counter" => &["_total"],
                        "gauge" => &[""],
                        "histogram" => &["_bucket", "_count", "_sum"],
                        "info" => &["_info"],
                        _ => panic!("{line}"),
                    };
                    assert!(suffixes.contains(&suffix), "{line}");
                    let is_twin = |other: &Sample| {
                        (&other.name, &other.labels) == (&sample.name, &sample.labels)
                    };
                    assert!(!samples.iter().any(is_twin), "{line} is there twice");
                    samples.push(sample);
                }
            }
        }
        Self { text: text.to_owned(), samples }
    }

    /// The sum of all samples of a name that have these labels, among others.
    ///
    /// # Panics
    /// There is no sample of that name at all.
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let name = format!("wikigrove_{name}");
        let mut of_name = self.samples.iter().filter(|sample| sample.name == name).peekable();
        assert!(of_name.peek().is_some(), "there is no {name}: {}", self.text);
        let has = |sample: &&Sample| {
            labels.iter().all(|(label, is)| sample.labels.get(*label).is_some_and(|l| l == is))
        };
        of_name.filter(has).map(|sample| sample.value).sum()
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.samples.len()
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, mut rest) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
            None => (series, ""),
        };
        let is_name = |name: &str| {
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !name.is_empty()
        };
        assert!(is_name(name), "{line}");
        let mut labels = BTreeMap::new();
        while !rest.is_empty() {
            let (label, more) = rest.split_once("=\"").expect(line);
            let (value, more) = more.split_once('"').expect(line);
            assert!(is_name(label) && !value.contains('\\'), "{line}");
            assert_eq!(labels.insert(label.to_owned(), value.to_owned()), None, "{line}");
            rest = more.strip_prefix(',').unwrap_or(more);
        }
        Self { name: name.to_owned(), labels, value: value.parse().expect(line) }
    }
}
