//! A piece of an answer's body, and the account of those that an HTTP/2 connection has not sent yet: the server library keeps
//! what the client's windows do not let through (P25, P61).

use super::activity::Activity;
use bytes::{Buf, Bytes};
use std::{
    io::IoSlice,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Bytes,
    /// Closed when the piece is sent, or given up.
    entry: Option<Entry>,
}

/// What all streams of a connection have not sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    unsent: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

/// One stream's share.
#[derive(Debug)]
pub(super) struct Account {
    outbox: Arc<Outbox>,
    activity: Arc<Activity>,
    unsent: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    account: Arc<Account>,
    size: usize,
}

/// Bytes that the streams of one connection may leave unsent together. Beyond that each may leave one piece, so that streams
/// which the client does not read never keep the others from those it does.
const SHARED: usize = 128 * 1024;

// === impl Chunk ===

impl Chunk {
    pub(super) fn new(bytes: Bytes, account: Option<&Arc<Account>>) -> Self {
        let entry = account.map(|account| account.enter(bytes.len()));
        Self { bytes, entry }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(dst)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(entry) = &self.entry {
            entry.account.moved();
        }
    }
}

// === impl Account ===

impl Account {
    pub(super) fn new(outbox: &Arc<Outbox>, activity: &Arc<Activity>) -> Arc<Self> {
        Arc::new(Self { outbox: Arc::clone(outbox), activity: Arc::clone(activity), unsent: AtomicUsize::new(0) })
    }

    /// Ready when another piece may be handed over.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        self.outbox.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when everything was sent.
    pub(super) fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        if self.unsent.load(Relaxed) == 0 {
            return Poll::Ready(());
        }
        self.outbox.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(cx.waker().clone());
        Poll::Pending
    }

    /// The backend is waited for, and the client is not unless pieces are left.
    pub(super) fn awaits_backend(&self) {
        if self.unsent.load(Relaxed) == 0 {
            self.activity.awaits_taking(false, false);
        }
    }

    fn has_room(&self) -> bool {
        self.unsent.load(Relaxed) == 0 || self.outbox.unsent.load(Relaxed) < SHARED
    }

    fn enter(self: &Arc<Self>, size: usize) -> Entry {
        self.unsent.fetch_add(size, Relaxed);
        self.outbox.unsent.fetch_add(size, Relaxed);
        self.activity.awaits_taking(true, false);
        Entry { account: Arc::clone(self), size }
    }

    /// The client took some.
    fn moved(&self) {
        self.activity.awaits_taking(true, true);
    }
}

// === impl Entry ===

impl Drop for Entry {
    fn drop(&mut self) {
        let Account { outbox, activity, unsent } = &*self.account;
        let left = unsent.fetch_sub(self.size, Relaxed) - self.size;
        outbox.unsent.fetch_sub(self.size, Relaxed);
        activity.awaits_taking(left > 0, true);
        let waiting = mem::take(&mut *outbox.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}
