//! Markdown to HTML that is safe to serve, and to plain text.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Renders Markdown to HTML. Raw HTML in it is shown as text, and links lead to web or mail addresses only.
pub fn to_html(source: &str) -> String {
    let mut events: Vec<_> = parse(source).map(defuse).collect();
    name_headings(&mut events);
    let mut out = String::with_capacity(source.len() * 3 / 2);
    html::push_html(&mut out, events.into_iter());
    out
}

/// The words of a document without its markup, a line for each block.
pub fn to_text(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for event in parse(source) {
        match event {
            Event::Text(part) | Event::Code(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::TableCell) => text.push(' '),
            Event::End(end) if is_block(end) => text.push('\n'),
            _ => {}
        }
    }
    text
}

/// The text of the first heading.
pub fn title(source: &str) -> Option<String> {
    let heading = parse(source)
        .skip_while(|event| !matches!(event, Event::Start(Tag::Heading { .. })))
        .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let text: String = heading.filter_map(text_of).map(CowStr::into_string).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn parse(source: &str) -> Parser<'_> {
    Parser::new_ext(
        source,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    )
}

fn text_of(event: Event<'_>) -> Option<CowStr<'_>> {
    match event {
        Event::Text(part) | Event::Code(part) => Some(part),
        Event::SoftBreak | Event::HardBreak => Some(" ".into()),
        _ => None,
    }
}

fn is_block(end: TagEnd) -> bool {
    matches!(
        end,
        TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::CodeBlock
            | TagEnd::Item
            | TagEnd::TableHead
            | TagEnd::TableRow
    )
}

/// Takes from an event what could run in a reader's browser.
fn defuse(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: safe_url(dest_url), title, id })
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Image { link_type, dest_url: safe_url(dest_url), title, id })
        }
        other => other,
    }
}

fn safe_url(url: CowStr<'_>) -> CowStr<'_> {
    // Browsers drop tabs and newlines inside a scheme, so anything that is not plainly a known scheme, or plainly none,
    // is refused.
    let scheme = url.split(['/', '?', '#']).next().and_then(|start| start.split_once(':'));
    let safe = match scheme {
        None => true,
        Some((scheme, _)) => {
            ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
    };
    if safe { url } else { "#".into() }
}

/// Gives every heading an id made from its text, so that a table of contents inside a document works.
fn name_headings(events: &mut [Event<'_>]) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for start in 0..events.len() {
        let Event::Start(Tag::Heading { level, .. }) = events[start] else { continue };
        let slug: String = events[start..]
            .iter()
            .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
            .filter_map(|event| text_of(event.clone()))
            .flat_map(|text| slug(&text).collect::<Vec<_>>())
            .collect();
        if slug.is_empty() {
            continue;
        }
        let count = seen.entry(slug.clone()).or_default();
        let unique = if *count == 0 { slug } else { format!("{slug}-{count}") };
        *count += 1;
        events[start] = Event::Start(Tag::Heading {
            level,
            id: Some(unique.into()),
            classes: Vec::new(),
            attrs: Vec::new(),
        });
    }
}

fn slug(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    })
}
