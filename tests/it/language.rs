//! The comments of the crates are read by people who don't know them: they name their subjects, and begin with them.

use std::path::{Path, PathBuf};

/// Words that name no subject. One in two thousand words may be one: there are sentences that need it.
const INDEFINITE: [&str; 13] = [
    "somebody",
    "someone",
    "nobody",
    "anybody",
    "anyone",
    "everybody",
    "everyone",
    "whoever",
    "whomever",
    "whosoever",
    "whatever",
    "whatsoever",
    "whichever",
];
/// Words that begin a riddle. One sentence in fifty may begin with one: there are questions.
const OPENING: [&str; 7] = ["What", "Who", "Whose", "Whom", "Whether", "How", "Those"];

#[derive(Default)]
struct Measure {
    words: usize,
    indefinite: Vec<String>,
    sentences: usize,
    riddles: Vec<String>,
}

impl Measure {
    fn add(&mut self, file: &Path, paragraph: &str) {
        let place = |sentence: &str| format!("{}: {sentence}", file.display());
        for sentence in sentences(paragraph) {
            self.sentences += 1;
            let first = sentence.trim_start_matches(|c: char| !c.is_alphanumeric());
            let first = first.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            if OPENING.contains(&first) {
                self.riddles.push(place(sentence));
            }
            for word in
                sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
            {
                self.words += 1;
                if INDEFINITE.contains(&&*word.to_lowercase()) {
                    self.indefinite.push(place(sentence));
                }
            }
        }
    }
}

/// The sentences of a paragraph: up to a mark that a space follows.
fn sentences(paragraph: &str) -> impl Iterator<Item = &str> {
    let mut rest = paragraph.trim();
    std::iter::from_fn(move || {
        let end = rest.char_indices().zip(rest.chars().skip(1)).find_map(|((at, mark), next)| {
            (".!?".contains(mark) && next.is_whitespace()).then_some(at + 1)
        });
        let (sentence, later) = rest.split_at(end.unwrap_or(rest.len()));
        rest = later.trim_start();
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// The paragraphs of the comments of a file, without examples and headings.
fn paragraphs(source: &str) -> Vec<String> {
    let (mut all, mut paragraph, mut in_example) = (Vec::new(), String::new(), false);
    for line in source.lines() {
        let line = line.trim_start();
        let comment = ["///", "//!", "//"].iter().find_map(|mark| line.strip_prefix(mark));
        let text = comment.map(str::trim).unwrap_or_default();
        let is_fence = text.starts_with("```");
        in_example ^= is_fence;
        let is_item = text.starts_with("- ") || text.starts_with("* ");
        let is_text = !text.is_empty() && !is_fence && !in_example && !text.starts_with("# ");
        if (!is_text || is_item) && !paragraph.is_empty() {
            all.push(std::mem::take(&mut paragraph));
        }
        if is_text {
            paragraph = [&paragraph, text].join(" ");
        }
    }
    all.push(paragraph);
    all
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn measure(crates: &Path) -> Measure {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(crates).unwrap() {
        sources(&entry.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 100, "{}", crates.display());
    let mut measure = Measure::default();
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(crates).unwrap();
        paragraphs(&source).iter().for_each(|paragraph| measure.add(name, paragraph));
    }
    measure
}

#[test]
fn comments_name_their_subjects_and_begin_with_them() {
    let Measure { words, indefinite, sentences, riddles } =
        measure(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"));
    assert!(
        indefinite.len() * 2000 <= words,
        "{} of {words} words name no subject, one in 2,000 may:\n{}",
        indefinite.len(),
        indefinite.join("\n")
    );
    assert!(
        riddles.len() * 50 <= sentences,
        "{} of {sentences} sentences begin with {OPENING:?}, one in 50 may:\n{}",
        riddles.len(),
        riddles.join("\n")
    );
}

#[test]
fn comments_are_found_and_counted() {
    let source = "//! What it is. Somebody at v1.2 came!\n\n/// One\n/// two.\n/// ```\n/// Who()\n/// ```\n\n// - Those.\nlet x = \"// no\";\n";
    assert_eq!(
        paragraphs(source),
        [" What it is. Somebody at v1.2 came!", " One two.", " - Those.", ""]
    );
    let mut measure = Measure::default();
    paragraphs(source).iter().for_each(|paragraph| measure.add(Path::new("x.rs"), paragraph));
    assert_eq!((measure.words, measure.sentences), (11, 4));
    assert_eq!((measure.indefinite.len(), measure.riddles.len()), (1, 2));
}
