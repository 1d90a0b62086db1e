//! A plain HTTP client: what is measured with anything but `wrk` is asked by it.

use std::io::{BufRead as _, BufReader, Read, Write};
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
        self.transfer(method, target, length).map_err(|cause| format!("{method}: {cause}"))
    }

    /// Sends a request with these header lines and this body; answers with the status and the
    /// body that came back.
    pub(super) fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), String> {
        let mut answer = Vec::new();
        let mut exchange = || {
            let mut request = self.head(method, target, headers).into_bytes();
            request.extend_from_slice(body);
            self.stream.get_mut().write_all(&request)?;
            self.answer(&mut answer)
        };
        let (status, _) =
            exchange().map_err(|cause: std::io::Error| format!("{method} {target}: {cause}"))?;
        Ok((status, answer))
    }

    fn head(&self, method: &str, target: &str, headers: &str) -> String {
        format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}\r\n", self.port)
    }

    fn transfer(&mut self, method: &str, target: &str, length: u64) -> std::io::Result<(u16, u64)> {
        let headers = if method == "PUT" {
            format!("x-ms-blob-type: BlockBlob\r\nContent-Length: {length}\r\n")
        } else {
            String::new()
        };
        let head = self.head(method, target, &headers);
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        let buffer = vec![b'k'; BUFFER_BYTES];
        let mut left = length;
        while left > 0 {
            let n = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
            stream.write_all(buffer.get(..n).unwrap_or_default())?;
            left -= n as u64;
        }
        self.answer(&mut std::io::sink())
    }

    fn answer(&mut self, body: &mut impl Write) -> std::io::Result<(u16, u64)> {
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
            return self.take(length, body).map(|()| (status, length));
        }
        let mut n_bytes = 0;
        loop {
            let size = self.line()?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
            self.take(size, body)?;
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

    /// Takes bytes as a program that wants them would.
    fn take(&mut self, mut left: u64, body: &mut impl Write) -> std::io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(left).unwrap_or(BUFFER_BYTES))];
        while left > 0 {
            let n_wanted = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
            let n = self.stream.read(buffer.get_mut(..n_wanted).unwrap_or_default())?;
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            body.write_all(buffer.get(..n).unwrap_or_default())?;
            left -= n as u64;
        }
        Ok(())
    }
}
