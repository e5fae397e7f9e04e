use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use larder_examples::log::line;

#[test]
fn a_line_says_what_was_asked_and_how_it_went() {
    let uri: Uri = "/search?q=a+b".parse().unwrap();
    let text = line(&Method::GET, &uri, StatusCode::OK, Some("hit"), Duration::from_micros(1234));
    assert_eq!(text, "GET  200  hit         1.2ms  /search?q=a+b");
    let text = line(&Method::POST, &"/reset".parse().unwrap(), StatusCode::OK, None, Duration::from_secs(1));
    assert_eq!(text, "POST 200  -            1.0s  /reset");
}

#[test]
fn nothing_in_a_line_moves_the_cursor() {
    let uri: Uri = "/a%1b%0a?\u{9b}2J".parse().unwrap();
    let text = line(&Method::GET, &uri, StatusCode::OK, Some("hit\r\n"), Duration::ZERO);
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
