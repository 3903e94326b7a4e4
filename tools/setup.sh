#!/usr/bin/env bash
# Installs what a target needs on Debian or Ubuntu, and says what. Quick when everything is there.
#   tools/setup.sh build|test|bench
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}

say() { printf 'setup: %s\n' "$*"; }

packages=(gcc g++ libc6-dev make curl ca-certificates openssl)
[ "$what" = test ] && packages+=(postgresql rsync patch python3-venv)
[ "$what" = bench ] && packages+=(rclone restic age python3)

# The browser of the tests. Ubuntu has it as a snap only, which sees no files of ours: there it is for a person to choose one.
if [ "$what" != build ] && ! { command -v chromedriver && { command -v chromium || command -v google-chrome; }; } >/dev/null; then
  if grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then
    say "needs a browser that is no snap: install google-chrome-stable and the chromedriver of its version, then run this again"
    exit 1
  fi
  packages+=(chromium chromium-driver)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "needs the packages ${missing[*]}; install them as root, then run this again"; exit 1; }
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v cargo >/dev/null || { say "needs Rust 1.94 or newer (https://rustup.rs); install it, then run this again"; exit 1; }

# What the page is made of; built into the programs.
tools/web.sh

if [ "$what" = test ]; then
  # Cargo's own folder for programs may not be on the path of a fresh shell.
  export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
  for tool in cargo-nextest cargo-deny; do
    command -v "$tool" >/dev/null && continue
    say "installing $tool from crates.io (some minutes, once)"
    cargo install --quiet --locked "$tool"
  done
  # The independent decryptor's one dependency, in a virtual environment of its own.
  venv=target/venv
  if ! "$venv/bin/python" -c 'import cryptography, sys; sys.exit(int(cryptography.__version__.split(".")[0]) < 50)' 2>/dev/null; then
    say "installing Python's cryptography into $venv"
    mkdir -p target
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tools/decrypt/requirements.txt
  fi
fi
