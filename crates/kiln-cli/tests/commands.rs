//! The real binary: what a user sees and what a shell script can rely on.

#![expect(clippy::disallowed_methods, reason = "the tests start the real binary and wait for it")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kiln_client::batch::NewPool;
use kiln_client::{BatchClient, Credentials};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(30);

/// A data directory of a test.
struct World {
    directory: tempfile::TempDir,
}

/// A `kiln up` that ends with its test.
struct Up {
    child: Child,
    ready: serde_json::Value,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("kiln-test-").tempdir();
        Self { directory: directory.expect("a directory") }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(arguments).env("KILN_DATA", self.data()).stdin(Stdio::null());
        for name in ["KILN_LOG", "KILN_CONFIG", "KILN_READY_FILE", "KILN_BATCH_LISTEN"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("kiln starts")
    }

    /// Starts `kiln up` on free ports and waits until it is ready.
    fn up(&self) -> Up {
        let ready = self.directory.path().join("ready.json");
        let mut child = self
            .command(&["up", "--batch-listen", "127.0.0.1:0", "--blob-listen", "127.0.0.1:0"])
            .env("KILN_READY_FILE", &ready)
            .stdout(Stdio::null())
            .spawn()
            .expect("kiln starts");
        let text = wait_for(|| {
            assert_eq!(child.try_wait().expect("a state"), None, "kiln up has ended");
            std::fs::read(&ready).ok()
        });
        Up { child, ready: serde_json::from_slice(&text).expect("JSON, whole") }
    }
}

