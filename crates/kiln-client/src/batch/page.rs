//! Lists that come in pages.

use std::collections::VecDeque;
use std::marker::PhantomData;

use futures_util::{Stream, stream};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::transport::{Call, Transport};

/// A list that is fetched page by page as it is read.
#[derive(Debug)]
pub struct Pages<T> {
    transport: Transport,
    next: Option<Next>,
    items: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Next {
    First(Call),
    Link(String),
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default = "Vec::new")]
    value: Vec<T>,
    #[serde(rename = "odata.nextLink")]
    next_link: Option<String>,
}

impl<T> Pages<T> {
    pub(super) fn new(transport: Transport, first: Call) -> Self {
        Self { transport, next: Some(Next::First(first)), items: PhantomData }
    }

    /// Only what the OData expression `filter` says, `state eq 'completed'`.
    #[must_use]
    pub fn filter(self, filter: &str) -> Self {
        self.option("$filter", filter)
    }

    /// Only these members, comma-separated, `id,state`; the others stay at their defaults.
    #[must_use]
    pub fn select(self, members: &str) -> Self {
        self.option("$select", members)
    }

    fn option(mut self, name: &str, value: &str) -> Self {
        if let Some(Next::First(call)) = self.next {
            self.next = Some(Next::First(call.query(name, value)));
        }
        self
    }
}

impl<T: DeserializeOwned> Pages<T> {
    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// When the service refuses or can not be reached.
    pub async fn next_page(&mut self) -> Result<Option<Vec<T>>, ClientError> {
        let response = match self.next.take() {
            None => return Ok(None),
            Some(Next::First(call)) => self.transport.send(call).await?,
            Some(Next::Link(link)) => {
                let call = Call::new(Method::GET, String::new());
                self.transport.follow(&link, call.header("accept", "application/json")).await?
            }
        };
        let page: Page<T> = self.transport.json(response).await?;
        self.next = page.next_link.map(Next::Link);
        Ok(Some(page.value))
    }

    /// The whole list.
    ///
    /// # Errors
    /// When the service refuses or can not be reached.
    pub async fn all(mut self) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        while let Some(page) = self.next_page().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// The list item by item.
    pub fn into_stream(self) -> impl Stream<Item = Result<T, ClientError>> {
        stream::try_unfold((self, VecDeque::new()), |(mut pages, mut ready)| async move {
            loop {
                if let Some(item) = ready.pop_front() {
                    return Ok(Some((item, (pages, ready))));
                }
                match pages.next_page().await? {
                    Some(page) => ready = page.into(),
                    None => return Ok(None),
                }
            }
        })
    }
}
