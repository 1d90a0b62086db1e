//! Runs of bytes within append and page blobs.

use kiln_domain::blob::content::{Piece, PieceListId, Slice};
use kiln_domain::blob::page::{Span, cut};
use kiln_store::{ExtentPlace, ExtentUses, Tx};

use super::failure::Failure;
use super::receive::{INLINE_BYTES_MAX, Received};

/// Pieces that are looked at in one step.
const PIECES_PER_STEP: usize = 1024;

/// Puts what was received at `start` of a list, in place of what is there.
pub(super) fn write(
    tx: &mut Tx<'_>,
    list: PieceListId,
    start: u64,
    received: Received,
    uses: &mut ExtentUses,
) -> Result<(), Failure> {
    let span = Span { start, end: start.saturating_add(received.size_bytes) };
    clear(tx, list, span, uses)?;
    if let Some(bytes) = received.in_memory()
        && let Some((before, mut joined)) = tail(tx, list, start)?
        && joined.len() + bytes.len() <= usize::try_from(INLINE_BYTES_MAX).unwrap_or(0)
    {
        joined.extend_from_slice(bytes);
        let length = u64::try_from(joined.len()).unwrap_or(u64::MAX);
        let extent = tx.insert_extent(&ExtentPlace::Inline(joined))?;
        uses.add(extent);
        uses.remove(before.slice.extent);
        let slice = Slice { extent, offset: 0, length };
        return Ok(tx.put_piece(list, &Piece { start: before.start, slice })?);
    }
    let slice = Slice { length: received.size_bytes, offset: 0, extent: received.keep(tx)? };
    uses.add(slice.extent);
    Ok(tx.put_piece(list, &Piece { start, slice })?)
}

/// The small piece that ends at `end` and its bytes, when nobody else uses them: what follows
/// it is kept in one extent with it, so that many small writes do not make many pieces.
fn tail(tx: &Tx<'_>, list: PieceListId, end: u64) -> Result<Option<(Piece, Vec<u8>)>, Failure> {
    let Some(last) = end.checked_sub(1) else { return Ok(None) };
    let Some(piece) = tx.pieces(list, last, end, 1)?.pop() else { return Ok(None) };
    if piece.start + piece.slice.length != end
        || piece.slice.length >= INLINE_BYTES_MAX
        || tx.extent_uses(piece.slice.extent)? != 1
    {
        return Ok(None);
    }
    let Some(ExtentPlace::Inline(mut bytes)) = tx.extent_place(piece.slice.extent)? else {
        return Ok(None);
    };
    let from = usize::try_from(piece.slice.offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.drain(..from);
    bytes.truncate(usize::try_from(piece.slice.length).unwrap_or(0));
    Ok(Some((piece, bytes)))
}

/// Takes the bytes of a span out of a list.
pub(super) fn clear(
    tx: &mut Tx<'_>,
    list: PieceListId,
    span: Span,
    uses: &mut ExtentUses,
) -> Result<(), Failure> {
    loop {
        let overlapping = tx.pieces(list, span.start, span.end, PIECES_PER_STEP)?;
        if overlapping.is_empty() {
            return Ok(());
        }
        for piece in overlapping {
            tx.delete_piece(list, piece.start)?;
            uses.remove(piece.slice.extent);
            for left in cut(piece, span).into_iter().flatten() {
                tx.put_piece(list, &left)?;
                uses.add(piece.slice.extent);
            }
        }
    }
}
