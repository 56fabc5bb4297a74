//! What rendering a page costs, against the Markdown parser's own HTML, which isn't safe and leads
//! nowhere. Divide a second by the time to get pages a second.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pulldown_cmark::{Parser, html};
use wikigrove_server::render::{Context, Renderer, wanted};
use wikigrove_tenant::storage::links::{LinkStyle, dialect};
use wikigrove_tenant::{ExistingPath, Found};

/// A page of about 5 kB: headings, links, lists, a table and a block of code of 600 bytes.
fn page() -> String {
    let mut text = "---\ntitle: Roses\ntags: [garden, flowers]\n---\n# Roses\n\n".to_owned();
    for section in 0..8 {
        text += &format!(
            "## Section {section}\n\n\
             Roses grow *slowly* at first, and then **all at once**; see [[garden/soil|the soil]], \
             [pruning](pruning.md#when) and [a book](https://example.org/roses?page={section}). \
             What `Rosa canina` needs is sun, and a neighbour like [[lavender]] that keeps the \
             lice away. ![A rose](rose-{section}.jpg)\n\n\
             - dig a hole, twice as wide as deep\n- water it\n- [ ] wait\n\n"
        );
    }
    text += "| kind | height | colour |\n|------|-------:|:------:|\n";
    for row in 0..10 {
        text += &format!("| kind {row} | {row}0 cm | red |\n");
    }
    text += "\n```rust\n";
    text += &"let roses = garden.iter().filter(|plant| plant.is_rose());\n".repeat(10);
    text + "```\n"
}

fn rendering(criterion: &mut Criterion) {
    let text = page();
    let path = ExistingPath::new("garden/roses").expect("a path");
    let style = LinkStyle::TargetFirst;
    let found: HashMap<_, _> = wanted(&path, &text, style, true)
        .into_iter()
        .map(|sought| {
            let found = Found { path: sought.candidates[0].clone(), is_page: true };
            (sought, Some(found).into())
        })
        .collect();
    let (base, by_name) = ("/w/garden", true);
    let context = Context { page: &path, base, style, by_name, found: &found };
    let renderer = Renderer::new();

    let mut group = criterion.benchmark_group(format!("a page of {} bytes", text.len()));
    group.throughput(Throughput::Elements(1));
    group.bench_function("reference: parsed and written, not safe", |bencher| {
        bencher.iter(|| {
            let mut html = String::new();
            html::push_html(&mut html, Parser::new_ext(black_box(&text), dialect()));
            html
        });
    });
    group.bench_function("its links are found", |bencher| {
        bencher.iter(|| wanted(&path, black_box(&text), style, true));
    });
    group.bench_function("rendered", |bencher| {
        bencher.iter(|| renderer.render(black_box(&text), &context));
    });
    group.finish();
}

criterion_group!(benches, rendering);
criterion_main!(benches);
