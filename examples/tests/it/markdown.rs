use larder_examples::markdown::{title, to_html, to_text};

#[test]
fn raw_html_is_shown_not_run() {
    let html = to_html("<script>alert(1)</script>\n\nan <img src=x onerror=alert(1)> image");
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
}

#[test]
fn links_lead_to_web_and_mail_addresses_and_paths_only() {
    for bad in
        ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd"]
    {
        let html = to_html(&format!("[a]({bad}) ![b]({bad})\n\n[c]: <{bad}>\n[c]"));
        assert!(!html.contains(bad), "{html}");
        assert!(html.contains("href=\"#\"") && html.contains("src=\"#\""), "{html}");
    }
    for good in [
        "https://a.example/b",
        "HTTP://a.example",
        "mailto:a@b.example",
        "b.md",
        "../b.md#c:d",
        "#a",
        "/x?y=a:b",
    ] {
        assert!(to_html(&format!("[a]({good})")).contains(&format!("href=\"{good}\"")), "{good}");
    }
    // Browsers ignore control characters inside a scheme.
    let html =
        to_html("[a](<java\tscript:alert(1)>) [b](java&#10;script:alert(1)) [c](&#106;avascript:alert(1))");
    assert!(!html.contains("script:"), "{html}");
}

#[test]
fn tables_code_and_headings_come_out_as_html() {
    let html =
        to_html("# The `Cache`, twice\n\n# The Cache, twice\n\n|a|b|\n|-|-|\n|1|2|\n\n```rust\na < b\n```\n");
    assert!(html.contains("<h1 id=\"the-cache-twice\">The <code>Cache</code>, twice</h1>"), "{html}");
    assert!(html.contains("<h1 id=\"the-cache-twice-1\">"), "{html}");
    assert!(html.contains("<td>1</td><td>2</td>"), "{html}");
    assert!(html.contains("a &lt; b"), "{html}");
}

#[test]
fn a_title_is_the_first_heading_with_words() {
    assert_eq!(title("text\n\n## The `Cache` *handle*\n\n# Later").as_deref(), Some("The Cache handle"));
    assert_eq!(title("only text"), None);
    assert_eq!(title("#\n\ntext"), None);
    assert_eq!(title(""), None);
}

#[test]
fn text_has_the_words_of_every_block_apart_and_no_markup() {
    let text = to_text(
        "# One\ntwo *three*\nfour\n\n- five\n- `six`\n\n|seven|eight|\n|-|-|\n|nine|ten|\n\n[eleven](http://no)",
    );
    let words: Vec<_> = text.split_whitespace().collect();
    let expected = ["One", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"];
    assert_eq!(words, expected);
}
