//! What the simulator itself promises: runs that can be repeated, and a model that sees.

use std::path::Path;

use kiln_sim::{Lie, Options, Outcome};

fn run(options: Options) -> Outcome {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    kiln_sim::run(options, &place).expect("a directory for the run")
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in 0..6 {
        let options = Options { seed, keeps_text: true, lie: None };
        let (first, second) = (run(options), run(options));
        let lines = first.lines.iter().zip(&second.lines);
        for (first, second) in lines {
            assert_eq!(first, second, "seed {seed}");
        }
        assert_eq!((first.hash, first.lines.len()), (second.hash, second.lines.len()));
    }
}

#[test]
fn seeds_give_different_runs() {
    let hashes = [0, 1, 2].map(|seed| run(Options { seed, ..Options::default() }).hash);
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
}

/// What the model says of runs in which somebody lies.
fn found(lie: Lie) -> Vec<String> {
    let runs = (0..30).map(|seed| run(Options { seed, lie: Some(lie), keeps_text: false }));
    runs.filter_map(|outcome| outcome.broken).collect()
}

#[test]
fn a_disk_that_lies_is_found_out() {
    let found = found(Lie::Disk);
    assert!(found.iter().any(|it| it.contains("which was acknowledged")), "{found:#?}");
}

#[test]
fn an_agent_that_lies_is_found_out() {
    let found = found(Lie::Agent);
    assert!(found.iter().any(|it| it.contains("no run ended with")), "{found:#?}");
}
