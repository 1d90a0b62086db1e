//! The nodes of a pool, and the room that a plan uses up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kiln_domain::batch::pool::{NodeFillType, TaskSchedulingPolicy};

use crate::job::{Shape, Waiting};

/// Names a pool before its key is known: the account, and the id in lower case.
pub(crate) type PoolName = (String, String);

/// A pool and its nodes.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) name: PoolName,
    pub(crate) policy: TaskSchedulingPolicy,
    /// Whether its nodes take tasks whose instances must find each other.
    pub(crate) is_connected: bool,
    nodes: BTreeMap<Arc<str>, Node>,
    /// The nodes with free slots, by their number.
    free: BTreeSet<FreeNode>,
}

/// Free slots of a node, and its id.
type FreeNode = (u32, Arc<str>);

/// A node as far as placing tasks goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Slots that may be in use at once; 0 when it takes no task.
    slots: u32,
    is_dedicated: bool,
    /// Slots in use.
    used: u32,
    /// Tasks on it.
    n_tasks: u32,
    /// Those of them that tolerate no other.
    n_exclusive: u32,
}

impl Node {
    fn free(&self) -> u32 {
        if self.n_exclusive > 0 { 0 } else { self.slots.saturating_sub(self.used) }
    }

    /// The node once a task of this shape left it.
    fn without(self, shape: Shape) -> Self {
        Self {
            used: self.used.saturating_sub(shape.slots),
            n_tasks: self.n_tasks.saturating_sub(1),
            n_exclusive: self.n_exclusive.saturating_sub(u32::from(shape.is_exclusive)),
            ..self
        }
    }

    /// Whether an instance of a task would fit if nothing else were on it.
    fn could_fit(&self, shape: Shape) -> bool {
        self.slots >= shape.slots && (self.is_dedicated || !shape.on_dedicated_only)
    }

    /// Whether it is of the kind that a task wants, and empty if it wants that.
    fn suits(&self, shape: Shape, is_untouched: bool) -> bool {
        let is_empty = self.n_tasks == 0 && is_untouched;
        (self.is_dedicated || !shape.on_dedicated_only) && (is_empty || !shape.is_exclusive)
    }
}

/// What a node has for a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) slots: u32,
    pub(crate) free: u32,
    pub(crate) is_dedicated: bool,
    /// Whether a task on it tolerates no other.
    pub(crate) is_reserved: bool,
    /// Whether the task may be there, its slots aside.
    pub(crate) is_suitable: bool,
}

impl Pool {
    /// What each node has for a task of this shape.
    pub(crate) fn rooms(&self, shape: Shape) -> impl Iterator<Item = (&str, Room)> {
        self.nodes.iter().map(move |(id, node)| {
            let room = Room {
                slots: node.slots,
                free: node.free(),
                is_dedicated: node.is_dedicated,
                is_reserved: node.n_exclusive > 0,
                is_suitable: node.suits(shape, true),
            };
            (&**id, room)
        })
    }

    pub(crate) fn new(name: PoolName, policy: TaskSchedulingPolicy) -> Self {
        Self { name, policy, is_connected: false, nodes: BTreeMap::new(), free: BTreeSet::new() }
    }

    /// A node offers this many slots.
    pub(crate) fn offer(&mut self, id: &str, slots: u32, is_dedicated: bool) {
        let before = self.nodes.get(id).copied().unwrap_or_default();
        self.put(id, Node { slots, is_dedicated, ..before });
    }

    /// A task takes its share of a node.
    pub(crate) fn take(&mut self, id: &str, shape: Shape) {
        let Some(node) = self.nodes.get(id) else { return };
        let after = Node {
            used: node.used.saturating_add(shape.slots),
            n_tasks: node.n_tasks.saturating_add(1),
            n_exclusive: node.n_exclusive.saturating_add(u32::from(shape.is_exclusive)),
            ..*node
        };
        self.put(id, after);
    }

    /// A task gives its share of a node back.
    pub(crate) fn give_back(&mut self, id: &str, shape: Shape) {
        let Some(node) = self.nodes.get(id) else { return };
        self.put(id, node.without(shape));
    }

    /// A node is gone.
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some((id, node)) = self.nodes.remove_entry(id) {
            self.free.remove(&(node.free(), id));
        }
    }

    fn put(&mut self, id: &str, after: Node) {
        let id = match self.nodes.get_key_value(id) {
            Some((id, before)) => {
                let id = Arc::clone(id);
                self.free.remove(&(before.free(), Arc::clone(&id)));
                id
            }
            None => Arc::from(id),
        };
        if after.free() > 0 {
            self.free.insert((after.free(), Arc::clone(&id)));
        }
        self.nodes.insert(id, after);
    }
}

/// The room of a pool, as a plan uses it up.
#[derive(Debug)]
pub(crate) struct Places<'b> {
    pool: &'b Pool,
    free: BTreeSet<FreeNode>,
    /// Nodes that the plan puts tasks on, and the slots that they have left.
    touched: HashMap<Arc<str>, u32>,
    /// What does not fit anywhere; room only shrinks while a plan is made.
    unfit: BTreeSet<Shape>,
}

impl<'b> Places<'b> {
    pub(crate) fn of(pool: &'b Pool) -> Self {
        let free = pool.free.clone();
        Self { pool, free, touched: HashMap::new(), unfit: BTreeSet::new() }
    }

