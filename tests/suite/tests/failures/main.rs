//! What a failing hook leaves behind: nothing but a report.

mod misbehaving;
mod panics;
mod policy;
mod report;
mod rollback;

use atelier_host::run::RunRequest;
use atelier_testkit::TestHost;

/// A request with every hook in it: two pictures, two steps, a grid.
fn request(host: &TestHost) -> RunRequest {
    RunRequest { batch_size: 2, steps: 2, ..host.request() }
}
