use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use ticrypt_log::copy::{Published, copy, durable_end, forget_partials, published, rebuild};
use ticrypt_log::verify::{Trust, verify_tree};
use ticrypt_log::{LogError, Options, verify_dir};

use super::support::{entry, fill, log_signer, open, options};

fn verified(directory: &std::path::Path, state: &Published) -> Result<u64, String> {
    let (signer, witnessed) = (log_signer(), state.witnessed.as_ref().map(|signed| signed.to_bytes()));
    let trust = Trust { log_key: signer.verifier(), witnesses: &[], quorum: 0, seen: &[] };
    verify_tree(directory, &state.checkpoint.to_bytes(), witnessed.as_deref(), &trust)
        .map(|report| report.checkpoint.size)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_copy_is_made_into_a_log_that_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, saved) = (scratch.path().join("log"), scratch.path().join("saved"));
    let key = log_signer().verifier().clone();
    assert!(published(&source, &key).unwrap().is_none() && durable_end(&source).unwrap() == 0);
    let log = open(&source, options());
    let mut earlier: Option<Published> = None;
    for size in [0, 1, 255, 256, 257, 1024, 66_000] {
        fill(&log, log.durable_size()..size).await;
        assert_eq!(durable_end(&source).unwrap(), size);
        log.flush().await.unwrap();
        let state = copy(&source, &key, &saved).unwrap().unwrap();
        assert_eq!(verified(&saved, &state), Ok(size));
        if let Some(earlier) = &earlier {
            verified(&saved, earlier).unwrap();
            forget_partials(&saved, earlier.checkpoint.checkpoint().size, size);
            assert_eq!(verified(&saved, &state), Ok(size));
        }

        let again = scratch.path().join(format!("again-{size}"));
        rebuild(&saved, &state, &again).unwrap();
        assert!(rebuild(&saved, &state, &again).is_err(), "there is a log already");
        let trust = Trust { log_key: &key, witnesses: &[], quorum: 0, seen: &[] };
        assert_eq!(verify_dir(&again, &trust).unwrap().checkpoint.size, size);
        let restored = open(&again, options());
        assert_eq!(restored.durable_size(), size);
        fill(&restored, size..size + 300).await;
        restored.shutdown().await.unwrap();
        let seen = [state.checkpoint.checkpoint().clone()];
        let report = verify_dir(&again, &Trust { seen: &seen, ..trust }).unwrap();
        assert_eq!(report.checkpoint.size, size + 300);
        let reopened = open(&again, options());
        assert_eq!(reopened.entries(size..size + 1).unwrap(), [entry(size)]);
        earlier = Some(state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_copied_while_it_is_written() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, saved) = (scratch.path().join("log"), scratch.path().join("saved"));
    let quick = Options { checkpoint_interval: std::time::Duration::from_millis(1), segment_bytes: 20_000, ..options() };
    let log = open(&source, quick);
    let stop = AtomicBool::new(false);
    let key = log_signer().verifier().clone();
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            let mut sizes = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let end = durable_end(&source).unwrap();
                let state = copy(&source, &key, &saved).unwrap().unwrap();
                assert_eq!(verified(&saved, &state), Ok(state.checkpoint.checkpoint().size));
                sizes.push((end, state.checkpoint.checkpoint().size));
            }
            sizes
        });
        for number in 0..300 {
            let (log, start) = (&log, log.durable_size());
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(fill(log, start..start + 1 + number % 90)));
        }
        stop.store(true, Ordering::Relaxed);
        let sizes = copying.join().unwrap();
        assert!(sizes.len() > 2 && sizes.is_sorted(), "{sizes:?}");
    });
}

#[tokio::test]
async fn damage_to_a_copy_is_found() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, saved) = (scratch.path().join("log"), scratch.path().join("saved"));
    let key = log_signer().verifier().clone();
    let log = open(&source, options());
    fill(&log, 0..600).await;
    log.shutdown().await.unwrap();
    let state = copy(&source, &key, &saved).unwrap().unwrap();
    for file in ["tile/entries/001", "tile/0/000", "tile/entries/002.p/88"] {
        let path = saved.join(file);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[40] ^= 1;
        fs::write(&path, &flipped).unwrap();
        verified(&saved, &state).unwrap_err();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        verified(&saved, &state).unwrap_err();
        fs::remove_file(&path).unwrap();
        verified(&saved, &state).unwrap_err();
        assert!(rebuild(&saved, &state, &scratch.path().join(file.replace('/', "-"))).is_err());
        fs::write(&path, &bytes).unwrap();
    }
    verified(&saved, &state).unwrap();
    // A log that lost entries behind its checkpoint does not open.
    let torn = scratch.path().join("torn");
    rebuild(&saved, &state, &torn).unwrap();
    fs::remove_dir_all(torn.join("journal")).unwrap();
    let opened = ticrypt_log::Log::open(&torn, key.name(), log_signer(), options());
    assert!(matches!(opened, Err(LogError::Lost { .. })));
}
