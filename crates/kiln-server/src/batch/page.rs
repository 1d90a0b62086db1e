//! Lists in pages, and the options that shape what is shown.

use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::metadata::Kind;
use kiln_wire::batch::odata::{
    self, Filter, List, Select, continuation, cursor, expands_stats, max_results, next_link,
};
use kiln_wire::batch::{Shape, lower};
use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::Call;
use super::error::OpError;

/// Items of a filtered list that are looked at for one page at the most; the page may be
/// short then, and its link goes on from there.
const LOOKED_AT_MAX: usize = 20_000;

/// What the query of a list or of a single resource asks for.
#[derive(Debug)]
pub(super) struct Page<'c> {
    call: &'c Call,
    shape: Shape,
    filter: Option<Filter>,
    select: Option<Select>,
    expands_stats: bool,
    items_max: usize,
    after: String,
}

impl<'c> Page<'c> {
    /// Reads the options of `call`, which is about resources of `shape`; `list` says which
    /// list it is, if it is one that takes a filter.
    pub(super) fn of(call: &'c Call, shape: Shape, list: Option<List>) -> Result<Self, Refusal> {
        let option = |name| odata::option(&call.query, name);
        let filter = match (option("$filter"), list) {
            (Some(text), Some(list)) => Some(Filter::parse(list, text)?),
            (Some(_), None) => return Err(Refusal::unsupported_query_parameter("$filter")),
            (None, _) => None,
        };
        let select = option("$select").map(|text| Select::parse(call.version, shape, text));
        let expands_stats = option("$expand").map(expands_stats).transpose()?.unwrap_or(false);
        Ok(Self {
            shape,
            filter,
            select: select.transpose()?,
            expands_stats,
            items_max: max_results(&call.query)?,
            after: cursor(&call.raw_path, &call.query)?.unwrap_or_default(),
            call,
        })
    }

    /// Whether the client wants to see statistics, which are shown once there are any.
    pub(super) fn shows_stats(&self) -> bool {
        self.expands_stats && self.select.as_ref().is_none_or(|select| select.wants("stats"))
    }

    /// The filter of a list, for those who can answer part of it by an index.
    pub(super) fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// A page of a list that `read` gives in id order: items after an id, at most so many.
    pub(super) fn collect(
        &self,
        kind: Kind,
        mut read: impl FnMut(&str, usize) -> Result<Vec<(String, Value)>, OpError>,
    ) -> Result<Answer, Refusal> {
        let mut items = Vec::new();
        let mut after = self.after.clone();
        let mut looked_at = 0;
        let is_more = 'page: loop {
            // One more than the page takes tells whether there is a next one.
            let wanted = self.items_max + 1;
            let read_now = read(&after, wanted)?;
            let is_last = read_now.len() < wanted;
            for (id, tree) in read_now {
                if items.len() == self.items_max || looked_at == LOOKED_AT_MAX {
                    break 'page true;
                }
                looked_at += 1;
                if self.filter.as_ref().is_none_or(|filter| filter.matches(&tree)) {
                    items.push(self.shown(tree));
                }
                after = id;
            }
            if is_last {
                break false;
            }
        };
        Ok(self.list(kind, items, is_more.then_some(after.as_str())))
    }

    /// A page of a list that is all there, in its own order.
    pub(super) fn cut(&self, kind: Kind, items: Vec<Value>) -> Result<Answer, Refusal> {
        let from: usize = match self.after.as_str() {
            "" => 0,
            text => text.parse().map_err(|_number| {
                Refusal::invalid_query_parameter("$skiptoken", text, "It is not one that was given")
            })?,
        };
        let mut fitting = items
            .into_iter()
            .filter(|tree| self.filter.as_ref().is_none_or(|filter| filter.matches(tree)))
            .skip(from);
        let shown = fitting.by_ref().take(self.items_max);
        let shown: Vec<_> = shown.map(|tree| self.shown(tree)).collect();
        let next = fitting.next().map(|_| from.saturating_add(shown.len()).to_string());
        Ok(self.list(kind, shown, next.as_deref()))
    }

    /// One resource.
    pub(super) fn single(&self, kind: Kind, tree: Value) -> Result<Answer, Refusal> {
        Ok(self.document(&kind.element_url(&self.call.base_url), self.shown(tree)))
    }

    /// A document that is neither a list of resources nor one of them.
    pub(super) fn plain(&self, kind: Kind, tree: Value) -> Result<Answer, Refusal> {
        Ok(self.document(&kind.url(&self.call.base_url), self.shown(tree)))
    }

    fn shown(&self, tree: Value) -> Value {
        let mut tree = lower(self.call.version, self.shape, tree);
        if let Some(select) = &self.select {
            select.apply(&mut tree);
        }
        tree
    }

    fn list(&self, kind: Kind, items: Vec<Value>, next: Option<&str>) -> Answer {
        let mut list = Map::new();
        list.insert("value".to_owned(), Value::Array(items));
        if let Some(after) = next {
            let Call { base_url, raw_path, query, .. } = self.call;
            let link = next_link(base_url, raw_path, query, &continuation(raw_path, after));
            list.insert("odata.nextLink".to_owned(), Value::String(link));
        }
        self.document(&kind.url(&self.call.base_url), Value::Object(list))
    }

    fn document(&self, metadata: &str, tree: Value) -> Answer {
        let mut document = Map::new();
        document.insert("odata.metadata".to_owned(), Value::String(metadata.to_owned()));
        if let Value::Object(members) = tree {
            document.extend(members);
        }
        Answer::json(&Value::Object(document))
    }
}
