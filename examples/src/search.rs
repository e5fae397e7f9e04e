//! Full-text search: an inverted index ranked with BM25.

use std::collections::{HashMap, HashSet};

use crate::docs::Document;
use crate::markdown;
pub use crate::snippet::Fragment;
use crate::snippet::snippet;
use crate::words::words;

/// How soon another occurrence of a word in the same document stops counting.
const SATURATION: f64 = 1.2;
/// How much a long document's occurrences count for less.
const LENGTH_WEIGHT: f64 = 0.75;
/// A word of the title counts this often.
const TITLE_WEIGHT: u32 = 4;

/// An index of some documents.
#[derive(Debug)]
pub struct Index {
    documents: Vec<Indexed>,
    postings: HashMap<String, Vec<Posting>>,
    mean_length: f64,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Its path under the root.
    pub path: String,
    /// Its title.
    pub title: String,
    /// How well it fits: higher is better, and only comparable within one search.
    pub score: f64,
    /// The passage that fits best.
    pub snippet: Vec<Fragment>,
}

#[derive(Debug)]
struct Indexed {
    path: String,
    title: String,
    text: String,
    length: f64,
}

#[derive(Debug)]
struct Posting {
    document: usize,
    count: u32,
}

impl Index {
    /// Indexes `documents`: every word of them, without the markup.
    pub fn build(documents: Vec<Document>) -> Self {
        let mut index = Self { documents: Vec::new(), postings: HashMap::new(), mean_length: 1.0 };
        for document in documents {
            index.add(document);
        }
        if !index.documents.is_empty() {
            let total: f64 = index.documents.iter().map(|document| document.length).sum();
            index.mean_length = (total / number(index.documents.len())).max(1.0);
        }
        index
    }

    /// The `limit` documents that fit `query` best, best first. A document need not hold every word.
    pub fn search(&self, query: &str, limit: usize) -> Vec<Found> {
        let terms: HashSet<String> = words(query).map(|(_, word)| word).collect();
        let mut ranked: Vec<(usize, f64)> = self.scores(&terms).into_iter().collect();
        // Equal scores fall back to the order of the documents, so that one search has one answer.
        ranked.sort_unstable_by(|(a, a_score), (b, b_score)| b_score.total_cmp(a_score).then(a.cmp(b)));
        ranked
            .into_iter()
            .take(limit)
            .map(|(document, score)| {
                let Indexed { path, title, text, .. } = &self.documents[document];
                Found { path: path.clone(), title: title.clone(), score, snippet: snippet(text, &terms) }
            })
            .collect()
    }

    fn add(&mut self, document: Document) {
        let text = markdown::to_text(&document.source);
        let mut counts: HashMap<String, u32> = HashMap::new();
        let mut length = 0_u32;
        for (_, word) in words(&text) {
            *counts.entry(word).or_default() += 1;
            length += 1;
        }
        for (_, word) in words(&document.title) {
            *counts.entry(word).or_default() += TITLE_WEIGHT;
        }
        let at = self.documents.len();
        for (word, count) in counts {
            self.postings.entry(word).or_default().push(Posting { document: at, count });
        }
        let Document { path, title, .. } = document;
        self.documents.push(Indexed { path, title, text, length: f64::from(length) });
    }

    fn scores(&self, terms: &HashSet<String>) -> HashMap<usize, f64> {
        // Summed in one order, or two searches for the same words could round, and so rank, differently.
        let mut terms: Vec<&String> = terms.iter().collect();
        terms.sort_unstable();
        let mut scores = HashMap::new();
        for postings in terms.into_iter().filter_map(|term| self.postings.get(term)) {
            let (all, holding) = (number(self.documents.len()), number(postings.len()));
            let rarity = (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
            for posting in postings {
                let length = self.documents[posting.document].length / self.mean_length;
                let count = f64::from(posting.count);
                let damping = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length);
                let weight = count * (SATURATION + 1.0) / (count + damping);
                *scores.entry(posting.document).or_default() += rarity * weight;
            }
        }
        scores
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
