//! Messages over a socket, with files beside them.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
    sockopt::{Timeout, set_socket_timeout},
};
use serde::{Serialize, de::DeserializeOwned};

/// A longer message is a defect or an attack.
const LONGEST: usize = 64 << 20;
/// Bytes in front of a message: its length.
const HEAD: usize = 4;
/// How long an eager end watches its socket.
const WATCH: Duration = Duration::from_micros(100);
/// Files that one message carries at most; more of them go with an empty one before it.
pub(super) const FILES: usize = 16;

/// One end of a conversation.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    outbox: Vec<u8>,
    /// What has come and is not read yet: so many bytes of it count.
    inbox: Vec<u8>,
    filled: usize,
    files: VecDeque<OwnedFd>,
    eager: bool,
}

/// Two ends that lead to each other.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            outbox: Vec::new(),
            inbox: Vec::new(),
            filled: 0,
            files: VecDeque::new(),
            eager: false,
        }
    }

    /// This end watches the socket for a moment before it sleeps. To be woken takes longer than most
    /// answers do.
    pub(super) fn eager(self) -> Self {
        Self { eager: true, ..self }
    }

    /// A second handle on this end: one to send, one to receive.
    pub(super) fn twin(&self) -> io::Result<Self> {
        Ok(Self::new(self.socket.try_clone()?))
    }

    /// How long [`Channel::receive`] waits; for ever without.
    pub(super) fn patience(&self, patience: Option<Duration>) -> io::Result<()> {
        Ok(set_socket_timeout(&self.socket, Timeout::Recv, patience)?)
    }

    /// Sends a message with files.
    pub(super) fn send(
        &mut self,
        message: &impl Serialize,
        files: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        self.outbox.clear();
        self.outbox.resize(HEAD, 0);
        let outbox = std::mem::take(&mut self.outbox);
        let mut outbox = postcard::to_extend(message, outbox).map_err(io::Error::other)?;
        let len = outbox.len() - HEAD;
        if len > LONGEST || files.len() > FILES {
            return Err(io::Error::other(format!("a message of {len} bytes is too long")));
        }
        outbox[..HEAD].copy_from_slice(&(len as u32).to_le_bytes());
        let sent = self.write(&outbox, files);
        self.outbox = outbox;
        sent
    }

    fn write(&self, mut bytes: &[u8], mut files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        while !bytes.is_empty() {
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !files.is_empty() {
                ancillary.push(SendAncillaryMessage::ScmRights(files));
            }
            // A reader that is gone is an error and no signal.
            let flags = SendFlags::NOSIGNAL;
            match sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, flags) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    files = &[];
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next message. Files that came with it wait in [`Channel::file`].
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the other end is gone, [`io::ErrorKind::WouldBlock`]
    /// where it says nothing for too long.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some((head, rest)) = self.inbox[..self.filled].split_first_chunk::<HEAD>() {
                let len = u32::from_le_bytes(*head) as usize;
                if len > LONGEST {
                    return Err(io::Error::other(format!("a message of {len} bytes is too long")));
                }
                if let Some(body) = rest.get(..len) {
                    let message = postcard::from_bytes(body).map_err(io::Error::other);
                    self.inbox.copy_within(HEAD + len..self.filled, 0);
                    self.filled -= HEAD + len;
                    return message;
                }
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> io::Result<()> {
        const PIECE: usize = 1 << 16;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        if self.inbox.len() < self.filled + PIECE {
            self.inbox.resize(self.filled + PIECE, 0);
        }
        let watched = self.eager.then(Instant::now);
        let received = loop {
            let watches = watched.is_some_and(|since| since.elapsed() < WATCH);
            let flags = if watches { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
            let piece = &mut [IoSliceMut::new(&mut self.inbox[self.filled..])];
            match recvmsg(&self.socket, piece, &mut ancillary, flags | RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                // Where there are more threads than processors, the other end may need this one.
                Err(rustix::io::Errno::AGAIN) if watches => std::thread::yield_now(),
                other => break other?,
            }
        };
        self.filled += received.bytes;
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("files were lost on their way"));
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                self.files.extend(files);
            }
        }
        if received.bytes == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The next file that came with a message.
    pub(super) fn file(&mut self) -> io::Result<OwnedFd> {
        self.files.pop_front().ok_or_else(|| io::Error::other("a message came without its file"))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
