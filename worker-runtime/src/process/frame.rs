//! Frames between the pool and a child: a kind, and parts of bytes with their lengths.
//!
//! Written in one piece, so that a process that dies leaves whole frames or an end in the middle, which is an error to the reader.

use std::io::{self, Read};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Announces a child on its standard output. What the program printed before is skipped.
pub(crate) const HELLO: &[u8; 16] = b"\0fleet-worker-1\n";

/// Longest part: far more than Temporal takes as a payload, far less than a length made of garbage.
const LONGEST: u32 = 256 << 20;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To the child: name of the body, input, details of the last heartbeat of the attempt before (if there is a third part).
    Task,
    /// To the child: the task is cancelled.
    Cancel,
    /// From the child: details of a heartbeat.
    Heartbeat,
    /// From the child: the result.
    Done,
    /// From the child: a [`super::Failure`] as JSON.
    Failed,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) parts: Vec<Vec<u8>>,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Task, Self::Cancel, Self::Heartbeat, Self::Done, Self::Failed];

    fn of(byte: u8) -> io::Result<Self> {
        Self::ALL
            .get(usize::from(byte))
            .copied()
            .ok_or_else(|| invalid(format!("unknown kind of frame {byte}")))
    }
}

impl Frame {
    pub(crate) fn new(kind: Kind, parts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            kind,
            parts: parts.into_iter().collect(),
        }
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// A part is longer than 256 MiB.
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![
            self.kind as u8,
            u8::try_from(self.parts.len()).map_err(io::Error::other)?,
        ];
        for part in &self.parts {
            let length = u32::try_from(part.len()).ok().filter(|length| *length <= LONGEST);
            let length = length.ok_or_else(|| invalid(format!("{} bytes are too long", part.len())))?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }

    /// The next frame; `None` at the end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 2];
        if from.read(&mut head[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut head[1..])?;
        let mut parts = Vec::with_capacity(usize::from(head[1]));
        for _ in 0..head[1] {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            let mut part = vec![0; checked(length)?];
            from.read_exact(&mut part)?;
            parts.push(part);
        }
        Ok(Some(Self {
            kind: Kind::of(head[0])?,
            parts,
        }))
    }

    /// Like [`Frame::read`], for the pool. Not safe to be dropped halfway: the rest of the frame would be read as another.
    pub(crate) async fn read_async(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let kind = match from.read_u8().await {
            Ok(kind) => Kind::of(kind)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let count = from.read_u8().await?;
        let mut parts = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let mut length = [0; 4];
            from.read_exact(&mut length).await?;
            let mut part = vec![0; checked(length)?];
            from.read_exact(&mut part).await?;
            parts.push(part);
        }
        Ok(Some(Self { kind, parts }))
    }
}

fn checked(length: [u8; 4]) -> io::Result<usize> {
    match u32::from_le_bytes(length) {
        length if length <= LONGEST => Ok(length as usize),
        length => Err(invalid(format!("a part of {length} bytes is too long"))),
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_frame() -> impl Strategy<Value = Frame> {
        let parts = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..4);
        (0..Kind::ALL.len(), parts).prop_map(|(kind, parts)| Frame::new(Kind::ALL[kind], parts))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_by_either_side(frames in prop::collection::vec(a_frame(), 0..5)) {
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().expect("short")).collect();
            let mut rest = bytes.as_slice();
            for frame in &frames {
                let read = Frame::read(&mut rest).expect("whole");
                prop_assert_eq!(read.as_ref(), Some(frame));
            }
            prop_assert_eq!(Frame::read(&mut rest).expect("the end"), None);
            let mut rest = bytes.as_slice();
            for frame in &frames {
                let read = futures::executor::block_on(Frame::read_async(&mut rest)).expect("whole");
                prop_assert_eq!(read.as_ref(), Some(frame));
            }
            prop_assert_eq!(futures::executor::block_on(Frame::read_async(&mut rest)).expect("the end"), None);
        }

        #[test]
        fn a_frame_that_is_cut_off_is_an_error(frame in a_frame(), cut in any::<prop::sample::Index>()) {
            let bytes = frame.encode().expect("short");
            let cut = cut.index(bytes.len()).max(1);
            prop_assume!(cut < bytes.len());
            prop_assert!(Frame::read(&mut &bytes[..cut]).is_err());
        }
    }

    #[test]
    fn garbage_is_refused_before_memory_is_taken_for_it() {
        assert!(Frame::read(&mut &b"\x09\x00"[..]).is_err());
        assert!(Frame::read(&mut &b"\x00\x01\xff\xff\xff\xff"[..]).is_err());
    }
}
