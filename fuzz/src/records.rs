//! Signed records and chunks (docs/formats.md §1 to §8).

use ticrypt_crypto::bundle::{Bundle, BundlePayload};
use ticrypt_crypto::chunk::{Header, StoredChunk};
use ticrypt_crypto::directory::HeadPayload;
use ticrypt_crypto::entry::Entry;
use ticrypt_crypto::grant::{GrantPayload, Revocation};
use ticrypt_crypto::compartment::CompartmentHeadPayload;
use ticrypt_crypto::group::{GroupHeadPayload, GroupSealTerms};
use ticrypt_crypto::login::{LoginPayload, SessionBinding};
use ticrypt_crypto::manifest::ManifestPayload;
use ticrypt_crypto::project::{ProjectHeadPayload, RosterEntry};
use ticrypt_crypto::record::Record;
use ticrypt_crypto::signature::Envelope;
use ticrypt_crypto::statement::StatementPayload;
use ticrypt_crypto::working_set::WorkingSetPayload;

use crate::Target;

pub const TARGETS: &[Target] = &[
    ("envelope", |data| {
        if let Ok(envelope) = Envelope::parse(data) {
            // Walking the path must be bounded whatever index and count say.
            let _ = envelope.root();
            assert!(envelope.unverified_payload().len() <= data.len());
        }
    }),
    ("bundle", |data| {
        if let Ok(bundle) = Bundle::parse_and_verify(data) {
            assert_eq!(bundle.as_bytes(), data);
        }
    }),
    ("bundle_payload", canonical::<BundlePayload>),
    ("statement", canonical::<StatementPayload>),
    ("login", canonical::<LoginPayload>),
    ("session_binding", canonical::<SessionBinding>),
    ("working_set", canonical::<WorkingSetPayload>),
    ("grant", canonical::<GrantPayload>),
    ("revocation", canonical::<Revocation>),
    ("directory", canonical::<HeadPayload>),
    ("manifest", canonical::<ManifestPayload>),
    ("entry", canonical::<Entry>),
    ("group_head", canonical::<GroupHeadPayload>),
    ("compartment_head", canonical::<CompartmentHeadPayload>),
    ("project_head", canonical::<ProjectHeadPayload>),
    ("roster_entry", canonical::<RosterEntry>),
    ("group_seal", canonical::<GroupSealTerms>),
    ("chunk", |data| {
        if let Some(header) = data.first_chunk() {
            let _ = Header::parse(*header);
        }
        if let Ok(chunk) = StoredChunk::parse(data) {
            let number = data.last().copied().unwrap_or_default().into();
            let _ = chunk.check(number, data.len() as u64);
        }
    }),
];

/// What is accepted is the one encoding of what it means.
fn canonical<T: Record>(data: &[u8]) {
    if let Ok(record) = T::parse(data) {
        assert_eq!(record.to_bytes(), data, "accepted bytes that are not the record's encoding");
    }
}
