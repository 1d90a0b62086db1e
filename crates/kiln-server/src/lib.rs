//! HTTP edge, dispatch, reconcilers, node link.
