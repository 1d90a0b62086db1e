//! Lists in pages, and the options that shape what is shown.

use kiln_domain::limits::PAGE_ITEMS_MAX;
use kiln_wire::batch::error::Refusal;
use kiln_wire::batch::metadata::Kind;
use kiln_wire::batch::odata::{Continuation, Filter, Resource, Select, next_link};
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
    filter: Option<Filter>,
    select: Option<Select>,
    items_max: usize,
    after: String,
}

impl<'c> Page<'c> {
    /// Reads the options of `call`.
    pub(super) fn of(call: &'c Call, resource: Resource) -> Result<Self, Refusal> {
        let filter = call.parameter("$filter").filter(|text| !text.trim().is_empty());
        let select = call.parameter("$select").filter(|text| !text.trim().is_empty());
        let after = match call.parameter("$skiptoken") {
            Some(token) => Continuation::parse(token)?.after().to_owned(),
            None => String::new(),
        };
        Ok(Self {
            filter: filter.map(|text| Filter::parse(text, resource)).transpose()?,
            select: select.map(|text| Select::parse(text, resource)).transpose()?,
            items_max: items_max(call)?,
            after,
            call,
        })
    }

    /// A page of a list that `read` gives in id order: items after an id, at most so many.
    pub(super) fn collect(
        &self,
        shape: Shape,
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
                if self.filter.as_ref().is_none_or(|filter| filter.holds(&tree)) {
                    items.push(self.shown(shape, tree));
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
    pub(super) fn cut(
        &self,
        shape: Shape,
        kind: Kind,
        items: Vec<(String, Value)>,
    ) -> Result<Answer, Refusal> {
        let from: usize = match self.after.as_str() {
            "" => 0,
            text => text.parse().map_err(|_number| {
                Refusal::invalid_query_parameter("$skiptoken", text, "It is not one that was given")
            })?,
        };
        let mut fitting = items
            .into_iter()
            .filter(|(_, tree)| self.filter.as_ref().is_none_or(|filter| filter.holds(tree)))
            .map(|(_, tree)| tree)
            .skip(from);
        let shown = fitting.by_ref().take(self.items_max);
        let shown: Vec<_> = shown.map(|tree| self.shown(shape, tree)).collect();
        let next = fitting.next().map(|_| from.saturating_add(shown.len()).to_string());
        Ok(self.list(kind, shown, next.as_deref()))
    }

    /// A list that always fits one page.
    pub(super) fn whole(
        &self,
        shape: Shape,
        kind: Kind,
        items: Vec<Value>,
    ) -> Result<Answer, Refusal> {
        self.cut(shape, kind, items.into_iter().map(|tree| (String::new(), tree)).collect())
    }

    /// One resource.
    pub(super) fn single(&self, shape: Shape, kind: Kind, tree: Value) -> Result<Answer, Refusal> {
        Ok(self.document(&kind.element_url(&self.call.base_url), self.shown(shape, tree)))
    }

    /// A document that is neither a list of resources nor one of them.
    pub(super) fn plain(&self, shape: Shape, kind: Kind, tree: Value) -> Result<Answer, Refusal> {
        Ok(self.document(&kind.url(&self.call.base_url), lower(self.call.version, shape, tree)))
    }

    fn shown(&self, shape: Shape, tree: Value) -> Value {
        let tree = lower(self.call.version, shape, tree);
        match &self.select {
            Some(select) => select.apply(tree),
            None => tree,
        }
    }

    fn list(&self, kind: Kind, items: Vec<Value>, next: Option<&str>) -> Answer {
        let mut list = Map::new();
        list.insert("value".to_owned(), Value::Array(items));
        if let Some(after) = next {
            let link =
                next_link(&self.call.url(), &self.call.query, &Continuation::after_id(after));
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

/// `maxresults`, 1 to 1,000.
fn items_max(call: &Call) -> Result<usize, Refusal> {
    let Some(text) = call.parameter("maxresults") else { return Ok(PAGE_ITEMS_MAX) };
    let refused =
        |reason: &str| Err(Refusal::invalid_query_parameter("maxresults", text, reason));
    match text.trim().parse::<i64>() {
        Ok(number) if number < 1 => refused("MaxResults cannot be less than 1"),
        Ok(number) => match usize::try_from(number) {
            Ok(number) if number <= PAGE_ITEMS_MAX => Ok(number),
            Ok(_) | Err(_) => refused("MaxResults cannot be greater than 1000"),
        },
        Err(_) => refused("It is not a number"),
    }
}
