//! The whole, over HTTP, as a user meets it.
//!
//! The tests share one fleet (strict mode, as Spin behaves). With `GUILDHALL_E2E_URL` and `GUILDHALL_E2E_TOKEN` (an
//! admin token) they run against a fleet that already runs, on whatever runtime; what needs this fleet's own
//! repository is then skipped, and says so.

mod bad_input;
mod calls;
mod command_line;
mod delivery;
mod events;
mod flow;
mod locks;
mod model;
mod outward;
mod registry;
mod routes;
mod running;
mod skills;
mod target;
mod without_redis;
mod workflows;
