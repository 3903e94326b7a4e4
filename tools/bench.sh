#!/usr/bin/env bash
# Builds the release programs and runs the side-by-side benchmark. BENCH_ROUNDS (5) rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --workspace --bins
exec python3 tools/bench.py --rounds "${BENCH_ROUNDS:-5}" "$@"
