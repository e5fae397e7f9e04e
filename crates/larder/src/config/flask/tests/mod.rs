//! The names of Flask-Caching, held to the page about them.

mod page;
