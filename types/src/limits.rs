//! A limit on everything that comes from outside. Bounds that are part of a format are in docs/formats.md too.

/// Plaintext bytes in a chunk (docs/formats.md §8).
pub const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// What a stored chunk has beyond its plaintext.
pub const CHUNK_OVERHEAD_BYTES: usize = 64;

pub const USER_NAME_MIN_CHARS: usize = 2;
pub const USER_NAME_MAX_CHARS: usize = 64;
pub const NODE_NAME_MAX_BYTES: usize = 255;
/// What an administrator writes about a deactivation.
pub const REASON_MAX_BYTES: usize = 500;

/// A signed payload, in bytes.
pub const PAYLOAD_MAX_BYTES: usize = 64 * 1024;
/// Records one signature may cover.
pub const BATCH_MAX_RECORDS: u32 = 1 << 20;

/// The body of an ordinary control request.
pub const CONTROL_BODY_MAX_BYTES: usize = 256 * 1024;
/// The body of a batch of metadata or of small contents, and of the answer to one.
pub const BATCH_BODY_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Nodes named in one batch; one audit row names them all.
pub const BATCH_MAX_NODES: usize = 2_000;
/// A content whose only chunk is stored in at most this many bytes travels and lives with the metadata (decision 0004).
pub const SMALL_CONTENT_MAX_BYTES: usize = 64 * 1024;

/// Entries of one directory: new keys take all of them in one request.
pub const DIRECTORY_MAX_ENTRIES: u64 = 50_000;
/// A directory deeper than this below its root is refused.
pub const DEPTH_MAX: usize = 256;
/// A project deeper than this below Unlocked is refused.
pub const PROJECT_DEPTH_MAX: usize = 16;
/// Tags of one node itself, each of another tree.
pub const TAGS_MAX: usize = 8;
/// Projects in one working set, or tags on one path: one from each tree.
pub const LABEL_LINES_MAX: usize = 8;
/// Tags on one path in a group, those of one tree too: a key for each set of them.
pub const COMPARTMENT_TAGS_MAX: usize = 32;
/// Changes of members in one signed head of a group.
pub const GROUP_CHANGES_MAX: usize = 500;
/// Requests in one bulk action.
pub const BULK_ITEMS_MAX: usize = 10_000;
/// Bytes of the body of one of them.
pub const BULK_BODY_MAX_BYTES: usize = 64 * 1024;
/// Bulk actions of one person that are kept, the newest.
pub const BULKS_MAX: usize = 100;
/// Members that one signed head of a project sets or removes.
pub const ROSTER_CHANGES_MAX: usize = 500;
/// People of whom one request asks to prove that they are in projects.
pub const PROOFS_MAX: usize = 100;
/// Seals of a group's key in one request; those of the others follow.
pub const GROUP_SEALS_MAX: usize = 1_000;
pub const GROUP_MEMBERS_MAX: usize = 10_000;
/// Groups one person is in.
pub const GROUPS_MAX: usize = 1_000;
pub const TITLE_MAX_BYTES: usize = 100;
/// What is written in a tag, in characters: it stands on every line of a list.
pub const TAG_MAX_CHARS: usize = 24;
/// What is said about a project, a level, a requirement or a team.
pub const DESCRIPTION_MAX_BYTES: usize = 2_000;
/// A number in a team's quotas; as a database column holds it.
pub const QUOTA_MAX: u64 = i64::MAX as u64;
/// Chunks of one version: 8 TiB.
pub const CHUNKS_MAX: u64 = 1 << 20;

/// What somebody writes who asks to join a project.
pub const JOIN_MESSAGE_MAX_BYTES: usize = 500;
/// Requests to join of one person: those open, and those closed not long ago.
pub const JOINS_OF_PERSON_MAX: u64 = 50;
/// Open requests to join one project.
pub const JOINS_OF_PROJECT_MAX: u64 = 1_000;
/// Between two requests of one person to join the same project.
pub const JOIN_AGAIN_MS: u64 = 24 * 3_600_000;
/// How long a closed request is kept for its asker to read.
pub const JOIN_KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// How long before the end of something people are reminded of it, the nearest first.
pub const REMINDERS_DAYS: [u64; 2] = [7, 30];

/// Notifications kept for each person, the newest.
pub const NOTIFICATIONS_KEPT: u64 = 1_000;

/// How long a login challenge is good (security C15).
pub const CHALLENGE_TTL_MS: u64 = 60_000;
/// How long a chunk ticket is good (security C16).
pub const TICKET_TTL_MS: u64 = 60_000;
/// How far a client's clock may be off in what it signs.
pub const CLOCK_SKEW_MAX_MS: u64 = 5 * 60_000;
