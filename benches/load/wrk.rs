//! wrk, for what is the same request again and again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::report::Figure;

/// A request that wrk repeats.
pub struct Repeated<'a> {
    pub url: &'a str,
    /// `name: value`
    pub headers: Vec<String>,
    /// In turn; none for a GET.
    pub bodies: &'a [String],
    /// What every answer must hold, so that a fast refusal does not count.
    pub expect: &'a str,
}

/// Runs wrk for so many seconds on 32 connections.
pub fn measure(scratch: &Path, request: &Repeated<'_>, seconds: u64) -> Result<Figure> {
    let script = scratch.join("request.lua");
    let mut lua = String::new();
    match request.bodies {
        [] => {}
        [body] => lua.push_str(&format!("wrk.method = 'POST'\nwrk.body = [==[{body}]==]\n")),
        bodies => {
            let bodies: String = bodies.iter().map(|body| format!("[==[{body}]==],")).collect();
            lua.push_str(&format!(
                "wrk.method = 'POST'\nlocal bodies, requests, turn = {{{bodies}}}, {{}}, 0\n\
                 function init(args)\n  wrk.init(args)\n  for place, body in ipairs(bodies) do requests[place] = wrk.format(nil, nil, nil, body) end\nend\n\
                 function request()\n  turn = turn % #requests + 1\n  return requests[turn]\nend\n"
            ));
        }
    }
    let expect = request.expect;
    // Threads of wrk do not share variables, so each counts and the end adds up.
    lua.push_str(&format!(
        "local threads = {{}}\nfunction setup(thread) table.insert(threads, thread) end\nwrong = 0\n\
         function response(status, headers, body)\n  if status ~= 200 or not string.find(body, [==[{expect}]==], 1, true) then wrong = wrong + 1 end\nend\n\
         function done(summary, latency)\n  local sum = 0\n  for _, thread in ipairs(threads) do sum = sum + thread:get('wrong') end\n\
         io.write(string.format('RESULT %d %d %d %d %d %d\\n', summary.requests, summary.duration, latency:percentile(50),\n    latency:percentile(99), sum,\n\
         summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))\nend\n"
    ));
    std::fs::write(&script, lua)?;
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", "32", "-d", &format!("{seconds}s"), "-s"]).arg(&script);
    for header in &request.headers {
        command.args(["-H", header]);
    }
    let output = command.arg(request.url).output().context("wrk is not installed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let line =
        line.with_context(|| format!("wrk said: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let numbers: Vec<f64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [requests, micros, p50, p99, wrong, failed] = numbers[..] else { anyhow::bail!("wrk said: {line}") };
    ensure!(requests > 0.0, "no request was answered");
    Ok(Figure {
        per_second: requests / (micros / 1e6),
        p50_ms: p50 / 1e3,
        p99_ms: p99 / 1e3,
        requests,
        errors: wrong + failed,
    })
}
