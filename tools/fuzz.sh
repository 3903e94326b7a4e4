#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_SECONDS (20), two at a time. A crash leaves its input in fuzz/target/crashes and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-20}
target=fuzz/target

# Coverage-guided on the stable compiler: LLVM's pass by name instead of the nightly flag.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
triple=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir "$target" --target "$triple"
program=$PWD/$target/$triple/debug/ticrypt-fuzz
mkdir -p "$target/crashes"
seeds=$target/seeds
FUZZ_TARGET=seeds:$seeds "$program" 2>/dev/null

one() {
  name=$1
  corpus=$target/corpus/$name
  mkdir -p "$corpus"
  log=$target/$name.log
  if FUZZ_TARGET=$name "$program" "$corpus" "$seeds" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
      -artifact_prefix="$target/crashes/$name-" -print_final_stats=1 >"$log" 2>&1; then
    printf 'fuzz: %-20s %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    printf 'fuzz: %-20s FAILED\n' "$name"
    tail -n 30 "$log"
    return 1
  fi
}
export -f one
export program target seconds seeds
FUZZ_TARGET=list "$program" 2>/dev/null | xargs -P 2 -I{} bash -c 'one {}'
