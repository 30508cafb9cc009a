//! A small HTTP/1.1 client: one connection, one request at a time, as little work as possible beside the server.

use std::io::{Error, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One kept-alive connection.
pub struct Http {
    stream: TcpStream,
    address: String,
    buffer: Vec<u8>,
}

/// What a scenario needs of an answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; names in lower case, as the server writes them.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A member of a JSON body, as text.
    pub fn member(&self, name: &str) -> Result<String> {
        let value: serde_json::Value = serde_json::from_slice(&self.body)?;
        let text = value[name].as_str().map(str::to_owned);
        text.ok_or_else(|| Error::other(format!("no {name} in {}", self.text())))
    }
}

impl Http {
    pub async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address: address.to_owned(), buffer: Vec::with_capacity(8192) })
    }

    pub async fn get(&mut self, path: &str, headers: &str) -> Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address)).await
    }

    pub async fn post(&mut self, path: &str, headers: &str, body: &str) -> Result<Answer> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n{body}",
            self.address
        );
        self.send(request).await
    }

    async fn send(&mut self, request: String) -> Result<Answer> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.fill().await?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let status = text.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut answer = Answer { status, head: text, body: Vec::new() };
        let length: usize = answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while self.buffer.len() < head + 4 + length {
            self.fill().await?;
        }
        answer.body = self.buffer[head + 4..head + 4 + length].to_vec();
        Ok(answer)
    }

    async fn fill(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::other("the server closed the connection")),
            _ => Ok(()),
        }
    }
}
