//! Load with small blobs, made by `wrk`.

use std::path::Path;

use crate::program;

/// What a load came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    pub(super) per_second: f64,
    pub(super) n_requests: f64,
    pub(super) p99_ms: f64,
}

/// Runs a script of `benches/blob` for some seconds.
pub(super) fn run(
    root: &Path,
    script: &str,
    port: u16,
    n_connections: u32,
    n_seconds: u32,
    words: &[&str],
) -> Result<Load, String> {
    let mut wrk = program::command("wrk", root);
    wrk.args(["-t1", &format!("-c{n_connections}"), &format!("-d{n_seconds}s"), "--latency"])
        .args(["--timeout", "30s", "-s"])
        .arg(root.join("benches/blob").join(script))
        .arg(format!("http://127.0.0.1:{port}"))
        .arg("--")
        .args(words);
    let text = program::run_quietly(&mut wrk)?;
    parse(&text).ok_or_else(|| format!("wrk says:\n{text}"))
}

/// Reads what wrk prints; nothing when not every request succeeded.
fn parse(text: &str) -> Option<Load> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let value = |name: &str| {
        let line = text.lines().map(str::trim).find(|line| line.starts_with(name))?;
        line.get(name.len()..).map(str::trim)
    };
    Some(Load {
        per_second: value("Requests/sec:")?.parse().ok()?,
        n_requests: text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "))
            .and_then(|(n, _)| n.parse().ok())?,
        p99_ms: milliseconds(value("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    units.into_iter().find_map(|(unit, factor)| {
        text.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::{Load, parse};

    #[test]
    fn what_wrk_prints() {
        let text = "  Latency Distribution\n     50%  211.00us\n     99%    1.20s \n\
                      4711 requests in 2.00s, 1.2MB read\n\
                    Requests/sec:   2345.67\nTransfer/sec:   1.2MB\n";
        let load = Load { per_second: 2345.67, n_requests: 4711.0, p99_ms: 1200.0 };
        assert_eq!(parse(text), Some(load));
        assert_eq!(parse(&format!("{text}  Non-2xx or 3xx responses: 3\n")), None);
    }
}
