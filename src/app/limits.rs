//! What the system lets this process have, and how many connections that carries (P58).

use std::{fs, path::Path};

/// `None`: no limit, or none that could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    open_files: Option<usize>,
    /// Bytes.
    memory: Option<usize>,
}

/// Files that are no connection: ports, the API server, issuers, logs.
const OTHER_FILES: usize = 128;
/// Bytes of a connection at its worst, measured: a head of 64 KiB that never ends.
const WORST_CONNECTION: usize = 90 * 1024;

impl Limits {
    /// As Linux tells them; elsewhere there are none.
    pub(super) fn read() -> Self {
        let read = |path| fs::read_to_string(Path::new(path)).unwrap_or_default();
        Self::parse(&read("/proc/self/limits"), &read("/sys/fs/cgroup/memory.max"))
    }

    fn parse(limits: &str, memory: &str) -> Self {
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let soft = files.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Self { open_files: soft, memory: memory.trim().parse().ok() }
    }

    /// At most `asked`: each connection needs a file for the client and one for its backend, and every fourth one a further
    /// backend's (see `streams`). All together may take half of the memory when every one is at its worst.
    pub(super) fn connections(self, asked: usize) -> usize {
        let by_files = self.open_files.map_or(asked, |files| files.saturating_sub(OTHER_FILES) * 4 / 9);
        let by_memory = self.memory.map_or(asked, |memory| memory / 2 / WORST_CONNECTION);
        let affordable = asked.min(by_files).min(by_memory).max(1);
        if affordable < asked {
            tracing::info!(asked, by_files, by_memory, "connections are limited by open files (ulimit -n) or memory");
        }
        affordable
    }

    /// Bytes for remembered tokens: at most `asked`, and a quarter of the memory beside the half for connections.
    pub(super) fn tokens(self, asked: u64) -> u64 {
        self.memory.map_or(asked, |memory| asked.min(memory as u64 / 4))
    }

    /// Further requests at once on HTTP/2 connections: a quarter as many as connections, and so an eighth of the memory.
    pub(super) fn streams(connections: usize) -> usize {
        connections.div_ceil(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p58_connections_are_limited_by_files_and_memory() {
        let files = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             95000                95000                processes \n\
            Max open files            1024                 524288               files     \n";
        let unlimited = files.replace("1024  ", "unlimited");
        #[rustfmt::skip]
        let rows = [
            ("files", files, "max\n", 10_000, 398),
            ("memory", unlimited.as_str(), "536870912\n", 10_000, 2912),
            ("both", files, "536870912\n", 10_000, 398),
            ("what was asked for", files, "536870912\n", 100, 100),
            ("no limit", &unlimited, "max\n", 10_000, 10_000),
            ("not Linux", "", "", 10_000, 10_000),
            ("never none", files, "1000\n", 10_000, 1),
        ];
        for (name, files, memory, asked, want) in rows {
            assert_eq!(Limits::parse(files, memory).connections(asked), want, "{name}");
        }
    }

    #[test]
    fn remembered_tokens_take_a_quarter_of_the_memory_at_most() {
        for (memory, asked, want) in
            [("536870912\n", 1 << 27, 1 << 27), ("536870912\n", 1 << 30, 1 << 27), ("max\n", 1 << 30, 1 << 30), ("1000\n", 0, 0)]
        {
            assert_eq!(Limits::parse("", memory).tokens(asked), want, "{memory} {asked}");
        }
    }
}
