//! Messages with descriptors over a unix stream socket, for both of its ends.
//!
//! A message is a length (u32), a count of descriptors (u8) and JSON; its descriptors travel
//! with its first byte, so that they are there when the rest is.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Descriptors of one message.
const DESCRIPTORS_MAX: usize = 8;
/// Bytes of one message.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes before the JSON of a message.
const HEADER_BYTES: usize = 5;

/// Turns a message into the bytes that [`send_part`] takes.
pub(crate) fn encode<M: Serialize>(message: &M, n_descriptors: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - HEADER_BYTES;
    if length > MESSAGE_BYTES_MAX || n_descriptors > DESCRIPTORS_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let count = u8::try_from(n_descriptors).map_err(io::Error::other)?;
    let header = length.to_le_bytes().into_iter().chain([count]);
    for (place, byte) in bytes.iter_mut().zip(header) {
        *place = byte;
    }
    Ok(bytes)
}

/// Sends the beginning of `bytes`, with `descriptors`; answers how many bytes went.
pub(crate) fn send_part(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Sends a message on a socket that blocks.
pub(crate) fn send<M: Serialize>(
    socket: impl AsFd,
    message: &M,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send_bytes(socket, &encode(message, descriptors.len())?, descriptors)
}

/// Sends encoded messages, of which the first has these descriptors, on a socket that blocks.
pub(crate) fn send_bytes(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut rest = bytes;
    let mut descriptors = descriptors;
    while !rest.is_empty() {
        match send_part(&socket, rest, descriptors) {
            Ok(n_sent) => {
                descriptors = &[];
                rest = rest.get(n_sent..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts what arrives back together.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Incoming {
    /// Receives once; 0 at the end of the stream.
    pub(crate) fn fill(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let n_read = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                self.descriptors.extend(received);
            }
        }
        self.bytes.extend_from_slice(buffer.get(..n_read).unwrap_or_default());
        Ok(n_read)
    }

    /// The next message, if all of it is there.
    pub(crate) fn take<M: DeserializeOwned>(&mut self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [a, b, c, d, count] = *header;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(io::Error::other)?;
        if length > MESSAGE_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let Some(json) = rest.get(..length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(json)?;
        let count = usize::from(count).min(self.descriptors.len());
        let descriptors = self.descriptors.drain(..count).collect();
        self.bytes.drain(..HEADER_BYTES + length);
        Ok(Some((message, descriptors)))
    }

    /// Waits for the next message on a socket that blocks; `None` at the end of the stream.
    pub(crate) fn wait<M: DeserializeOwned>(
        &mut self,
        socket: impl AsFd,
    ) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            match self.fill(&socket) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::{Incoming, send};

    #[test]
    fn descriptors_arrive_with_their_message() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let file = File::open("/proc/self/comm").expect("a file");
        send(&near, &"none", &[]).expect("sent");
        send(&near, &"one", &[file.as_fd()]).expect("sent");
        send(&near, &"none again", &[]).expect("sent");
        drop(near);
        let mut incoming = Incoming::default();
        let mut seen = Vec::new();
        while let Some((text, descriptors)) = incoming.wait::<String>(&far).expect("whole") {
            let contents = descriptors.into_iter().map(|descriptor| {
                let mut content = String::new();
                File::from(descriptor).read_to_string(&mut content).expect("readable");
                !content.is_empty()
            });
            seen.push((text, contents.collect::<Vec<_>>()));
        }
        let expected = [("none", vec![]), ("one", vec![true]), ("none again", vec![])];
        assert_eq!(seen, expected.map(|(text, readable)| (text.to_owned(), readable)));
    }

    #[test]
    fn long_messages_arrive_whole() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let long = "x".repeat(3_000_000);
        std::thread::scope(|scope| {
            let received = scope.spawn(|| Incoming::default().wait::<String>(&far));
            send(&near, &long, &[]).expect("sent");
            let received = received.join().expect("no panic").expect("whole").expect("one");
            assert_eq!(received.0, long);
        });
    }
}
