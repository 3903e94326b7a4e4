#!/usr/bin/env bash
# Everything CI runs, cheapest first. `tools/setup.sh test` has been run.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
export TICRYPT_DECRYPT_PYTHON=$PWD/target/venv/bin/python
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

step() { printf '\n== %s (%s s so far)\n' "$*" "$SECONDS"; }

step "format"
cargo fmt --all --check
step "tidy"
cargo xtask tidy
step "licences and sources"
cargo deny --log-level error check bans licenses sources
# The advisory database is not part of any registry; without it this one check is left out.
if cargo deny --log-level off fetch db >/dev/null 2>&1; then
  cargo deny --log-level error check advisories
else
  echo "advisories: the database cannot be reached; not checked"
fi
step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
step "programs"
cargo build --workspace --bins --locked
step "tests"
cargo nextest run --workspace --locked --no-fail-fast
# Tests of the tests: those whose turn it is today; a week of runs covers all. `cargo xtask sabotage` runs every one.
step "sabotage"
cargo xtask sabotage --check
cargo xtask sabotage --slice "${SABOTAGE_SLICE:-today/7}"
step "fuzz"
tools/fuzz.sh
step "done"
