//! The table of settings, held to the documentation and to what it says.

mod page;
mod wrong;
