//! What bounds the engine: bytes, counts and times, each with its unit.

use std::time::Duration;

/// Connections of one listener that are served at once; more are told to come back.
pub const CONNECTIONS_MAX: usize = 4096;
/// Connections beyond those that are told so at once; still more are closed unheard.
pub const REFUSALS_MAX: usize = 256;
/// Requests of one handler that are worked on at once; more are told to come back.
pub const REQUESTS_MAX: usize = 1024;

/// Bytes of a request line and its headers.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of one request.
pub const HEADERS_MAX: usize = 160;
/// Bytes of a request's target.
pub const TARGET_BYTES_MAX: usize = 32 * 1024;
/// Bytes of the line before a chunk, with its extensions.
pub const CHUNK_LINE_BYTES_MAX: usize = 4096;
/// Bytes of all lines behind the last chunk.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// Bytes that are made ready for the head of a request.
pub const HEAD_BUFFER_BYTES: usize = 8 * 1024;
/// Bytes of a buffer that a body is read into.
pub const BODY_BUFFER_BYTES: usize = 256 * 1024;
/// Bytes of room in a buffer below which a body goes on in the next.
pub const BODY_ROOM_BYTES_MIN: usize = 16 * 1024;
/// Buffers of a body that are remembered, to be used again when nobody reads them any longer.
pub const BODY_BUFFERS_MAX: usize = 32;
/// Bytes of a body that are copied behind the head of its answer, to be sent in one call.
pub const JOINED_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a file that are read in one call where the kernel can not send them by itself.
pub const FILE_BUFFER_BYTES: usize = 256 * 1024;
/// Bytes of a file that the kernel is asked to send in one call.
pub const SENDFILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Bytes of a body that nobody wanted and that are still taken in: a client that is busy
/// sending does not listen, and one whose connection is cut waits long before it tries again.
pub const DRAINED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Time for which a connection may wait for its next request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Time in which the head of a request must have come once it began.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for which a client may be silent in the middle of a body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Time in which a client must take some of an answer.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// Time for which a connection that is being closed still listens, so that the client gets to
/// read the last answer.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept, when descriptors run out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time that open connections get to finish when the listener stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
