//! A plain HTTP client: what large transfers and lists are measured with.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Bytes that are sent or taken in one call.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Time for which a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    port: u16,
}

impl Client {
    pub(super) fn connect(port: u16) -> Result<Self, String> {
        let connect = || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream =
            connect().map_err(|cause: std::io::Error| format!("no connection: {cause}"))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream), port })
    }

    /// Sends a request with a body of `length` bytes; answers with the status and how many
    /// bytes came back.
    pub(super) fn send(
        &mut self,
        method: &str,
        target: &str,
        length: u64,
    ) -> Result<(u16, u64), String> {
        self.exchange(method, target, length).map_err(|cause| format!("{method}: {cause}"))
    }

    fn exchange(&mut self, method: &str, target: &str, length: u64) -> std::io::Result<(u16, u64)> {
        let port = self.port;
        let body = if method == "PUT" {
            format!("x-ms-blob-type: BlockBlob\r\nContent-Length: {length}\r\n")
        } else {
            String::new()
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{body}\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        let buffer = vec![b'k'; BUFFER_BYTES];
        let mut left = length;
        while left > 0 {
            let n = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
            stream.write_all(buffer.get(..n).unwrap_or_default())?;
            left -= n as u64;
        }
        self.answer()
    }

    fn answer(&mut self) -> std::io::Result<(u16, u64)> {
        let status = self.line()?.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other("no status"))?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        if !is_chunked {
            return self.skip(length).map(|()| (status, length));
        }
        let mut n_bytes = 0;
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
            self.skip(size)?;
            self.line()?;
            n_bytes += size;
            if size == 0 {
                return Ok((status, n_bytes));
            }
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Takes bytes as a program that wants them would, and forgets them.
    fn skip(&mut self, mut left: u64) -> std::io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(left).unwrap_or(BUFFER_BYTES))];
        while left > 0 {
            let n_wanted = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
            let n = self.stream.read(buffer.get_mut(..n_wanted).unwrap_or_default())?;
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            left -= n as u64;
        }
        Ok(())
    }
}
