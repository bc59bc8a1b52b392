//! Where `proxy-wasm-host` 0.2 answers otherwise than Envoy 1.40, and what is done about it.

/// One difference.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The function or callback.
    pub what: &'static str,
    /// What Envoy does.
    pub envoy: &'static str,
    /// What the crate does.
    pub crate_does: &'static str,
    /// What the world makes of it.
    pub here: &'static str,
}

/// All that are known. A new one is found by a probe, and is either made good or entered here.
pub const GAPS: &[Gap] = &[
    Gap {
        what: "the status of a call that failed",
        envoy: "proxy_get_status says 11 and why; the body's buffer is not there",
        crate_does: "0 and nothing; the buffer is empty",
        here: "as the crate does: a filter tells a failed call by its headers, of which there are none",
    },
    Gap {
        what: "trailers of a call that had none, a write to its body",
        envoy: "2",
        crate_does: "1",
        here: "as the crate does",
    },
    Gap {
        what: "proxy_continue_stream (upstream)",
        envoy: "12 (unimplemented), which the Rust SDK cannot hold: undefined behaviour in the guest",
        crate_does: "leaves it to the stream's state; 12 for it and two others where there is none",
        here: "10 (internal failure), as the SDK knows it; every scope has a state of ours, so 12 is left for calls \
               outside of any callback, where Envoy traps",
    },
    Gap {
        what: "random_get",
        envoy: "draws from the system",
        crate_does: "draws from the system, and no seed can be given",
        here: "the module draws from the world's seed (module.rs)",
    },
    Gap {
        what: "the end of a stream",
        envoy: "log, done, delete",
        crate_does: "done, log, delete, and refuses another order",
        here: "the module calls log before done (module.rs)",
    },
    Gap {
        what: "proxy_on_done of a root that says not yet",
        envoy: "the root waits for proxy_done",
        crate_does: "the same",
        here: "the root is deleted at once, as a stream is in Envoy: one function tells both (module.rs)",
    },
    Gap { what: "metrics that were never defined", envoy: "2", crate_does: "1", here: "as the crate does" },
    Gap {
        what: "proxy_get_status outside of a call's answer",
        envoy: "OK, 0 and nothing",
        crate_does: "1",
        here: "as the crate does",
    },
    Gap {
        what: "a call that is open when its stream ends",
        envoy: "is answered to the root when its answer comes",
        crate_does: "is failed to the root right after proxy_on_delete",
        here: "as the crate does: an SDK guest sees neither",
    },
    Gap {
        what: "proxy_get_header_map_pairs of a map that is not there",
        envoy: "OK and an empty map",
        crate_does: "the state's refusal, 2, as for a single value, and cannot tell the two calls apart",
        here: "OK and empty (module.rs)",
    },
    Gap {
        what: "proxy_get_buffer_bytes from beyond the end",
        envoy: "OK and nothing",
        crate_does: "2",
        here: "OK and nothing (module.rs)",
    },
    Gap {
        what: "proxy_set_buffer_bytes into the middle",
        envoy: "2",
        crate_does: "1, for every write a buffer refuses",
        here: "2 (module.rs)",
    },
    Gap {
        what: "malformed pairs",
        envoy: "an empty list: set_header_map_pairs clears the map, a local reply has no headers of its own",
        crate_does: "2",
        here: "an empty list (module.rs)",
    },
    Gap {
        what: "proxy_get_header_map_size",
        envoy: "the lengths of all names and values; 2 in the log",
        crate_does: "the length of the serialised map",
        here: "as the crate does: no SDK calls it",
    },
    Gap {
        what: "the plugin's configuration outside of proxy_on_configure",
        envoy: "1 in a stream, and 2 for a write while it is configured",
        crate_does: "serves it anywhere, and 1 for a write",
        here: "as the crate does",
    },
    Gap {
        what: "proxy_set_effective_context",
        envoy: "takes any context of the VM, and 0 for the plugin itself; a callback may act on another stream",
        crate_does: "takes those of the running root, and not 0; the state lent is that of one stream",
        here: "as the crate does",
    },
    Gap {
        what: "WASI beyond the eight functions of the ABI",
        envoy: "some 45 stubs",
        crate_does: "the module does not load",
        here: "as the crate does",
    },
];
