//! Words of bulk actions.

use crate::user::words;

words! {
    /// How far a bulk action is.
    BulkState {
        Running = 0 "running",
        /// By who started it, by the end of their session, or by the end of the server.
        Stopped = 1 "stopped",
        Done = 2 "done",
    }
}

words! {
    /// How far one of its requests is.
    BulkItemState {
        Open = 0 "open",
        Done = 1 "done",
        Failed = 2 "failed",
    }
}
