//! A client that asks and doesn't read.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How many bytes the system may receive for the client.
const ROOM: u32 = 4096;

/// A connection with a request whose answer is left unread.
#[derive(Debug)]
pub struct Unread(TcpStream);

impl Unread {
    /// Sends a request of these lines without their line ends; the last is the last header.
    ///
    /// # Panics
    /// The server doesn't take it.
    pub async fn send(to: SocketAddr, lines: &[&str]) -> Self {
        Self::attempt(to, lines).await.unwrap()
    }

    /// As [`send`](Self::send), to a server that may be gone.
    ///
    /// # Errors
    /// The server doesn't take it.
    pub async fn attempt(to: SocketAddr, lines: &[&str]) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(ROOM)?;
        let mut stream = socket.connect(to).await?;
        let head = format!("{}\r\nhost: x\r\n\r\n", lines.join("\r\n"));
        stream.write_all(head.as_bytes()).await?;
        Ok(Self(stream))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The server takes no more.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The status of the answer, read after all; and no more of it.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn status(&mut self) -> u16 {
        let mut start = [0; 12];
        self.0.read_exact(&mut start).await.unwrap();
        std::str::from_utf8(&start[9..]).unwrap().parse().unwrap()
    }

    /// What comes next, as far as it has arrived; a short answer is there as a whole.
    pub async fn some(&mut self) -> String {
        let mut next = vec![0; 4096];
        let read = self.0.read(&mut next).await.unwrap();
        String::from_utf8_lossy(&next[..read]).into_owned()
    }

    /// The status, and how many bytes follow until the server has no more to say.
    pub async fn read(mut self) -> (u16, usize) {
        let status = self.status().await;
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.unwrap();
        (status, rest.len())
    }
}
