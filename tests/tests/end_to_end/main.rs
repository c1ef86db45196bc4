//! Gateways at work: each test builds a world of its own over real loopback sockets, asks, and looks at
//! every byte. All of them are one program, since linking the gateway costs more than running most.
//!
//! Other tests run beside each of these, in the same process: what counts memory or files of the
//! process starts a process of its own (`tests::alone`).

// Linked for its effect alone: it gives the memory of each finished test back to the system. The allocator
// of the C library keeps it, and hundreds of tests in one process need more than 256 MiB (`.ci/run`).
use allocator as _;

mod edge {
    mod clients;
    mod cors;
    mod http1;
    mod http2;
    mod limits;
    mod overload;
    mod wrong_keys;
}
mod faults {
    mod answers;
    mod cache;
    mod churn;
    mod paging;
    mod plausible;
    mod retry;
    mod schema;

    mod tenants;
}
mod lists {
    mod agents_status;
    mod click2call;
    mod every_endpoint;
    mod lookups;
    mod roster;
    mod sharing;
    mod sms_templates;
    mod streamed;
    mod team_places;
    mod unchanged;
    mod v1_users;
    mod whole_or_error;
}
mod operator {
    mod admin;
    mod brownouts;
    mod console;
    mod dashboard;
    mod deploy;
    mod openapi;
    mod replicas;
    mod seeing;
}
mod parity {
    mod corpus;
    mod relay;
}
mod passthrough {
    mod answers;
    mod credentials;
    mod flow;
    mod headers;
    mod keys_in_paths;
    mod places;
    mod smuggling;
    mod tls;
    mod websocket;
}
mod shadow {
    mod beside;
    mod control;
    mod life;
}
mod upstream {
    mod http2;
    mod keys;
    mod load;
    mod reach;
    mod vonage;
    mod vonage_access;
    mod wire;
}
