//! Names and the numbers that the kernel knows them by.

use std::collections::{HashMap, HashSet};

use fuser::{Errno, INodeNo};

/// Directories that are remembered although no blob is below them.
const DIRECTORIES_MAX: usize = 100_000;

/// What the kernel knows of the file system.
pub(super) struct Tree {
    last: u64,
    names: HashMap<u64, Known>,
    numbers: HashMap<String, u64>,
    /// Directories from which the last blob was removed: to who removed it they are still there.
    empty: HashSet<String>,
}

struct Known {
    path: String,
    n_lookups: u64,
}

impl Tree {
    /// The root alone.
    pub(super) fn new() -> Self {
        let root = Known { path: String::new(), n_lookups: 1 };
        Self {
            last: INodeNo::ROOT.0,
            names: HashMap::from([(INodeNo::ROOT.0, root)]),
            numbers: HashMap::from([(String::new(), INodeNo::ROOT.0)]),
            empty: HashSet::new(),
        }
    }

    /// The name of the blob that a number stands for; empty for the root.
    pub(super) fn path(&self, number: INodeNo) -> Result<String, Errno> {
        self.names.get(&number.0).map(|known| known.path.clone()).ok_or(Errno::ESTALE)
    }

    /// The number by which the kernel knows a name, if it does.
    pub(super) fn number(&self, path: &str) -> Option<INodeNo> {
        self.numbers.get(path).copied().map(INodeNo)
    }

    /// The kernel is about to be told of a name once more.
    pub(super) fn tell(&mut self, path: &str) -> INodeNo {
        let number = *self.numbers.entry(path.to_owned()).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        let known = self.names.entry(number);
        known.or_insert_with(|| Known { path: path.to_owned(), n_lookups: 0 }).n_lookups += 1;
        INodeNo(number)
    }

    /// The kernel forgets what it was told so many times.
    pub(super) fn forget(&mut self, number: INodeNo, n_times: u64) {
        let Some(known) = self.names.get_mut(&number.0) else { return };
        known.n_lookups = known.n_lookups.saturating_sub(n_times);
        if known.n_lookups == 0
            && number != INodeNo::ROOT
            && let Some(known) = self.names.remove(&number.0)
            && self.numbers.get(&known.path) == Some(&number.0)
        {
            self.numbers.remove(&known.path);
        }
    }

    /// A name is gone; who has it open still has its number.
    pub(super) fn remove(&mut self, path: &str) {
        self.numbers.remove(path);
        self.empty.remove(path);
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        if !above.is_empty() && self.empty.len() < DIRECTORIES_MAX {
            self.empty.insert(above.to_owned());
        }
    }

    /// A name became another.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let number = self.numbers.get(from).copied();
        self.remove(from);
        self.numbers.remove(to);
        if let Some(number) = number
            && let Some(known) = self.names.get_mut(&number)
        {
            to.clone_into(&mut known.path);
            self.numbers.insert(to.to_owned(), number);
        }
    }

    /// Whether a directory is there although no blob is below it.
    pub(super) fn is_empty_directory(&self, path: &str) -> bool {
        path.is_empty() || self.empty.contains(path)
    }

    /// Directories that are there although no blob is below them, in a directory.
    pub(super) fn empty_in<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let below = self.empty.iter().filter_map(move |path| path.strip_prefix(prefix));
        below.filter(|name| !name.is_empty() && !name.contains('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use fuser::INodeNo;

    #[test]
    fn numbers_live_as_long_as_the_kernel_knows_them() {
        let mut tree = Tree::new();
        let one = tree.tell("a/b");
        assert_eq!((tree.tell("a/b"), tree.path(one).expect("known").as_str()), (one, "a/b"));
        tree.forget(one, 1);
        assert!(tree.path(one).is_ok());
        tree.forget(one, 1);
        assert!(tree.path(one).is_err() && tree.number("a/b").is_none());
        assert_ne!(tree.tell("a/b"), one);
        tree.forget(INodeNo::ROOT, 9);
        assert_eq!(tree.path(INodeNo::ROOT).expect("always").as_str(), "");
    }

    #[test]
    fn a_renamed_file_keeps_its_number() {
        let mut tree = Tree::new();
        let (one, other) = (tree.tell("a/one"), tree.tell("b"));
        tree.rename("a/one", "b");
        assert_eq!(tree.path(one).expect("known"), "b");
        assert_eq!((tree.number("b"), tree.number("a/one")), (Some(one), None));
        tree.forget(other, 1);
        assert_eq!(tree.number("b"), Some(one));
        assert!(tree.is_empty_directory("a") && !tree.is_empty_directory("b"));
        assert_eq!(tree.empty_in("").collect::<Vec<_>>(), ["a"]);
    }
}
