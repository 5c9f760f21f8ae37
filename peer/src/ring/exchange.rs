//! What comes and goes on the streams of a ring's connection: one question and its answer on a stream of both directions,
//! one note on a stream of one.
//!
//! Each function is a task of its own and ends with its stream or connection; what it finds goes to the driver's inbox.

use std::time::Duration;

use bytes::Bytes;
use peerbed_proto::ring::Message;
use peerbed_proto::wire::Decode;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Input;
use crate::routes::read_frame;

/// Which connection of which peer something is about.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) peer: u32,
    pub(super) serial: u64,
    pub(super) inbox: mpsc::Sender<Input>,
}

impl Line {
    /// Takes streams until the connection is gone. At most [`STREAMS_MAX`] of each kind are open at a time: the other side
    /// waits for more, and who never reads its answers stops itself.
    pub(super) async fn serve(self) {
        self.connection.set_max_concurrent_bi_streams(STREAMS_MAX);
        self.connection.set_max_concurrent_uni_streams(STREAMS_MAX);
        let mut reading = JoinSet::new();
        loop {
            tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok((reply, receive)) => reading.spawn(self.clone().read_question(reply, receive)),
                    Err(_) => break,
                },
                stream = self.connection.accept_uni() => match stream {
                    Ok(receive) => reading.spawn(self.clone().read_note(receive)),
                    Err(_) => break,
                },
                Some(_) = reading.join_next() => continue,
            };
        }
        let _ = self.inbox.send(Input::Closed { peer: self.peer, serial: self.serial }).await;
    }

    /// Asks a question and waits for its answer.
    pub(super) async fn ask(self, number: u32, frame: Bytes) {
        let answer = timeout(ANSWER_MAX, self.exchange(frame)).await;
        let input = match answer {
            Ok(Some(message @ Message::Answer { number: answered, .. })) if answered == number => self.came(message),
            // What is no answer to this question is no answer at all.
            Ok(Some(_)) => Input::Violated { peer: self.peer, serial: self.serial },
            Ok(None) | Err(_) => Input::Unanswered { peer: self.peer, serial: self.serial, number },
        };
        let _ = self.inbox.send(input).await;
    }

    /// Sends a note.
    pub(super) async fn tell(self, frame: Bytes) {
        let Ok(mut stream) = self.connection.open_uni().await else { return };
        if stream.write_all(&frame).await.is_ok() {
            let _ = stream.finish();
            // A stream that is dropped before its end is acknowledged is sent again as needed all the same.
        }
    }

    /// None: the connection or the stream broke. A frame that is no message reads as a note, which answers nothing.
    async fn exchange(&self, frame: Bytes) -> Option<Message> {
        let (mut send, mut receive) = self.connection.open_bi().await.ok()?;
        send.write_all(&frame).await.ok()?;
        send.finish().ok()?;
        let answer = read_frame(&mut receive, Message::FRAME_MAX).await?;
        Some(Message::from_bytes(answer).unwrap_or(Message::Note(peerbed_proto::ring::Note::Notify)))
    }

    async fn read_question(self, reply: SendStream, mut receive: RecvStream) {
        let frame = timeout(READ_MAX, read_frame(&mut receive, Message::FRAME_MAX)).await;
        let message = frame.ok().flatten().map(Message::from_bytes);
        let (peer, serial) = (self.peer, self.serial);
        let input = match message {
            Some(Ok(Message::Question { number, question })) => Input::Asked { peer, serial, number, question, reply },
            Some(_) => Input::Violated { peer, serial },
            None => Input::Broken,
        };
        let _ = self.inbox.send(input).await;
    }

    async fn read_note(self, mut receive: RecvStream) {
        let frame = timeout(READ_MAX, read_frame(&mut receive, Message::FRAME_MAX)).await;
        let message = frame.ok().flatten().map(Message::from_bytes);
        let (peer, serial) = (self.peer, self.serial);
        let input = match message {
            Some(Ok(message @ Message::Note(_))) => self.came(message),
            Some(_) => Input::Violated { peer, serial },
            None => Input::Broken,
        };
        let _ = self.inbox.send(input).await;
    }

    fn came(&self, message: Message) -> Input {
        Input::Came { peer: self.peer, serial: self.serial, message }
    }
}

/// Answers a question.
pub(super) async fn reply(mut stream: SendStream, frame: Bytes) {
    if stream.write_all(&frame).await.is_ok() {
        let _ = stream.finish();
    }
}

/// Streams of each kind that the other side may have open at once. Each may hold a frame of 512 KiB that is being read.
const STREAMS_MAX: VarInt = VarInt::from_u32(32);

/// Time that a question or note may take to arrive once its stream is open.
const READ_MAX: Duration = Duration::from_secs(10);

/// Time after which nobody waits for an answer any more: longer than the core does.
const ANSWER_MAX: Duration = Duration::from_secs(60);
