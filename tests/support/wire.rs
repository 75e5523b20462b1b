//! HTTP/2 frame by frame: a client that need not behave.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use crate::admin::CREDENTIAL;

pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Codes of GOAWAY and RST_STREAM.
pub(crate) const CANCEL: [u8; 4] = [0, 0, 0, 8];
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

/// A connection.
pub(crate) struct Wire {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

/// What the server said, until it closed the connection or was left.
#[derive(Default, Debug)]
pub(crate) struct Heard {
    pub(crate) closed: bool,
    /// The code of the last GOAWAY.
    pub(crate) goaway: Option<u32>,
    pub(crate) pongs: usize,
    pub(crate) resets: usize,
    pub(crate) frames: usize,
}

impl Heard {
    fn take(&mut self, frame: &Frame) {
        self.frames += 1;
        match frame.kind {
            GOAWAY => {
                let code = frame.payload.get(4..8).and_then(|code| code.try_into().ok());
                self.goaway = code.map(u32::from_be_bytes);
            }
            PING if frame.flags & ACK != 0 => self.pongs += 1,
            RST_STREAM => self.resets += 1,
            _ => {}
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Headers as they are, without a table: names and values shorter than 127 bytes.
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap_or(0));
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The headers of a call by the admin of every test.
pub(crate) fn call_block(path: &str) -> Vec<u8> {
    let credential = format!("Bearer {}", *CREDENTIAL);
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "tokenward"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &credential),
    ])
}

/// A message as gRPC frames it.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], length.as_slice(), bytes].concat()
}

/// A whole unary call, whose message must fit into one frame.
pub(crate) fn call(stream: u32, path: &str, request: &[u8]) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &call_block(path));
    bytes.extend(frame(DATA, END_STREAM, stream, &message(request)));
    bytes
}

/// A TCP connection from that address.
pub(crate) async fn connect(to: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

impl Wire {
    /// Connects, and says nothing.
    pub(crate) async fn silent(to: SocketAddr, from: IpAddr) -> io::Result<Wire> {
        let (read, write) = connect(to, from).await?.into_split();
        Ok(Wire { read, write })
    }

    /// Connects as a client does. Whether it is served shows later: a server may have closed it by now.
    pub(crate) async fn open(to: SocketAddr, from: IpAddr) -> io::Result<Wire> {
        let mut wire = Wire::silent(to, from).await?;
        let hello = [PREFACE.as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
        match wire.send(&hello).await {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) => {}
            sent => sent?,
        }
        Ok(wire)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }

    /// The next frame, if the connection is not closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        next(&mut self.read).await
    }

    /// Listens until the connection is closed.
    pub(crate) async fn until_closed(mut self) -> Heard {
        listen(&mut self.read).await
    }

    /// Whether it is still served: a PING is answered.
    pub(crate) async fn is_alive(&mut self) -> bool {
        if self.send(&frame(PING, 0, 0, b"is alive")).await.is_err() {
            return false;
        }
        while let Some(frame) = self.next().await {
            if frame.kind == PING && frame.flags & ACK != 0 {
                return true;
            }
        }
        false
    }

    /// Sends these bytes so many times, listening meanwhile, and leaves when the last has been dealt with.
    pub(crate) async fn flood(mut self, bytes: impl Fn(u32) -> Vec<u8>, times: u32) -> Heard {
        let sending = async {
            for number in 0..times {
                self.write.write_all(&bytes(number)).await?;
            }
            self.write.write_all(&frame(PING, 0, 0, b"the last")).await
        };
        let listening = async {
            let mut heard = Heard::default();
            while let Some(frame) = next(&mut self.read).await {
                heard.take(&frame);
                if frame.kind == PING && frame.payload == b"the last" {
                    return heard;
                }
            }
            heard.closed = true;
            heard
        };
        // Whatever could not be sent: how it was closed has been heard.
        tokio::join!(sending, listening).1
    }
}

async fn listen(read: &mut OwnedReadHalf) -> Heard {
    let mut heard = Heard::default();
    while let Some(frame) = next(read).await {
        heard.take(&frame);
    }
    heard.closed = true;
    heard
}

async fn next(read: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    read.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, payload })
}
