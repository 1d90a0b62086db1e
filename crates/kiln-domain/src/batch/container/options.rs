//! Options for a container that a task may give: those of `docker create` that mean something
//! on a node, and none that would reach beyond what the task has anyway.

/// What a container is run with, in the words of its engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Arguments for the engine: `--name` or `--name=value`.
    pub arguments: Vec<String>,
    /// Variables, as names and values.
    pub variables: Vec<(String, String)>,
}

/// An option that no task may give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the container option `{option}` cannot be used: {reason}")]
pub struct OptionFault {
    /// The option, as it was given.
    pub option: String,
    /// Why not.
    pub reason: &'static str,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// It has no value, and goes to the engine.
    Flag,
    /// It has a value, and goes to the engine with it.
    Value,
    /// It has no value, and says what is so anyway.
    Granted,
    /// Its value is a variable with or without its value.
    Variable,
    /// Its value can only be this word, which is so anyway.
    Only(&'static str),
    /// Its value names graphics processors.
    Processors,
}

/// An option: its long name, its letter if it has one, what becomes of it.
type Known = (&'static str, Option<char>, Rule);

/// All options that tasks may give.
const KNOWN: [Known; 33] = [
    ("rm", None, Rule::Granted),
    ("interactive", Some('i'), Rule::Granted),
    ("init", None, Rule::Flag),
    ("no-healthcheck", None, Rule::Granted),
    ("privileged", None, Rule::Flag),
    ("read-only", None, Rule::Flag),
    ("entrypoint", None, Rule::Value),
    ("name", None, Rule::Value),
    ("hostname", Some('h'), Rule::Value),
    ("user", Some('u'), Rule::Value),
    ("group-add", None, Rule::Value),
    ("workdir", Some('w'), Rule::Value),
    ("env", Some('e'), Rule::Variable),
    ("volume", Some('v'), Rule::Value),
    ("mount", None, Rule::Value),
    ("tmpfs", None, Rule::Value),
    ("device", None, Rule::Value),
    ("gpus", None, Rule::Processors),
    ("label", Some('l'), Rule::Value),
    ("cap-add", None, Rule::Value),
    ("cap-drop", None, Rule::Value),
    ("security-opt", None, Rule::Value),
    ("ulimit", None, Rule::Value),
    ("shm-size", None, Rule::Value),
    ("add-host", None, Rule::Value),
    ("dns", None, Rule::Value),
    ("dns-search", None, Rule::Value),
    ("dns-option", None, Rule::Value),
    ("ipc", None, Rule::Value),
    ("platform", None, Rule::Value),
    ("network", None, Rule::Only("host")),
    ("net", None, Rule::Only("host")),
    ("stop-signal", None, Rule::Value),
];

/// The name under which the engine knows all graphics processors.
const ALL_PROCESSORS: &str = "nvidia.com/gpu=all";

const UNKNOWN: &str = "it is not among those that tasks on this node may give";
const NEEDS_VALUE: &str = "it needs a value";
const NEEDS_NONE: &str = "it is `true` or `false`";

impl RunOptions {
    /// Reads the words of `containerRunOptions`.
    ///
    /// # Errors
    /// When one is no option, or none that a task may give.
    pub fn parse(words: &[String]) -> Result<Self, OptionFault> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let fault = |reason| OptionFault { option: word.clone(), reason };
            let (known, given) = find(word).ok_or_else(|| fault(UNKNOWN))?;
            let (name, _, rule) = known;
            let value = match (rule, given) {
                (Rule::Flag | Rule::Granted, given) => {
                    let is_on = given.unwrap_or("true").parse::<bool>();
                    if is_on.map_err(|_neither| fault(NEEDS_NONE))? && rule == Rule::Flag {
                        options.arguments.push(format!("--{name}"));
                    }
                    continue;
                }
                (_, Some(given)) => given,
                (_, None) => words.next().ok_or_else(|| fault(NEEDS_VALUE))?.as_str(),
            };
            options.take(known, value).map_err(fault)?;
        }
        Ok(options)
    }

    /// Takes an option with its value.
    fn take(&mut self, (name, _, rule): Known, value: &str) -> Result<(), &'static str> {
        match rule {
            Rule::Flag | Rule::Granted => {}
            Rule::Value => self.arguments.push(format!("--{name}={value}")),
            Rule::Variable => {
                // A variable without a value is one of the task's own, which the container has.
                if let Some((variable, value)) = value.split_once('=') {
                    self.variables.push((variable.to_owned(), value.to_owned()));
                }
            }
            Rule::Only(word) if value == word => {}
            Rule::Only(_) => return Err("containers have the network of their node: `host`"),
            Rule::Processors if value == "all" => {
                self.arguments.push(format!("--device={ALL_PROCESSORS}"));
            }
            Rule::Processors => return Err("a node has `all` processors of its machine"),
        }
        Ok(())
    }
}

/// The option that a word is, with the value that is written in the same word.
fn find(word: &str) -> Option<(Known, Option<&str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let known = KNOWN.iter().find(|(known, ..)| *known == name)?;
        return Some((*known, value));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let known = KNOWN.iter().find(|(_, known, _)| *known == Some(letter))?;
    let rest = letters.as_str();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((*known, (!rest.is_empty()).then_some(rest)))
}

#[cfg(test)]
mod tests {
    use super::RunOptions;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let said = match RunOptions::parse(&words) {
            Ok(RunOptions { arguments, variables }) => {
                let variables = variables.iter().map(|(name, value)| format!("{name}:{value}"));
                arguments.into_iter().chain(variables).collect::<Vec<_>>().join(" ")
            }
            Err(fault) => format!("! {}", fault.option),
        };
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn options_are_read_as_docker_reads_them() {
        check("", "");
        check("--rm -v /a:/b --workdir=/c -w /d", "--volume=/a:/b --workdir=/c --workdir=/d");
        check("-v/a:/b -v=/c:/d", "--volume=/a:/b --volume=/c:/d");
        check("--entrypoint /x --read-only --init=false", "--entrypoint=/x --read-only");
        check("--entrypoint= -i", "--entrypoint=");
        check("-e A=1 --env B=2=3 -e C", "A:1 B:2=3");
        check("--network host --net=host", "");
        check("--gpus all", "--device=nvidia.com/gpu=all");
    }

    #[test]
    fn an_option_that_tasks_may_not_give_is_named() {
        check("--rm --memory 2g", "! --memory");
        check("--pid=host", "! --pid=host");
        check("--network=bridge", "! --network=bridge");
        check("--runtime /evil", "! --runtime");
        check("--env-file /etc/shadow", "! --env-file");
        check("busybox", "! busybox");
        check("-", "! -");
        check("-p 80:80", "! -p");
        check("--rm=perhaps", "! --rm=perhaps");
        check("--gpus 2", "! --gpus");
        check("--volume", "! --volume");
    }
}
