//! The Blob endpoint from requests to answers, without a socket.


