//! What a token costs, in instructions, which no neighbour on the machine can change: `cargo bench --no-default-features --bench
//! instructions`. Fails when a count has grown by a tenth over benches/instructions.txt; `UPDATE_COUNTS=1` writes that file anew.
//!
//! Counted by valgrind's callgrind, on the processor that valgrind imitates: it knows fewer instructions than the real one, so the
//! counts are larger, and of use only beside each other.

#[path = "support/scene.rs"]
mod scene;
#[path = "../tests/support/tokens.rs"]
mod tokens;

use scene::{OWNER, Scene};
use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    io,
    process::{Command, ExitCode},
};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
const SCENARIOS: [&str; 5] = ["full check RS256", "cache hit", "expired", "expired, with the cache", "an unknown key"];

type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--measure"), Some(scenario)) => measure(&scenario),
        _ => match SCENARIOS.into_iter().map(|scenario| Ok((scenario.to_owned(), count(scenario)?))).collect() {
            Ok(counts) => compare(&counts),
            Err::<Counts, io::Error>(error) => {
                eprintln!("instructions were not counted: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// In the counted process: sets the scene, then does the one thing in `counted`.
fn measure(scenario: &str) -> ExitCode {
    let scene = Scene::new("RS256");
    let (cache, live) = scene.cache_of(if scenario == "cache hit" { 50 } else { 1 });
    let [_, (_, expired), .., (_, unknown)] = scene.bad();
    let good = scene.good();
    let with_cache = |token: &str| drop(black_box(cache.verify(OWNER, black_box(token), &scene.checks, &scene.keys, scene.now)));
    let alone = |token: &str| drop(black_box(scene.verify(black_box(token))));
    // Once before: what is done only the first time is not counted.
    let run = |act: &dyn Fn()| {
        act();
        counted(act);
    };
    match scenario {
        "full check RS256" => run(&|| alone(&good)),
        "cache hit" => live.last().into_iter().for_each(|token| run(&|| with_cache(token))),
        "expired" => run(&|| alone(&expired)),
        "expired, with the cache" => run(&|| with_cache(&expired)),
        _ => run(&|| alone(&unknown)),
    }
    ExitCode::SUCCESS
}

#[inline(never)]
fn counted(act: &dyn Fn()) {
    act();
}

fn count(scenario: &str) -> io::Result<u64> {
    let missing = |error| io::Error::other(format!("valgrind does not start ({error}); Debian has it in the package of that name"));
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*"];
    let output = Command::new("valgrind").args(options).arg(env::current_exe()?).args(["--measure", scenario]).output().map_err(missing)?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    collected.filter(|count| *count > 0).ok_or_else(|| io::Error::other(format!("{scenario}: valgrind counted nothing:\n{report}")))
}

fn compare(counts: &Counts) -> ExitCode {
    if env::vars_os().any(|(name, _)| name == "UPDATE_COUNTS") {
        let lines: String = counts.iter().map(|(scenario, count)| format!("{count:>9} {scenario}\n")).collect();
        return fs::write(BASELINE, lines).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let baseline = fs::read_to_string(BASELINE).unwrap_or_default();
    let known: BTreeMap<_, u64> = baseline
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .filter_map(|(count, name)| Some((name, count.parse().ok()?)))
        .collect();
    let mut outcome = ExitCode::SUCCESS;
    for (scenario, count) in counts {
        let before = known.get(scenario.as_str()).copied().unwrap_or_default();
        println!("{scenario:<28}{count:>10} instructions, {before:>10} before");
        if *count > before + before / 10 {
            eprintln!("{scenario}: grown by more than a tenth");
            outcome = ExitCode::FAILURE;
        }
    }
    outcome
}
