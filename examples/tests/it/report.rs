use std::io;

use larder_examples::{Report, Site};

#[test]
fn a_report_says_the_error_and_its_causes_once_each() {
    #[derive(Debug)]
    struct Outer(io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no store")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let report = Report::from(Outer(io::Error::other("refused")));
    assert_eq!(format!("{report:?}"), "no store: refused");
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let error = Site::open("/nonexistent/larder".as_ref(), std::time::Duration::ZERO).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nonexistent/larder: "), "{error}");
}