    /// Whether the pool takes tasks of this shape at all.
    pub(crate) fn accept(&self, shape: Shape) -> bool {
        !shape.is_connected || self.pool.is_connected
    }

    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Takes room for a task on nodes that are not `excluded`, one for each instance, those
    /// first that the pool's policy prefers; `None` when there is not enough.
    pub(crate) fn take(
        &mut self,
        shape: Shape,
        task: &Waiting,
        excluded: &BTreeSet<Box<str>>,
    ) -> Option<Vec<String>> {
        if self.unfit.contains(&shape) {
            return None;
        }
        let fitting = self.free.range((shape.slots, Arc::from(""))..);
        let near = task.affinity.as_deref().and_then(|id| self.room_on(id, shape));
        let chosen = match self.pool.policy.node_fill_type {
            NodeFillType::Pack => self.choose(near.as_ref(), fitting, shape, excluded),
            NodeFillType::Spread => self.choose(near.as_ref(), fitting.rev(), shape, excluded),
        };
        if chosen.is_none() && excluded.is_empty() {
            self.unfit.insert(shape);
        }
        let chosen = chosen?;
        let ids = chosen.iter().map(|(_, id)| id.to_string()).collect();
        for node in chosen {
            self.use_up(node, shape);
        }
        Some(ids)
    }

    /// The nodes that have room for an instance of a task.
    pub(crate) fn with_room(
        &self,
        shape: Shape,
        excluded: &BTreeSet<Box<str>>,
    ) -> impl Iterator<Item = String> {
        let fitting = self.free.range((shape.slots, Arc::from(""))..);
        let suits = move |it: &&FreeNode| !excluded.contains(&*it.1) && self.suits(&it.1, shape);
        fitting.filter(suits).map(|(_, id)| id.to_string())
    }

    /// Whether a node would have room for an instance if tasks of these shapes left it.
    pub(crate) fn would_fit(&self, id: &str, shape: Shape, leaving: &[Shape]) -> bool {
        let Some(node) = self.pool.nodes.get(id) else { return false };
        let without = leaving.iter().fold(*node, |node, left| node.without(*left));
        let is_open = !self.touched.contains_key(id);
        is_open && without.suits(shape, true) && without.free() >= shape.slots
    }

    /// Whether there are enough nodes for a task of this shape, were they empty.
    pub(crate) fn could_fit(&self, shape: Shape, excluded: &BTreeSet<Box<str>>) -> bool {
        let wanted = usize::try_from(shape.instances).unwrap_or(usize::MAX);
        let nodes = self.pool.nodes.iter();
        let fitting =
            nodes.filter(|(id, node)| node.could_fit(shape) && !excluded.contains(&***id));
        self.accept(shape) && fitting.take(wanted).count() == wanted
    }

    /// Keeps those nodes for a task that lack the least for its instances.
    pub(crate) fn hold(&mut self, shape: Shape, excluded: &BTreeSet<Box<str>>) {
        let mut nodes: Vec<(u32, Arc<str>)> = Vec::new();
        for (id, node) in &self.pool.nodes {
            if node.could_fit(shape) && !excluded.contains(&**id) {
                nodes.push((self.lacking(id, node, shape), Arc::clone(id)));
            }
        }
        nodes.sort_unstable();
        nodes.truncate(usize::try_from(shape.instances).unwrap_or(usize::MAX));
        self.reserve(nodes.iter().map(|(_, id)| &**id));
    }

    /// Slots of a node that must come free for an instance of a task, or tasks that must end.
    fn lacking(&self, id: &Arc<str>, node: &Node, shape: Shape) -> u32 {
        let touched = self.touched.get(id);
        if shape.is_exclusive {
            return node.n_tasks.saturating_add(u32::from(touched.is_some()));
        }
        let free = touched.copied().unwrap_or_else(|| node.free());
        shape.slots.saturating_sub(free)
    }

    /// Keeps nodes free of all further tasks of the plan.
    pub(crate) fn reserve<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        for id in ids {
            let Some((id, node)) = self.pool.nodes.get_key_value(id) else { continue };
            let free = self.touched.insert(Arc::clone(id), 0).unwrap_or_else(|| node.free());
            self.free.remove(&(free, Arc::clone(id)));
        }
    }

    /// One node for each instance, `near` before all; the candidates have enough slots.
    fn choose<'a>(
        &self,
        near: Option<&'a FreeNode>,
        candidates: impl Iterator<Item = &'a FreeNode>,
        shape: Shape,
        excluded: &BTreeSet<Box<str>>,
    ) -> Option<Vec<FreeNode>> {
        let wanted = usize::try_from(shape.instances).ok()?;
        let chosen: Vec<_> = near
            .into_iter()
            .chain(candidates.filter(|it| near != Some(it)))
            .filter(|(_, id)| !excluded.contains(&**id) && self.suits(id, shape))
            .take(wanted)
            .cloned()
            .collect();
        (chosen.len() == wanted).then_some(chosen)
    }

    /// A node and its free slots, if these are enough.
    fn room_on(&self, id: &str, shape: Shape) -> Option<FreeNode> {
        let (id, node) = self.pool.nodes.get_key_value(id)?;
        let free = self.touched.get(id).copied().unwrap_or_else(|| node.free());
        (free >= shape.slots).then(|| (free, Arc::clone(id)))
    }

    /// Whether a node is of the kind that a task wants, and empty if it wants that.
    fn suits(&self, id: &Arc<str>, shape: Shape) -> bool {
        let is_untouched = !self.touched.contains_key(id);
        self.pool.nodes.get(id).is_some_and(|node| node.suits(shape, is_untouched))
    }

    fn use_up(&mut self, node: FreeNode, shape: Shape) {
        self.free.remove(&node);
        let (free, id) = node;
        let left = if shape.is_exclusive { 0 } else { free.saturating_sub(shape.slots) };
        if left > 0 {
            self.free.insert((left, Arc::clone(&id)));
        }
        self.touched.insert(id, left);
    }
}
