//! Other people's test suites for the standards spoken.

mod openapi;