impl Up {
    fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    fn end(mut self) -> i32 {
        self.signal(Signal::TERM);
        let status = self.child.wait().expect("a status");
        status.code().expect("it ends by itself")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("to send a signal");
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn one_kiln_for_each_data_directory() {
    let world = World::new();
    let up = world.up();
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
    };
    assert_eq!(mode(&world.data()), 0o700);
    assert_eq!(mode(&world.data().join("endpoints.json")), 0o600);
    assert_eq!(mode(&world.data().join("tls/ca-key.pem")), 0o600);
    assert_eq!(up.ready["batchAccounts"][0], "kilndev");

    let second = world.run(&["up"]);
    assert_eq!(second.status.code(), Some(4));
    let said = text(&second.stderr);
    assert!(said.contains(&format!("(pid {}) already serves", up.child.id())), "{said}");
    assert!(said.contains("hint: "), "{said}");

    assert_eq!(up.end(), 0);
    assert!(!world.data().join("endpoints.json").exists());
    assert_eq!(world.run(&["env"]).status.code(), Some(3));
}

#[test]
fn variables_survive_a_shell() {
    let world = World::new();
    let up = world.up();
    let script = "eval \"$(\"$0\" env)\"; printf '%s' \"$AZURE_STORAGE_CONNECTION_STRING\"";
    let said = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_kiln")])
        .env("KILN_DATA", world.data())
        .output()
        .expect("a shell");
    let json = world.run(&["env", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["AZURE_STORAGE_CONNECTION_STRING"], text(&said.stdout));
    assert_eq!(json["AZURE_BATCH_ENDPOINT"], up.ready["batchUrl"]);
    drop(up);
}

#[test]
fn accounts_of_a_running_kiln() {
    let world = World::new();
    let up = world.up();
    assert!(world.run(&["account", "create", "storage", "pictures"]).status.success());
    let again = world.run(&["account", "create", "storage", "pictures"]);
    assert_eq!(again.status.code(), Some(1));
    let listed = text(&world.run(&["account", "list"]).stdout);
    assert!(listed.contains("storage  pictures"), "{listed}");
    let usual = world.run(&["env", "--format", "dotenv"]);
    assert!(text(&usual.stdout).contains("AZURE_STORAGE_ACCOUNT='devstoreaccount1'"));
    let nobody = world.run(&["env", "--storage-account", "nobody"]);
    assert!(text(&nobody.stderr).contains("there is no storage account `nobody`"));
    let chosen = world.run(&["env", "--storage-account", "pictures", "--format", "dotenv"]);
    assert!(text(&chosen.stdout).contains("AZURE_STORAGE_ACCOUNT='pictures'"));
    let keys = text(&world.run(&["account", "keys", "storage", "pictures"]).stdout);
    world.run(&["account", "regenerate", "storage", "pictures", "--key", "secondary"]);
    let after = text(&world.run(&["account", "keys", "storage", "pictures"]).stdout);
    assert_eq!(keys.lines().next(), after.lines().next());
    assert_ne!(keys, after);
    assert!(world.run(&["account", "remove", "storage", "pictures"]).status.success());
    drop(up);
}

#[test]
fn packages_of_applications() {
    let world = World::new();
    let up = world.up();
    let file = world.directory.path().join("tool.zip");
    let file = file.to_str().expect("text");
    std::fs::write(file, "no zip file").expect("a file");
    let refused = world.run(&["application", "add", "tool", "1.0", file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("cannot read `"), "{}", text(&refused.stderr));
    let mut zip = zip::ZipWriter::new(std::fs::File::create(file).expect("a file"));
    zip.start_file("bin/tool", zip::write::SimpleFileOptions::default()).expect("a member");
    std::io::Write::write_all(&mut zip, b"#!/bin/sh").expect("written");
    zip.finish().expect("a zip file");
    let said = |arguments: &[&str]| {
        let output = world.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let added = said(&["application", "add", "tool", "1.0", file, "--default"]);
    assert_eq!(added, "`tool` 1.0 is active\n");
    said(&["application", "add", "tool", "2.0", file, "--pending"]);
    let listed = said(&["application", "list"]);
    assert!(listed.contains("1.0 (default)  active") && listed.contains("pending"), "{listed}");
    let stays = world.run(&["application", "remove", "tool", "1.0"]);
    assert!(text(&stays.stderr).contains("ApplicationPackageIsDefaultVersion"));
    said(&["application", "activate", "tool", "2.0"]);
    said(&["application", "default", "tool", "2.0"]);
    said(&["application", "remove", "tool", "1.0"]);
    let listed = said(&["application", "list"]);
    assert!(listed.contains("2.0 (default)") && !listed.contains("1.0"), "{listed}");
    drop(up);
}

#[test]
fn formulas_are_checked_before_a_pool_has_them() {
    let world = World::new();
    let file = world.directory.path().join("formula.txt");
    let file = file.to_str().expect("text");
    std::fs::write(file, "$wanted = 3;\n$TargetDedicatedNodes = ($wanted").expect("a file");
    let refused = world.run(&["autoscale", "check", file]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    let place = "2 | $TargetDedicatedNodes = ($wanted\n  |                                 ^\n";
    assert!(said.contains("error: Expected ) before end of formula\n"), "{said}");
    assert!(said.contains(&format!("{file}:2:33\n")) && said.contains(place), "{said}");

    std::fs::write(file, "$wanted = 3;\n$TargetDedicatedNodes = $wanted / 2;").expect("a file");
    let read = world.run(&["autoscale", "check", file]);
    assert!(read.status.success(), "{}", text(&read.stderr));
    let on_pool = ["autoscale", "check", file, "--pool", "p"];
    assert_eq!(world.run(&on_pool).status.code(), Some(3));

    let up = world.up();
    let url = up.ready["batchUrl"].as_str().expect("a URL");
    let key = kiln_server::accounts::DEV_BATCH_KEY;
    let batch = BatchClient::new(url, Credentials::new("kilndev", key)).expect("a client");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let images = batch.supported_images().all().await.expect("images");
        let pool = NewPool::new("p", &images[0], 0).sized_by("$TargetDedicatedNodes = 0;");
        batch.add_pool(&pool).await.expect("a pool");
    });
    let results = world.run(&on_pool);
    assert_eq!(
        text(&results.stdout),
        "$TargetDedicatedNodes=1\n$TargetLowPriorityNodes=0\n$NodeDeallocationOption=requeue\n\
         $wanted=3\n"
    );
    std::fs::write(file, "$wanted = 3;\n$TargetDedicatedNodes = wante;").expect("a file");
    let failed = world.run(&on_pool);
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(said.contains("Undefined symbol: wante\n") && said.contains(":2:25\n"), "{said}");
    drop(up);
}

#[test]
fn a_spot_node_is_taken_away_and_comes_back() {
    let world = World::new();
    std::fs::create_dir_all(world.data()).expect("a directory");
    let settings = world.data().join("kiln.toml");
    std::fs::write(settings, "[spot]\nreturns-after = \"1s\"").expect("settings");
    let up = world.up();
    let url = up.ready["batchUrl"].as_str().expect("a URL");
    let key = kiln_server::accounts::DEV_BATCH_KEY;
    let batch = BatchClient::new(url, Credentials::new("kilndev", key)).expect("a client");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let node = || runtime.block_on(batch.nodes("p").all()).expect("nodes").pop();
    let state = || node().map(|node| node.state).unwrap_or_default();
    runtime.block_on(async {
        let images = batch.supported_images().all().await.expect("images");
        let pool = NewPool::new("p", &images[0], 0).with_spot_nodes(1);
        batch.add_pool(&pool).await.expect("a pool");
    });
    wait_for(|| (state() == "idle").then_some(()));
    let listed = text(&world.run(&["node", "list", "p"]).stdout);
    let line = listed.lines().nth(1).expect("a node");
    assert!(line.contains("_p  spot  idle"), "{listed}");
    let id = node().expect("a node").id;
    let taken = world.run(&["node", "preempt", "p", id.get(..20).expect("a long id")]);
    assert_eq!(text(&taken.stdout), format!("preempted `{id}`\n"));
    assert_eq!(state(), "preempted");
    let none = world.run(&["node", "preempt", "p"]);
    assert!(text(&none.stderr).contains("the pool has no Spot node to take"));
    wait_for(|| (state() == "idle").then_some(()));
    assert_eq!(node().map(|node| node.id), Some(id));
    runtime.block_on(batch.delete_pool("p")).expect("to delete it");
    wait_for(|| runtime.block_on(batch.has_pool("p")).is_ok_and(|there| !there).then_some(()));
    drop(up);
}

#[test]
fn published_keys_stay_on_loopback() {
    let world = World::new();
    let any = ["up", "--batch-listen", "0.0.0.0:0", "--blob-listen", "127.0.0.1:0"];
    let refused = world.run(&any);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("`kilndev` has a published key"), "{said}");
    assert!(said.contains("kiln account create"), "{said}");
}

#[test]
fn exec_ends_as_the_program_does() {
    let world = World::new();
    let up = world.up();
    let code = |arguments: &[&str]| world.run(arguments).status.code();
    assert_eq!(code(&["exec", "--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["exec", "sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(code(&["exec", "/nonexistent/program"]), Some(127));
    assert_eq!(code(&["exec", "/"]), Some(126));
    assert_eq!(code(&["exec"]), Some(2));
    let said = world.run(&["exec", "--", "sh", "-c", "echo $HTTPS_PROXY $AZURE_BATCH_ACCOUNT"]);
    let proxy = up.ready["proxyUrl"].as_str().expect("a URL");
    assert_eq!(text(&said.stdout), format!("{proxy} kilndev\n"));
    drop(up);
}

#[test]
fn exec_passes_signals_on() {
    let world = World::new();
    let up = world.up();
    for (signal, name, code) in
        [(Signal::TERM, "TERM", 3), (Signal::INT, "INT", 4), (Signal::HUP, "HUP", 5)]
    {
        let script = format!("trap 'exit {code}' {name}; echo ready; while :; do sleep 0.01; done");
        let mut child = world
            .command(&["exec", "--", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("kiln starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        send(&child, signal);
        assert_eq!(child.wait().expect("a status").code(), Some(code), "{name}");
    }
    drop(up);
}

#[test]
fn exec_brings_its_own_kiln() {
    let world = World::new();
    let script = "echo \"$SSL_CERT_FILE\"; test -r \"$SSL_CERT_FILE\"; exit $((8 + $?))";
    let said = world.run(&["exec", "--", "sh", "-c", script]);
    assert_eq!(said.status.code(), Some(8), "{}", text(&said.stderr));
    let bundle = text(&said.stdout);
    assert!(bundle.contains("/kiln-"), "{bundle}");
    assert!(!Path::new(bundle.trim()).exists(), "the temporary Kiln is removed");
    assert!(!world.data().exists(), "nothing is kept");
}

#[test]
fn the_tutorial_runs_to_its_end() {
    let world = World::new();
    let results = world.directory.path().join("results");
    let said = world.run(&["demo", "--output", results.to_str().expect("text")]);
    let report = text(&said.stdout);
    assert!(said.status.success(), "{report}\n{}", text(&said.stderr));
    for line in [
        "Sample start: ",
        "Uploading file taskdata3.txt to container [input]...",
        "  Success! All tasks reached the 'Completed' state within the specified timeout period.",
        "  Download complete!",
        "Sample end: ",
        "Elapsed time: ",
        "  kiln 6",
    ] {
        assert!(report.contains(line), "{line} is missing in\n{report}");
    }
    let first = std::fs::read_to_string(results.join("taskdata1_OUTPUT.txt")).expect("a result");
    assert!(first.starts_with("kiln 6\nfire 4\nmake 2\n"), "{first}");
}
